package main

import (
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// A command finds the token due for renewal, and Tesla's login slow. When the new token is there, the time of the command may be
// over: then it is not sent, and says so. One with more time is sent.
func TestInvariant2LateByTheToken(t *testing.T) {
	for _, row := range []struct {
		payload, status string
		executed        int
	}{
		{`{"value":9,"id":"x","ttl":5}`, `"status":"expired"`, 0},
		{`{"value":9,"id":"x","ttl":60}`, `"status":"ok"`, 1},
	} {
		t.Run(row.status, func(t *testing.T) {
			tesla := &sim.Tesla{Strict: true, ExpiresIn: 30 * time.Minute}
			inBubbleOf(t, tesla, func(w *whole) {
				w.logIn()
				w.start()
				if err := w.tesla.Fault("slow", sim.On("token"), sim.Wait(25*time.Second)); err != nil {
					t.Fatal(err)
				}
				// Three quarters of its life, and between two polls.
				w.pass(22*time.Minute + 29*time.Second)
				renewals := w.tesla.Count("token", "")
				if err := w.broker.Publish("tesla2mqtt/5YJ3E1EA7KF000001/charge_amps/set", row.payload, false); err != nil {
					t.Fatal(err)
				}
				w.pass(time.Minute)
				if n := w.tesla.Count("token", "") - renewals; n != 1 {
					t.Errorf("the token was renewed %d times, so nothing was tried here", n)
				}
				var results []string
				for _, m := range w.broker.Published() {
					if strings.HasSuffix(m.Topic, "charge_amps/result") {
						results = append(results, m.Payload)
					}
				}
				if len(results) != 1 || !strings.Contains(results[0], row.status) {
					t.Errorf("results %s, want one with %s", results, row.status)
				}
				if got := len(w.car.Executed()); got != row.executed {
					t.Errorf("the car executed %d commands, want %d", got, row.executed)
				}
			})
		})
	}
}
