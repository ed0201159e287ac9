package ble

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/connector"
)

// Link is the way to one car. It has at most one connection, which one user at a time has: Use gets it, Send and Receive
// are for whoever is using it.
type Link struct {
	radio *Radio
	vin   string
	inbox chan []byte
	uses  chan *use
	now   atomic.Pointer[connection] // what Send sends over
	end   context.CancelFunc
	ended chan struct{}
}

var _ connector.Connector = (*Link)(nil)

// use is a wish for the connection, and its use.
type use struct {
	ctx    context.Context
	cancel context.CancelCauseFunc // tells the user that the connection broke
	ready  chan error
	done   chan struct{}
}

// Link returns the way to the car with that VIN. Whoever asked for it has to close it.
func (r *Radio) Link(vin string) *Link {
	life, end := context.WithCancel(context.Background())
	l := &Link{radio: r, vin: vin, inbox: make(chan []byte, connector.BufferSize), uses: make(chan *use), end: end, ended: make(chan struct{})}
	go l.run(life)
	return l
}

// Use connects, unless the last connection still stands, and returns a context that ends when the connection breaks. done
// must be called; a little later the link hangs up, so that others find room.
func (l *Link) Use(ctx context.Context) (using context.Context, done func(), err error) {
	using, cancel := context.WithCancelCause(ctx)
	u := &use{using, cancel, make(chan error, 1), make(chan struct{})}
	done = sync.OnceFunc(func() { cancel(nil); close(u.done) })
	select {
	case l.uses <- u:
		err = <-u.ready
	case <-ctx.Done():
		err = &Error{Kind: ErrBusy, Text: "the connection to this car is in use"}
	case <-l.ended:
		err = errClosed
	}
	if err != nil {
		done()
		return nil, func() {}, err
	}
	return using, done, nil
}

var errClosed = &Error{Kind: ErrDropped, Text: "the program is ending"}

// run owns the connection.
func (l *Link) run(life context.Context) {
	defer close(l.ended)
	h := &held{link: l}
	defer h.hangUp()
	for {
		select {
		case u := <-l.uses:
			h.serve(life, u)
		case <-h.lost():
			h.hangUp()
		case <-h.idle:
			h.hangUp()
		case <-life.Done():
			return
		}
	}
}

// held is what run holds.
type held struct {
	link *Link
	conn *connection // nil for none
	born time.Time
	idle <-chan time.Time // of the end of the wait for another use
}

// serve gives the connection to u, and waits until it is no longer used.
func (h *held) serve(life context.Context, u *use) {
	l := h.link
	stop := context.AfterFunc(life, func() { u.cancel(errClosed) })
	defer stop()
	if h.conn != nil && (time.Since(h.born) > l.radio.limits.age || h.conn.broken()) {
		h.hangUp()
	}
	if h.conn == nil {
		conn, err := l.radio.dial(u.ctx, l.vin, l.inbox)
		if err != nil {
			u.ready <- err
			return
		}
		h.conn, h.born = conn, time.Now()
		l.now.Store(conn)
	}
	u.ready <- nil
	select {
	case <-u.done:
	case <-h.lost():
		u.cancel(h.conn.why())
		<-u.done
	case <-life.Done():
		return
	}
	h.idle = time.After(l.radio.limits.linger)
	if h.conn.broken() {
		h.hangUp()
	}
}

func (h *held) lost() <-chan struct{} {
	if h.conn == nil {
		return nil
	}
	return h.conn.lost
}

func (h *held) hangUp() {
	if h.conn != nil {
		h.link.now.Store(nil)
		h.conn.close(h.link.radio.limits.hangUp)
	}
	h.conn, h.idle = nil, nil
}

// Close hangs up and ends the link. It may be called more than once.
func (l *Link) Close() {
	l.end()
	<-l.ended
}

// Send sends a message over the connection in use, and waits until BlueZ has taken it.
func (l *Link) Send(ctx context.Context, message []byte) error {
	conn := l.now.Load()
	if conn == nil {
		return &Error{Kind: ErrDropped, Text: "there is no connection"}
	}
	return conn.send(ctx, message)
}

// Receive returns what comes from the car, whichever connection it came over.
func (l *Link) Receive() <-chan []byte { return l.inbox }

// VIN tells which car it is.
func (l *Link) VIN() string { return l.vin }

// PreferredAuthMethod is what cars expect over Bluetooth.
func (l *Link) PreferredAuthMethod() connector.AuthMethod { return connector.AuthMethodGCM }

// RetryInterval is how long Tesla's library waits before it asks again.
func (l *Link) RetryInterval() time.Duration { return time.Second }

// AllowedLatency is how old the car's time may be when it arrives. Connecting does not count: it comes before.
func (l *Link) AllowedLatency() time.Duration { return 4 * time.Second }
