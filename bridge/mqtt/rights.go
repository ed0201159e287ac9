package mqtt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Rights is what a broker lets a user do, as far as that can be found out without a trace.
type Rights struct {
	// Open says that the user may write and read a topic that no rule can have named: nothing is restricted.
	Open bool
	// NoRetain says that the broker keeps no retained messages.
	NoRetain bool

	Writable, Unwritable []string
	// Untried are the topics of which Why says why nothing was found out about writing them.
	Untried []string
	Why     string

	// Readable delivered something, Unreadable were refused. Of Unsure the broker took the subscription, which does not
	// mean that it delivers: only a message would tell.
	Readable, Unreadable, Unsure []string
}

// FindRights tries what o's user may write (topics) and read (filters). The first of writes must be among reads, too.
//
// It leaves no trace, also beside a running bridge. Each topic is tried with an empty message at QoS 2 that is not retained
// and never released: a broker that holds messages back until then, as Mosquitto does, throws it away when the connection
// ends, and with MQTT 5 it has said at once whether it would have taken it. The standard lets brokers hand the message on at
// once, too. Whether this one does is tried first: on a topic of our own, and where that is forbidden on the first of writes,
// with what it says already. If it does, nothing else is tried.
func FindRights(ctx context.Context, o Options, writes, reads []string) (Rights, error) {
	own := o.aside()
	c, err := New(own)
	if err != nil {
		return Rights{}, err
	}
	p := &prober{c: c, private: own.ClientID, reads: reads, writes: writes}
	err = p.explore(ctx)
	if why, ok := errors.AsType[untold](err); ok {
		p.found.Why, err = string(why), nil
	}
	p.conclude()
	return p.found, err
}

// untold is why a broker does not tell what we may write. It is no failure.
type untold string

func (u untold) Error() string { return string(u) }

const (
	// quiet is how long nothing must arrive before it counts as not sent.
	quiet = 500 * time.Millisecond
	// batch is how many publishes are open at a time, at most.
	batch = 10
	// maxArrived bounds the topics that are remembered; each is bounded by maxFrame.
	maxArrived = 256
)

// prober finds out rights, with one connection after another.
type prober struct {
	c       *Client
	private string // a topic that is ours alone: the client id
	reads   []string
	writes  []string
	limits  limits
	found   Rights
}

func (p *prober) explore(ctx context.Context) error {
	l, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer l.end()
	if err := p.subscribe(ctx, l); err != nil {
		return err
	}
	if p.limits.qos < 2 {
		return untold("this broker has no QoS 2, and without it trying would be seen")
	}
	if err := p.calibrate(ctx, l); err != nil {
		return err
	}
	for topics := range slices.Chunk(p.pending(), max(1, min(batch, p.limits.receive))) {
		if err := p.try(ctx, topics); err != nil {
			return err
		}
	}
	return nil
}

// subscribe asks for everything that we read, and waits for what is retained there.
func (p *prober) subscribe(ctx context.Context, l *link) error {
	filters := append([]string{p.private}, p.reads...)
	if err := l.send(subscribe5(1, filters)); err != nil {
		return err
	}
	if err := l.await(ctx, ackTimeout, func() bool { return l.subscribed != nil }); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if err := l.linger(ctx, func() bool { return false }); err != nil {
		return err
	}
	for i, f := range p.reads {
		list := &p.found.Unsure
		switch {
		case len(l.subscribed) != len(filters):
			return errors.New("the broker did not answer for each subscription")
		case l.subscribed[i+1] >= reasonFailed:
			list = &p.found.Unreadable
		case l.heard(f):
			list = &p.found.Readable
		}
		*list = append(*list, f)
	}
	return nil
}

// calibrate finds out whether the broker holds back what is not released.
func (p *prober) calibrate(ctx context.Context, l *link) error {
	const seen = untold("this broker hands a message on before it is released, so trying would be seen")
	allowed, echoed, err := p.echo(ctx, l, 1, p.private, nil)
	if err != nil {
		return err
	}
	if echoed {
		p.found.Open = true
		return seen
	}
	if allowed {
		if err := l.send(release5(1)); err != nil {
			return err
		}
		if err := l.linger(ctx, func() bool { return l.heard(p.private) }); err != nil {
			return err
		}
		if p.found.Open = l.heard(p.private); p.found.Open {
			return nil
		}
	}
	if slices.Contains(p.found.Unreadable, p.writes[0]) {
		return untold("this user may not read " + p.writes[0] + ", so it cannot be known whether trying would be seen")
	}
	// What the topic says already tells nobody anything new, should it be handed on.
	allowed, echoed, err = p.echo(ctx, l, 2, p.writes[0], l.arrived[p.writes[0]])
	switch {
	case err != nil:
		return err
	case echoed:
		p.note(p.writes[0], true)
		return seen
	case !allowed:
		p.note(p.writes[0], false)
		return untold("this user may not even write " + p.writes[0] + ", so nothing else was tried")
	}
	p.note(p.writes[0], true)
	return nil
}

// echo publishes without a release, and tells whether the broker takes it, and whether it hands it on at once.
func (p *prober) echo(ctx context.Context, l *link, id uint16, topic string, payload []byte) (allowed, echoed bool, err error) {
	delete(l.arrived, topic)
	if err := l.send(publish5(id, topic, payload)); err != nil {
		return false, false, err
	}
	if err := l.await(ctx, ackTimeout, func() bool { return l.answered(id) }); err != nil {
		return false, false, fmt.Errorf("publish: %w", err)
	}
	if l.answers[id] >= reasonFailed {
		return false, false, nil
	}
	err = l.linger(ctx, func() bool { return l.heard(topic) })
	return true, l.heard(topic), err
}

// try asks about some topics over a connection of its own, whose end takes back what was not released.
func (p *prober) try(ctx context.Context, topics []string) error {
	l, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer l.end()
	for i, topic := range topics {
		id := uint16(i + 1)
		if err := l.send(publish5(id, topic, nil)); err != nil {
			return err
		}
		if err := l.await(ctx, ackTimeout, func() bool { return l.answered(id) }); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		p.note(topic, l.answers[id] < reasonFailed)
	}
	return nil
}

func (p *prober) note(topic string, allowed bool) {
	if allowed {
		p.found.Writable = append(p.found.Writable, topic)
	} else {
		p.found.Unwritable = append(p.found.Unwritable, topic)
	}
}

// pending are the topics of which nothing is known yet.
func (p *prober) pending() []string {
	return slices.DeleteFunc(slices.Clone(p.writes), func(topic string) bool {
		return slices.Contains(p.found.Writable, topic) || slices.Contains(p.found.Unwritable, topic)
	})
}

func (p *prober) conclude() {
	if p.found.Untried = p.pending(); len(p.found.Untried) > 0 && p.found.Why == "" {
		p.found.Why = "the connection to the broker broke"
	}
}

// open connects with MQTT 5.
func (p *prober) open(ctx context.Context) (*link, error) {
	conf, err := p.c.o.tlsConfig(p.c.broker)
	if err != nil {
		return nil, err
	}
	conn, err := p.c.dial(ctx, p.c.broker, conf)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the broker: %w", err)
	}
	l := newLink(conn)
	if err := l.send(connect5(p.c.o)); err != nil {
		l.end()
		return nil, err
	}
	err = l.await(ctx, connectTimeout, func() bool { return l.connected })
	_, lost := errors.AsType[*lostError](err)
	switch {
	case lost, err == nil && l.reason != 0:
		err = untold("this broker does not accept MQTT 5, and no other version tells")
	case err == nil:
		p.limits = l.limits
		p.found.NoRetain = l.limits.noRetain
		return l, nil
	}
	l.end()
	return nil, err
}
