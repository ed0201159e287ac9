package bridge

import (
	"context"
	"fmt"
	"time"

	"tesla2mqtt/tesla"
)

// Pace is what the budget asks of a car whose reads or commands cost money.
type Pace struct {
	// Read is the least time between two full reads of one car.
	Read time.Duration
	// Wait is how long a command that can wait has to; lowering amps and OFF never wait.
	Wait time.Duration
}

// longKnown bounds how long an acknowledged ON or OFF stands for a read that would cost money.
const longKnown = 15 * time.Minute

func (c *car) paced(now time.Time) Pace {
	if c.pace == nil {
		return Pace{}
	}
	p := c.pace(now)
	if c.source != costly {
		p.Read = 0
	}
	if !c.cfg.Billed {
		p.Wait = 0
	}
	return p
}

// stretched is how amps may be changed now: raising them waits for the budget too.
func (c *car) stretched(now time.Time) Amps {
	a := c.cfg.Commands.Amps
	if wait := c.paced(now).Wait; wait > 0 && !c.lastAmps.IsZero() {
		a.RaiseGap = max(a.RaiseGap, now.Add(wait).Sub(c.lastAmps))
	}
	return a
}

// raises tells that p asks for more than the set point, or that it may.
func (c *car) raises(p *pending) bool {
	return p.req.thing == tesla.ChargeAmps && (c.doc.ChargeAmps == nil || p.value > *c.doc.ChargeAmps)
}

// worth tells Tesla's client how badly p is needed.
func (c *car) worth(ctx context.Context, p *pending) context.Context {
	switch {
	case isStop(p.req.thing, p.value):
		return tesla.WithExpense(ctx, tesla.ExpenseStop)
	case p.req.thing == tesla.ChargeAmps && c.doc.ChargeAmps != nil && (p.value < *c.doc.ChargeAmps || p.second):
		return tesla.WithExpense(ctx, tesla.ExpenseLower)
	}
	return ctx
}

// tooDear refuses at once amps whose time would run out while they wait for the budget.
func (c *car) tooDear(p *pending, now time.Time) (verdict, bool) {
	at := now.Add(c.paced(now).Wait)
	if !c.raises(p) || at.Before(p.expires) {
		return verdict{}, false
	}
	return verdict{status: statusRejected, reason: "budget", message: fmt.Sprintf(
		"so that the rest of tesla.monthly_budget_usd lasts, amps are next raised at %s; lowering them and OFF go at once", at.UTC().Format("15:04:05Z"))}, true
}

// doneJustNow answers, where requests cost money, an ON or OFF that the car has acknowledged a moment ago, as long as no read
// has told anything since.
func (c *car) doneJustNow(p *pending, now time.Time) (verdict, bool) {
	a, known := c.acked[tesla.Charging]
	if !c.cfg.Billed || p.req.thing != tesla.Charging || !known || a.value != p.value || c.sentOf[tesla.Charging].After(a.at) {
		return verdict{}, false
	}
	nextPoll := min(max(freshFor, c.cfg.Poll.Online, c.paced(now).Read), longKnown)
	if c.schedule.readAt.After(a.at) || now.Sub(a.at) >= nextPoll {
		return verdict{}, false
	}
	message := fmt.Sprintf("the car has acknowledged this %s ago, and was not read since", now.Sub(a.at).Round(time.Second))
	return verdict{status: statusNoop, applied: shown(p.req.thing, p.value), message: message}, true
}
