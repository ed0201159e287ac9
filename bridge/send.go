package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tesla2mqtt/tesla"
)

// step takes the next step of a command that is due. It returns true if an operation was started; otherwise the command
// was answered, or put off.
func (c *car) step(ctx context.Context, p *pending, now time.Time) bool {
	switch p.phase {
	case confirming:
		c.start(ctx, p, opRead, tesla.Command{})
		return true
	case waking:
		return c.lookAtWaking(ctx, p, now)
	case secondSend:
		return c.send(ctx, p, now)
	case settling:
		// Its first request, the wake, was sent: it does not expire any more.
		p.phase, p.notBefore, p.looked, p.read, p.expires = queued, now, false, false, now.Add(maxTTL)
		c.dismount(now)
		return false
	}
	if p.mustWake {
		p.mustWake = false
		return c.wake(ctx, p, now)
	}
	if p.phase != queued {
		return false
	}
	if c.rides(p) {
		p.phase = riding
		return false
	}
	if v, settled := c.doneJustNow(p, now); settled {
		c.resolve(p, v, now)
		return false
	}
	if kind := c.unread(p, now); kind != opNone {
		c.start(ctx, p, kind, tesla.Command{})
		return true
	}
	if p.req.thing == refresh {
		c.resolve(p, c.refreshed(p), now)
		return false
	}
	if refused := c.rebound(p); refused != nil {
		c.resolve(p, verdict{status: statusRejected, reason: refused.reason, message: refused.message}, now)
		return false
	}
	if v, wake, settled := c.weigh(p, now); settled {
		if v.reason == "asleep" && c.startWaits() && p.req.thing == tesla.ChargeAmps {
			p.phase = riding
			return false
		}
		c.judged[attempt{p.req.thing, p.value}] = true
		c.resolve(p, v, now)
		return false
	} else if wake {
		return c.wake(ctx, p, now)
	}
	return c.send(ctx, p, now)
}

// rebound applies the limits once more: the read that came since p was accepted may have brought another cable.
func (c *car) rebound(p *pending) *refusal {
	value, reason, refused := bound(p.req, c.cfg.Commands, c.doc, c.limits)
	if refused == nil {
		p.value, p.reason = value, reason
	}
	return refused
}

// recent tells that what was told at that time can judge a command: newer than our last one, and than a minute.
func (c *car) recent(at, now time.Time) bool {
	return at.After(c.lastSent) && at.After(c.resumed) && now.Sub(at) < freshFor
}

// readCounts tells that the last full read can judge p. By the car's clock too: Tesla may answer with an older picture. A
// sender that repeats itself is judged by an older read while the car idles, since each read would keep it awake; but a
// stop never is.
func (c *car) readCounts(p *pending, now time.Time) bool {
	if c.toldAt != nil {
		return c.toldCounts(p.req.thing, now)
	}
	if !c.schedule.readAt.After(c.lastSent) || !c.schedule.readAt.After(c.resumed) || !c.carTime.IsZero() && !c.carTime.After(c.lastSent) {
		return false
	}
	age := now.Sub(c.schedule.readAt)
	repeated := c.judged[attempt{p.req.thing, p.value}] && c.schedule.mode() == modeSuspended && !isStop(p.req.thing, p.value)
	return age < freshFor || repeated && age < c.cfg.Poll.Suspend
}

// startWaits tells that an ON is pending which may wake the car.
func (c *car) startWaits() bool {
	on := c.desk[tesla.Charging]
	return on != nil && on.value == tesla.On && on.phase != confirming && c.cfg.Commands.Wake
}

// rides tells that p are amps which have to wait for a car that ON is waking: amps alone never wake it, but a charge
// must not start at a current that nobody wanted.
func (c *car) rides(p *pending) bool {
	return p.req.thing == tesla.ChargeAmps && c.startWaits() &&
		(c.desk[tesla.Charging].phase == waking || c.desk[tesla.Charging].phase == settling)
}

// dismount lets amps that waited for a wake go on.
func (c *car) dismount(now time.Time) {
	if amps := c.desk[tesla.ChargeAmps]; amps != nil && amps.phase == riding {
		amps.phase, amps.looked, amps.read = queued, false, false
		if amps.req.ttl == 0 {
			amps.expires = now.Add(c.cfg.Commands.TTL)
		}
	}
}

// unread returns the read that must come before p is judged: what was read before our last command, or more than a
// minute ago, says nothing. Each is tried once; if it fails, the command goes without.
func (c *car) unread(p *pending, now time.Time) op {
	if p.read {
		return opNone
	}
	if p.req.thing == refresh && !p.looked || !c.recent(c.schedule.stateAt, now) && !p.looked {
		return opState
	}
	if c.schedule.state == tesla.StateOnline && (p.req.thing == refresh || !c.readCounts(p, now)) && p.req.thing != tesla.Wake && !c.dear(p) {
		return opRead
	}
	p.read = true
	return opNone
}

// dear tells that reading the car for p would cost more than sending p does, and that nothing is lost by sending it. Starting
// and stopping are judged by a read all the same: they are rare, and a stop on a journey strands.
func (c *car) dear(p *pending) bool {
	return c.source == BilledAPI && (p.req.thing == tesla.ChargeAmps || p.req.thing == tesla.ChargeLimit)
}

// standsStill tells that the car has acknowledged p's value, and that its next read, which may tell otherwise, is not overdue.
func (c *car) standsStill(p *pending, now time.Time) bool {
	age, stands := c.acknowledged(p, now)
	return stands && age < max(freshFor, c.cfg.Poll.Online)
}

func (c *car) refreshed(p *pending) verdict {
	v := verdict{status: statusOK, applied: shown(refresh, 1)}
	switch {
	case p.kept != nil:
		return judge(refresh, 1, p.kept)
	case c.lastError != nil:
		return judge(refresh, 1, c.lastError)
	case c.schedule.state != tesla.StateOnline:
		v.message = "the car is " + string(c.schedule.state) + " and was left in peace; its state is as of now"
	}
	return v
}

// weigh judges p by what was read. settled tells that v is its result; wake that the car must be woken first.
func (c *car) weigh(p *pending, now time.Time) (v verdict, wake, settled bool) {
	known := c.recent(c.schedule.stateAt, now)
	if known && (c.schedule.state == tesla.StateAsleep || c.schedule.state == tesla.StateOffline) {
		return c.weighAsleep(p)
	}
	if p.req.thing == tesla.Wake {
		online := known && c.schedule.state == tesla.StateOnline
		return verdict{status: statusNoop, applied: shown(tesla.Wake, 1), message: "the car is awake"}, !online, online
	}
	if c.dear(p) && c.standsStill(p, now) {
		return verdict{status: statusNoop, applied: shown(p.req.thing, p.value), message: "the car has acknowledged this value, and no read has shown another since"}, false, true
	}
	if !c.readCounts(p, now) {
		return verdict{}, false, false
	}
	if v, settled = weighAwake(p.req.thing, p.value, c.doc, c.cfg.Commands.FastCharging); !settled && c.rounded(p, now) {
		message := fmt.Sprintf("the car has acknowledged this value and shows %d A; low values are rounded by some cars", *c.doc.ChargeAmps)
		return verdict{status: statusNoop, applied: shown(p.req.thing, p.value), message: message}, false, true
	}
	return v, false, settled
}

// roundedFor is how long the car's answer explains a low set point that is not quite what was asked; later, somebody else may have set it.
const roundedFor = 10 * time.Minute

// rounded tells that the car has taken p's value and shows another below 5 A: to send it again would change nothing.
func (c *car) rounded(p *pending, now time.Time) bool {
	age, stands := c.acknowledged(p, now)
	return stands && age < roundedFor && p.req.thing == tesla.ChargeAmps && c.doc.ChargeAmps != nil && sameAmps(*c.doc.ChargeAmps, p.value)
}

func (c *car) weighAsleep(p *pending) (v verdict, wake, settled bool) {
	asleep := verdict{status: statusRejected, reason: "asleep"}
	switch {
	case isStop(p.req.thing, p.value) && c.schedule.state == tesla.StateAsleep:
		return verdict{status: statusNoop, applied: "OFF", message: "the car sleeps, so it does not charge"}, false, true
	case isStop(p.req.thing, p.value):
		// Offline may also mean charging out of reach; only Tesla can tell.
		return v, false, false
	case p.req.thing == tesla.Wake, p.req.thing == tesla.Charging:
		if c.cfg.Commands.Wake {
			return v, true, false
		}
		asleep.message = "the car sleeps, and commands.wake is never"
	default:
		asleep.message = "the car is " + string(c.schedule.state) + "; it is not woken for this"
	}
	return asleep, false, true
}

// weighAwake judges a command by a fresh read of an online car.
func weighAwake(thing tesla.Thing, value int, d Document, fastCharging bool) (verdict, bool) {
	is := func(b *bool) bool { return b != nil && *b }
	unplugged := d.PluggedIn != nil && !*d.PluggedIn
	noop := verdict{status: statusNoop, applied: shown(thing, value), message: "it is so already"}
	if is(d.FastCharger) && (thing == tesla.ChargeAmps || isStop(thing, value) && !fastCharging) {
		return verdict{status: statusRejected, reason: "fast_charging", message: "the car is at a fast charger, where this has no place"}, true
	}
	switch thing {
	case tesla.ChargeAmps:
		if unplugged {
			return carWords["disconnected"], true
		}
		return noop, d.ChargeAmps != nil && *d.ChargeAmps == value
	case tesla.ChargeLimit:
		return noop, d.ChargeLimit != nil && *d.ChargeLimit == value
	case tesla.ChargePort:
		if value == tesla.On && !unplugged {
			return verdict{}, false // with a cable in it the port counts as open, and the command frees the cable
		}
		return noop, d.ChargePort != nil && (*d.ChargePort == "open") == (value == tesla.On)
	case tesla.Charging:
		if value == tesla.Off {
			return noop, d.Charging != nil && !*d.Charging
		}
		if unplugged {
			return carWords["disconnected"], true
		}
		if d.ChargingState != nil && *d.ChargingState == "complete" {
			return carWords["complete"], true
		}
		return noop, is(d.Charging)
	}
	return verdict{}, false
}

// send gives the car the command itself.
func (c *car) send(ctx context.Context, p *pending, now time.Time) bool {
	if p.req.thing == tesla.Wake {
		return c.wake(ctx, p, now)
	}
	p.second = p.phase == secondSend
	if !p.second && p.req.thing == tesla.ChargeAmps {
		// The first of two sends lands at 5 A; only the second goes below (TeslaPy PR#42). Twice from below 5 would
		// make the car swing (tesla-local-control#42).
		p.below5 = p.value < 5 && c.doc.ChargeAmps != nil && *c.doc.ChargeAmps >= 5
	}
	ctx = c.worth(p.within(ctx), p)
	c.markBefore(p.req.thing)
	p.sentAt, c.lastSent, c.sentOf[p.req.thing] = now, now, now
	if p.req.thing == tesla.ChargeAmps {
		c.lastAmps = now
	}
	c.start(ctx, p, opSend, tesla.Command{Thing: p.req.thing, Value: p.value})
	return true
}

// sent takes the outcome of a command.
func (c *car) sent(p *pending, o outcome, now time.Time) {
	if tesla.Unsent(o.err) {
		c.takeBack(o.command.Thing)
		v := p.judge(o)
		c.note(attempt{o.command.Thing, o.command.Value}, v, now)
		c.resolve(p, v, now)
		return
	}
	c.lastSent = now
	c.schedule.changed = now
	if o.command.Thing == tesla.ChargeAmps {
		c.lastAmps = now
	}
	if tesla.MayHaveSucceeded(o.err) {
		p.phase, p.notBefore, p.openSince = confirming, now.Add(confirm1), now
		// What was acknowledged before is no longer the last wish, and must not be repeated over it.
		delete(c.acked, o.command.Thing)
		if o.command.Thing == tesla.ChargeAmps {
			c.resend = nil
		}
		c.log.Warn("nobody can tell whether the command was carried out; reads will show", "car", c.alias(), "thing", o.command.Thing, "err", o.err)
		return
	}
	if c.retryAsleep(p, o.err, now) {
		return
	}
	if o.err == nil && p.below5 && !p.second && c.desk[tesla.ChargeAmps] == p {
		p.phase, p.notBefore = secondSend, now.Add(below5Gap)
		// The first one lands there.
		c.doc.ChargeAmps = new(5)
		c.acked[tesla.ChargeAmps] = acked{5, now}
		return
	}
	v := p.judge(o)
	c.took(o.command, v, now)
	c.resolve(p, v, now)
}

// judge is judge for what p had sent.
func (p *pending) judge(o outcome) verdict {
	v := judge(o.command.Thing, o.command.Value, o.err)
	if p.second && o.err != nil {
		v.message += "; the first of the two sends that low currents need was taken, so the car is at 5 A"
	}
	return v
}

// retryAsleep deals with a command that found the car asleep although its state said online. ON wakes it and is tried
// once more; amps that came with an ON wait for that.
func (c *car) retryAsleep(p *pending, err error, now time.Time) bool {
	r, refused := errors.AsType[*tesla.Refusal](err)
	asleep := errors.Is(err, tesla.ErrAsleep) || refused && r.Reason == "could_not_wake_buses"
	if !asleep || p.retried || !c.cfg.Commands.Wake || c.desk[p.req.thing] != p {
		return false
	}
	switch {
	case p.req.thing == tesla.ChargeAmps && c.startWaits():
		p.phase, p.retried = riding, true
	case p.req.thing != tesla.Charging || p.value != tesla.On:
		return false
	case c.wakes.since(now) < wakePatience:
		// We woke it just now, so it only needs more time.
		p.phase, p.notBefore, p.retried = settling, now.Add(wakeSettle), true
	case c.wakes.allowed(now) == nil:
		p.phase, p.notBefore, p.mustWake, p.retried = queued, now, true, true
	default:
		return false
	}
	return true
}

// heldAnyway are the reasons that are answered without a request while they last, so that there is nothing to remember.
var heldAnyway = []string{"rate_limited", "login_required", "budget"}

// note remembers a failure, so that the same command is not tried again too soon.
func (c *car) note(key attempt, v verdict, now time.Time) {
	if v.status != statusExpired && !slices.Contains(heldAnyway, v.reason) {
		c.failures.note(key, v, now)
	}
}

// took draws the conclusions of a certain outcome.
func (c *car) took(cmd tesla.Command, v verdict, now time.Time) {
	key := attempt{cmd.Thing, cmd.Value}
	if v.status != statusOK && v.status != statusNoop {
		c.note(key, v, now)
		return
	}
	delete(c.failures, key)
	switch cmd.Thing {
	case tesla.ChargeAmps:
		c.doc.ChargeAmps = new(cmd.Value)
		c.acked[tesla.ChargeAmps] = acked{cmd.Value, now}
		if c.resend != nil {
			c.resend.amps = cmd.Value // it was waiting while ON went ahead
		}
	case tesla.ChargeLimit:
		c.doc.ChargeLimit = new(cmd.Value)
		c.acked[tesla.ChargeLimit] = acked{cmd.Value, now}
	case tesla.Charging:
		if cmd.Value == tesla.On && v.status == statusOK { // one that charges already has its set point
			c.resend = &resend{amps: c.wishedAmps(now), until: now.Add(c.startWindow(now))}
		}
		c.acked[tesla.Charging] = acked{cmd.Value, now}
	}
	clear(c.judged)
	c.unsaved = true
	c.readSoon(now)
}

// wishedAmps is the set point of the last hour, 0 if there is none or a newer wish waits.
func (c *car) wishedAmps(now time.Time) int {
	a, known := c.acked[tesla.ChargeAmps]
	if !known || now.Sub(a.at) >= resendMemory || c.desk[tesla.ChargeAmps] != nil {
		return 0
	}
	return a.value
}

// forgive forgets failures with this reason, or all of them, since what caused them has changed.
func (c *car) forgive(reason string) {
	clear(c.judged)
	for key, f := range c.failures {
		if reason == "" || f.ver.reason == reason {
			delete(c.failures, key)
		}
	}
}
