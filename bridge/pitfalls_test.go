package bridge

import (
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestNoTopicIsMadeOfWildcards: what Tesla calls a car becomes part of a topic only if it is plain.
func TestNoTopicIsMadeOfWildcards(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		r.list = func(v []tesla.Vehicle) []tesla.Vehicle {
			return append(v, tesla.Vehicle{VIN: "+/#", ID: v[0].ID}, tesla.Vehicle{VIN: "a/b", ID: v[0].ID}, tesla.Vehicle{ID: v[0].ID})
		}
		r.slip.Store(true)
		r.start()
		r.pass(5 * time.Minute)
		if r.retained("model3/charging_state") == "" {
			t.Fatal("nothing was published at all")
		}
		for _, topic := range r.said.published() {
			if strings.ContainsAny(topic, "+#") || strings.Contains(topic, "//") || strings.HasPrefix(topic, "tesla2mqtt/a/b") {
				t.Errorf("published to %s", topic)
			}
		}
	})
}

// TestCommandReachesItsCarAlone: of several cars in one account.
func TestCommandReachesItsCarAlone(t *testing.T) {
	const second = "5YJ3E1EA7KF000002"
	inBubble(t, plugged(), func(r *rig) {
		other := r.tesla.Add(sim.Car{VIN: second, Level: 50, PluggedIn: true, MaxAmps: 16, Amps: 16})
		r.start()
		r.pass(time.Minute)
		r.bridge.Deliver("tesla2mqtt/"+second+"/charge_amps/set", []byte("7"), false)
		r.pass(10 * time.Second)
		if got := other.Amps(); got != 7 {
			t.Errorf("the car that was meant is set to %d A", got)
		}
		r.wantExecuted()
		for _, s := range r.said.results {
			if !strings.HasPrefix(s.topic, "tesla2mqtt/"+second+"/") {
				t.Errorf("a result on %s", s.topic)
			}
		}
	})
}

// TestCarThatLeftIsForgottenAtTheNextStart: two lists without it, an hour apart, and then a start.
func TestCarThatLeftIsForgottenAtTheNextStart(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		r.cfg.Cars = nil // all cars of the account
		settled(r)
		r.car.Remove(true)
		r.pass(2*time.Hour + 5*time.Minute)
		if r.retained(vin+"/availability") != "offline" {
			t.Error("a car that left is available")
		}
		old := r.said.retained
		r.stop()
		r.start()
		r.pass(5 * time.Minute)
		cleared := strings.Join(r.said.published(), "\n")
		seen := 0
		for topic := range old {
			if !strings.Contains(topic, vin) {
				continue
			}
			if seen++; !strings.Contains(cleared, "-"+topic) {
				t.Errorf("%s stays on the broker", topic)
			}
		}
		if seen < len(documentKeys()) {
			t.Errorf("only %d topics of the car were seen", seen)
		}
	})
}

// TestAmpsThatComeAfterTheStart: a sender whose messages overtake each other. What is repeated after the start is the
// newer wish, not the one from before.
func TestAmpsThatComeAfterTheStart(t *testing.T) {
	for _, atFive := range []bool{false, true} {
		car := plugged()
		car.Stopped, car.StartsAtFive = true, atFive
		inBubble(t, car, func(r *rig) {
			settled(r)
			r.send("charge_amps", "10")
			r.pass(time.Minute)
			r.send("charging", "ON")
			r.send("charge_amps", "11")
			r.pass(2 * time.Minute)
			if r.car.Amps() != 11 {
				t.Errorf("starts at five %v: the car charges at %d, want 11", atFive, r.car.Amps())
			}
			want := []string{"set_charging_amps", "charge_start", "set_charging_amps"}
			if atFive {
				want = append(want, "set_charging_amps")
			}
			r.wantExecuted(want...)
		})
	}
}
