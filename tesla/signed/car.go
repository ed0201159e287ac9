package signed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/connector"
	"github.com/teslamotors/vehicle-command/pkg/protocol"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"
	"github.com/teslamotors/vehicle-command/pkg/vehicle"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/hosts"
)

const (
	// linkTime bounds what comes before a command: connecting, and a session.
	linkTime = 20 * time.Second
	// lifetime is how long a command is valid for the car, and its answer awaited; as in Tesla's own proxy.
	lifetime = 10 * time.Second
)

// Config is what a Car needs. VIN and Dial are required.
type Config struct {
	VIN string
	// Key signs. Nil: only State can be asked.
	Key *Key
	// Dial connects to the car. It is called again after the connection has closed.
	Dial func(ctx context.Context) (connector.Connector, error)
	// Memory keeps sessions over a restart. Nil: they end with the process. A file has one process that writes it.
	Memory Memory
	// Trouble is told what failed beside a command. Nil for nobody.
	Trouble func(error)
	// Suspended returns for how long this machine has been suspended since it started; nil where that is not known. Go's clock stands
	// still meanwhile, and a command grows old.
	Suspended func() time.Duration
}

// Car commands and reads one car. Its methods may be called at any time; the car is told one thing at a time.
type Car struct {
	cfg      Config
	turn     chan struct{} // holds one token: whoever has it may use what is below
	sessions *sessions
	link     *link
}

// link is a connection with the library's end of it.
type link struct {
	guard   *guard
	vehicle *vehicle.Vehicle
	begun   map[universalmessage.Domain]bool // whose session has been started
}

// New makes a Car. Nothing is sent before it is used.
func New(cfg Config) *Car {
	if cfg.Trouble == nil {
		cfg.Trouble = func(error) {}
	}
	if cfg.Suspended == nil {
		cfg.Suspended = func() time.Duration { return 0 }
	}
	c := &Car{cfg: cfg, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// Can returns nil, or why this car cannot be told anything.
func (c *Car) Can(tesla.Thing) error {
	if c.cfg.Key == nil {
		return &tesla.Error{Class: tesla.ErrNoKey}
	}
	return nil
}

// Do gives the car one command, once. A *tesla.Refusal is the car's own no. After an error for which tesla.MayHaveSucceeded
// holds, only a read can tell what became of it. It takes up to 30 s.
func (c *Car) Do(ctx context.Context, cmd tesla.Command) error {
	o, err := orderOf(cmd)
	if err != nil {
		return err
	}
	if err := c.Can(cmd.Thing); err != nil {
		return fmt.Errorf("%s: %w", o.name, err)
	}
	ctx = tesla.For(ctx, cmd)
	err = c.with(ctx, o.domain, func(limited context.Context, l *link) error {
		if cloud, ok := l.guard.Connector.(connector.FleetAPIConnector); ok && cmd.Thing == tesla.Wake {
			return cloud.Wakeup(ctx) // Tesla's own doing, which has the deadline of a request
		}
		return o.give(limited, l.vehicle)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", o.name, err)
	}
	return nil
}

// Close lets go of the car. It waits for what is under way.
func (c *Car) Close() {
	<-c.turn
	c.unlink()
	c.turn <- struct{}{}
}

// with does something that needs a session with one of the car's computers, when its turn has come.
func (c *Car) with(ctx context.Context, domain universalmessage.Domain, do func(context.Context, *link) error) error {
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	end, bounded := hosts.End(ctx)
	slept := c.cfg.Suspended()
	l, err := c.open(ctx, domain, end)
	if err != nil {
		return inTime(ctx, err)
	}
	now := time.Now()
	until := now.Add(lifetime)
	if left := end.Add(slept - c.cfg.Suspended()); bounded && left.Before(until) {
		until = left
	}
	if hosts.Over(ctx) || !now.Before(until) {
		return &tesla.Error{Class: tesla.ErrTooLate}
	}
	// The library makes the context's deadline the command's expiry.
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	l.guard.issue(domain, until, c.cfg.Suspended())
	err = do(ctx, l)
	ticket := l.guard.settle()
	if err = classify(err, ticket.unanswered()); err == nil && ticket.mute {
		err = &tesla.Error{Class: tesla.ErrTemporary, Text: "the car's answer does not say what became of it", Uncertain: true}
	}
	switch {
	case sessionLost(err):
		c.unlink()
		c.sessions.forget()
	case ticket.behind():
		c.jump(l)
	default:
		c.sessions.keep(l.vehicle, c.cfg.VIN)
	}
	return err
}

// enter waits for the turn.
func (c *Car) enter(ctx context.Context) (leave func(), err error) {
	select {
	case <-c.turn:
		return func() { c.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, &tesla.Error{Class: tesla.ErrTemporary, Text: "the car was busy with something else"}
	}
}

// open returns the connection, with a session for domain.
func (c *Car) open(ctx context.Context, domain universalmessage.Domain, end time.Time) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, linkTime)
	defer cancel()
	if !end.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	l, err := c.connect(ctx)
	if err != nil || l.begun[domain] {
		return l, err
	}
	if _, cloud := l.guard.Connector.(connector.FleetAPIConnector); cloud && domain == security {
		return l, nil // Tesla wakes the car, and needs no session for that
	}
	began := time.Now().UTC()
	if err := l.vehicle.StartSession(ctx, []universalmessage.Domain{domain}); err != nil {
		c.unlink() // a session that was begun and not answered is not to be used
		return nil, classify(err, false)
	}
	l.begun[domain] = true
	if len(c.sessions.Handshakes) > 0 && !c.sessions.Handshakes[len(c.sessions.Handshakes)-1].Before(began) {
		c.jump(l) // it was a handshake, and not a session that was kept
	}
	return l, nil
}

// jump leaves out some counters: whoever else commands this car with our key, say set-amps while the bridge runs, has begun
// where we are, and no two messages should have the same counter. What guard makes of one that was used depends on it.
func (c *Car) jump(l *link) {
	c.sessions.keep(l.vehicle, c.cfg.VIN)
	if err := l.vehicle.LoadCachedSessions(c.sessions.Cache); err != nil {
		c.cfg.Trouble(fmt.Errorf("leave out counters: %w", err))
	}
	c.sessions.keep(l.vehicle, c.cfg.VIN)
}

// inTime gives an error before anything was sent its name, if the command's time is over.
func inTime(ctx context.Context, err error) error {
	if errors.Is(err, tesla.ErrTemporary) && hosts.Over(ctx) {
		return &tesla.Error{Class: tesla.ErrTooLate}
	}
	return err
}

// connect returns the connection there is, or makes one.
func (c *Car) connect(ctx context.Context) (*link, error) {
	if c.link != nil && c.link.guard.alive() {
		if c.sessions.keep(c.link.vehicle, c.cfg.VIN) {
			return c.link, nil
		}
		c.sessions.forget()
	}
	c.unlink()
	conn, err := c.cfg.Dial(ctx)
	if err != nil {
		return nil, classify(err, false)
	}
	if c.sessions == nil {
		c.sessions = loadSessions(c.cfg.Memory, c.cfg.Trouble, c.cfg.VIN, c.fingerprint())
	}
	g := newGuard(conn, c.sessions, c.cfg.Suspended)
	var key protocol.ECDHPrivateKey
	if c.cfg.Key != nil {
		key = c.cfg.Key.private
	}
	v, err := vehicle.NewVehicle(g, key, c.sessions.Cache)
	if err != nil || !c.sessions.keep(v, c.cfg.VIN) {
		c.sessions.forget()
		v, err = vehicle.NewVehicle(g, key, nil)
	}
	if err != nil {
		g.Close()
		return nil, classify(err, false)
	}
	// It only waits for a goroutine of its own, which it would lose if it gave up.
	if err := v.Connect(context.WithoutCancel(ctx)); err != nil {
		g.Close()
		return nil, classify(err, false)
	}
	c.link = &link{g, v, map[universalmessage.Domain]bool{}}
	return c.link, nil
}

func (c *Car) fingerprint() string {
	if c.cfg.Key == nil {
		return ""
	}
	return c.cfg.Key.fingerprint()
}

// unlink closes the connection, if there is one.
func (c *Car) unlink() {
	if c.link != nil {
		c.link.vehicle.Disconnect()
		c.link = nil
	}
}
