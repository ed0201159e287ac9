//go:build linux && !nobluetooth

package ble

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"
)

// connection is a connection to a car that stands, until lost is closed.
type connection struct {
	bus                 *bus
	device, write, read dbus.ObjectPath
	shared              bool   // it stood before us: another program uses it too, and hangs up
	kind                string // of a write: request, which the car acknowledges, or command
	chunk               int
	timeout             time.Duration // of a write
	writing             chan struct{} // full while a message is written
	failed              chan error    // of a write: half a message may be over there, so nothing may follow
	lost                chan struct{}
	cause               error // why; read only after lost is closed
}

// dial searches for a car and connects.
func (r *Radio) dial(ctx context.Context, vin string, inbox chan<- []byte) (*connection, error) {
	if err := r.take(ctx); err != nil {
		return nil, err
	}
	defer r.leave()
	b, err := openBus(ctx, r.adapter)
	if err != nil {
		return nil, err
	}
	c := &connection{bus: b, timeout: r.limits.write, writing: make(chan struct{}, 1),
		failed: make(chan error, 1), lost: make(chan struct{})}
	if c.device, err = b.search(ctx, r.limits.search, LocalName(vin)); err == nil {
		c.shared = property[bool](b.tree, c.device, ifDevice, "Connected")
		err = c.establish(ctx, r.limits)
	}
	if err != nil {
		c.disconnect(r.limits.hangUp)
		b.close()
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	go c.listen(inbox)
	return c, nil
}

// search waits until the car is heard.
func (b *bus) search(ctx context.Context, patience time.Duration, name string) (dbus.ObjectPath, error) {
	device, there := b.tree.find(b.adapter, name)
	if there {
		return device, nil
	}
	if err := b.discover(ctx); err != nil {
		return "", err
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := b.await(within, func() (bool, error) {
		device, there = b.tree.find(b.adapter, name)
		return there, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return "", &Error{Kind: ErrOutOfRange, Text: "its name " + name + " was not heard"}
	}
	if err != nil {
		return "", err
	}
	// An adapter that searches connects badly. If it fails, the search ends with our connection to the bus.
	return device, b.call(ctx, busTimeout, b.adapter, ifAdapter+".StopDiscovery")
}

// discover starts a search. BlueZ could look for one name alone, but would judge the first packet, which may lack it.
func (b *bus) discover(ctx context.Context) error {
	filter := map[string]dbus.Variant{"Transport": dbus.MakeVariant("le")}
	if err := b.call(ctx, busTimeout, b.adapter, ifAdapter+".SetDiscoveryFilter", filter); err != nil {
		return err
	}
	return b.call(ctx, busTimeout, b.adapter, ifAdapter+".StartDiscovery")
}

// establish connects to a car that was heard, and prepares writing and reading.
func (c *connection) establish(ctx context.Context, l limits) error {
	b := c.bus
	if err := b.call(ctx, l.connect, c.device, ifDevice+".Connect"); err != nil {
		return refusal(ctx, err)
	}
	within, cancel := context.WithTimeout(ctx, l.resolve)
	defer cancel()
	up := false
	err := b.await(within, func() (bool, error) {
		connected := property[bool](b.tree, c.device, ifDevice, "Connected")
		if up && !connected {
			return false, &Error{Kind: ErrRefused, Text: "it hung up at once"}
		}
		up = connected
		return up && property[bool](b.tree, c.device, ifDevice, "ServicesResolved"), nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Kind: ErrRefused, Text: "it did not say in time what it offers"}
	}
	if err != nil {
		return err
	}
	if c.write, c.read, err = b.tree.characteristics(c.device); err != nil {
		return err
	}
	c.kind = "command"
	if slices.Contains(property[[]string](b.tree, c.write, ifChar, "Flags"), "write") {
		c.kind = "request"
	}
	c.chunk = chunkSize(int(property[uint16](b.tree, c.write, ifChar, "MTU")))
	return b.call(ctx, l.resolve, c.read, ifChar+".StartNotify")
}

// refusal words a connect that failed although the car was heard a moment ago. BlueZ tells the reasons apart by texts that
// change from version to version.
func refusal(ctx context.Context, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != ErrDropped || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	return &Error{Kind: ErrRefused, Text: e.Text}
}

// listen takes what the car sends until the connection breaks.
func (c *connection) listen(inbox chan<- []byte) {
	defer close(c.lost)
	var a assembler
	for {
		var s *dbus.Signal
		var open bool
		select {
		case s, open = <-c.bus.signals:
		case c.cause = <-c.failed:
			return
		}
		if c.cause = c.bus.take(s, open); c.cause != nil {
			return
		}
		for _, message := range a.add(c.fragment(s), time.Now()) {
			select {
			case inbox <- message:
			default: // nobody waits for so many; whoever waits for this one asks again
			}
		}
		if _, c.cause = c.bus.tree.adapter(c.bus.name()); c.cause != nil {
			return
		}
		if !property[bool](c.bus.tree, c.device, ifDevice, "Connected") {
			c.cause = &Error{Kind: ErrDropped, Text: "the car hung up, or went out of range"}
			return
		}
	}
}

// fragment returns what a report brings from the car, nil if it is about something else.
func (c *connection) fragment(s *dbus.Signal) []byte {
	if s.Sender != c.bus.owner || s.Path != c.read || s.Name != properties+".PropertiesChanged" || len(s.Body) < 2 {
		return nil
	}
	changed, _ := s.Body[1].(map[string]dbus.Variant)
	value, _ := changed["Value"].Value().([]byte)
	return value
}

// send writes a message in packets.
func (c *connection) send(ctx context.Context, message []byte) error {
	data, err := frame(message)
	if err != nil {
		return err
	}
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-ctx.Done():
		return &Error{Kind: ErrBusy, Text: "another message is being written"}
	}
	if c.broken() {
		return &Error{Kind: ErrDropped, Text: "it broke before this message"}
	}
	for len(data) > 0 {
		n := min(c.chunk, len(data))
		options := map[string]dbus.Variant{"type": dbus.MakeVariant(c.kind)}
		if err := c.bus.call(ctx, c.timeout, c.write, ifChar+".WriteValue", data[:n], options); err != nil {
			if e, ok := errors.AsType[*Error](err); ok && n < len(data) {
				e.Sent = false // the car has but a part of it
			}
			c.failed <- err // there is room: whoever writes next waits until lost
			<-c.lost
			return err
		}
		data = data[n:]
	}
	return nil
}

// broken tells that nothing more can be sent.
func (c *connection) broken() bool {
	select {
	case <-c.lost:
		return true
	default:
		return false
	}
}

// why tells what broke it. It must have.
func (c *connection) why() error { return c.cause }

// close hangs up, unless the other side has, and waits for listen to end.
func (c *connection) close(timeout time.Duration) {
	if !c.broken() || property[bool](c.bus.tree, c.device, ifDevice, "Connected") {
		c.disconnect(timeout)
	}
	c.bus.close()
	<-c.lost
}

// disconnect also ends a connect that hangs. If BlueZ cannot, the car itself hangs up soon.
func (c *connection) disconnect(timeout time.Duration) {
	if c.device != "" && !c.shared {
		_ = c.bus.call(context.Background(), timeout, c.device, ifDevice+".Disconnect")
	}
}
