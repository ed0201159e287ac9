package bridge

import (
	"time"

	"tesla2mqtt/tesla"
)

// mark is what was sent when, before a command that may turn out to have never left this machine: the budget, or a wait that Tesla
// asked for, may hold it back.
type mark struct {
	lastSent, lastAmps, sentOf time.Time
	wakes                      wakes
}

func (c *car) markBefore(thing tesla.Thing) {
	c.marked = mark{c.lastSent, c.lastAmps, c.sentOf[thing], c.wakes}
}

// takeBack returns to the mark: what was not sent makes no read old, takes no value's place and wakes nothing.
func (c *car) takeBack(thing tesla.Thing) {
	c.lastSent, c.lastAmps, c.sentOf[thing], c.wakes = c.marked.lastSent, c.marked.lastAmps, c.marked.sentOf, c.marked.wakes
}
