package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// mosquitto is a real broker that can be killed.
type mosquitto struct {
	t          *testing.T
	dir        string // of its own, writable for it
	conf, addr string
	log        *lockedText
	cmd        *exec.Cmd
}

func startMosquitto(t *testing.T, persistence bool) *mosquitto {
	t.Helper()
	return mosquittoWith(t, fmt.Sprintf("allow_anonymous true\npersistence %v\npersistence_location %%DIR%%/\nautosave_interval 1\nautosave_on_changes true\n", persistence), nil)
}

// mosquittoWith starts one with these lines and files; %DIR% in the lines is the folder of the files.
func mosquittoWith(t *testing.T, conf string, files map[string][]byte) *mosquitto {
	t.Helper()
	m := newMosquitto(t)
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(m.dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.configure(fmt.Sprintf("listener %s 127.0.0.1\n%s", m.port(), strings.ReplaceAll(conf, "%DIR%", m.dir)))
	m.start()
	return m
}

// needs skips a test where a program of Mosquitto's is not installed, unless it has to be.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("MOSQUITTO_REQUIRED") != "" {
			t.Fatal(program + " is not installed")
		}
		t.Skip(program + " is not installed")
	}
}

// newMosquitto has a port and a folder; it is to be configured and started.
func newMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	needs(t, "mosquitto")
	addr := freeAddress(t)
	// Mosquitto drops its rights when started by root; the folder must be writable for it then.
	dir, err := os.MkdirTemp("", "mosquitto-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	m := &mosquitto{t: t, dir: dir, conf: filepath.Join(dir, "m.conf"), addr: addr, log: &lockedText{}}
	t.Cleanup(m.kill)
	return m
}

func (m *mosquitto) port() string { return m.addr[strings.LastIndex(m.addr, ":")+1:] }

// configure takes effect at the next start.
func (m *mosquitto) configure(conf string) {
	m.t.Helper()
	if err := os.WriteFile(m.conf, []byte(conf), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// freeAddress is one that nobody listens on. Its port is below those that the kernel gives away by itself: it must be free
// again when the broker comes back.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return l.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
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
	if m.cmd != nil && m.cmd.Process.Signal(syscall.SIGKILL) == nil {
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
