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
		r.limit(budget)
		f(r)
	})
}

// limit gives the rig a budget for the month.
func (r *rig) limit(budget meter.USD) {
	unlocked := func(context.Context) (func() error, error) { return func() error { return nil }, nil }
	r.meter = meter.New(memory{}, unlocked, meter.Options{Budget: budget, Every: 5 * time.Minute})
	r.cfg.Budget = budget > 0
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

// TestRaisingWaitsForTheBudget: after a burst, amps that go up are refused at once if their time would run out first, and say when
// they go; lowering and OFF go as ever.
func TestRaisingWaitsForTheBudget(t *testing.T) {
	onBudget(t, sim.Car{PluggedIn: true, Level: 20, Amps: 16}, 10*meter.Dollar, func(r *rig) {
		r.start()
		r.pass(time.Minute)
		for i := range 26 {
			r.send("charge_amps", fmt.Sprint(6+i%2))
			r.pass(20 * time.Second)
		}
		r.said.forget()
		r.send("charge_amps", "15")
		got := r.only("charge_amps")
		r.wantResult(got, statusRejected, "budget")
		if !strings.Contains(text(got.Message), "next raised at 00:") {
			t.Errorf("the message is %q", text(got.Message))
		}
		r.send("charge_amps", "5")
		r.pass(10 * time.Second)
		r.wantResult(r.only("charge_amps"), statusOK, "")
		r.send("charging", "OFF")
		r.pass(10 * time.Second)
		r.wantResult(r.only("charging"), statusOK, "")
		_, wait := r.meter.Pace(time.Now())
		if wait < time.Minute {
			t.Fatalf("commands wait %s", wait)
		}
		r.pass(wait - 30*time.Second)
		r.send("charge_amps", "15") // whose time suffices now
		r.pass(time.Minute)
		r.wantResult(r.only("charge_amps"), statusOK, "")
	})
}

// TestOtherWaysAreFree: who commands a car by another way than the billed API waits for no budget, and who reads it so is not
// read less often.
func TestOtherWaysAreFree(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	c := &car{source: BilledAPI, cfg: CarConfig{Billed: true}, pace: func(time.Time) Pace { return Pace{Read: time.Hour, Wait: time.Minute} }}
	for _, row := range []struct {
		source string
		billed bool
		want   Pace
	}{{BilledAPI, true, Pace{time.Hour, time.Minute}}, {BilledAPI, false, Pace{Read: time.Hour}}, {"telemetry", true, Pace{Wait: time.Minute}}, {"ble", false, Pace{}}} {
		if c.source, c.cfg.Billed = row.source, row.billed; c.paced(at) != row.want {
			t.Errorf("read by %s, commands billed %v: %+v, want %+v", row.source, row.billed, c.paced(at), row.want)
		}
	}
}

// TestRefreshesAreRationed: who asks for a read each 10 s gets some at once, and then one now and then. The car is no less
// available for it, and nothing is logged.
func TestRefreshesAreRationed(t *testing.T) {
	onBudget(t, sim.Car{PluggedIn: true, Level: 20, Amps: 16}, 10*meter.Dollar, func(r *rig) {
		r.start()
		r.pass(time.Minute)
		statuses := map[string]int{}
		for range 6 * 60 {
			r.send("refresh", "PRESS")
			r.pass(10 * time.Second)
		}
		for _, got := range r.said.take("refresh") {
			statuses[got.Status+"/"+text(got.Reason)]++
		}
		if n := r.tesla.Count("vehicle_data", ""); n < 15 || n > 20 || statuses["rejected/budget"] < 300 {
			t.Errorf("%d reads in an hour, results %v", n, statuses)
		}
		if r.retained("model3/availability") != "online" || strings.Contains(r.logged.String(), "could not be read") {
			t.Error("a read that was too dear counts as a failure")
		}
	})
}

// TestOffThatIsRepeated: an automation that sends OFF each 10 s, all day and night, costs little, and OFF still works after it.
func TestOffThatIsRepeated(t *testing.T) {
	onBudget(t, sim.Car{PluggedIn: true, Level: 20, Amps: 16, SleepAfter: 1000 * time.Hour}, 10*meter.Dollar, func(r *rig) {
		r.start()
		r.pass(time.Minute)
		for range 24 * 360 {
			r.send("charging", "OFF")
			r.pass(10 * time.Second)
		}
		bill := r.tesla.Bill("")
		t.Logf("a day of OFF each 10 s: %+v, %d millionths of a dollar", bill, bill.MicroUSD())
		if bill.Commands > 360 || bill.Reads > 210 {
			t.Errorf("billed %+v", bill)
		}
		r.send("charging", "ON")
		r.pass(time.Minute)
		if !r.car.Charging() {
			t.Fatalf("it does not charge: %s", r.said.words("charging"))
		}
		r.said.forget()
		r.send("charging", "OFF")
		r.pass(10 * time.Second)
		if r.car.Charging() {
			t.Errorf("it still charges: %s", r.said.words("charging"))
		}
	})
}

// TestPaceOfPolls: the interval of the configuration holds while there is money for it, and is stretched when there is not.
func TestPaceOfPolls(t *testing.T) {
	for budget, want := range map[meter.USD]int{0: 289, 100 * meter.Dollar: 289, 10 * meter.Dollar: 192} {
		onBudget(t, sim.Car{PluggedIn: true, Level: 10, BatteryKWh: 5000, Amps: 16}, budget, func(r *rig) {
			r.start()
			r.pass(24 * time.Hour)
			if n := r.tesla.Count("vehicle_data", ""); n < want-2 || n > want+2 {
				t.Errorf("%s USD: %d reads in a day, want %d", budget, n, want)
			}
		})
	}
}
