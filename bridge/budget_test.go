package bridge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla/meter"
	"tesla2mqtt/tesla/sim"
)

// onBudget is a rig whose calls cost money, with a budget for the month. Fake time begins on the first of January 2000.
func onBudget(t *testing.T, car sim.Car, budget meter.USD, f func(r *rig)) {
	t.Helper()
	inFleet(t, car, func(r *rig) {
		unlocked := func(context.Context) (func() error, error) { return func() error { return nil }, nil }
		r.meter = meter.New(memory{}, unlocked, meter.Options{Budget: budget, Every: 5 * time.Minute})
		r.cfg.Budget = budget > 0
		f(r)
	})
}

// solar sends amps each 10 s, as the clouds go, for so long.
func solar(r *rig, draw *rand.Rand, sun int, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		sun = min(max(sun+draw.IntN(5)-2, 1), 16)
		r.send("charge_amps", fmt.Sprint(sun))
		r.pass(10 * time.Second)
	}
}

// TestInvariant8AMonth: with 10 USD a car charges 8 hours a day, and its automation sends amps six times a minute. What was
// metered never passes the budget, Tesla bills no more, and OFF works each day, on the last one too.
func TestInvariant8AMonth(t *testing.T) {
	if testing.Short() {
		t.Skip("a month takes some seconds")
	}
	onBudget(t, sim.Car{PluggedIn: true, Stopped: true, Level: 5, Limit: 90, BatteryKWh: 6000}, 10*meter.Dollar, func(r *rig) {
		draw := rand.New(rand.NewPCG(8, 8))
		r.start()
		sent, byDay := 0, []string{}
		for day := range 31 {
			before := r.tesla.Bill("")
			r.pass(8 * time.Hour)
			r.send("charging", "ON")
			r.pass(2 * time.Minute)
			if !r.car.Charging() {
				t.Errorf("day %d: it does not charge: %s", day+1, r.said.words("charging"))
			}
			solar(r, draw, 10, 8*time.Hour)
			sent += 8 * 360
			r.send("charging", "OFF")
			r.pass(time.Minute)
			if r.car.Charging() {
				t.Errorf("day %d: it still charges: %s", day+1, r.said.words("charging"))
			}
			r.pass(8*time.Hour - 4*time.Minute)
			now := r.tesla.Bill("")
			byDay = append(byDay, fmt.Sprintf("%d+%d", now.Reads-before.Reads, now.Commands-before.Commands))
			if spent := r.meter.Report().Spent; spent > 10*meter.Dollar || int64(spent) < now.MicroUSD() {
				t.Errorf("day %d: %s USD metered, %d millionths billed", day+1, spent, now.MicroUSD())
			}
			if day < 30 {
				r.pass(time.Minute)
			}
			r.said.forget()
			r.tesla.Forget()
			r.logged.Reset()
		}
		bill, report := r.tesla.Bill("2000-01"), r.meter.Report()
		t.Logf("%d messages; billed %+v, %d millionths of a dollar; metered %s USD; reads+commands by day: %s", sent, bill, bill.MicroUSD(), report.Spent, strings.Join(byDay, " "))
		if report.Spent < 8*meter.Dollar {
			t.Errorf("only %s of 10 USD were used: the car was read and steered less than could be paid", report.Spent)
		}
		if bill.Commands < 2000 || bill.Reads < 1000 {
			t.Errorf("billed %+v: too few of one kind", bill)
		}
	})
}
