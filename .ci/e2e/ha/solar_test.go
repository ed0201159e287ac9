package ha

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// meter is a house with a roof: what its grid meter says is worked out from the sun, the house and the simulated car.
type meter struct {
	w             *world
	sun, house    atomic.Int64 // W
	silent        atomic.Bool
	readings      atomic.Int64
	stop, stopped chan struct{}
}

const (
	gridID = "sensor.grid_power"
	homeID = "device_tracker.car"
)

func (w *world) startMeter(t *testing.T) *meter {
	m := &meter{w: w, stop: make(chan struct{}), stopped: make(chan struct{})}
	m.house.Store(400)
	rest := &client{token: w.ha.token} // a connection of its own, since it runs beside the test
	go func() {
		defer close(m.stopped)
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-m.stop:
				return
			case <-tick.C:
			}
			if m.silent.Load() {
				continue
			}
			watts := float64(m.house.Load()-m.sun.Load()) + 1000*w.cars[writable].Drawn()
			if err := rest.rest("POST", "/api/states/"+gridID, map[string]any{
				"state":      fmt.Sprintf("%.0f", watts),
				"attributes": map[string]string{"unit_of_measurement": "W", "device_class": "power", "state_class": "measurement", "friendly_name": "Grid power"},
			}, nil); err != nil {
				t.Error("the meter: ", err)
				return
			}
			m.readings.Add(1)
		}
	}()
	return m
}

func (m *meter) close() {
	close(m.stop)
	<-m.stopped
}

// pass waits until the meter was read n times more.
func (m *meter) pass(t *testing.T, n int64) {
	t.Helper()
	until := m.readings.Load() + n
	await(t, "readings of the meter", 60*time.Second, func() string {
		if got := m.readings.Load(); got < until {
			return fmt.Sprint(until-got, " to go")
		}
		return ""
	})
}

// install loads the blueprint and makes an automation of it, as the dialogues of Home Assistant do. A minute of the
// blueprint's usual times is about three seconds here.
func (w *world) install(t *testing.T) {
	t.Helper()
	blueprint, err := os.ReadFile(filepath.Join(os.Getenv("E2E_EXAMPLES"), "solar-charging.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const path = "tesla2mqtt/solar-charging.yaml"
	if err := w.ha.call("blueprint/save", map[string]any{"domain": "automation", "path": path, "yaml": string(blueprint)}, nil); err != nil {
		t.Fatal("saving the blueprint: ", err)
	}
	automation := map[string]any{"alias": "Solar charging", "use_blueprint": map[string]any{"path": path, "input": map[string]any{
		"enabled": "input_boolean.solar", "home": homeID, "grid": gridID,
		"charging": "switch.tesla_model3_charging", "amps": "number.tesla_model3_charge_amps",
		"state": "sensor.tesla_model3_charging_state", "power": "sensor.tesla_model3_charger_power",
		"margin": 0, "interval": 1, "smoothing": 2, "settle": 3, "start_delay": 4, "stop_delay": 10, "max_age": 3,
	}}}
	if err := w.ha.rest("POST", "/api/config/automation/config/solar", automation, nil); err != nil {
		t.Fatal("making the automation: ", err)
	}
	await(t, "the automation is there", 10*time.Second, func() string {
		return differ("automation", w.ha.state("automation.solar_charging"), "on")
	})
}

func (w *world) at(t *testing.T, place string) {
	t.Helper()
	if err := w.ha.rest("POST", "/api/states/"+homeID, map[string]string{"state": place}, nil); err != nil {
		t.Fatal(err)
	}
}

// follows waits until the car does what the sun allows.
func (m *meter) follows(t *testing.T, what string, sun int64, charging bool, amps int) {
	t.Helper()
	m.sun.Store(sun)
	car, began := m.w.cars[writable], time.Now()
	await(t, what, 40*time.Second, func() string {
		return differ("charging", car.Charging(), charging) + differ("amps", car.Amps(), amps)
	})
	t.Logf("%-38s %5d W: charging %-5t %2d A after %4.1f s", what, sun, charging, amps, time.Since(began).Seconds())
}

// solar: half an hour of sun with a kettle, a cloud and a broken meter; the car's amps follow.
func solar(t *testing.T, w *world) {
	car := w.cars[writable]
	w.command(t, "model3", "switch.turn_off", "switch.tesla_model3_charging", nil, "ok charging OFF", nil)
	w.dawn = time.Now()
	w.at(t, "home")
	m := w.startMeter(t)
	defer m.close()
	m.sun.Store(300)
	m.pass(t, 1)
	w.install(t)
	if err := w.ha.act("input_boolean.turn_on", "input_boolean.solar", nil); err != nil {
		t.Fatal(err)
	}
	first := len(car.Executed())
	m.pass(t, 25)
	if car.Charging() {
		t.Error("it charges without sun")
	}
	m.follows(t, "the sun is out", 6300, true, 8) // (6300-400)/690 is 8.6
	m.follows(t, "more of it", 9700, true, 13)    // 13.5
	m.follows(t, "less of it", 4100, true, 5)     // 5.4
	m.follows(t, "and again", 6500, true, 8)      // 8.8
	stops := w.count(writable, "charge_stop")
	m.house.Store(2400)
	m.pass(t, 6)
	m.house.Store(400)
	m.sun.Store(700)
	m.pass(t, 12)
	m.follows(t, "after a kettle and a cloud", 8300, true, 11) // 11.4
	if n := w.count(writable, "charge_stop"); n != stops {
		t.Errorf("a kettle and a cloud have stopped it %d times", n-stops)
	}
	m.silent.Store(true)
	m.follows(t, "the meter is silent", 8300, true, 5)
	m.follows(t, "and remains so: amps left behind", 8300, false, 16)
	m.silent.Store(false)
	m.follows(t, "the meter is back", 8300, true, 11)
	m.follows(t, "the evening: amps left behind", 200, false, 16)
	m.follows(t, "the next morning", 5600, true, 7) // 7.5
	m.away(t)
	t.Logf("%d commands in all", len(car.Executed())-first)
	if n := len(car.Executed()) - first; n > 40 {
		t.Errorf("%d commands are a storm", n)
	}
}

// away: the car is not at home, comes back, and is no longer to be steered.
func (m *meter) away(t *testing.T) {
	sent := len(m.w.cars[writable].Executed())
	m.w.at(t, "not_home")
	m.sun.Store(9700)
	m.pass(t, 25)
	if n := len(m.w.cars[writable].Executed()); n != sent {
		t.Errorf("%d commands for a car that is not at home", n-sent)
	}
	m.w.at(t, "home")
	await(t, "at home again, in the next minute", 75*time.Second, func() string {
		return differ("amps", m.w.ha.state("number.tesla_model3_charge_amps"), "13")
	})
	if err := m.w.ha.act("input_boolean.turn_off", "input_boolean.solar", nil); err != nil {
		t.Fatal(err)
	}
	m.follows(t, "switched off: charges as usual", 9700, true, 16)
}

// count tells how often a command took effect on a car.
func (w *world) count(vin, name string) (n int) {
	for _, e := range w.cars[vin].Executed() {
		if e.Name == name {
			n++
		}
	}
	return n
}
