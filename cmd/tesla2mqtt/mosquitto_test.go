package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/tesla/sim"
)

// mosquitto is a real broker that can be killed.
type mosquitto struct {
	t          *testing.T
	conf, addr string
	log        *lockedText
	cmd        *exec.Cmd
}

func startMosquitto(t *testing.T, persistence bool) *mosquitto {
	t.Helper()
	return mosquittoWith(t, fmt.Sprintf("allow_anonymous true\npersistence %v\npersistence_location %%DIR%%/\nautosave_interval 1\n", persistence), nil)
}

// mosquittoWith starts one with these lines and files; %DIR% in the lines is the folder of the files.
func mosquittoWith(t *testing.T, conf string, files map[string][]byte) *mosquitto {
	t.Helper()
	if _, err := exec.LookPath("mosquitto"); err != nil {
		if os.Getenv("MOSQUITTO_REQUIRED") != "" {
			t.Fatal("mosquitto is not installed")
		}
		t.Skip("mosquitto is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// Mosquitto drops its rights when started by root; the folder must be writable for it then.
	dir, err := os.MkdirTemp("", "mosquitto-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	m := &mosquitto{t: t, conf: filepath.Join(dir, "m.conf"), addr: addr, log: &lockedText{}}
	files = maps.Clone(files)
	if files == nil {
		files = map[string][]byte{}
	}
	files["m.conf"] = fmt.Appendf(nil, "listener %s 127.0.0.1\n%s", port, strings.ReplaceAll(conf, "%DIR%", dir))
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.start()
	t.Cleanup(m.kill)
	return m
}

func (m *mosquitto) start() {
	m.t.Helper()
	m.cmd = exec.Command("mosquitto", "-c", m.conf)
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	eventually(m.t, "mosquitto listens", func() bool {
		conn, err := net.DialTimeout("tcp", m.addr, time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

func (m *mosquitto) kill() {
	if m.cmd.Process.Signal(syscall.SIGKILL) == nil {
		_ = m.cmd.Wait()
	}
}

// eventually waits for what another process does.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// user is a client of the same broker: it sends commands and collects results by id.
type user struct {
	mu      sync.Mutex
	results map[string]map[string]bool // id: the payloads that came
	client  *mqtt.Client
}

func (u *user) take(m mqtt.Message) {
	var r bridge.Result
	if json.Unmarshal(m.Payload, &r) != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.results[r.ID] == nil {
		u.results[r.ID] = map[string]bool{}
	}
	u.results[r.ID][string(m.Payload)] = true
}

// serving starts the program beside a simulated Tesla on loopback, logged in, and returns its car and its log.
func serving(t *testing.T, broker string) (*sim.CarHandle, *lockedText) {
	t.Helper()
	tesla := &sim.Tesla{}
	car := tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000001", Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 32, Amps: 16})
	server := httptest.NewServer(tesla)
	t.Cleanup(server.Close)
	name := filepath.Join(t.TempDir(), "config.yaml")
	yaml := fmt.Sprintf(`mqtt: {url: "mqtt://%s"}
tesla: {auth_url: %q, api_url: %q}
poll: {state: 1s, online: 1s, charging: 1s}
commands: {amps: {settle: 50ms, raise_gap: 300ms, lower_gap: 100ms}}
vehicles: [{vin: 5YJ3E1EA7KF000001, name: car}]
`, broker, server.URL, server.URL)
	if err := os.WriteFile(name, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(name, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	text := &lockedText{}
	log := slog.New(slog.NewTextHandler(text, nil))
	source, _, err := openAccount(c, log)
	if err != nil {
		t.Fatal(err)
	}
	login := source.StartLogin()
	callback, err := tesla.Approve(login.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := login.Finish(t.Context(), callback); err != nil {
		t.Fatal(err)
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, c, log) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return car, text
}

// TestMosquittoKilledUnderCommands: a real broker dies and comes back, with and without its memory, while commands
// stream. Invariants 2, 6 and 7, by count.
func TestMosquittoKilledUnderCommands(t *testing.T) {
	for _, persistence := range []bool{true, false} {
		t.Run(fmt.Sprintf("persistence %v", persistence), func(t *testing.T) {
			broker := startMosquitto(t, persistence)
			car, log := serving(t, broker.addr)
			u := &user{results: map[string]map[string]bool{}}
			client, err := mqtt.New(mqtt.Options{URL: "mqtt://" + broker.addr, ClientID: "user", Subscribe: []string{"tesla2mqtt/+/+/result"}, Handler: u.take})
			if err != nil {
				t.Fatal(err)
			}
			u.client = client
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- client.Run(ctx) }()
			defer func() { cancel(); <-done }()
			eventually(t, "the bridge is up", func() bool { return retained(t, broker, "tesla2mqtt/car/charge_amps") == "16" })

			sent := streamAndKill(u, broker)
			// What is sent while the bridge is away is lost, by design. The same id again is the same command.
			eventually(t, "the last command arrives", func() bool {
				time.Sleep(300 * time.Millisecond)
				u.client.Publish("tesla2mqtt/car/charge_amps/set", []byte(`{"value":11,"id":"last"}`), false)
				return car.Amps() == 11
			})
			eventually(t, "the broker knows", func() bool {
				return retained(t, broker, "tesla2mqtt/car/charge_amps") == "11" && retained(t, broker, "tesla2mqtt/bridge/state") == "online"
			})
			eventually(t, "the last result", func() bool { u.mu.Lock(); defer u.mu.Unlock(); return u.results["last"] != nil })
			checkCounts(t, u, car, log.text(), sent)
		})
	}
}

// streamAndKill sends commands for some seconds and kills the broker meanwhile: twice, since three losses within a minute
// mean that somebody else uses the same client id.
func streamAndKill(u *user, broker *mosquitto) int {
	sent := 0
	for round := range 3 {
		for range 40 {
			u.client.Publish("tesla2mqtt/car/charge_amps/set", fmt.Appendf(nil, `{"value":%d,"id":%d}`, 6+sent%20, sent), false)
			sent++
			time.Sleep(70 * time.Millisecond)
		}
		if round == 2 {
			break
		}
		broker.kill()
		broker.start()
	}
	return sent
}

// checkCounts compares what the bridge answered, by its log, with what the car did and with what the user got to see. A
// user who is disconnected misses results; he must never see two for one command.
func checkCounts(t *testing.T, u *user, car *sim.CarHandle, log string, sent int) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, payloads := range u.results {
		if len(payloads) != 1 && id != "last" {
			t.Errorf("%s has %d different results", id, len(payloads))
		}
	}
	statuses := map[string]int{}
	for _, m := range regexp.MustCompile(`msg=command .* status=(\w+)`).FindAllStringSubmatch(log, -1) {
		statuses[m[1]]++
	}
	executed := car.Executed()
	lasts := strings.Count(log, "requested=11 status=ok")
	if ok := statuses["ok"]; len(executed) > ok || len(executed) < ok-lasts {
		t.Errorf("the car executed %d commands, %d results say ok (%d of them the last)", len(executed), ok, lasts)
	}
	for i := 1; i < len(executed); i++ {
		if gap := executed[i].At.Sub(executed[i-1].At); gap < 100*time.Millisecond {
			t.Errorf("two commands %s apart", gap)
		}
	}
	t.Logf("%d sent, the user saw %d results; the bridge gave %v; the car executed %d", sent, len(u.results), statuses, len(executed))
	if len(u.results) < sent/4 {
		t.Errorf("only %d of %d commands were answered", len(u.results), sent)
	}
}

// retained reads a retained topic, or returns "".
func retained(t *testing.T, m *mosquitto, topic string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	payload, err := mqtt.Fetch(ctx, mqtt.Options{URL: "mqtt://" + m.addr, ClientID: "look"}, topic)
	if err != nil && !strings.Contains(err.Error(), "retained") {
		return ""
	}
	return string(payload)
}
