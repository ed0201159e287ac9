package ha

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// lifecycle: what is renamed, taken away or given back leaves no ghost, neither on the broker nor in Home Assistant.
func lifecycle(t *testing.T, w *world) {
	before := w.ha.entities(t)

	w.reconfigure(t, strings.Replace(car1, "model3", "garage", 1)+car2+car3)
	w.awaitAgreement(t, writable, sleeper, signed)
	w.awaitNoTopics(t, "tesla2mqtt/model3/")
	for id, e := range w.ha.entities(t) {
		if e.EntityID != before[id].EntityID {
			t.Errorf("by the new name of the car, %s became %s", before[id].EntityID, e.EntityID)
		}
	}
	w.reconfigure(t, fleet)
	w.awaitAgreement(t, writable, sleeper, signed)
	w.awaitNoTopics(t, "tesla2mqtt/garage/")

	readOnly := strings.Replace(car1, "model3", "model3, write: none", 1)
	w.reconfigure(t, readOnly+car2+car3)
	w.awaitAgreement(t, writable, sleeper, signed)
	w.lost(t, "charge_amps", "charge_limit", "charging", "wake")
	// A minute later the bridge no longer names what it has removed.
	await(t, "discovery names no more what is gone", 90*time.Second, func() string {
		if strings.Contains(w.retained()["homeassistant/device/tesla2mqtt_"+writable+"/config"], `{"p":"number"}`) {
			return "it does"
		}
		return ""
	})
	w.awaitAgreement(t, writable, sleeper, signed)
	w.lost(t, "charge_amps", "charge_limit", "charging", "wake")

	w.reconfigure(t, fleet)
	w.awaitAgreement(t, writable, sleeper, signed)
	w.lost(t, "charge_amps_readonly", "charge_limit_readonly", "charging_readonly")
	for id, e := range w.ha.entities(t) {
		if e.EntityID != before[id].EntityID {
			t.Errorf("after losing its commands and having them again, %s is %s", before[id].EntityID, e.EntityID)
		}
	}

	w.reconfigure(t, car1+car3)
	w.awaitAgreement(t, writable, signed)
	w.awaitNoTopics(t, "tesla2mqtt/models/", "homeassistant/device/tesla2mqtt_"+sleeper+"/")
	w.reconfigure(t, fleet)
	w.awaitAgreement(t, writable, sleeper, signed)

	// A car that the account has no more is another matter: it may come back, so it is kept, as unavailable.
	w.cars[signed].Remove(true)
	await(t, "a car without an account", 30*time.Second, func() string {
		return differ("battery", w.ha.state("sensor.tesla_modely_battery_level"), "unavailable")
	})
	w.cars[signed].Remove(false)
	w.reconfigure(t, fleet) // or ten minutes
	w.awaitAgreement(t, writable, sleeper, signed)
}

// reconfigure restarts the bridge with these cars.
func (w *world) reconfigure(t *testing.T, vehicles string) {
	t.Helper()
	w.bridge.stop(t, syscall.SIGTERM)
	w.startBridge(vehicles)
}

func (w *world) awaitNoTopics(t *testing.T, prefixes ...string) {
	t.Helper()
	await(t, "nothing is left on the broker", 15*time.Second, func() string {
		for topic := range w.retained() {
			for _, prefix := range prefixes {
				if strings.HasPrefix(topic, prefix) {
					return topic
				}
			}
		}
		return ""
	})
}

// lost checks that Home Assistant has forgotten these entities of the writable car.
func (w *world) lost(t *testing.T, keys ...string) {
	t.Helper()
	entities := w.ha.entities(t)
	states, err := w.ha.states()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if e, there := entities["tesla2mqtt_"+writable+"_"+key]; there {
			t.Errorf("still registered: %s", e.EntityID)
		}
		for id := range states {
			if strings.HasSuffix(id, ".tesla_model3_"+key) {
				t.Errorf("still shown: %s", id)
			}
		}
	}
}
