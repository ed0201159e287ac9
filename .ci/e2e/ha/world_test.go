package ha

import (
	"fmt"
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

// The simulated account: one car that charges and takes commands, one that sleeps, one that wants signed commands.
const (
	writable = "5YJ3E1EA7KF000001"
	sleeper  = "5YJ3E1EA7KF000002"
	signed   = "5YJ3E1EA7KF000003"
)

// world is all that runs: a simulated Tesla, Mosquitto, the bridge and Home Assistant, each of the last three as the real
// program in a process of its own, the broker and Home Assistant in a Debian of their own.
type world struct {
	t     *testing.T
	began time.Time // of this run
	dawn  time.Time // of the solar test's day
	root  string    // that Debian
	dir   string    // files of this run, below root
	tesla *sim.Tesla
	cars  map[string]*sim.CarHandle
	url   string // the simulated Tesla's

	mosquitto, bridge, hass *process
	ha                      *client
}

// process is a program that the test starts and stops, and what it has said so far.
type process struct {
	cmd  *exec.Cmd
	log  string // a file, over all runs of the program
	done chan struct{}
}

// start runs a program until stop or the end of the test.
func (w *world) start(name string, args ...string) *process {
	w.t.Helper()
	log := filepath.Join(w.dir, filepath.Base(name)+".log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	p := &process{cmd: exec.Command(name, args...), log: log, done: make(chan struct{})}
	if strings.HasPrefix(name, "/srv/") || strings.HasPrefix(name, "/usr/") {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: w.root}
		p.cmd.Dir, p.cmd.Env = "/", []string{"PATH=/usr/sbin:/usr/bin", "LANG=C.UTF-8"}
	}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	w.t.Cleanup(func() { p.stop(w.t, syscall.SIGKILL) })
	return p
}

// stop ends the program and waits until it has gone.
func (p *process) stop(t *testing.T, signal syscall.Signal) {
	t.Helper()
	_ = p.cmd.Process.Signal(signal) // fails if it has ended already
	select {
	case <-p.done:
	case <-time.After(60 * time.Second):
		t.Fatalf("%s did not end within a minute of %v", p.cmd.Path, signal)
	}
}

// said returns what the program wrote to its log from an offset on, and the offset of what comes next.
func (p *process) said(t *testing.T, from int) (string, int) {
	t.Helper()
	data, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(data[min(from, len(data)):]), len(data)
}

// inRoot is a path of this run as the programs in the Debian see it.
func (w *world) inRoot(path string) string { return strings.TrimPrefix(path, w.root) }

func (w *world) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// startTesla makes the account. Its cars charge ten times as fast as real ones.
func (w *world) startTesla() {
	w.tesla = &sim.Tesla{Speed: 10}
	w.cars = map[string]*sim.CarHandle{
		writable: w.tesla.Add(sim.Car{VIN: writable, Name: "Model 3", Level: 31, Limit: 90, PluggedIn: true, MaxAmps: 16, Amps: 13}),
		sleeper:  w.tesla.Add(sim.Car{VIN: sleeper, Name: "Model S", Level: 70, PluggedIn: true, Stopped: true, Asleep: true}),
		signed:   w.tesla.Add(sim.Car{VIN: signed, Name: "Model Y", Level: 55, PluggedIn: true, SignedCommands: true}),
	}
	server := httptest.NewServer(w.tesla)
	w.t.Cleanup(server.Close)
	w.url = server.URL
}

func (w *world) startMosquitto(persistent bool) {
	w.t.Helper()
	store := filepath.Join(w.dir, "mosquitto")
	if err := os.MkdirAll(store, 0o700); err != nil {
		w.t.Fatal(err)
	}
	conf := w.write("mosquitto.conf", fmt.Sprintf("listener 1883 127.0.0.1\nallow_anonymous true\nuser root\npersistence %t\npersistence_location %s/\n",
		persistent, w.inRoot(store)))
	w.mosquitto = w.start("/usr/sbin/mosquitto", "-c", w.inRoot(conf))
	await(w.t, "the broker listens", 10*time.Second, func() string {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:1883", time.Second)
		if err != nil {
			return err.Error()
		}
		return fault(conn.Close())
	})
}

// startBridge runs the product with these cars, in the configuration's own words. Its times are shortened, so that the
// tests are.
func (w *world) startBridge(vehicles string) {
	w.t.Helper()
	config := w.write("bridge/config.yaml", fmt.Sprintf(`tesla: {auth_url: %q, api_url: %q}
poll: {state: 1s, online: 1s, charging: 2s}
commands: {amps: {settle: 500ms, raise_gap: 2s, lower_gap: 1s}}
vehicles:
%s`, w.url, w.url, vehicles))
	program := os.Getenv("E2E_BRIDGE")
	if _, err := os.Stat(filepath.Join(w.dir, "bridge/state/token.json")); err != nil {
		_, refresh := w.tesla.Login()
		login := exec.Command(program, "-config", config, "login")
		login.Stdin = strings.NewReader("refresh_token=" + refresh + "\n")
		if out, err := login.CombinedOutput(); err != nil {
			w.t.Fatalf("login: %v\n%s", err, out)
		}
	}
	w.bridge = w.start(program, "-config", config, "run")
}

// fleet is the configuration of all three cars.
const fleet = car1 + car2 + car3

const (
	car1 = "  - {vin: " + writable + ", name: model3}\n"
	car2 = "  - {vin: " + sleeper + ", name: models}\n"
	car3 = "  - {vin: " + signed + ", name: modely}\n"
)

// retained is what the broker keeps, by topic.
func (w *world) retained() map[string]string {
	w.t.Helper()
	cmd := exec.Command("chroot", w.root, "mosquitto_sub", "-t", "#", "--retained-only", "-F", "%t %p", "-W", "1")
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState.ExitCode() != 27 { // 27: the second of -W is over
		w.t.Fatalf("mosquitto_sub: %v", err)
	}
	topics := map[string]string{}
	for line := range strings.Lines(string(out)) {
		topic, payload, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		topics[topic] = payload
	}
	return topics
}

// await looks until complain has nothing to say any more.
func await(t *testing.T, what string, patience time.Duration, complain func() string) {
	t.Helper()
	began := time.Now()
	for {
		complaint := complain()
		if complaint == "" {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("%s: not within %s: %s", what, patience, complaint)
		}
		time.Sleep(200 * time.Millisecond) // between two looks, not instead of one
	}
}

func fault(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
