package bridge

import (
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// Tesla's reads hang while commands work. An automation that says OFF every few seconds must be heard all the same, and not
// begin a read anew with each message; nor may OFF wait for a read that was begun for something else.
func TestRepeatedStopPassesHangingReads(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.pass(2 * time.Minute)
		for _, scope := range []string{"vehicle", "vehicle_data"} {
			r.fault("hang", sim.On(scope))
		}
		r.pass(2 * time.Minute) // what was read is too old to judge by
		r.send("charge_amps", "9")
		r.pass(3 * time.Second)
		for range 10 {
			r.send("charging", "OFF")
			r.pass(3 * time.Second)
		}
		if r.car.Charging() {
			t.Error("after half a minute of OFF the car still charges")
		}
		r.tesla.ClearFaults()
		r.pass(5 * time.Minute)
	})
}
