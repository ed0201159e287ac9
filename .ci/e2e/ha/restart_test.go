package ha

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// restarts: whatever is restarted, every entity is available afterwards and true, and commands arrive.
func restarts(t *testing.T, w *world) {
	for i, r := range []struct {
		name    string
		restart func(t *testing.T, w *world, meanwhile func())
	}{
		{"Home Assistant", func(_ *testing.T, w *world, meanwhile func()) {
			w.stopHass()
			meanwhile()
			w.startHass()
		}},
		{"Mosquitto, which remembers", func(t *testing.T, w *world, meanwhile func()) {
			w.mosquitto.stop(t, syscall.SIGTERM)
			meanwhile()
			w.startMosquitto(true)
		}},
		{"Mosquitto, which forgets", func(t *testing.T, w *world, meanwhile func()) {
			w.mosquitto.stop(t, syscall.SIGKILL)
			meanwhile()
			w.startMosquitto(false)
		}},
		{"the bridge", func(t *testing.T, w *world, meanwhile func()) { w.restartBridge(t, syscall.SIGTERM, meanwhile) }},
		{"the bridge, killed", func(t *testing.T, w *world, meanwhile func()) { w.restartBridge(t, syscall.SIGKILL, meanwhile) }},
	} {
		// Something happens that nobody can be told of.
		meanwhile := func() {
			if i%2 == 0 {
				w.cars[signed].Unplug()
			} else {
				w.cars[signed].PlugIn(16, 3)
			}
		}
		r.restart(t, w, meanwhile)
		began := time.Now()
		await(t, "after a restart of "+r.name, 90*time.Second, func() string { return w.agree(writable, sleeper, signed) })
		t.Logf("%-28s all agree after %4.1f s", r.name, time.Since(began).Seconds())
		amps := 11 + i
		w.command(t, "model3", "number.set_value", "number.tesla_model3_charge_amps", map[string]any{"value": amps},
			fmt.Sprint("ok charge_amps ", amps), func() string { return differ("amps", w.cars[writable].Amps(), amps) })
	}
}

// restartBridge also looks at what Home Assistant shows while there is no bridge.
func (w *world) restartBridge(t *testing.T, signal syscall.Signal, meanwhile func()) {
	t.Helper()
	w.bridge.stop(t, signal)
	await(t, "without a bridge", 10*time.Second, func() string {
		if s := w.ha.state("number.tesla_model3_charge_amps"); s != "unavailable" {
			return "the car's amps are " + s
		}
		return differ("connection", w.ha.state("binary_sensor.tesla_bridge_connection"), "off")
	})
	meanwhile()
	w.startBridge(fleet)
}
