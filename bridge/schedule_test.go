package bridge

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// TestInvariant1Week: a week of a parked, a commuting and a charging car. No read wakes one, and the parked one sleeps.
func TestInvariant1Week(t *testing.T) {
	if testing.Short() {
		t.Skip("a week takes some seconds")
	}
	const week = 7 * 24 * time.Hour
	inBubble(t, sim.Car{Level: 60, Name: "Parked"}, func(r *rig) {
		commuter := r.tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000002", Name: "Commuter", Level: 70, Limit: 80, Place: "home"})
		charger := r.tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000003", Name: "Charger", Level: 10, Limit: 90, BatteryKWh: 2000, PluggedIn: true, MaxAmps: 16, Phases: 3})
		r.start()
		for range 7 {
			commute(r, commuter)
		}
		asleep := float64(r.car.AsleepFor()) / float64(week)
		t.Logf("parked: asleep %.1f %%; calls in a week (state, read):", 100*asleep)
		for name, c := range map[string]*sim.CarHandle{"parked": r.car, "commuting": commuter, "charging": charger} {
			t.Logf("%-10s %6d %6d", name, r.tesla.Count("vehicle", c.VIN()), r.tesla.Count("vehicle_data", c.VIN()))
			for _, who := range c.WokenBy() {
				if who == "wake_up" {
					t.Errorf("the bridge woke %s", name)
				}
			}
		}
		if asleep < 0.95 {
			t.Errorf("the parked car slept %.1f %%", 100*asleep)
		}
		if n := r.tesla.Count("vehicle_data", r.car.VIN()); n > 30 {
			t.Errorf("the parked car was read %d times", n)
		}
		if n := r.tesla.Count("wake_up", ""); n != 0 {
			t.Errorf("%d wakes", n)
		}
	})
}

// commute lives a day: to work at 8, back at 17, plugged in at 18 until 6.
func commute(r *rig, c *sim.CarHandle) {
	r.pass(6 * time.Hour)
	c.Unplug()
	r.pass(2 * time.Hour)
	c.DriveAway()
	r.pass(30 * time.Minute)
	c.Arrive("work", 6)
	r.pass(9 * time.Hour)
	c.DriveAway()
	r.pass(30 * time.Minute)
	c.Arrive("home", 6)
	c.PlugIn(16, 3)
	r.pass(6 * time.Hour)
}

func TestCarFallsAsleepBesideUs(t *testing.T) {
	inBubble(t, sim.Car{Level: 60, PluggedIn: true, Stopped: true}, func(r *rig) {
		r.start()
		r.pass(40 * time.Minute)
		if !r.car.Asleep() {
			t.Error("the idle car is still awake after 40 minutes")
		}
		if got := r.retained("model3/vehicle_state"); got != "asleep" {
			t.Errorf("vehicle_state is %s", got)
		}
		if r.retained("model3/availability") != "online" {
			t.Error("a sleeping car is shown as unavailable")
		}
	})
}

func TestStateIsComplete(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		r.start()
		r.pass(2 * time.Minute)
		var doc map[string]any
		if err := json.Unmarshal([]byte(r.retained("model3/state")), &doc); err != nil {
			t.Fatal(err)
		}
		for _, key := range documentKeys() {
			if _, ok := doc[key]; !ok {
				t.Errorf("the state has no %s", key)
			}
			if r.retained("model3/"+key) == "" {
				t.Errorf("there is no topic for %s", key)
			}
		}
		for key, want := range map[string]any{
			"vehicle_state": "online", "charging_state": "charging", "charge_amps": 16.0, "charger_phases": 3.0, "source": "owner", "plugged_in": true,
		} {
			if doc[key] != want {
				t.Errorf("%s is %v, want %v", key, doc[key], want)
			}
		}
	})
}

func TestRestartBesideASleepingCarLosesNothing(t *testing.T) {
	inBubble(t, sim.Car{Level: 61}, func(r *rig) {
		r.start()
		r.pass(time.Hour)
		before := r.retained("model3/state")
		r.stop()
		if err := r.tesla.Fault("503"); err != nil {
			t.Fatal(err)
		}
		r.start()
		if got := r.retained("model3/state"); got != before || !strings.Contains(got, `"battery_level":61`) {
			t.Errorf("after the restart the state is\n%s\nit was\n%s", got, before)
		}
		if !r.car.Asleep() {
			t.Error("the car was woken")
		}
	})
}

func TestAvailability(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		if err := r.tesla.Fault("502", sim.On("api")); err != nil {
			t.Fatal(err)
		}
		r.pass(90 * time.Second)
		if r.retained("model3/availability") != "online" {
			t.Error("one failed poll already makes the car unavailable")
		}
		r.pass(10 * time.Minute)
		if r.retained("model3/availability") != "offline" {
			t.Error("ten minutes of failure leave the car available")
		}
		r.tesla.ClearFaults()
		r.pass(12 * time.Minute)
		if r.retained("model3/availability") != "online" {
			t.Error("the car stays unavailable although Tesla answers")
		}
	})
}

func TestCarLeavesTheAccountAndReturns(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.car.Remove(true)
		r.pass(time.Hour + time.Minute)
		if r.retained("model3/availability") != "offline" {
			t.Error("a car that left the account is available")
		}
		r.car.Remove(false)
		r.pass(time.Hour + 11*time.Minute)
		if r.retained("model3/availability") != "online" {
			t.Error("a car that returned is not available")
		}
	})
}

func TestRenamedCarLeavesNoGhost(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.stop()
		cfg := defaults()
		cfg.Name = "zoe"
		r.cfg.Cars[vin], r.cfg.Scalars = cfg, false
		old := r.said
		r.start()
		r.pass(3 * time.Minute)
		cleared := strings.Join(r.said.published(), "\n")
		for topic := range old.retained {
			if strings.HasPrefix(topic, "tesla2mqtt/model3/") && !strings.Contains(cleared, "-"+topic) {
				t.Errorf("%s stays on the broker", topic)
			}
		}
		if r.retained("zoe/state") == "" || r.retained("zoe/charge_amps") != "" {
			t.Error("the new name has no state, or scalars although they are off")
		}
		for topic := range r.said.retained {
			if strings.Contains(cleared, "-"+topic) {
				t.Errorf("%s is ours and was cleared", topic)
			}
		}
	})
}

func TestReadOlderThanCommandIsHeld(t *testing.T) {
	car := plugged()
	car.Lag = 20 * time.Second
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("charge_amps", "8")
		for range 40 {
			r.pass(time.Second)
			if len(r.said.take("charge_amps")) == 1 {
				break
			}
		}
		for range 60 {
			r.pass(time.Second)
			if got := r.retained("model3/charge_amps"); got != "8" {
				t.Fatalf("a late read brought %s back", got)
			}
		}
	})
}

func TestForeignInstance(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		own := r.retained("bridge/info")
		newer := strings.Replace(strings.Replace(own, `"instance":"`, `"instance":"x`, 1), `"started_at":"2000`, `"started_at":"2001`, 1)
		older := strings.Replace(strings.Replace(own, `"instance":"`, `"instance":"x`, 1), `"started_at":"2000`, `"started_at":"1999`, 1)
		if r.bridge.Foreign([]byte(own)) || !r.bridge.Foreign([]byte(newer)) || r.bridge.Foreign([]byte(older)) || r.bridge.Foreign([]byte("{")) {
			t.Errorf("own %s", own)
		}
		r.stop()
		r.start()
		if r.bridge.Foreign([]byte(strings.Replace(own, `"started_at":"2000`, `"started_at":"2001`, 1))) {
			t.Error("our own last process is taken for a stranger after the clock jumped back")
		}
	})
}
