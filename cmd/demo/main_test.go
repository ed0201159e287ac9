package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWrongCommandLine(t *testing.T) {
	for _, c := range []struct{ name, args, says string }{
		{"a word too many", "extra", "unexpected"},
		{"no port", "-port 70000", "not a port"},
		{"no speed", "-speed 0", "not between"},
		{"NaN", "-speed NaN", "not between"},
		{"no such fault", "-fault nonsense", "-help"},
		{"no such road", "-road air", "none of owner, fleet, ble, telemetry"},
		{"no such flag", "-nonsense", "nonsense"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), strings.Fields(c.args), &stdout, &stderr); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !strings.Contains(stderr.String(), c.says) {
				t.Errorf("it says %q", stderr.String())
			}
		})
	}
}

func TestHelpNamesTheFaults(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, &stdout, &stderr); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, word := range []string{"-port", "-speed", "-road", "429", "login_required"} {
		if !strings.Contains(stderr.String(), word) {
			t.Errorf("-help does not mention %s", word)
		}
	}
}

// watched is a writer that tells when it has seen all of its words.
type watched struct {
	mu    sync.Mutex
	text  strings.Builder
	words []string
	all   chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	rest := w.words[:0:0]
	for _, word := range w.words {
		if !strings.Contains(w.text.String(), word) {
			rest = append(rest, word)
		}
	}
	if len(w.words) > 0 && len(rest) == 0 {
		close(w.all)
	}
	w.words = rest
	return len(p), nil
}

// TestShows: the demo publishes both cars' states, and ends cleanly with the bridge offline.
func TestShows(t *testing.T) {
	for road, words := range map[string][]string{
		"owner":     {"R tesla2mqtt/sleeping_car/vehicle_state asleep", "R tesla2mqtt/charging_car/source owner"},
		"fleet":     {"R tesla2mqtt/sleeping_car/vehicle_state asleep", "R tesla2mqtt/charging_car/source fleet"},
		"telemetry": {"R telemetry/5YJ3E1EA7KF000001/v/ChargeCurrentRequest 13", "R tesla2mqtt/charging_car/source telemetry"},
	} {
		t.Run(road, func(t *testing.T) { shows(t, road, words) })
	}
}

func shows(t *testing.T, road string, words []string) {
	out := &watched{all: make(chan struct{}), words: append(words,
		"The broker is at mqtt://127.0.0.1:",
		"R tesla2mqtt/bridge/state online",
		"R tesla2mqtt/charging_car/charge_amps 13",
		"R homeassistant/device/tesla2mqtt_5YJ3E1EA7KF000001/config",
	)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- show(ctx, options{speed: 1, road: road, level: slog.LevelError}, out, &bytes.Buffer{}) }()
	select {
	case <-out.all:
	case err := <-done:
		t.Fatalf("it ended early: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	if !strings.HasSuffix(strings.TrimSpace(out.text.String()), "R tesla2mqtt/bridge/state offline") {
		t.Error("the last word is not that the bridge is offline")
	}
	if len(out.words) > 0 {
		t.Errorf("never seen: %v", out.words)
	}
}
