package main

import (
	"strings"
	"testing"
	"time"

	"tesla2mqtt/bridge"
)

// TestTopicsStayApart: nothing that we publish is a command to ourselves, no message is delivered by two subscriptions, and
// the bridge's device is announced before the cars that name it as their way.
func TestTopicsStayApart(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.logIn()
		w.start()
		w.pass(time.Minute)
		if err := w.broker.Publish("tesla2mqtt/5YJ3E1EA7KF000001/set/set", "1", false); err != nil { // a thing with an unlucky name
			t.Fatal(err)
		}
		w.pass(time.Minute)
		var devices []string
		results := 0
		for _, m := range w.broker.Published() {
			if strings.HasSuffix(m.Topic, "/set") && m.Topic != "tesla2mqtt/5YJ3E1EA7KF000001/set/set" {
				t.Errorf("we published on %s", m.Topic)
			}
			if m.Topic == "tesla2mqtt/5YJ3E1EA7KF000001/set/result" {
				results++
			}
			if strings.HasPrefix(m.Topic, "homeassistant/device/") {
				devices = append(devices, m.Topic)
			}
		}
		if results != 1 {
			t.Errorf("%d results for one message", results)
		}
		if len(devices) < 2 || !strings.Contains(devices[0], "tesla2mqtt_bridge_") {
			t.Errorf("the devices were announced in the order %v", devices)
		}
		for _, topic := range []string{bridge.StateTopic("a"), bridge.InfoTopic("a"), bridge.HealthTopic("a"), bridge.BirthTopic("a")} {
			if strings.HasSuffix(topic, "/set") {
				t.Errorf("%s is matched by %s too", topic, bridge.SetFilter("a"))
			}
		}
	})
}
