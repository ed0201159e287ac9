// Package red tests the example flow in a real Node-RED. It is run by .ci/e2e/nodered, which installs one.
package red

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestNodeRED is one story: a day, then a meter that says words, a deploy, and a Node-RED that dies.
func TestNodeRED(t *testing.T) {
	if os.Getenv("E2E_NODERED") == "" {
		t.Skip("run by .ci/e2e/nodered")
	}
	speed, err := strconv.ParseFloat(os.Getenv("E2E_SPEED"), 64)
	if err != nil {
		t.Fatal(err)
	}
	var morning, evening float64
	if _, err := fmt.Sscanf(os.Getenv("E2E_HOURS"), "%g-%g", &morning, &evening); err != nil || evening <= morning {
		t.Fatalf("hours %q: %v", os.Getenv("E2E_HOURS"), err)
	}
	w := newWorld(t, speed)
	h := w.live(60*morning, 60*evening, day(t, os.Getenv("E2E_DAY")))
	for _, part := range []struct {
		name string
		test func(t *testing.T, w *world, h *house)
	}{{"Day", aDay}, {"BrokenMeter", brokenMeter}, {"Deployed", deployed}, {"Killed", killed}} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, w, h) }) {
			break
		}
	}
	for _, v := range w.tesla.Violations() {
		t.Error("the simulator complains:", v)
	}
}

// aDay: the car follows the sun, with few commands, each of them answered and shown.
func aDay(t *testing.T, w *world, h *house) {
	began := time.Now()
	minutes := time.Duration((h.evening - h.minute()) * float64(time.Minute))
	await(t, "the day ends", w.scaled(minutes+5*time.Minute), func() bool { return h.minute() >= h.evening })
	await(t, "the car stops in the dark", w.scaled(8*time.Minute)+2*time.Second, func() bool { return !w.car.Charging() })
	var s sums
	h.change(func() { s = sum(h.seen) })
	sent, requests := w.since(began), w.tesla.Count("command", vin)
	t.Logf("%.0f to 1: %d commands sent, %d requests at Tesla, %d starts", w.speed, len(sent), requests, s.starts)
	t.Logf("%.1f kWh of sun, %.1f of them while it was enough for 5 A; %.1f taken; %.1f bought for the car, over 1 kW for %.1f min at most",
		s.sun, s.usable, s.solar, s.bought, s.storm)
	if s.solar < 0.75*s.usable {
		t.Errorf("only %.1f of %.1f kWh were taken", s.solar, s.usable)
	}
	if s.bought > 0.1*s.solar {
		t.Errorf("%.1f kWh were bought for %.1f of sun", s.bought, s.solar)
	}
	// What the flow waits before it stops, a poll until it has seen the charge begin, and a minute.
	if s.storm > 5+max(1, w.speed/60)+1 {
		t.Errorf("for %.1f minutes more than 1 kW was bought", s.storm)
	}
	if len(sent) > 120 || s.starts < 1 || s.starts > 8 {
		t.Errorf("%d commands, %d starts", len(sent), s.starts)
	}
	answered(t, w)
}

// answered: each command of the flow has one result, which is good, and the flow shows each.
func answered(t *testing.T, w *world) {
	t.Helper()
	await(t, "each command is answered, and each answer shown", 10*time.Second, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.got) == len(w.sent) && len(w.shown) >= len(w.got)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := map[string]int{}
	for _, r := range w.got {
		counts[r.Status]++
		if r.Status != "ok" && r.Status != "noop" && r.Status != "superseded" {
			t.Errorf("%+v", r)
		}
		if text := fmt.Sprintf("%s %v: %s", r.Thing, r.Requested, r.Status); !slices.ContainsFunc(w.shown, func(s string) bool { return strings.HasPrefix(s, text) }) {
			t.Errorf("nobody saw %q", text)
		}
	}
	t.Logf("results: %v", counts)
}

// charging waits until the sun of a bright noon goes into the car.
func charging(t *testing.T, w *world, h *house) {
	t.Helper()
	h.change(func() { h.spare, h.broken = func(float64) float64 { return 9000 }, false })
	await(t, "the car takes 9 kW", w.scaled(30*time.Minute)+10*time.Second, func() bool {
		return w.car.Charging() && w.car.Amps() == 12 && w.answered(12)
	})
}

// brokenMeter: without a measurement the car goes down at once, and stops if it lasts.
func brokenMeter(t *testing.T, w *world, h *house) {
	charging(t, w, h)
	began := time.Now()
	h.change(func() { h.broken = true })
	await(t, "the car goes down to 5 A", w.scaled(3*time.Minute)+2*time.Second, func() bool { return w.car.Amps() == 5 })
	await(t, "the car stops", w.scaled(8*time.Minute)+2*time.Second, func() bool { return !w.car.Charging() })
	if sent := w.seen(t, began, 2); len(sent) != 2 {
		t.Errorf("it sent %+v, want 5 A and OFF", sent)
	}
}

// deployed: a deploy in the editor lowers the car too, and then the flow goes on.
func deployed(t *testing.T, w *world, h *house) {
	charging(t, w, h)
	began := time.Now()
	w.deploy()
	await(t, "the car goes down to 5 A", 10*time.Second, func() bool { return w.car.Amps() == 5 })
	if sent := w.seen(t, began, 1); sent[0].Source != "nodered stopped" {
		t.Errorf("sent on the deploy: %+v", sent)
	}
	charging(t, w, h)
}

// killed: when Node-RED dies, its last will lowers the car.
func killed(t *testing.T, w *world, h *house) {
	charging(t, w, h)
	began := time.Now()
	if err := w.red.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = w.red.Wait()
	await(t, "the car goes down to 5 A", 10*time.Second, func() bool { return w.car.Amps() == 5 })
	t.Logf("%s after the kill", time.Since(began).Round(time.Millisecond))
	if sent := w.seen(t, began, 1); len(sent) != 1 || sent[0].Source != "nodered died" {
		t.Errorf("sent after its death: %+v", sent)
	}
}
