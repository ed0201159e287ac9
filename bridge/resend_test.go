package bridge

import (
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// TestAmpsThatCameWhileONWasUnderWayStay: what is sent once more after a start is the last wish, not the one before ON.
func TestAmpsThatCameWhileONWasUnderWayStay(t *testing.T) {
	car := plugged()
	car.Stopped = true
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("charge_amps", "13")
		r.pass(20 * time.Second)
		r.fault("slow", sim.On("command/charge_start"), sim.Wait(8*time.Second))
		r.send("charging", "ON")
		r.pass(2 * time.Second)
		r.send("charge_amps", "7")
		r.pass(2 * time.Minute)
		r.wantExecuted("set_charging_amps", "charge_start", "set_charging_amps")
		if got := r.car.Amps(); got != 7 {
			t.Errorf("the last wish was 7 A, the car is at %d", got)
		}
	})
}

// TestAmpsThatMayHaveArrivedAreNotOverwritten: once newer amps were sent, the acknowledged ones from before are history,
// even if nobody can tell whether the newer ones arrived.
func TestAmpsThatMayHaveArrivedAreNotOverwritten(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "13")
		r.pass(20 * time.Second)
		r.fault("500", sim.On("vehicle_data"))
		r.fault("cut-after", sim.On("command/set_charging_amps"), sim.Times(1))
		r.send("charge_amps", "7")
		r.pass(time.Minute)
		r.send("charging", "ON") // it charges, but no read can tell
		r.pass(3 * time.Second)
		r.wantResult(r.only("charging"), "noop", "")
		r.tesla.ClearFaults()
		r.pass(3 * time.Minute)
		if got := r.car.Amps(); got != 7 {
			t.Errorf("the last wish was 7 A, the car is at %d", got)
		}
	})
}
