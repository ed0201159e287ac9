package bridge

import (
	"context"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/meter"
	"tesla2mqtt/tesla/sim"
)

// TestAcknowledgedThenUndone: an OFF that the car has acknowledged is no reason not to send the next one, when somebody has
// started the charge in between and nothing was read since.
func TestAcknowledgedThenUndone(t *testing.T) {
	inFleet(t, sim.Car{PluggedIn: true, Level: 20, Amps: 10}, func(r *rig) {
		cfg := r.cfg.Cars[vin]
		cfg.Poll.Online, cfg.Poll.Charging = 30*time.Minute, 30*time.Minute
		r.cfg.Cars[vin] = cfg
		r.start()
		r.pass(time.Minute)
		r.send("charging", "OFF")
		r.pass(10 * time.Second)
		r.wantResult(r.only("charging"), statusOK, "")
		r.car.Unplug()
		r.car.PlugIn(16, 3) // which starts by itself
		since := time.Now()
		for r.car.Charging() && time.Since(since) < 5*time.Minute {
			r.send("charging", "OFF")
			r.pass(10 * time.Second)
		}
		if took := time.Since(since); r.car.Charging() || took > 15*time.Second {
			t.Errorf("after %s of OFF it charges: %v", took, r.car.Charging())
		}
	})
}

// TestAcknowledgedBeforeTheFirstOfTwo: below 5 A the first of two sends changes the set point, so what was acknowledged before
// holds no more.
func TestAcknowledgedBeforeTheFirstOfTwo(t *testing.T) {
	inFleet(t, sim.Car{PluggedIn: true, Level: 20, Amps: 10}, func(r *rig) {
		r.start()
		r.pass(time.Minute)
		r.send("charge_amps", "16")
		r.pass(20 * time.Second)
		r.wantResult(r.only("charge_amps"), statusOK, "")
		r.send("charge_amps", "3")
		for r.car.Amps() == 16 {
			r.pass(100 * time.Millisecond)
		}
		r.send("charge_amps", "16")
		r.pass(time.Minute)
		if r.car.Amps() != 16 {
			t.Errorf("the car is at %d A, the last wish was 16: %s", r.car.Amps(), r.said.words("charge_amps"))
		}
	})
}

// TestSecondSendWithoutMoney says what the first has done.
func TestSecondSendWithoutMoney(t *testing.T) {
	onBudget(t, sim.Car{PluggedIn: true, Level: 20, Amps: 10}, 10*meter.Dollar, func(r *rig) {
		r.start()
		r.pass(time.Minute)
		r.send("charge_amps", "16")
		r.pass(20 * time.Second)
		r.only("charge_amps")
		r.send("charge_amps", "3")
		for r.car.Amps() == 16 {
			r.pass(100 * time.Millisecond)
		}
		for { // somebody else spends the rest
			if _, err := r.meter.Book(context.Background(), tesla.ExpenseLower); err != nil {
				break
			}
		}
		r.pass(20 * time.Second)
		got := r.only("charge_amps")
		r.wantResult(got, statusRejected, "budget")
		if r.car.Amps() != 5 || !strings.Contains(text(got.Message), "the car is at 5 A") {
			t.Errorf("at %d A it says %s", r.car.Amps(), text(got.Message))
		}
	})
}

// TestLoweringFromNothing: where the set point was never read, 5 A and less count as lowering, which the budget always grants.
func TestLoweringFromNothing(t *testing.T) {
	for value, want := range map[int]bool{1: false, 5: false, 6: true} {
		p := &pending{req: request{thing: tesla.ChargeAmps}, value: value}
		if got := (&car{}).raises(p); got != want {
			t.Errorf("%d A raises: %v", value, got)
		}
	}
}
