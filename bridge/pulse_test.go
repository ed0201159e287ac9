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
		now, arrived  float64
		standingStill time.Duration
	}{
		{"in time", 1, 1.2, 1.2, 0},
		{"a late beat", 2.4, 2.5, 2.5, 0},
		{"stands still, no beat yet", 0, 62, 2.4, 0},
		{"the beat after it", 62.4, 62.5, 2.4, 60 * time.Second},
		{"still draining", 0, 63.3, 2.4, 0},
		{"drained", 63.4, 63.5, 63.5, 0},
	} {
		var gap time.Duration
		if row.beat > 0 {
			p, gap = p.next(at(row.beat))
		}
		if got := p.arrived(at(row.now)); !got.Equal(at(row.arrived)) || gap != row.standingStill {
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
