package bridge

import (
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// TestManyCars: they are not looked at in the same instant, and their news does not flood bridge/health.
func TestManyCars(t *testing.T) {
	inBubble(t, sim.Car{PluggedIn: true}, func(r *rig) {
		const cars = 100
		for range cars - 1 {
			r.tesla.Add(sim.Car{PluggedIn: true})
		}
		began := time.Now()
		r.start()
		r.pass(10 * time.Second)
		if n := r.tesla.Count("vehicle_data", ""); n != cars {
			t.Errorf("after 10 s %d of %d cars were read", n, cars)
		}
		// One for the start, one for the minute, and one for each gap.
		if said, most := r.publishes("tesla2mqtt/bridge/health"), 2+int(time.Since(began)/healthGap); said > most {
			t.Errorf("bridge/health was published %d times in %s, want at most %d", said, time.Since(began), most)
		}
		r.pass(3 * time.Minute)
		r.wantSpread()
		if n := strings.Count(r.retained("bridge/health"), `"poll_mode":"charging"`); n != cars {
			t.Errorf("bridge/health knows of %d charging cars, want %d", n, cars)
		}
	})
}

// wantSpread checks that no two looks came at once.
func (r *rig) wantSpread() {
	r.t.Helper()
	at := map[time.Time]string{}
	looks := 0
	for _, call := range r.tesla.Log() {
		if call.Endpoint != "vehicle" {
			continue
		}
		if other, taken := at[call.At]; taken {
			r.t.Errorf("%s and %s were looked at in the same instant", other, call.VIN)
		}
		at[call.At] = call.VIN
		looks++
	}
	if looks < 300 {
		r.t.Errorf("only %d looks", looks)
	}
}

// TestNewsIsSaidSoon: news that comes right after a regular publish waits for the gap, not for a minute.
func TestNewsIsSaidSoon(t *testing.T) {
	inBubble(t, sim.Car{PluggedIn: true}, func(r *rig) {
		r.start()
		r.pass(90 * time.Second)
		r.car.Unplug()
		r.car.Sleep()
		for r.retained("model3/vehicle_state") != "asleep" {
			r.pass(time.Millisecond)
		}
		r.pass(healthGap)
		if !strings.Contains(r.retained("bridge/health"), `"vehicle_state":"asleep"`) {
			t.Errorf("bridge/health does not know of it: %s", r.retained("bridge/health"))
		}
	})
}

// publishes counts what was said on a retained topic.
func (r *rig) publishes(topic string) int {
	n := 0
	for _, t := range r.said.published() {
		if t == topic {
			n++
		}
	}
	return n
}
