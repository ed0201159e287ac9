package bridge

import (
	"time"

	"tesla2mqtt/tesla"
)

// watch is when a car whose reader is pushed to is to be read. It holds no clock. What is pushed comes in bursts, one message
// for each field, so a burst is awaited first, and a stream that does not end is read at intervals.
type watch struct {
	reader  Watcher         // nil for a reader that is not pushed to
	changes <-chan struct{} // the reader's
	due     time.Time       // zero for nothing new
	last    time.Time       // when it was last read
}

const (
	gather  = 200 * time.Millisecond
	pushGap = 2 * time.Second
)

// on is w for another reader of the same car.
func (w watch) on(r Reader) watch {
	w.reader, w.changes = nil, nil
	if pushed, ok := r.(Watcher); ok {
		w.reader, w.changes = pushed, pushed.Changes()
	}
	return w
}

// fired takes the news that there is something new.
func (w *watch) fired(now time.Time) {
	if !w.due.IsZero() {
		return
	}
	w.due = now.Add(gather)
	if earliest := w.last.Add(pushGap); w.due.Before(earliest) {
		w.due = earliest
	}
}

// taken notes that what was pushed is being read. What is pushed meanwhile is new again.
func (w *watch) taken(now time.Time) { w.due, w.last = time.Time{}, now }

// toldCounts is readCounts where each thing is told by itself: what was told of this one, and of charging, must be newer
// than our last command and than a minute. What the broker had stored has no age and judges nothing.
func (c *car) toldCounts(thing tesla.Thing, now time.Time) bool {
	for _, t := range []tesla.Thing{thing, tesla.Charging} {
		if !c.recent(c.toldAt[t], now) {
			return false
		}
	}
	return true
}

// hasten lets commands whose outcome is uncertain look at once at what was just told, if it is what they asked for.
func (c *car) hasten(read tesla.ChargeState, now time.Time) {
	if read.Told == nil {
		return
	}
	for _, p := range c.everyPending() {
		cmd := tesla.Command{Thing: p.req.thing, Value: p.value}
		if p.phase == confirming && seen(cmd, read, p.sentAt) && p.notBefore.After(now) {
			p.notBefore = now
		}
	}
}
