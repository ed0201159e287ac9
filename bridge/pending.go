package bridge

import (
	"context"
	"time"

	"tesla2mqtt/tesla"
)

// message is a command as it came from MQTT.
type message struct {
	alias, thing string
	payload      []byte
	retained     bool
	at           time.Time
	slept        time.Duration // for how long the machine had been suspended then, in all
}

// pending is a command that waits for its turn, or for what became of it.
type pending struct {
	req       request
	value     int    // what will be sent, limits applied
	reason    string // why that is not what was asked
	messages  []message
	first     time.Time // when the first message of this burst came
	last      time.Time // when the newest came
	expires   time.Time
	phase     phase
	notBefore time.Time // of the phases that wait
	sentAt    time.Time
	openSince time.Time // since when the outcome is uncertain
	below5    bool      // one more send will follow: see secondSend
	second    bool      // and that one was sent
	mustWake  bool      // Tesla said that the car sleeps
	retried   bool      // woken and sent once more already
	looked    bool      // the state was asked on its behalf
	read      bool      // and the car read
	kept      error     // why it was not read, to save money
	confirms  int       // confirming reads that were made
}

// phase is how far a pending command has come.
type phase int

const (
	queued     phase = iota // not a request sent yet; may be replaced, may expire
	waking                  // wake_up was sent; waiting for online
	settling                // online again, but commands still fail for some seconds
	secondSend              // sent once, below 5 A; the second send follows
	confirming              // sent, outcome uncertain; reads will tell
	riding                  // amps that wait until ON has woken the car
)

const (
	settleCap    = 5 * time.Second   // amps never wait longer than this for a burst to end
	wakeLook     = 5 * time.Second   // between looks at a waking car
	wakePatience = 120 * time.Second // until it is given up
	wakeSettle   = 20 * time.Second  // from online until commands are taken (TeslaSolarCharger)
	below5Gap    = 5 * time.Second   // between the two sends (TeslaSolarCharger)
	confirm1     = 5 * time.Second   // after an uncertain outcome
	confirm2     = 20 * time.Second
)

// within is ctx for a request of p's: the first must be out before p expires, however long it waits for the login.
func (p *pending) within(ctx context.Context) context.Context {
	if p.sentAt.IsZero() {
		return tesla.Until(ctx, p.expires)
	}
	return ctx
}

// waits tells that p expires no more: a request of its own was sent, or that of the ON with which it rides. But a time that
// its sender has set is kept.
func (p *pending) waits() bool {
	if p.phase == riding {
		return p.req.ttl == 0
	}
	return p.phase != queued || !p.sentAt.IsZero()
}

// ready returns when p may take its next step. lastAmps is when amps were last sent, setPoint what the car was last
// known to be set to; hurry skips the wait for a burst to end, but no gap.
func (p *pending) ready(a Amps, lastAmps time.Time, setPoint *int, hurry bool) time.Time {
	if p.phase != queued {
		return p.notBefore
	}
	if p.req.thing != tesla.ChargeAmps {
		return p.notBefore
	}
	at := p.last.Add(a.Settle)
	if limit := p.first.Add(max(settleCap, a.Settle)); at.After(limit) {
		at = limit
	}
	if hurry {
		at = p.last
	}
	if lastAmps.IsZero() {
		return at
	}
	gap := a.RaiseGap
	if setPoint != nil && p.value < *setPoint {
		gap = a.LowerGap
	}
	if earliest := lastAmps.Add(gap); at.Before(earliest) {
		at = earliest
	}
	return at
}

// order is the order in which commands go when several may: stopping first, waking last.
var order = []tesla.Thing{tesla.Charging, tesla.ChargeLimit, tesla.ChargePort, tesla.ChargeAmps, refresh, tesla.Wake}

// desk holds the pending commands of a car, one for each thing.
type desk map[tesla.Thing]*pending

// onReserve is the life that ON must have left when it lets amps go first.
const onReserve = 5 * time.Second

// next returns the pending command that may go next, and when. ON lets amps that were asked before it go first, so that
// the car does not start at a current that nobody wanted; but not at the price of its own expiry.
func (d desk) next(a Amps, lastAmps time.Time, setPoint *int) (*pending, time.Time) {
	var best *pending
	var at time.Time
	starting := d[tesla.Charging]
	on := starting != nil && starting.value == tesla.On && starting.phase == queued
	for _, thing := range order {
		p := d[thing]
		if p == nil || p.phase == riding {
			continue
		}
		amps := d[tesla.ChargeAmps]
		if on && p == starting && amps != nil && amps.phase == queued && !amps.first.After(p.first) &&
			amps.ready(a, lastAmps, setPoint, on).Before(p.expires.Add(-onReserve)) {
			continue
		}
		ready := p.ready(a, lastAmps, setPoint, on)
		if best == nil || ready.Before(at) {
			best, at = p, ready
		}
	}
	return best, at
}

// age makes every command so much older.
func (d desk) age(by time.Duration) {
	for _, p := range d {
		p.expires = p.expires.Add(-by)
	}
}

// expiry returns the first pending command that has run out of time, or when the next one will.
func (d desk) expiry(now time.Time) (*pending, time.Time) {
	var soonest time.Time
	for _, thing := range order {
		p := d[thing]
		if p == nil || p.waits() {
			continue
		}
		if !now.Before(p.expires) {
			return p, p.expires
		}
		if soonest.IsZero() || p.expires.Before(soonest) {
			soonest = p.expires
		}
	}
	return nil, soonest
}
