package bridge

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla/sim"
)

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
		r.bridge.turnAway(time.Now())
		results := r.said.take("wake")
		if len(results) != 2 || results[0].Status != statusExpired || results[1].Status != statusRejected {
			t.Errorf("the results are %+v", results)
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
