package bridge

import (
	"fmt"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// inFleet is inBubble with the Fleet API, where full reads are billed, and its default intervals.
func inFleet(t *testing.T, car sim.Car, f func(r *rig)) {
	t.Helper()
	inBubble(t, car, func(r *rig) {
		r.bill()
		f(r)
	})
}

// bill makes the rig one of the Fleet API.
func (r *rig) bill() {
	r.tesla.Fleet = &sim.Fleet{ClientID: "abc-123"}
	r.token, _ = r.tesla.Login()
	cfg := r.cfg.Cars[vin]
	cfg.Poll.Online, cfg.Poll.Charging = 5*time.Minute, 5*time.Minute
	cfg.Billed = true
	r.cfg.API, r.cfg.Cars[vin] = "fleet", cfg
}

// TestCommandsDoNotReadWhereReadsCost: an automation that sends amps each 30 s for an hour makes no read beside the polls, and
// no request for a value that the car has just acknowledged.
func TestCommandsDoNotReadWhereReadsCost(t *testing.T) {
	inFleet(t, sim.Car{PluggedIn: true, Level: 20, Amps: 16}, func(r *rig) {
		r.start()
		r.pass(time.Minute)
		changes := 0
		for i := range 120 {
			r.send("charge_amps", fmt.Sprint(8+i/10%2)) // another value each 5 minutes
			if i%10 == 0 {
				changes++
			}
			r.pass(30 * time.Second)
		}
		if n := r.tesla.Count("vehicle_data", ""); n > 13 {
			t.Errorf("%d full reads in an hour, want the 12 or 13 of the polls", n)
		}
		if n := r.tesla.Count("command", ""); n != changes {
			t.Errorf("%d commands for %d changes", n, changes)
		}
		noop := 0
		for _, res := range r.said.take("charge_amps") {
			if res.Status == statusNoop {
				noop++
			}
		}
		if noop != 120-changes || r.car.Amps() != 9 {
			t.Errorf("%d of 120 were noop, want %d; the car is at %d A", noop, 120-changes, r.car.Amps())
		}
	})
}

// TestReadsThatAreWorthTheirPrice: a stop is never judged by what was read long ago.
func TestReadsThatAreWorthTheirPrice(t *testing.T) {
	inFleet(t, sim.Car{PluggedIn: true, Level: 20, Amps: 16}, func(r *rig) {
		r.start()
		r.pass(time.Minute)
		r.send("charge_amps", "8")
		r.pass(10 * time.Second)
		r.wantResult(r.only("charge_amps"), statusOK, "")
		before := r.tesla.Count("vehicle_data", "")
		r.car.SetDC(true)
		r.pass(70 * time.Second)
		r.send("charging", "OFF")
		r.pass(10 * time.Second)
		r.wantResult(r.only("charging"), statusRejected, "fast_charging")
		if r.tesla.Count("vehicle_data", "") == before || !r.car.Charging() {
			t.Error("a stop on a journey was judged by an old read")
		}
	})
}

// TestStartIsSeenWhereReadsCost: the set point that a start has lost comes back, although nobody reads the car for minutes.
func TestStartIsSeenWhereReadsCost(t *testing.T) {
	inFleet(t, sim.Car{PluggedIn: true, Stopped: true, Level: 20, Amps: 16, StartsAtFive: true}, func(r *rig) {
		cfg := r.cfg.Cars[vin]
		cfg.Poll.Online = 10 * time.Minute // somebody saves
		r.cfg.Cars[vin] = cfg
		r.start()
		r.pass(time.Minute)
		r.send("charge_amps", "10")
		r.pass(20 * time.Second)
		r.send("charging", "ON")
		r.pass(11 * time.Minute)
		if r.car.Amps() != 10 {
			t.Errorf("the car charges with %d A, want 10", r.car.Amps())
		}
	})
}
