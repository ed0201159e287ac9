package mqtt

import (
	"bufio"
	"context"
	"errors"
	"net"
	"time"
)

// link is one connection, and what came over it. Its owner reads it by await; a goroutine only cuts the stream into packets.
type link struct {
	conn net.Conn
	in   chan packet
	done chan struct{}
	err  error // why in was closed

	connected  bool
	reason     byte
	limits     limits
	subscribed []byte
	answers    map[uint16]byte
	arrived    map[string][]byte
}

func newLink(conn net.Conn) *link {
	l := &link{conn: conn, in: make(chan packet), done: make(chan struct{}), answers: map[uint16]byte{}, arrived: map[string][]byte{}}
	go l.receive(bufio.NewReader(bounded(conn)))
	return l
}

func (l *link) receive(in *bufio.Reader) {
	defer close(l.in)
	for {
		p, err := readPacket(in)
		if err != nil {
			l.err = err
			return
		}
		select {
		case l.in <- p:
		case <-l.done:
			return
		}
	}
}

// end says goodbye; the broker then forgets what was not released.
func (l *link) end() {
	_ = l.send(goodbye5()) // a connection that is gone has the same effect
	close(l.done)
	l.conn.Close()
}

func (l *link) send(p []byte) error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := l.conn.Write(p)
	return err
}

// await takes in what comes until finished says so.
func (l *link) await(ctx context.Context, d time.Duration, finished func() bool) error {
	limit := time.NewTimer(d)
	defer limit.Stop()
	for !finished() {
		select {
		case p, ok := <-l.in:
			if !ok {
				return &lostError{l.err}
			}
			if err := l.take(p); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			return errNoAck
		}
	}
	return nil
}

// linger waits for what may never come.
func (l *link) linger(ctx context.Context, finished func() bool) error {
	err := l.await(ctx, quiet, finished)
	if errors.Is(err, errNoAck) {
		return nil
	}
	return err
}

func (l *link) take(p packet) (err error) {
	switch p.kind {
	case typeConnack:
		l.connected = true
		l.reason, l.limits, err = readConnack(p.body)
	case typeSuback:
		l.subscribed = readSuback(p.body)
	case typePubrec:
		id, reason := readAck(p.body)
		l.answers[id] = reason
	case typePublish:
		topic, payload := readPublish(p)
		if _, known := l.arrived[topic]; known || len(l.arrived) < maxArrived {
			l.arrived[topic] = payload
		}
	}
	return err
}

func (l *link) answered(id uint16) bool {
	_, ok := l.answers[id]
	return ok
}

// heard tells whether something came on a topic of the filter.
func (l *link) heard(filter string) bool {
	for topic := range l.arrived {
		if matches(filter, topic) {
			return true
		}
	}
	return false
}
