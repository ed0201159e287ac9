package red

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/tesla/sim"
)

const (
	vin    = "5YJ3E1EA7KF000001"
	editor = "http://127.0.0.1:1880"
)

// world is all that runs: a simulated Tesla, and Mosquitto, the bridge and Node-RED as the real programs.
type world struct {
	t     *testing.T
	dir   string
	speed float64
	tesla *sim.Tesla
	car   *sim.CarHandle
	red   *exec.Cmd

	client *mqtt.Client
	mu     sync.Mutex
	sent   []command       // what was published to the car's command topics
	got    []bridge.Result // the bridge's results
	shown  []string        // the status texts of the flow's node that shows results
}

// command is a message on a command topic.
type command struct {
	at     time.Time
	thing  string
	Value  any    `json:"value"`
	Source string `json:"source"`
}

// scaled is a time of the day that is played, in real time.
func (w *world) scaled(d time.Duration) time.Duration { return time.Duration(float64(d) / w.speed) }

// start runs a program until the end of the test, its talk going to a file.
func (w *world) start(program string, args ...string) *exec.Cmd {
	w.t.Helper()
	name := filepath.Base(program)
	out, err := os.OpenFile(filepath.Join(w.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(syscall.SIGKILL) // it may have ended
			_ = cmd.Wait()
		}
		if w.t.Failed() {
			said, _ := os.ReadFile(out.Name())
			w.t.Logf("the end of what %s said:\n%s", name, said[max(0, len(said)-4000):])
		}
	})
	return cmd
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// await looks until something is so.
func await(t *testing.T, what string, patience time.Duration, so func() bool) {
	t.Helper()
	for began := time.Now(); !so(); time.Sleep(20 * time.Millisecond) { // between two looks, not instead of one
		if time.Since(began) > patience {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

func newWorld(t *testing.T, speed float64) *world {
	w := &world{t: t, dir: t.TempDir(), speed: speed, tesla: &sim.Tesla{Speed: speed}}
	w.car = w.tesla.Add(sim.Car{VIN: vin, BatteryKWh: 100, Level: 20, Limit: 90, PluggedIn: true, Stopped: true, Phases: 3, MaxAmps: 16, Amps: 16})
	server := httptest.NewServer(w.tesla)
	t.Cleanup(server.Close)
	w.start("mosquitto", "-c", w.write("mosquitto.conf", "listener 1883 127.0.0.1\nallow_anonymous true\nuser root\n"))
	await(t, "the broker listens", 10*time.Second, func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:1883")
		return err == nil && conn.Close() == nil
	})
	w.connect()
	w.startBridge(server.URL)
	w.startRed()
	return w
}

// startBridge runs the product with its default times divided by the speed of the day. Reads cannot be closer than 1 s.
func (w *world) startBridge(tesla string) {
	w.t.Helper()
	poll := max(time.Second, w.scaled(time.Minute))
	config := w.write("config.yaml", fmt.Sprintf(`tesla: {auth_url: %q, api_url: %q}
poll: {state: %s, online: %s, charging: %s}
commands: {amps: {settle: %s, raise_gap: %s, lower_gap: %s}}
vehicles: [{vin: %s, name: model3}]
`, tesla, tesla, poll, poll, poll, w.scaled(2*time.Second), w.scaled(15*time.Second), w.scaled(5*time.Second), vin))
	_, refresh := w.tesla.Login()
	login := exec.Command(os.Getenv("E2E_BRIDGE"), "-config", config, "login")
	login.Stdin = strings.NewReader("refresh_token=" + refresh + "\n")
	if out, err := login.CombinedOutput(); err != nil {
		w.t.Fatalf("login: %v\n%s", err, out)
	}
	w.start(os.Getenv("E2E_BRIDGE"), "-config", config, "run")
}

// connect is a client of the broker that plays the meter and watches.
func (w *world) connect() {
	w.t.Helper()
	var err error
	w.client, err = mqtt.New(mqtt.Options{URL: "mqtt://127.0.0.1:1883", ClientID: "house", Subscribe: []string{"tesla2mqtt/#", "test/#"}, Handler: w.take})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.client.Run(ctx) }()
	w.t.Cleanup(func() { cancel(); <-done })
}

func (w *world) take(m mqtt.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	part := strings.Split(m.Topic, "/")
	switch part[len(part)-1] {
	case "set":
		c := command{at: time.Now(), thing: part[2]}
		if json.Unmarshal(m.Payload, &c) != nil {
			c.Source = "unreadable: " + string(m.Payload)
		}
		w.sent = append(w.sent, c)
	case "result":
		var r bridge.Result
		if json.Unmarshal(m.Payload, &r) == nil {
			w.got = append(w.got, r)
		}
	case "shown":
		w.shown = append(w.shown, string(m.Payload))
	}
}

// startRed runs Node-RED and gives it the example flow.
func (w *world) startRed() {
	w.t.Helper()
	settings := w.write("settings.js", `module.exports = { uiHost: "127.0.0.1", uiPort: 1880, flowFile: "flows.json", telemetry: { enabled: false } }`)
	w.red = w.start("node", os.Getenv("E2E_NODERED"), "--userDir", w.dir, "--settings", settings)
	await(w.t, "Node-RED answers", time.Minute, func() bool {
		answer, err := http.Get(editor + "/settings")
		return err == nil && answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	})
	w.deploy()
}

// deploy gives Node-RED the flow, as its editor does on a full deploy.
func (w *world) deploy() {
	w.t.Helper()
	body, err := json.Marshal(w.flow())
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := http.Post(editor+"/flows", "application/json", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	if said, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusNoContent {
		w.t.Fatalf("Node-RED does not take the flow: %s %s", answer.Status, said)
	}
}

// flow is the example with its times divided by the speed of the day (not the ttl, which is no part of the day), and two
// nodes that tell us what the node shows which is there to show results.
func (w *world) flow() []map[string]any {
	w.t.Helper()
	data, err := os.ReadFile(os.Getenv("E2E_FLOW"))
	if err != nil {
		w.t.Fatal(err)
	}
	var nodes []map[string]any
	if err := json.Unmarshal(data, &nodes); err != nil {
		w.t.Fatal(err)
	}
	for _, n := range nodes {
		env, _ := n["env"].([]any)
		for _, e := range env {
			e := e.(map[string]any)
			if name := e["name"].(string); strings.HasSuffix(name, "_S") && name != "TTL_S" {
				e["value"] = w.faster(e["value"].(string))
			}
		}
		if n["type"] == "inject" && n["repeat"] != "" {
			n["repeat"] = w.faster(n["repeat"].(string))
		}
	}
	return append(nodes,
		map[string]any{"id": "test-status", "type": "status", "z": "t2m-tab", "scope": []string{"t2m-became"}, "x": 0, "y": 0, "wires": [][]string{{"test-text"}}},
		map[string]any{"id": "test-text", "type": "change", "z": "t2m-tab", "x": 0, "y": 0, "wires": [][]string{{"test-out"}},
			"rules": []map[string]any{{"t": "set", "p": "payload", "pt": "msg", "to": "status.text", "tot": "msg"}}},
		map[string]any{"id": "test-out", "type": "mqtt out", "z": "t2m-tab", "topic": "test/shown", "qos": "1", "retain": "false", "broker": "t2m-broker", "x": 0, "y": 0, "wires": [][]string{}})
}

func (w *world) faster(seconds string) string {
	var n float64
	if _, err := fmt.Sscan(seconds, &n); err != nil {
		w.t.Fatalf("%q is no number", seconds)
	}
	return fmt.Sprint(n / w.speed)
}

// since returns the commands that the flow, or the broker in its name, sent after a moment.
func (w *world) since(at time.Time) []command {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, c := range w.sent {
		if c.at.After(at) {
			return append([]command(nil), w.sent[i:]...)
		}
	}
	return nil
}

// seen is since, once at least so many have reached us: we hear of a command after the bridge does.
func (w *world) seen(t *testing.T, at time.Time, least int) []command {
	t.Helper()
	await(t, fmt.Sprintf("%d commands", least), 10*time.Second, func() bool { return len(w.since(at)) >= least })
	return w.since(at)
}

// answered tells that every command seen has its result, the last one on amps for this value.
func (w *world) answered(amps float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	var last any
	for _, r := range w.got {
		if r.Thing == "charge_amps" {
			last = r.Requested
		}
	}
	return len(w.got) == len(w.sent) && last == amps
}
