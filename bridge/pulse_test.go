package bridge

import (
	"testing"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

func TestPulse(t *testing.T) {
	start := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	p := pulse{beat: at(0)}
	for _, row := range []struct {
		name          string
		beat          float64 // 0 for none
		slept         float64 // in all, by the machine
		now, arrived  float64
		standingStill time.Duration
	}{
		{"in time", 1, 0, 1.2, 1.2, 0},
		{"a late beat", 2.4, 0, 2.5, 2.5, 0},
		{"stands still, no beat yet", 0, 0, 62, 2.4, 0},
		{"the beat after it", 62.4, 0, 62.5, 2.4, 60 * time.Second},
		{"still draining", 0, 0, 63.3, 2.4, 0},
		{"drained", 63.4, 0, 63.5, 63.5, 0},
		{"the machine slept, no beat yet", 0, 100, 64, -36.6, 0},
		{"the beat after it", 64.4, 100, 64.5, -36.6, 101 * time.Second},
		{"drained again", 65.4, 100, 65.5, 65.5, 0},
	} {
		slept := time.Duration(row.slept * float64(time.Second))
		var gap time.Duration
		if row.beat > 0 {
			p, gap = p.next(at(row.beat), slept)
		}
		if got := p.arrived(at(row.now), slept); !got.Equal(at(row.arrived)) || gap != row.standingStill {
			t.Errorf("%s: arrived %s after the start, gap %s", row.name, got.Sub(start), gap)
		}
	}
}

// TestInvariant2ExpiredWhileStandingStill: a command that waited in the socket of a frozen process is as old as that.
func TestInvariant2ExpiredWhileStandingStill(t *testing.T) {
	inBubble(t, sim.Car{PluggedIn: true, Amps: 16}, func(r *rig) {
		r.start()
		r.pass(10 * time.Second)
		r.send("charge_amps", `{"value":12,"id":"alive","ttl":60}`)
		r.bridge.pulse.Store(&pulse{beat: time.Now().Add(-10 * time.Second)})
		r.send("charge_amps", `{"value":8,"id":"dead","ttl":5}`)
		r.pass(time.Minute)
		got := map[string]Result{}
		for _, result := range r.said.take("charge_amps") {
			got[result.ID] = result
		}
		r.wantResult(got["dead"], statusExpired, "")
		r.wantResult(got["alive"], statusOK, "")
		r.wantExecuted("set_charging_amps")
	})
}

// TestInvariant2ExpiredWhileSuspended: Go's clock stops while the machine is suspended, the life of a command does not.
func TestInvariant2ExpiredWhileSuspended(t *testing.T) {
	inBubble(t, sim.Car{PluggedIn: true, Amps: 16}, func(r *rig) {
		r.start()
		r.pass(10 * time.Second)
		r.send("charge_amps", `{"value":12,"id":"waited here","ttl":60}`)
		r.slept.Add(int64(time.Hour))
		r.send("charge_limit", `{"value":70,"id":"waited in the socket","ttl":60}`)
		r.bridge.cars["model3"].inbox <- &message{alias: "model3", thing: "refresh", payload: []byte("PRESS"), at: time.Now()}
		r.pass(10 * time.Second)
		r.wantResult(r.only("charge_amps"), statusExpired, "")
		r.wantResult(r.only("charge_limit"), statusExpired, "")
		r.wantResult(r.only("refresh"), statusExpired, "") // it waited before the car
		r.wantExecuted()
		r.send("charge_amps", `{"value":10,"id":"new","ttl":60}`)
		r.pass(10 * time.Second)
		r.wantResult(r.only("charge_amps"), statusOK, "")
	})
}

// TestSuspendedReadsJudgeNothing: what was read just before the machine was suspended is as old as that, though Go's clock shows
// it as fresh. A charge that was started meanwhile is stopped.
func TestSuspendedReadsJudgeNothing(t *testing.T) {
	car := plugged()
	car.Stopped = true
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("refresh", "PRESS")
		r.pass(11 * time.Second)
		r.slept.Add(int64(time.Hour))
		r.car.Unplug()
		r.car.PlugIn(16, 3)     // which starts by itself
		r.pass(3 * time.Second) // what comes now is no command from before
		r.send("charging", "OFF")
		r.pass(5 * time.Second)
		r.wantResult(r.only("charging"), statusOK, "")
		if r.car.Charging() {
			t.Error("OFF was judged by a read from before the machine was suspended")
		}
	})
}

// TestSuspendedAcknowledgementsAreOld: nor does what the car had acknowledged before stand for what it is now.
func TestSuspendedAcknowledgementsAreOld(t *testing.T) {
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	p := &pending{req: request{thing: tesla.ChargeAmps}, value: 8}
	c := &car{acked: map[tesla.Thing]acked{tesla.ChargeAmps: {8, now.Add(-time.Second)}}, desk: desk{}}
	for _, row := range []struct {
		slept  time.Duration
		stands bool
	}{{0, true}, {time.Millisecond, true}, {time.Hour, false}} {
		c.suspended = func() time.Duration { return row.slept }
		c.catchUp(now)
		if _, stands := c.acknowledged(p, now); stands != row.stands {
			t.Errorf("suspended for %s: stands %v", row.slept, stands)
		}
	}
}
