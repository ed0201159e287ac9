package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/bridge/mqtt/mqtttest"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

const streamedCar = "vehicles: [{vin: 5YJ3E1EA7KF000001, read: telemetry, write: %s}]\n"

// flow publishes what the car streams, as the fleet-telemetry server does, while time goes by.
func (w *whole) flow(stream *sim.Stream, d time.Duration, retained bool) {
	w.t.Helper()
	for ; d > 0; d -= 5 * time.Second {
		for _, m := range stream.Next() {
			if err := w.broker.Publish("telemetry/"+m.Topic, m.Payload, retained); err != nil {
				w.t.Fatal(err)
			}
		}
		w.pass(5 * time.Second)
	}
}

// TestTelemetryByMQTT: from the broker to the state, and back after the broker has forgotten everything.
func TestTelemetryByMQTT(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.yaml = fmt.Sprintf(streamedCar, "auto")
		w.logIn()
		w.start()
		stream := w.car.Stream()
		w.flow(stream, 5*time.Minute, true)
		if w.car1("source") != "telemetry" || w.car1("charge_amps") != "16" || w.car1("charging") != "true" || w.car1("charger_power") != "11.04" {
			t.Errorf("got %s", w.car1("state"))
		}
		reads := w.tesla.Count("vehicle_data", "")
		if err := w.broker.Publish("tesla2mqtt/5YJ3E1EA7KF000001/charge_amps/set", "8", false); err != nil {
			t.Fatal(err)
		}
		w.flow(stream, 30*time.Second, true)
		if w.car1("charge_amps") != "8" || w.car1("charger_actual_current") != "8" {
			t.Errorf("after a command: %s", w.car1("state"))
		}
		if err := w.broker.Restart(false); err != nil {
			t.Fatal(err)
		}
		w.car.Unplug()
		w.flow(stream, 2*time.Minute, true)
		if w.car1("plugged_in") != "false" || w.car1("source") != "telemetry" {
			t.Errorf("after a restart of the broker: %s", w.car1("state"))
		}
		if n := w.tesla.Count("vehicle_data", ""); n != reads || reads > 1 {
			t.Errorf("%d reads of the API at the start, and %d after it", reads, n-reads)
		}
		w.car.PlugIn(16, 3)
		w.flow(stream, time.Minute, true)
		w.pass(12 * time.Minute)
		if w.car1("source") != "owner" || w.car1("availability") != "online" {
			t.Errorf("after twelve silent minutes: %s", w.car1("state"))
		}
		w.flow(stream, 30*time.Second, true)
		if w.car1("source") != "telemetry" {
			t.Errorf("after the stream came back: %s", w.car1("state"))
		}
	})
}

// TestTelemetryStoredByTheBroker: a bridge that starts beside a sleeping car shows what the broker has stored.
func TestTelemetryStoredByTheBroker(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.yaml = fmt.Sprintf(streamedCar, "none")
		stream := w.car.Stream()
		w.flow(stream, time.Minute, true)
		w.start()
		if w.car1("charge_amps") != "16" || w.car1("vehicle_state") != "online" || w.car1("last_update") != "null" {
			t.Errorf("got %s", w.car1("state"))
		}
		w.flow(stream, time.Minute, true)
		if w.car1("last_update") == "null" {
			t.Errorf("got %s", w.car1("state"))
		}
	})
}

// TestTelemetryNeedsNoCloud: with write: none nothing is asked of Tesla, and nobody misses the login.
func TestTelemetryNeedsNoCloud(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.yaml = fmt.Sprintf(streamedCar, "none")
		w.start()
		stream := w.car.Stream()
		w.flow(stream, 10*time.Minute, false)
		if err := w.broker.Publish("tesla2mqtt/5YJ3E1EA7KF000001/charge_amps/set", "8", false); err != nil {
			t.Fatal(err)
		}
		w.flow(stream, time.Minute, false)
		if w.car1("availability") != "online" || w.car1("charging") != "true" || !strings.Contains(w.car1("last_command"), `"reason":"disabled"`) {
			t.Errorf("%s, %s, %s", w.car1("availability"), w.car1("state"), w.car1("last_command"))
		}
		if h := w.health(); h.Auth.Status != "not_needed" || h.API.Status != "not_needed" {
			t.Errorf("health: %+v", h)
		}
		if n := w.tesla.Count("all", ""); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// setupYAML is the configuration that docs/setup-telemetry.md tells to write.
func setupYAML(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/setup-telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "```yaml\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatal("docs/setup-telemetry.md has no configuration")
	}
	return block
}

// TestDocumentedTelemetry: what docs/setup-telemetry.md says of our commands is so: run reads the car, check and status say what
// it says.
func TestDocumentedTelemetry(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.yaml = setupYAML(t)
		w.start()
		w.flow(w.tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF317000", PluggedIn: true}).Stream(), time.Minute, true)
		if w.retained("model3/source") != "telemetry" || w.retained("model3/charging") != "true" {
			t.Errorf("run shows %s", w.retained("model3/state"))
		}
	})
	broker, err := mqtttest.NewBroker()
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	url, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(name, []byte(setupYAML(t)+"mqtt: {url: "+url+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		command string
		code    int
		says    string
	}{
		{"check", 0, "nothing is stored on telemetry/+/v/+"},
		{"status", 1, "which only a running bridge hears"},
		{"vehicles", 0, "5YJ3E1EA7KF317000"},
	} {
		var out strings.Builder
		code := run(t.Context(), []string{"tesla2mqtt", row.command, "-config", name}, strings.NewReader(""), &out, &out)
		if code != row.code || !strings.Contains(out.String(), row.says) {
			t.Errorf("%s: exit code %d, and it says\n%s", row.command, code, out.String())
		}
	}
}

// told is an API that answers.
type told struct{}

func (told) State(context.Context) (tesla.VehicleState, error)      { return tesla.StateOnline, nil }
func (told) ChargeState(context.Context) (tesla.ChargeState, error) { return tesla.ChargeState{}, nil }

// TestStatusAsksTheAPI: without a running bridge nobody listens, so the source is the API.
func TestStatusAsksTheAPI(t *testing.T) {
	c := mustLoad(t, fmt.Sprintf(streamedCar, "auto"))
	w := &ways{c: c}
	got, err := w.streamed("5YJ3E1EA7KF000001", told{}).ChargeState(t.Context())
	if err != nil || got.Source != "owner" {
		t.Errorf("told by %q, %v", got.Source, err)
	}
}

// TestTelemetryFlood: ten thousand messages in ten seconds, of this car and of others; a command among them is carried out, and the
// bridge says of it all what it says in ten quiet seconds.
func TestTelemetryFlood(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.yaml = fmt.Sprintf(streamedCar, "auto")
		w.logIn()
		w.start()
		stream := w.car.Stream()
		w.flow(stream, time.Minute, false)
		w.broker.Forget()
		for i := range 10_000 {
			topic := fmt.Sprintf("telemetry/5YJ3E1EA7KF%06d/v/ChargerVoltage", i%3)
			if err := w.broker.Publish(topic, fmt.Sprint(200+i/50), false); err != nil {
				t.Fatal(err)
			}
			if i == 5000 {
				if err := w.broker.Publish("tesla2mqtt/5YJ3E1EA7KF000001/charging/set", "OFF", false); err != nil {
					t.Fatal(err)
				}
			}
			w.pass(time.Millisecond)
		}
		if w.car.Charging() {
			t.Error("the command was not carried out")
		}
		n := 0
		for _, m := range w.broker.Published() {
			if m.Topic == "tesla2mqtt/5YJ3E1EA7KF000001/charger_voltage" {
				n++
			}
		}
		if n < 3 || n > 7 {
			t.Errorf("the voltage was published %d times in 10 s", n)
		}
	})
}

// TestCheckTelemetry: what check finds out about the server's topics.
func TestCheckTelemetry(t *testing.T) {
	broker, err := mqtttest.NewBroker()
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	url, err := broker.Listen(net.JoinHostPort("127.0.0.1", "0"))
	if err != nil {
		t.Fatal(err)
	}
	say := func(part string) string {
		t.Helper()
		c := mustLoad(t, "mqtt: {url: "+url+"}\nstate_dir: "+t.TempDir()+"\n"+fmt.Sprintf(streamedCar, "none"))
		k := &checkup{config: c}
		vins := k.needed(t.Context(), true, nil)
		k.broker(t.Context(), vins)
		for _, f := range k.found {
			if f.Name == part {
				return f.Status + ": " + f.Message
			}
		}
		return "nothing"
	}
	want := func(part, want string) {
		t.Helper()
		if got := say(part); !strings.HasPrefix(got, want) {
			t.Errorf("%s is %q, want %q", part, got, want)
		}
	}
	want("login", "ok: not needed")
	want("telemetry", "warn: nothing is stored on telemetry/+/v/+, telemetry/+/connectivity")
	for _, topic := range []string{"v/Soc", "connectivity"} {
		if err := broker.Publish("telemetry/5YJ3E1EA7KF000001/"+topic, "50", true); err != nil {
			t.Fatal(err)
		}
	}
	want("telemetry", "ok: the broker has stored messages")
	broker.Authorize(func(_, topic string, write bool) bool { return !strings.HasPrefix(topic, "telemetry/") })
	want("telemetry", "fail: the broker refuses this user to read telemetry/+/v/+, telemetry/+/connectivity, so no telemetry arrives")
}
