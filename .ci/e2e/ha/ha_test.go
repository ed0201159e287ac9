// Package ha tests tesla2mqtt in a real Home Assistant. It is run by .ci/e2e/homeassistant, which installs one.
package ha

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// configuration leaves out what default_config would add and this test does not use: voice, cloud, Bluetooth, maps.
const configuration = `homeassistant: {name: Home}
http:
config:
recorder: {commit_interval: 1}
history:
energy:
input_boolean: {solar: {name: Solar charging}}
automation: !include automations.yaml
logger: {default: warning}
`

// TestHomeAssistant is one story: each part goes on with what the ones before have left.
func TestHomeAssistant(t *testing.T) {
	w := newWorld(t)
	for _, part := range []struct {
		name string
		test func(t *testing.T, w *world)
	}{
		{"Entities", entities},
		{"Commands", commands},
		{"Restarts", restarts},
		{"Lifecycle", lifecycle},
		{"Solar", solar},
		{"Dashboard", dashboard},
		{"Energy", energy},
		// What Home Assistant says of itself when its broker goes.
		{"LogIsClean", func(t *testing.T, w *world) {
			w.clean(t, "the connection was lost", "the client is not currently connected")
		}},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, w) }) {
			break // what follows would only tell the same again
		}
	}
}

func newWorld(t *testing.T) *world {
	root := os.Getenv("E2E_ROOT")
	if root == "" {
		t.Skip("run by .ci/e2e/homeassistant")
	}
	w := &world{t: t, began: time.Now(), dawn: time.Now(), root: root, ha: &client{}}
	var err error
	if w.dir, err = os.MkdirTemp(filepath.Join(root, "tmp"), "e2e"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.endLogs() })
	w.startTesla()
	w.startMosquitto(true)
	w.write("hass/configuration.yaml", configuration)
	w.write("hass/automations.yaml", "[]\n")
	w.write("hass/.storage/onboarding",
		`{"version": 4, "key": "onboarding", "data": {"done": ["core_config", "analytics", "integration"]}}`)
	w.startHass()
	if err := w.ha.onboard(); err != nil {
		t.Fatal("onboarding: ", err)
	}
	w.awaitRunning()
	broker := map[string]map[string]any{"broker": {"broker": "127.0.0.1", "port": 1883, "other_settings": map[string]any{
		"set_client_cert": false, "set_ca_cert": "off",
	}}}
	if err := w.ha.flow("mqtt", broker); err != nil {
		t.Fatal("adding the integration: ", err)
	}
	w.startBridge(fleet)
	return w
}

// endLogs shows the end of each program's log if the test has failed, and removes all files.
func (w *world) endLogs() {
	logs, _ := filepath.Glob(filepath.Join(w.dir, "*.log"))
	for _, path := range logs {
		if data, err := os.ReadFile(path); err == nil && w.t.Failed() {
			w.t.Logf("the end of %s:\n%s", filepath.Base(path), data[max(0, len(data)-8000):])
		}
	}
	os.RemoveAll(w.dir)
}

// startHass returns once Home Assistant has started.
func (w *world) startHass() {
	w.t.Helper()
	w.hass = w.start("/srv/ha/bin/hass", "--skip-pip", "-c", w.inRoot(filepath.Join(w.dir, "hass")))
	await(w.t, "Home Assistant answers", 2*time.Minute, func() string {
		return fault(w.ha.rest("GET", "/manifest.json", nil, nil))
	})
	if w.ha.token != "" {
		w.awaitRunning()
	}
}

// awaitRunning waits for the end of the start, which is later than the first answers.
func (w *world) awaitRunning() {
	w.t.Helper()
	await(w.t, "Home Assistant has started", 2*time.Minute, func() string {
		var config struct {
			State string `json:"state"`
		}
		if err := w.ha.rest("GET", "/api/config", nil, &config); err != nil || config.State != "RUNNING" {
			return config.State + fault(err)
		}
		return ""
	})
}

func (w *world) stopHass() {
	w.t.Helper()
	w.ha.conn.Close()
	w.ha.conn = nil
	w.hass.stop(w.t, syscall.SIGTERM)
}

// entities: every entity of cars and bridge is there, with the right class, unit and state, the sleeping car's too.
func entities(t *testing.T, w *world) {
	w.awaitAgreement(t, writable, sleeper, signed)
	names := w.ha.entities(t)
	t.Logf("%d entities of %d devices", len(names), len(w.ha.devices(t)))
	if s := w.ha.state("sensor.tesla_models_vehicle_state"); s != "asleep" {
		t.Errorf("the sleeping car is %s", s)
	}
	for _, id := range []string{"tesla2mqtt_" + signed + "_charge_amps", "tesla2mqtt_" + signed + "_wake"} {
		if e, there := names[id]; there {
			t.Errorf("a car that takes no commands has %s", e.EntityID)
		}
	}
	if calls := w.tesla.Count("wake_up", ""); calls > 0 {
		t.Errorf("a car was woken %d times, unasked", calls)
	}
}

// aboutUs are the parts of a log line that make it ours.
var aboutUs = []string{"mqtt", "tesla", "model3", "models", "modely", "blueprint"}

// clean looks for any warning or error about us in Home Assistant's log, and in the bridge's for errors.
func (w *world) clean(t *testing.T, allowed ...string) {
	t.Helper()
	text, _ := w.hass.said(t, 0)
	for line := range strings.Lines(text) {
		lower := strings.ToLower(line)
		has := func(word string) bool { return strings.Contains(lower, word) }
		if (has(" warning ") || has(" error ")) && slices.ContainsFunc(aboutUs, has) && !slices.ContainsFunc(allowed, has) {
			t.Errorf("Home Assistant logs: %s", line)
		}
	}
}
