package bridge

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"time"

	"tesla2mqtt/tesla"
)

// accept takes a command message: refuses it, joins it to one that is the same, or lets it wait for its turn.
func (c *car) accept(m message, now time.Time) {
	if len(m.payload) == 0 {
		return
	}
	req, refused := parse(m.thing, m.payload)
	if m.retained {
		refused = refuse("retained", "%s", retainedWords(c.out.topics().set(m.alias, m.thing)))
	}
	if req.id == "" {
		req.id = rand.Text()[:12]
	} else if req.given = true; refused == nil && c.again(m, req, now) {
		return
	}
	p := &pending{req: req, messages: []message{m}, first: now, last: now}
	if refused == nil {
		refused = c.admit(p)
	}
	if refused != nil {
		c.answer(p, verdict{status: statusRejected, reason: refused.reason, message: refused.message}, now)
		return
	}
	if v, known := c.failures.answer(attempt{req.thing, p.value}, now); known {
		c.answer(p, v, now)
		return
	}
	ttl := req.ttl
	if ttl == 0 {
		ttl = c.cfg.Commands.TTL
	}
	p.expires = m.at.Add(ttl + m.slept - c.slept)
	if !now.Before(p.expires) {
		// It must not push out a command that still lives.
		c.answer(p, expired(), now)
		return
	}
	if v, dear := c.tooDear(p, now); dear {
		c.answer(p, v, now)
		return
	}
	if req.thing == refresh {
		p.notBefore = c.schedule.triedAt.Add(refreshGap)
		if look := c.schedule.lookedAt.Add(refreshGap); look.After(p.notBefore) {
			p.notBefore = look
		}
	}
	if isStop(req.thing, p.value) && c.busy && (c.inflight == nil || !isStop(c.inflight.req.thing, c.inflight.value)) {
		// A read that hangs must not hold back whoever stops a charge, whatever it is for; abort leaves all else alone.
		c.abort()
	}
	c.enqueue(p, now)
}

// retainedWords says why a message on topic is refused, and the line for a shell that clears it. Whoever sent it chose part of the
// topic.
func retainedWords(topic string) string {
	line := "mosquitto_pub -r -n -t '" + strings.ReplaceAll(topic, "'", `'\''`) + "'"
	if len(topic) > 256 || strings.ContainsFunc(topic, func(r rune) bool { return r < ' ' || r > '~' }) {
		line = "an empty retained message on its topic"
	}
	return "the message was delivered as retained, so it may be old, and it was not carried out; send commands without retain, and clear this one, or it comes again: " + line
}

// turnAway answers a message that came while the bridge stops.
func (c *car) turnAway(m message, now time.Time) {
	req, _ := parse(m.thing, m.payload)
	if req.id == "" {
		req.id = rand.Text()[:12]
	}
	v := verdict{status: statusExpired, reason: "shutdown", message: "the bridge is being stopped"}
	if m.retained {
		v = verdict{status: statusRejected, reason: "retained", message: retainedWords(c.out.topics().set(m.alias, m.thing))}
	}
	c.report(req, m, "", v, now)
}

// again answers a message whose id and value are known: with the old result, or together with the one that is waiting.
func (c *car) again(m message, req request, now time.Time) bool {
	key := repeat{req.thing, req.id, req.requested}
	for _, p := range c.everyPending() {
		if (repeat{p.req.thing, p.req.id, p.req.requested}) == key {
			p.messages = append(p.messages, m)
			return true
		}
	}
	v, known := c.repeats.find(key, now)
	if known {
		c.report(req, m, "", v, now)
	}
	return known
}

// admit applies what can be said without asking the car.
func (c *car) admit(p *pending) *refusal {
	if p.req.thing != refresh {
		if c.cfg.ReadOnly || !c.cfg.Commands.Enabled {
			return refuse("disabled", "commands are turned off in the configuration (commands.enabled, or write: none)")
		}
		if err := c.commander.Can(p.req.thing); errors.Is(err, tesla.ErrNoKey) {
			return refuse("no_key", "%s: %s", err, tesla.Advice(err))
		} else if err != nil {
			return refuse("unsupported", "%s: %s", err, tesla.Advice(err))
		}
	}
	value, reason, refused := bound(p.req, c.cfg.Commands, c.doc, c.limits)
	p.value, p.reason = value, reason
	return refused
}

// enqueue puts p in its thing's place. The newest wins; a stop also cancels amps that were asked before it.
func (c *car) enqueue(p *pending, now time.Time) {
	if old := c.desk[p.req.thing]; old != nil {
		c.replace(old, p, now)
	}
	if p.req.thing == tesla.ChargeAmps && c.resend != nil {
		c.resend.amps = 0
	}
	if isStop(p.req.thing, p.value) {
		c.resend = nil
		if amps := c.desk[tesla.ChargeAmps]; amps != nil && !c.underWay(amps) {
			v := verdict{status: statusSuperseded, message: "cancelled by OFF"}
			if amps.phase == secondSend {
				v.message = "sent once; OFF came before the second send that low currents need"
			}
			c.resolve(amps, v, now)
		}
	}
	c.desk[p.req.thing] = p
}

// underWay tells that p's own request is on its way, or has been sent with an outcome that is still open.
func (c *car) underWay(p *pending) bool {
	return p.phase == confirming || p == c.inflight && (c.running == opSend || c.running == opWake)
}

// replace makes room for p where old stands. What was sent gets its own outcome beside the newer one.
func (c *car) replace(old, p *pending, now time.Time) {
	v := verdict{status: statusSuperseded, message: "a newer command took its place"}
	switch {
	case c.underWay(old):
		c.joined = append(c.joined, old)
		delete(c.desk, old.req.thing)
		return
	case old.phase == secondSend:
		v.message = "sent once; a newer command came before the second send that low currents need"
	case old.phase == riding:
		p.phase = riding
	case old.phase == waking || old.phase == settling:
		if p.value == tesla.On {
			p.phase, p.notBefore, p.sentAt, p.mustWake = old.phase, old.notBefore, old.sentAt, false
			p.retried = true
		}
	case p.req.thing == tesla.ChargeAmps:
		p.first = old.first
	}
	if old == c.inflight {
		// A read on its behalf is running. It serves p: if p had to begin its own, a sender that repeats itself while reads
		// hang would never be heard.
		c.inflight = p
	}
	c.desk[p.req.thing] = p
	c.resolve(old, v, now)
}

// resolve gives p its result and forgets it.
func (c *car) resolve(p *pending, v verdict, now time.Time) {
	if c.desk[p.req.thing] == p {
		delete(c.desk, p.req.thing)
	}
	for i, j := range c.joined {
		if j == p {
			c.joined = append(c.joined[:i:i], c.joined[i+1:]...)
			break
		}
	}
	if p.req.thing == tesla.Charging {
		c.dismount(now)
	}
	c.answer(p, v, now)
}

// answer publishes one result for each message that p stands for.
func (c *car) answer(p *pending, v verdict, now time.Time) {
	if p.req.given && p.req.requested != nil {
		c.repeats = c.repeats.add(repeat{p.req.thing, p.req.id, p.req.requested}, v, now)
	}
	for _, m := range p.messages {
		c.report(p.req, m, p.reason, v, now)
	}
}

func (c *car) report(req request, m message, clamped string, v verdict, now time.Time) {
	reason := v.reason
	if reason == "" && v.status == statusOK || reason == "" && v.status == statusNoop {
		reason = clamped
	}
	r := Result{
		ID: req.id, Thing: tesla.Thing(clip(string(req.thing))), Status: v.status, Requested: req.requested, Applied: v.applied,
		Reason: optional(reason), Message: optional(v.message), Source: optional(req.source),
		ReceivedAt: m.at.UTC(), FinishedAt: now.UTC(), DurationMS: now.Sub(m.at).Milliseconds(),
	}
	level := slog.LevelInfo
	if m.retained {
		level = slog.LevelWarn // it comes again with each connection, until somebody clears it
	}
	c.log.Log(context.Background(), level, "command", "car", c.alias(), "thing", r.Thing, "requested", req.requested, "status", v.status, "reason", reason, "message", v.message, "source", req.source)
	c.out.result(m.thing, r)
	c.unsaved = c.unsaved || r.lasting()
}
