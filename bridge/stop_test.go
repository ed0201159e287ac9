package bridge

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla/sim"
)

// TestStopIsNotJudgedByAnOldPicture: Tesla may answer with a picture from before our last command.
func TestStopIsNotJudgedByAnOldPicture(t *testing.T) {
	car := plugged()
	car.Stopped, car.Lag = true, 30*time.Second
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("refresh", "PRESS")
		r.pass(11 * time.Second)
		r.send("charging", "ON")
		r.pass(3 * time.Second)
		r.send("charging", "OFF")
		r.pass(10 * time.Second)
		if r.car.Charging() {
			t.Error("OFF was the last command, and the car charges")
		}
	})
}

// TestStopPassesHangingReads: whoever stops a charge does not wait for a Tesla that does not answer questions.
func TestStopPassesHangingReads(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.fault("hang", sim.On("vehicle"))
		r.fault("hang", sim.On("vehicle_data"))
		r.pass(65 * time.Second)
		r.send("charging", `{"value":"OFF","ttl":20}`)
		r.pass(10 * time.Second)
		r.wantResult(r.only("charging"), "ok", "")
		r.tesla.ClearFaults()
	})
}

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

func TestStopAnswersWhatIsOpen(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "8")
		r.stop()
		r.wantResult(r.only("charge_amps"), "expired", "shutdown")
		synctest.Wait()
	})
}

// TestStopTurnsAway: what came while the cars ended is answered, also for a car that was never seen; what comes later is
// counted, and left to nobody.
func TestStopTurnsAway(t *testing.T) {
	inBubble(t, sim.Car{}, func(r *rig) {
		absent := defaults()
		absent.Name = "absent"
		r.cfg.Cars["5YJ3E1EA7KF000009"] = absent
		settled(r)
		r.stop()
		r.bridge.closed.Store(false)
		for _, alias := range []string{"model3", "absent"} {
			r.bridge.Deliver("tesla2mqtt/"+alias+"/wake/set", []byte("PRESS"), false)
		}
		r.bridge.Deliver("tesla2mqtt/model3/charging/set", []byte("ON"), true)
		r.bridge.turnAway(time.Now())
		r.wantResult(r.only("charging"), statusRejected, "retained")
		results := r.said.take("wake")
		if len(results) != 2 || results[0].Status != statusExpired || results[1].Status != statusRejected {
			t.Errorf("the results are %+v", results)
		}
		if last := r.retained("model3/last_command"); strings.Contains(last, "retained") || !strings.Contains(last, "shutdown") {
			t.Errorf("last_command is %s", last)
		}
		r.bridge.Deliver("tesla2mqtt/model3/wake/set", []byte("PRESS"), false)
		if late := r.said.take("wake"); len(late) != 0 || r.bridge.dropped.Load() != 1 {
			t.Errorf("after that it says %+v, and counts %d dropped", late, r.bridge.dropped.Load())
		}
		if !strings.Contains(r.logged.String(), "a command came when the bridge had stopped") {
			t.Error("and its log is silent")
		}
	})
}

// TestInvariant7StopAnswersEverything: what was taken before the end is answered, wherever it waits then; what comes during the end
// is answered or counted as dropped, and the log says so.
func TestInvariant7StopAnswersEverything(t *testing.T) {
	deliver := func(r *rig) {
		for i := range 50 {
			r.bridge.Deliver("tesla2mqtt/model3/charge_amps/set", fmt.Appendf(nil, `{"value":8,"id":%d}`, i), false)
		}
	}
	t.Run("before", func(t *testing.T) {
		inBubble(t, plugged(), func(r *rig) {
			settled(r)
			deliver(r)
			r.stop()
			if got := r.said.take("charge_amps"); len(got) != 50 {
				t.Errorf("%d results for 50 messages", len(got))
			}
		})
	})
	t.Run("during", func(t *testing.T) {
		inBubble(t, plugged(), func(r *rig) {
			settled(r)
			r.cancel()
			deliver(r)
			<-r.done
			r.cancel = nil
			answered, dropped := len(r.said.take("charge_amps")), int(r.bridge.dropped.Load())
			if answered+dropped != 50 || strings.Count(r.logged.String(), "it was dropped") != dropped {
				t.Errorf("%d results for 50 messages, %d of them dropped:\n%s", answered, dropped, r.logged)
			}
		})
	})
}
