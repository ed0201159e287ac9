package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"

	"tesla2mqtt/bridge/mqtt/mqtttest"
	"tesla2mqtt/internal/atomicfile"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
)

// whole is the whole program in fake time: login, client, bridge, MQTT client, an embedded broker and a simulated Tesla.
type whole struct {
	t      *testing.T
	tesla  *sim.Tesla
	car    *sim.CarHandle
	broker *mqtttest.Broker
	dir    string
	yaml   string // the configuration
	log    *lockedText
	stop   func()
}

// lockedText collects a log from several goroutines.
type lockedText struct {
	mu sync.Mutex
	strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.Write(p)
}

func (l *lockedText) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.String()
}

func (l *lockedText) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Reset()
}

func inBubble(t *testing.T, f func(w *whole)) {
	t.Helper()
	inBubbleOf(t, &sim.Tesla{Strict: true}, f)
}

// inBubbleOf is inBubble with a Tesla of another kind.
func inBubbleOf(t *testing.T, tesla *sim.Tesla, f func(w *whole)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		broker, err := mqtttest.NewBroker()
		if err != nil {
			t.Fatal(err)
		}
		w := &whole{t: t, tesla: tesla, broker: broker, dir: dir, log: &lockedText{}}
		w.car = w.tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000001", Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 16, BatteryKWh: 5000})
		f(w)
		if w.stop != nil {
			w.stop()
		}
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
		w.checkSecrets()
		for _, v := range w.tesla.Violations() {
			t.Error("the simulator complains:", v)
		}
	})
}

func (w *whole) open() *auth.Source {
	w.t.Helper()
	allowed, err := hosts.New()
	if err != nil {
		w.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := auth.Open(w.dir, auth.Config{Fleet: w.config().fleetLogin(), Hosts: allowed, Transport: &traced{w.tesla.RoundTripper(), log}, UserAgent: "tesla2mqtt/test", Log: log})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// logIn is what a person does once.
func (w *whole) logIn() {
	w.t.Helper()
	s := w.open()
	login := s.StartLogin()
	callback, err := w.tesla.Approve(login.URL())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := login.Finish(w.t.Context(), callback); err != nil {
		w.t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// config is what the file means, which is empty unless a test wrote one.
func (w *whole) config() *Config {
	w.t.Helper()
	name := filepath.Join(w.dir, "config.yaml")
	if err := os.WriteFile(name, []byte(w.yaml), 0o600); err != nil {
		w.t.Fatal(err)
	}
	c, err := loadConfig(name, func(string) string { return "" })
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *whole) start() {
	w.t.Helper()
	memory, err := atomicfile.OpenFolder(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	login := w.open()
	c := w.config()
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ways := newWays(c, login, newClient(c, login, log), log)
	if err := ways.openMeter(log); err != nil {
		w.t.Fatal(err)
	}
	ways.remember(memory)
	p := parts{ways, memory, c.mqttOptions(), log}
	p.broker.Dial = w.broker.Dial
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { _, err := connect(ctx, c, p); done <- err }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		w.stop = nil
		var err error
		if ways.close(&err); err != nil {
			w.t.Error(err)
		}
		if err := memory.Close(); err != nil {
			w.t.Error(err)
		}
	}
	w.pass(5 * time.Second)
}

func (w *whole) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *whole) retained(topic string) string { return w.broker.Retained()["tesla2mqtt/"+topic] }

func (w *whole) car1(key string) string { return w.retained("5YJ3E1EA7KF000001/" + key) }

func (w *whole) health() (h struct {
	Auth struct{ Status, Message string }
	API  struct{ Status string }
	MQTT struct{ State string }
}) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.retained("bridge/health")), &h); err != nil {
		w.t.Fatal(err)
	}
	return h
}

// checkSecrets: not one token, code or verifier that Tesla ever saw is in the log or was published.
func (w *whole) checkSecrets() {
	w.t.Helper()
	var published strings.Builder
	for _, m := range w.broker.Published() {
		fmt.Fprintln(&published, m.Topic, m.Payload)
	}
	for _, secret := range w.tesla.Secrets() {
		if strings.Contains(w.log.text(), secret) || strings.Contains(published.String(), secret) {
			w.t.Errorf("the secret %.12s… got out", secret)
		}
	}
}

// TestInvariant4And5ADay: a day with its token renewals, against a Tesla that forgives no reuse.
func TestInvariant4And5ADay(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.logIn()
		w.start()
		w.pass(24 * time.Hour)
		if n := w.tesla.Count("token", ""); n < 4 || n > 5 {
			t.Errorf("%d token requests in a day, want the login and one each 6 hours", n)
		}
		if w.car1("availability") != "online" || w.car1("charging") != "true" || w.health().Auth.Status != "ok" {
			t.Errorf("after a day: %s, charging %s, %+v", w.car1("availability"), w.car1("charging"), w.health())
		}
		if got := fmt.Sprint(w.tesla.Hosts()); got != "[auth.tesla.com owner-api.teslamotors.com]" {
			t.Errorf("hosts: %s", got)
		}
		w.stop()
		if w.retained("bridge/state") != "offline" {
			t.Error("after a clean stop the bridge is not offline")
		}
	})
}

func TestRunWithoutLoginAndResume(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.start()
		if h := w.health(); w.retained("bridge/state") != "online" || h.Auth.Status != "not_configured" || !strings.Contains(h.Auth.Message, "login") {
			t.Errorf("without a login: %s, %+v", w.retained("bridge/state"), h)
		}
		w.pass(5 * time.Minute)
		w.logIn()
		w.pass(3 * time.Minute)
		if w.car1("charge_amps") != "16" || w.health().Auth.Status != "ok" {
			t.Errorf("after the login: %s A, %+v", w.car1("charge_amps"), w.health())
		}
		w.tesla.RevokeLogin()
		w.pass(5 * time.Minute)
		if h := w.health(); h.Auth.Status != "login_required" || w.car1("availability") != "offline" {
			t.Errorf("after the password was changed: %+v, %s", h, w.car1("availability"))
		}
		before := w.tesla.Count("all", "")
		w.pass(6 * time.Hour)
		if n := w.tesla.Count("all", "") - before; n != 0 {
			t.Errorf("%d requests with a dead login", n)
		}
		w.logIn()
		w.pass(3 * time.Minute)
		if w.car1("availability") != "online" || w.health().Auth.Status != "ok" {
			t.Errorf("after the new login: %s, %+v", w.car1("availability"), w.health())
		}
	})
}

// TestInvariant6BrokerForgets: whatever the broker does, its retained topics tell the truth within a poll.
func TestInvariant6BrokerForgets(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.logIn()
		w.start()
		for round := range 6 {
			before := w.broker.Retained()
			w.broker.Stop()
			w.pass(time.Duration(round*40) * time.Second)
			if err := w.broker.Restart(round%2 == 0); err != nil {
				t.Fatal(err)
			}
			w.pass(2 * time.Minute)
			after := w.broker.Retained()
			for topic := range before {
				if after[topic] == "" {
					t.Errorf("round %d: %s is missing", round, topic)
				}
			}
			if w.retained("bridge/state") != "online" || w.health().MQTT.State != "connected" {
				t.Errorf("round %d: %s, %+v", round, w.retained("bridge/state"), w.health())
			}
		}
	})
}

// TestDiscoveryNamesWhatWePublish: every topic in the discovery is on the broker, or is one that we serve.
func TestDiscoveryNamesWhatWePublish(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.logIn()
		w.start()
		w.pass(3 * time.Minute)
		all, devices := w.broker.Retained(), 0
		for topic, payload := range all {
			if !strings.HasPrefix(topic, "homeassistant/device/") {
				continue
			}
			devices++
			var config any
			if err := json.Unmarshal([]byte(payload), &config); err != nil {
				t.Fatal(err)
			}
			for _, named := range strings.Split(payload, `"`) {
				ours := strings.HasPrefix(named, "tesla2mqtt/")
				if ours && !strings.HasSuffix(named, "/set") && all[named] == "" {
					t.Errorf("%s names %s, which nobody publishes", topic, named)
				}
			}
		}
		if devices != 2 {
			t.Errorf("%d devices, want the bridge and the car", devices)
		}
	})
}

// TestHealthFollowsTheBroker: what health says of the connection is not a minute old.
func TestHealthFollowsTheBroker(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.logIn()
		w.broker.Stop()
		w.start()
		w.pass(20 * time.Second)
		if err := w.broker.Restart(true); err != nil {
			t.Fatal(err)
		}
		for w.retained("bridge/state") != "online" {
			w.pass(time.Second)
		}
		w.pass(time.Second)
		if h := w.health(); h.MQTT.State != "connected" {
			t.Errorf("a second after it connected, health says %+v", h)
		}
	})
}

// TestOneRunAStateFolder: two would spend each other's token and commands.
func TestOneRunAStateFolder(t *testing.T) {
	dir := t.TempDir()
	only := flock.New(filepath.Join(dir, "run.lock"))
	if mine, err := only.TryLock(); err != nil || !mine {
		t.Fatal(err)
	}
	defer only.Close()
	name := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(name, []byte("state_dir: .\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"tesla2mqtt", "run", "-config", name}, strings.NewReader(""), &stdout, &stderr); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	if !strings.Contains(stderr.String(), "another tesla2mqtt run") {
		t.Errorf("it says %s", stderr.String())
	}
}

// TestStopDoesNotWaitForTheToken: a renewal that hangs goes on beside us; the broker hears at once that we go.
func TestStopDoesNotWaitForTheToken(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.logIn()
		w.start()
		if err := w.tesla.Fault("hang", sim.On("token")); err != nil {
			t.Fatal(err)
		}
		w.pass(8*time.Hour + 10*time.Second)
		var offline time.Time
		w.broker.Subscribe("tesla2mqtt/bridge/state", func(m mqtttest.Message) {
			if m.Payload == "offline" {
				offline = time.Now()
			}
		})
		began := time.Now()
		w.stop()
		if took := offline.Sub(began); offline.IsZero() || took > 8*time.Second {
			t.Errorf("offline after %s", took)
		}
		w.tesla.ClearFaults()
	})
}
