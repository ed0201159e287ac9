package bridge

import (
	"context"
	"time"

	"tesla2mqtt/tesla"
)

// wake sends wake_up on behalf of p, if the car may be woken.
func (c *car) wake(ctx context.Context, p *pending, now time.Time) bool {
	for _, other := range c.desk {
		if other != p && (other.phase == waking || other.phase == settling) {
			// It is being woken already.
			p.phase, p.notBefore, p.sentAt = waking, now, other.sentAt
			return false
		}
	}
	if refused := c.wakes.allowed(now); refused != nil {
		c.resolve(p, verdict{status: statusRejected, reason: refused.reason, message: refused.message}, now)
		return false
	}
	c.markBefore(tesla.Wake)
	c.wakes = c.wakes.add(now)
	// Written before the request: a crash must not let us wake the car more often than promised.
	c.save(now)
	ctx = p.within(ctx)
	p.sentAt, c.lastSent = now, now
	c.start(ctx, p, opWake, tesla.Command{Thing: tesla.Wake, Value: 1})
	return true
}

// woke takes the answer to wake_up, which says nothing yet about the car: 10 to 60 seconds are usual.
func (c *car) woke(p *pending, o outcome, now time.Time) {
	if tesla.Unsent(o.err) {
		c.takeBack(tesla.Wake)
		c.save(now)
	}
	if o.err != nil && !tesla.MayHaveSucceeded(o.err) {
		v := judge(tesla.Wake, 1, o.err)
		c.note(attempt{p.req.thing, p.value}, v, now)
		c.resolve(p, v, now)
		return
	}
	p.phase, p.notBefore = waking, now.Add(wakeLook)
	newer := c.desk[p.req.thing]
	if newer == p {
		return
	}
	if newer != nil && newer.value == tesla.On {
		newer.phase, newer.notBefore, newer.sentAt, newer.retried = waking, p.notBefore, p.sentAt, true
	}
	c.resolve(p, verdict{status: statusSuperseded, message: "a newer command took its place"}, now)
}

// lookAtWaking looks whether the car is up, until its patience ends.
func (c *car) lookAtWaking(ctx context.Context, p *pending, now time.Time) bool {
	online := c.schedule.state == tesla.StateOnline && c.schedule.stateAt.After(p.sentAt)
	switch {
	case online && p.req.thing == tesla.Wake:
		c.resolve(p, verdict{status: statusOK, applied: shown(tesla.Wake, 1)}, now)
		return false
	case online:
		p.phase, p.notBefore = settling, now.Add(wakeSettle)
		return false
	case now.Sub(p.sentAt) >= wakePatience:
		v := verdict{status: statusRejected, reason: "asleep", message: "the car was woken, but did not come online within 2 minutes"}
		c.failures.note(attempt{p.req.thing, p.value}, v, now)
		c.resolve(p, v, now)
		return false
	}
	p.notBefore = now.Add(wakeLook)
	c.start(ctx, p, opState, tesla.Command{})
	return true
}

// confirm draws from a read what became of a command whose outcome was uncertain.
func (c *car) confirm(p *pending, o outcome, now time.Time) {
	p.confirms++
	cmd := tesla.Command{Thing: p.req.thing, Value: p.value}
	newer := c.sentOf[p.req.thing].After(p.sentAt)
	if o.err == nil && !newer && p.below5 && !p.second && seen(tesla.Command{Thing: tesla.ChargeAmps, Value: 5}, o.charge, p.sentAt) {
		// The first of two sends was taken.
		p.phase, p.notBefore, p.confirms = secondSend, now, 0
		return
	}
	if o.err == nil && !newer && seen(cmd, o.charge, p.sentAt) {
		v := verdict{status: statusOK, applied: shown(cmd.Thing, cmd.Value), message: "confirmed by a read"}
		c.took(cmd, v, now)
		c.resolve(p, v, now)
		return
	}
	if p.confirms < 2 && !newer {
		p.notBefore = p.notBefore.Add(confirm2 - confirm1)
		return
	}
	v := verdict{status: statusUnknown, reason: "unconfirmed", message: "it was sent, and no read could tell whether the car took it"}
	if o.err == nil && !newer && o.charge.ToldAt(cmd.Thing).After(p.openSince) && !shows(cmd, o.charge) {
		v = verdict{status: statusError, reason: "unreachable", message: "it was sent, but the car still has the old value"}
		c.note(attempt{cmd.Thing, cmd.Value}, v, now)
	}
	c.resolve(p, v, now)
}

// seen tells whether a read proves that the car took cmd, which was sent then.
func seen(cmd tesla.Command, c tesla.ChargeState, sent time.Time) bool {
	if c.Told != nil && !c.Told[cmd.Thing].After(sent) {
		return false // what was told before may have been so already
	}
	if cmd.Thing == tesla.ChargePort && cmd.Value == tesla.On && c.ChargingState != "Disconnected" {
		return false // with a cable in it the port was open before
	}
	return shows(cmd, c)
}

// shows tells whether the car is as cmd asks.
func shows(cmd tesla.Command, c tesla.ChargeState) bool {
	switch cmd.Thing {
	case tesla.ChargeAmps:
		return c.ChargeAmps != nil && sameAmps(*c.ChargeAmps, cmd.Value)
	case tesla.ChargeLimit:
		return c.ChargeLimitSOC != nil && *c.ChargeLimitSOC == cmd.Value
	case tesla.ChargePort:
		return c.ChargePortDoorOpen != nil && *c.ChargePortDoorOpen == (cmd.Value == tesla.On)
	case tesla.Charging:
		word := chargingWords[c.ChargingState]
		return word != "" && (word == "charging" || word == "starting") == (cmd.Value == tesla.On)
	}
	return false
}

// sameAmps tells whether the car's set point is what was asked. Below 5 A it makes of it what it likes (1 becomes 2, 2
// becomes 3; TeslaPy README), so all of those count as the same.
func sameAmps(shown, asked int) bool { return shown == asked || shown < 5 && asked < 5 }
