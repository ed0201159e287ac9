package fleet

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/bridge/mqtt/mqtttest"
)

// TestTelemetryServer: a charge by the way of the real server, a car that goes and comes back, and a server that dies.
func TestTelemetryServer(t *testing.T) {
	w := newWorld(t)
	server := exec.Command(os.Getenv("E2E_SERVER"), "-config="+filepath.Join(w.dir, "server.json"))
	w.start("fleet-telemetry", server)
	w.start("tesla2mqtt", exec.Command(os.Getenv("E2E_BRIDGE"), "run", "-config", filepath.Join(w.dir, "config.yaml")))
	w.await("the server listens", 20*time.Second, func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", w.port))
		return err == nil && conn.Close() == nil
	})
	w.await("the bridge is online", 20*time.Second, func() bool { return w.broker.Retained()["tesla2mqtt/bridge/state"] == "online" })

	w.connect()
	w.await("the car charges", 30*time.Second, w.shows("charging_state", "charging"))
	w.await("the current flows", 30*time.Second, w.shows("charger_actual_current", "13"))
	for key, want := range map[string]string{
		"vehicle_state": "online", "charge_amps": "13", "charge_amps_max": "16", "charger_voltage": "230", "charger_phases": "3", "charger_power": "8.97",
		"charge_limit": "80", "cable": "iec", "charge_port": "open", "fast_charger": "false", "at_home": "true", "source": "telemetry", "availability": "online",
	} {
		if got := w.said(key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	w.car.Unplug()
	w.await("the car is unplugged", 30*time.Second, w.shows("charging_state", "disconnected"))
	w.await("the cable is gone", 10*time.Second, w.shows("cable", "none"))
	w.hangUp()
	w.await("the car is offline", 30*time.Second, w.shows("vehicle_state", "offline"))
	w.connect()
	w.car.PlugIn(16, 3)
	w.await("it is back", 30*time.Second, w.shows("vehicle_state", "online"))
	w.await("and charges", 30*time.Second, w.shows("charging_state", "charging"))

	end(server)
	w.link = nil
	w.await("the silence is told", 3*time.Minute, func() bool {
		return strings.Contains(w.broker.Retained()["tesla2mqtt/bridge/health"], "no telemetry from the car")
	})
	w.keep()
}

// keep writes what the server has published where E2E_KEEP says, for the decoder's own test.
func (w *world) keep() {
	path := os.Getenv("E2E_KEEP")
	if path == "" {
		return
	}
	var all []mqtttest.Message
	seen := map[string]bool{}
	for _, m := range w.broker.Published() {
		if key := m.Topic + m.Payload; strings.HasPrefix(m.Topic, "telemetry/") && !seen[key] {
			seen[key] = true
			all = append(all, mqtttest.Message{Topic: m.Topic, Payload: m.Payload, Retain: m.Retain})
		}
	}
	data, err := json.MarshalIndent(all, "", " ")
	if err == nil {
		err = os.WriteFile(path, data, 0o644)
	}
	if err != nil {
		w.t.Error(err)
	}
}
