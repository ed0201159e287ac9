package bridge

import (
	"context"
	"fmt"
	"time"

	"tesla2mqtt/tesla"
)

// leastInApp is where the slider of Tesla's app ends, in A.
const leastInApp = 5

// Pace is what the budget asks of a car whose reads or commands cost money.
type Pace struct {
	// Read is the least time between two full reads of one car.
	Read time.Duration
	// Wait is how long a command that can wait has to; lowering amps and OFF never wait.
	Wait time.Duration
}

func (c *car) paced(now time.Time) Pace {
	if c.pace == nil {
		return Pace{}
	}
	p := c.pace(now)
	if c.source != BilledAPI {
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

// raises tells that p asks for more than the set point, or that it may: where that was never read, it is taken for the least
// that Tesla's app can set.
func (c *car) raises(p *pending) bool {
	set := leastInApp
	if c.doc.ChargeAmps != nil {
		set = *c.doc.ChargeAmps
	}
	return p.req.thing == tesla.ChargeAmps && p.value > set
}

// worth tells Tesla's client how badly p is needed.
func (c *car) worth(ctx context.Context, p *pending) context.Context {
	switch {
	case isStop(p.req.thing, p.value):
		return tesla.WithExpense(ctx, tesla.ExpenseStop)
	case p.req.thing == tesla.ChargeAmps && !c.raises(p) && (c.doc.ChargeAmps == nil || p.value < *c.doc.ChargeAmps || p.second):
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

// acknowledged returns how long ago the car took p's value, if that still stands: nothing of its kind was sent since, and no
// start or stop, which may change the set point. For ON and OFF no read may have told otherwise either.
func (c *car) acknowledged(p *pending, now time.Time) (age time.Duration, stands bool) {
	a, known := c.acked[p.req.thing]
	if !known || a.value != p.value || !a.at.After(c.resumed) || c.sentOf[p.req.thing].After(a.at) || c.sentOf[tesla.Charging].After(a.at) {
		return 0, false
	}
	if p.req.thing == tesla.Charging && c.schedule.readAt.After(a.at) {
		return 0, false
	}
	return now.Sub(a.at), true
}

// doneJustNow answers, where requests cost money, an ON that the car has acknowledged: its answer counts for as long as a read
// of it would. An OFF is never done without looking.
func (c *car) doneJustNow(p *pending, now time.Time) (verdict, bool) {
	if !c.cfg.Billed || p.req.thing != tesla.Charging || p.value != tesla.On {
		return verdict{}, false
	}
	age, stands := c.acknowledged(p, now)
	if !stands || age >= freshFor {
		return verdict{}, false
	}
	message := fmt.Sprintf("the car has acknowledged this %s ago", age.Round(time.Second))
	return verdict{status: statusNoop, applied: shown(p.req.thing, p.value), message: message}, true
}
