package bridge

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"tesla2mqtt/tesla"
)

// op is a kind of operation that runs beside the car's goroutine.
type op int

const (
	opNone op = iota
	opState
	opRead
	opPushed // what a reader was pushed; unlike the two above it never asks anybody
	opSend
	opWake
)

// outcome is what an operation brought.
type outcome struct {
	op      op
	command tesla.Command
	began   time.Time
	state   tesla.VehicleState
	charge  tesla.ChargeState
	err     error
	aborted bool // by ourselves
}

// readForStop bounds a read that a stop waits for.
const readForStop = 8 * time.Second

// start runs one operation on behalf of p, or of the schedule if p is nil.
func (c *car) start(ctx context.Context, p *pending, kind op, cmd tesla.Command) {
	c.busy, c.inflight, c.running = true, p, kind
	reader, watcher, commander, began := c.reader, c.watch.reader, c.commander, time.Now()
	switch kind {
	case opRead:
		c.extraRead = time.Time{}
	case opPushed:
		c.watch.taken(began)
	}
	timeout := doTimeout
	if p != nil && isStop(p.req.thing, p.value) && (kind == opState || kind == opRead) {
		timeout = readForStop
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	var aborted atomic.Bool
	c.abort = func() {
		if kind == opState || kind == opRead {
			aborted.Store(true)
			cancel()
		}
	}
	go func() {
		defer cancel()
		o := outcome{op: kind, command: cmd, began: began}
		switch kind {
		case opState:
			o.state, o.err = reader.State(ctx)
		case opRead:
			o.charge, o.err = reader.ChargeState(ctx)
		case opPushed:
			o.state, o.charge, o.err = watcher.Pushed(ctx)
		case opSend, opWake:
			o.err = commander.Do(ctx, cmd)
		}
		o.aborted = o.err != nil && aborted.Load()
		c.done <- o
	}()
}

// finish takes what an operation brought, and goes on with the command it was for.
func (c *car) finish(o outcome, now time.Time) {
	p := c.inflight
	c.busy, c.inflight, c.running = false, nil, opNone
	if o.aborted {
		c.schedule.triedAt, c.schedule.lookedAt = now, now
		return
	}
	switch o.op {
	case opState:
		c.tookState(o, now)
		if p != nil {
			p.looked = true
			if o.err != nil {
				// What cannot be asked cannot be judged; the command goes as it is.
				p.read = true
			}
		}
	case opPushed:
		if c.tookState(o, now); o.err == nil {
			c.tookCharge(o, now)
		}
	case opRead:
		c.tookCharge(o, now)
		if p != nil {
			p.read = true
			if errors.Is(o.err, tesla.ErrOwnBudget) {
				p.kept = o.err
			}
			if p.phase == confirming {
				c.confirm(p, o, now)
			}
		}
	case opSend:
		c.sent(p, o, now)
	case opWake:
		c.woke(p, o, now)
	}
}

// tookState takes a look at the car's state.
func (c *car) tookState(o outcome, now time.Time) {
	if o.err != nil {
		c.failed(o.err, false, now)
		return
	}
	if c.lastError != nil || c.schedule.state == tesla.StateUnknown && o.state != tesla.StateUnknown {
		c.forgive("unreachable") // it is back: in reach, or in Bluetooth range
	}
	c.success = now
	// What a car streams does not bring it back into the account.
	c.gone = c.gone && c.watch.changes != nil
	if !c.gone && (c.schedule.readFailures == 0 || o.state != tesla.StateOnline) {
		c.lastError = nil
	}
	if o.state != c.schedule.state {
		c.forgive("asleep")
	}
	c.schedule.sawState(o.state, now)
	c.doc = c.doc.withState(o.state)
}

// tookCharge takes a full read.
func (c *car) tookCharge(o outcome, now time.Time) {
	if o.err != nil {
		c.failed(o.err, true, now)
		return
	}
	if c.success = now; !c.gone {
		c.lastError = nil
	}
	before := c.doc
	if stale(o.charge.Timestamp, c.carTime) {
		c.schedule.sawStale(now)
		return
	}
	if !o.charge.Timestamp.IsZero() {
		c.carTime = o.charge.Timestamp
	}
	charge := c.protect(o.charge, now)
	c.doc = c.doc.update(charge, cmp.Or(o.charge.Source, c.source), now)
	c.limits = c.limits.update(o.charge)
	if c.doc.ChargeAmpsMax != nil {
		c.ampsMax = max(c.ampsMax, *c.doc.ChargeAmpsMax)
	}
	c.toldAt = o.charge.Told
	if c.schedule.state != tesla.StateOnline && c.toldAt == nil {
		c.schedule.sawState(tesla.StateOnline, now)
		c.doc = c.doc.withState(tesla.StateOnline)
	}
	charging := c.doc.Charging != nil && *c.doc.Charging
	c.schedule.sawCharge(charging, changed(before, c.doc), now)
	if changed(before, c.doc) {
		c.forgive("")
	}
	c.unsaved = true
	c.startSeen(o.charge, now)
	c.hasten(o.charge, now)
}

// stale tells a read that is older than what we have. A car whose clock was set back by more than this is believed.
func stale(read, last time.Time) bool {
	return !read.IsZero() && read.Before(last) && last.Sub(read) < 10*time.Minute
}

// protect keeps an acknowledged set point from being overwritten by a read that the car made before it. A newer read
// with another value ends our claim to it.
func (c *car) protect(read tesla.ChargeState, now time.Time) tesla.ChargeState {
	for thing, shown := range map[tesla.Thing]**int{tesla.ChargeAmps: &read.ChargeAmps, tesla.ChargeLimit: &read.ChargeLimitSOC} {
		a, known := c.acked[thing]
		told := read.ToldAt(thing)
		switch {
		case !known || *shown == nil:
		case read.Told != nil && !told.IsZero() && !told.After(a.at):
			// It is told when it changes, so this is from before, however long ago that is.
			*shown = new(a.value)
		case now.Sub(a.at) < ackMemory && (read.Told != nil || !told.IsZero()) && !told.After(a.at):
			*shown = new(a.value)
		case !sameAmps(**shown, a.value):
			delete(c.acked, thing)
		}
	}
	return read
}

func (s socLimits) update(c tesla.ChargeState) socLimits {
	if c.ChargeLimitSOCMin != nil && c.ChargeLimitSOCMax != nil {
		return socLimits{*c.ChargeLimitSOCMin, *c.ChargeLimitSOCMax}
	}
	return s
}

// changed tells whether the car has shown life between two reads: what stays the same lets it fall asleep.
func changed(a, b Document) bool {
	return differ(a.BatteryLevel, b.BatteryLevel) || differ(a.BatteryRange, b.BatteryRange) ||
		differ(a.PluggedIn, b.PluggedIn) || differ(a.ChargeLimit, b.ChargeLimit) ||
		differ(a.ChargeAmps, b.ChargeAmps) || differ(a.ChargingState, b.ChargingState)
}

func differ[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a != b
	}
	return *a != *b
}

// failed takes a poll that failed.
func (c *car) failed(err error, full bool, now time.Time) {
	if errors.Is(err, context.Canceled) {
		return // the bridge is being stopped
	}
	c.schedule.failed(err, full, now)
	if errors.Is(err, tesla.ErrAsleep) || errors.Is(err, tesla.ErrInService) {
		c.success, c.lastError = now, nil
		c.doc = c.doc.withState(tesla.StateOffline)
		return
	}
	if errors.Is(err, tesla.ErrOwnBudget) {
		return // bridge/health says so under usage
	}
	if !sameTrouble(c.lastError, err) {
		c.log.Warn("the car could not be read", "car", c.alias(), "err", err, "todo", tesla.Advice(err))
	}
	c.lastError = err
}

// sameTrouble tells two failures that a log need not tell apart: what Tesla says may differ in how long it keeps us away.
func sameTrouble(a, b error) bool {
	x, told := errors.AsType[*tesla.Error](a)
	y, again := errors.AsType[*tesla.Error](b)
	if told && again {
		return x.Class == y.Class && x.Status == y.Status && x.Text == y.Text
	}
	return a != nil && b != nil && a.Error() == b.Error()
}

func (c *car) alias() string { return c.cfg.Name }

// startSeen repeats the set point once after the first read that shows the charge begun, if the car started at another.
func (c *car) startSeen(read tesla.ChargeState, now time.Time) {
	if c.resend == nil {
		return
	}
	if now.After(c.resend.until) {
		c.resend = nil
		return
	}
	if read.ChargingState != "Charging" {
		// Starting shows the old figures; look again soon.
		c.readSoon(now)
		return
	}
	want := c.resend.amps
	if read.Told != nil && read.ChargeAmps != nil && want != 0 && sameAmps(*read.ChargeAmps, want) {
		if c.resend.begun.IsZero() {
			c.resend.begun = read.Told[tesla.Charging]
		}
		if read.Told[tesla.ChargeAmps].Before(c.resend.begun) {
			return // that is from before the start; another may still be told
		}
	}
	c.resend = nil
	if want == 0 || read.ChargeAmps == nil || sameAmps(*read.ChargeAmps, want) || c.desk[tesla.ChargeAmps] != nil {
		return
	}
	c.desk[tesla.ChargeAmps] = &pending{
		req:   request{thing: tesla.ChargeAmps, value: want, requested: float64(want)},
		value: want, first: now, last: now, expires: now.Add(maxTTL), looked: true, read: true,
	}
	c.log.Info("the car started at another current than asked; the set point is sent once more", "car", c.alias(), "amps", want)
}

// startWindow is within which the start of a charge must be seen. Where reads cost nothing is read after ON but by the polls,
// the first of which may still show the car starting.
func (c *car) startWindow(now time.Time) time.Duration {
	if c.source == BilledAPI {
		return resendWindow + 2*max(c.cfg.Poll.Online, c.cfg.Poll.Charging, c.paced(now).Read)
	}
	return resendWindow
}

// readSoon asks for a read after a command, where reads are free.
func (c *car) readSoon(now time.Time) {
	if c.source == BilledAPI {
		return
	}
	if at := now.Add(readAfterOK); c.extraRead.IsZero() || at.Before(c.extraRead) {
		c.extraRead = at
	}
}
