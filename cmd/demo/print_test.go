package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/bridge/mqtt/mqtttest"
)

// TestReminder: how to watch and steer is said at once, and again, once, when the first burst has scrolled it away.
func TestReminder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		p := newPrinter(&said, "mqtt://127.0.0.1:1884")
		defer p.close()
		text := func() string {
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			return said.String()
		}
		count := func() int {
			return strings.Count(text(), "Steer:  mosquitto_pub -h 127.0.0.1 -p 1884 -t tesla2mqtt/charging_car/charge_amps/set -m 8")
		}
		burst := func() {
			for range 50 {
				p.message(mqtttest.Message{Topic: "tesla2mqtt/bridge/state"})
				time.Sleep(lull / 2)
			}
		}
		burst()
		if n := count(); n != 1 {
			t.Errorf("said %d times in the middle of the burst", n)
		}
		time.Sleep(lull)
		if n := count(); n != 2 || !strings.HasSuffix(text(), "Stop:   Ctrl-C\n\n") {
			t.Errorf("said %d times after the burst: %s", n, text())
		}
		burst()
		time.Sleep(time.Minute)
		if n := count(); n != 2 {
			t.Errorf("said %d times in the end", n)
		}
	})
}
