// Package fleet tests the program with the real fleet-telemetry server of Tesla's: a simulated car streams to it over mutual TLS,
// it publishes on a broker, and the program reads that. See ../fleet-telemetry, which installs and starts it all.
package fleet

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/bridge/mqtt/mqtttest"
	"tesla2mqtt/tesla/sim"
)

const vin = "5YJ3E1EA7KF000001"

// world is a simulated car, an embedded broker, and server and program as they are released.
type world struct {
	t      *testing.T
	dir    string
	port   int // of the server
	broker *mqtttest.Broker
	car    *sim.CarHandle
	stream *sim.Stream

	link  *exec.Cmd // the car's connection, nil while it has none
	input io.WriteCloser
}

func newWorld(t *testing.T) *world {
	for _, name := range []string{"E2E_SERVER", "E2E_CAR", "E2E_BRIDGE"} {
		if os.Getenv(name) == "" {
			t.Skip("run .ci/e2e/fleet-telemetry")
		}
	}
	broker, err := mqtttest.NewBroker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	url, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), port: freePort(t), broker: broker}
	// A day's charge in minutes.
	account := &sim.Tesla{Speed: 60}
	w.car = account.Add(sim.Car{VIN: vin, Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 13})
	w.stream = w.car.Stream()
	w.stream.Interval, w.stream.Resend = time.Second, 5*time.Second
	writeCertificates(t, w.dir)
	w.write("server.json", fmt.Sprintf(serverConfig, w.port, strings.TrimPrefix(url, "mqtt://"), w.dir, w.dir, w.dir))
	w.write("config.yaml", fmt.Sprintf(bridgeConfig, url))
	return w
}

// serverConfig is the server's, with the default rate and the MQTT dispatcher as docs/setup-telemetry.md sets it up.
const serverConfig = `{
	"host": "127.0.0.1", "port": %d, "log_level": "info", "namespace": "tesla",
	"mqtt": {"broker": %q, "client_id": "fleet-telemetry", "topic_base": "telemetry", "qos": 1, "retained": true},
	"records": {"V": ["mqtt"], "connectivity": ["mqtt"]},
	"tls": {"ca_file": "%s/ca.crt", "server_cert": "%s/server.crt", "server_key": "%s/server.key"}
}`

const bridgeConfig = `
mqtt: {url: "%s"}
poll: {state: 1s, online: 1s, charging: 1s}
telemetry: {silent_after: 1m}
vehicles: [{vin: 5YJ3E1EA7KF000001, name: model3, read: telemetry, write: none}]
`

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// start runs a program until the end of the test, its talk going to a file.
func (w *world) start(name string, cmd *exec.Cmd) {
	w.t.Helper()
	out, err := os.Create(filepath.Join(w.dir, name+".log"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		end(cmd)
		if w.t.Failed() {
			said, _ := os.ReadFile(out.Name())
			w.t.Logf("the end of what %s said:\n%s", name, said[max(0, len(said)-4000):])
		}
	})
}

// end kills a program that may have ended.
func end(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	}
}

// await lets the car stream until something is so.
func (w *world) await(what string, patience time.Duration, so func() bool) {
	w.t.Helper()
	for began := time.Now(); !so(); time.Sleep(200 * time.Millisecond) { // between two buckets, not instead of one
		if time.Since(began) > patience {
			w.t.Fatalf("%s: not within %s", what, patience)
		}
		w.flow()
	}
}

// flow gives the server what the car has to say. That it has come or gone is the server's to say.
func (w *world) flow() {
	w.t.Helper()
	if w.link == nil {
		return
	}
	fields := map[string]json.RawMessage{}
	for _, m := range w.stream.Next() {
		if _, name, ok := strings.Cut(m.Topic, "/v/"); ok {
			fields[name] = json.RawMessage(m.Payload)
		}
	}
	if len(fields) == 0 {
		return
	}
	line, err := json.Marshal(fields)
	if err == nil {
		_, err = w.input.Write(append(line, '\n'))
	}
	if err != nil {
		w.t.Fatalf("the car's connection: %v", err)
	}
}

// connect is the car that comes online.
func (w *world) connect() {
	w.t.Helper()
	w.link = exec.Command(os.Getenv("E2E_CAR"), fmt.Sprintf("127.0.0.1:%d", w.port), vin, w.dir)
	input, err := w.link.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	w.input = input
	w.start("car", w.link)
}

// hangUp is the car that goes to sleep.
func (w *world) hangUp() {
	w.input.Close()
	_ = w.link.Wait() // how it ended is seen at the broker
	w.link = nil
}

func (w *world) said(key string) string { return w.broker.Retained()["tesla2mqtt/model3/"+key] }

func (w *world) shows(key, value string) func() bool {
	return func() bool { return w.said(key) == value }
}
