// Package mqtt keeps one MQTT 3.1.1 connection alive and what is said over it true. It is the only importer of paho and
// knows nothing of cars.
//
// Retained topics are kept as a map of their latest values, which is published whole on every connect: a broker that
// forgot everything knows it again, and a value from before an interruption never replaces a newer one. Unretained
// messages are kept in order, the newest 256 of them, until the broker acknowledged them; they may arrive twice, not never.
// Every connection is a new paho client with an empty store and a clean session, since paho's own resuming sends old
// publishes after newer ones and a broker's stored session delivers old orders.
//
// What it refuses to do: log a password or a payload, trust the system's authorities beside an own one, deliver more than
// 64 KiB, wait for anything without a limit.
package mqtt

import (
	"context"
	"log/slog"
	"net/url"
	"time"
)

// Client is a bridge's connection to its broker. Its methods may be called from any goroutine.
type Client struct {
	o      Options
	broker *url.URL
	log    *slog.Logger
	out    *outbox
	gauge  *gauge
}

// New checks the options and reads the TLS files; it does not touch the network. The error holds all faults, each with
// the configuration key that mends it.
func New(o Options) (*Client, error) {
	broker, err := o.check()
	if err != nil {
		return nil, err
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log = log.With("broker", broker.Scheme+"://"+broker.Host) // no path: a websocket's may carry a token
	return &Client{o: o, broker: broker, log: log, out: newOutbox(), gauge: newGauge()}, nil
}

// Publish hands a message over and never blocks. A retained one becomes the topic's value on every connect from now on, and
// is sent now unless it says the same as before; an empty one clears the topic, then and now. An unretained one is delivered at
// least once, unless 256 newer ones come while the broker is away. All go out at QoS 1, in the order of the calls.
func (c *Client) Publish(topic string, payload []byte, retain bool) {
	dropped := uint64(c.out.put(topic, payload, retain))
	if dropped == 0 {
		return
	}
	var total uint64
	c.gauge.update(func(s *Stats) {
		s.DroppedResults += dropped
		total = s.DroppedResults
	})
	if total == 1 || total%100 == 0 { // one line each would flood the log for as long as the broker is away
		c.log.Warn("the broker is away for too long: dropped the oldest message", "topic", topic, "dropped", total)
	}
}

// Stats says how the connection is.
func (c *Client) Stats() Stats { return c.gauge.read() }

// Changes delivers when State or Message of Stats became different. It is for one reader; changes that follow each other
// closely may come as one.
func (c *Client) Changes() <-chan struct{} { return c.gauge.changed }

// Run connects and reconnects until ctx is done, for as long as the broker is absent too. Then it sends what is waiting,
// announces "offline", disconnects and returns nil, at most 5 s later. It is to be called once.
func (c *Client) Run(ctx context.Context) error {
	pace := newPacer()
	for {
		began, parting, err := c.serve(ctx, pace.waited)
		if ctx.Err() != nil {
			c.gauge.disconnected(StateConnecting, parting)
			return nil
		}
		var lasted time.Duration
		if !began.IsZero() {
			lasted = time.Since(began)
		}
		v := pace.after(err, lasted, time.Now(), c.o.ClientID)
		c.report(v)
		if !sleep(ctx, v.wait) {
			parting := c.neverThere()
			if v.state == StateInUse {
				parting = c.replaced()
			}
			c.gauge.disconnected(StateConnecting, parting)
			return nil
		}
	}
}

// What Stats say after Run: what the topics tell of us from now on.
func (c *Client) neverThere() string {
	return "there was no connection; the broker has said offline on " + c.o.StateTopic + " by itself, if it ever had us"
}

func (c *Client) replaced() string {
	return "another bridge may be in our place, so nothing was said on " + c.o.StateTopic
}

func (c *Client) parting(clean, probing bool) string {
	switch {
	case probing:
		return c.replaced()
	case clean:
		return c.o.StateTopic + " says offline"
	}
	return "the broker did not confirm it; it says offline on " + c.o.StateTopic + " by itself when it misses us"
}

// report keeps the log short: a broker that is away for a day says so once, and each try only at debug.
func (c *Client) report(v verdict) {
	level := slog.LevelWarn
	if s := c.gauge.read(); s.State == v.state && s.Message == v.message {
		level = slog.LevelDebug
	}
	c.gauge.disconnected(v.state, v.message)
	c.log.Log(context.Background(), level, "not connected to the broker", "state", v.state, "reason", v.message,
		"again_in", v.wait.Round(time.Millisecond))
}

// serve lives through one connection and returns when it began, zero if it never did, what is left of us on the broker, and why
// it ended.
func (c *Client) serve(ctx context.Context, waited bool) (began time.Time, parting string, err error) {
	s := newSession(c, waited)
	if err := s.connect(ctx); err != nil {
		s.hangUp(false)
		return time.Time{}, c.neverThere(), err
	}
	began = time.Now()
	c.gauge.connected(began)
	c.log.Info("connected to the broker")
	clean, err := s.run(ctx)
	s.hangUp(clean)
	return began, c.parting(clean, s.probing), err
}

// sleep returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
