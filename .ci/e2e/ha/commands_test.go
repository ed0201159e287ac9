package ha

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// reaction is how long a command may take until Home Assistant shows what became of it. The longest is to wake a car.
const reaction = 40 * time.Second

// commands: what is set in Home Assistant reaches the car, and what became of it comes back.
func commands(t *testing.T, w *world) {
	car := w.cars[writable]
	w.command(t, "model3", "number.set_value", "number.tesla_model3_charge_amps", map[string]any{"value": 8}, "ok charge_amps 8", func() string {
		return differ("amps", car.Amps(), 8)
	})
	w.command(t, "model3", "number.set_value", "number.tesla_model3_charge_limit", map[string]any{"value": 85}, "ok charge_limit 85", func() string {
		return differ("limit", car.Limit(), 85)
	})
	w.command(t, "model3", "switch.turn_off", "switch.tesla_model3_charging", nil, "ok charging OFF", func() string {
		return differ("charging", car.Charging(), false)
	})
	w.command(t, "model3", "switch.turn_on", "switch.tesla_model3_charging", nil, "ok charging ON", func() string {
		return differ("charging", car.Charging(), true)
	})
	w.command(t, "model3", "button.press", "button.tesla_model3_refresh", nil, "ok refresh PRESS", nil)
	w.command(t, "model3", "mqtt.publish", "", map[string]any{
		"topic": "tesla2mqtt/model3/charge_amps/set", "payload": `{"value": 9, "ttl": 20, "id": "noon", "source": "my automation"}`,
	}, "ok charge_amps 9", func() string { return differ("amps", car.Amps(), 9) })
	w.awaitAgreement(t, writable, sleeper, signed)

	// Amps never wake a car, and the refusal says why.
	w.command(t, "models", "number.set_value", "number.tesla_models_charge_amps", map[string]any{"value": 7}, "rejected charge_amps 7", nil)
	w.command(t, "models", "button.press", "button.tesla_models_wake", nil, "ok wake PRESS", func() string {
		return differ("state", w.cars[sleeper].State(), "online")
	})
	w.awaitAgreement(t, writable, sleeper, signed)
	w.cars[sleeper].Sleep()
	w.awaitAgreement(t, writable, sleeper, signed)
	if level := w.ha.state("sensor.tesla_models_battery_level"); level != "70" {
		t.Errorf("the battery of the car that sleeps again is %s", level)
	}
	for topic := range w.retained() {
		if strings.HasSuffix(topic, "/set") {
			t.Errorf("a command is retained: %s", topic)
		}
	}
}

// command calls an action, and waits until the car obeys (nil: nothing to see) and last_command tells "status thing value".
func (w *world) command(t *testing.T, alias, action, id string, data map[string]any, result string, obeys func() string) {
	t.Helper()
	began := time.Now()
	if err := w.ha.act(action, id, data); err != nil {
		t.Fatal(err)
	}
	await(t, action+" of "+id, reaction, func() string {
		if obeys != nil {
			if complaint := obeys(); complaint != "" {
				return complaint
			}
		}
		states, err := w.ha.states()
		if err != nil {
			return err.Error()
		}
		last := states["sensor.tesla_"+alias+"_last_command"]
		a := last.Attributes
		if got := fmt.Sprint(last.State, " ", a["thing"], " ", a["requested"]); got != result {
			return fmt.Sprintf("last_command is %q, want %q", got, result)
		}
		return ""
	})
	t.Logf("%-16s %-36s %-24s %.1f s", action, id, result, time.Since(began).Seconds())
}

func differ[T comparable](what string, got, want T) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%s: %v, want %v", what, got, want)
}
