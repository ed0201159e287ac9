package bridge

import (
	"testing"
	"time"

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
		r.pass(10 * time.Second)
		r.wantResult(r.only("charge_amps"), statusExpired, "")
		r.wantResult(r.only("charge_limit"), statusExpired, "")
		r.wantExecuted()
		r.send("charge_amps", `{"value":10,"id":"new","ttl":60}`)
		r.pass(10 * time.Second)
		r.wantResult(r.only("charge_amps"), statusOK, "")
	})
}
