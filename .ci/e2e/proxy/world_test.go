package proxy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt/mqtttest"
	"tesla2mqtt/tesla/sim"
)

const clientSecret = "ta-secret.hunter2"

// world is the real bridge and the real proxy beside a simulated Tesla, which has Tesla's names.
type world struct {
	t      *testing.T
	dir    string
	region string
	direct bool // no proxy
	tesla  *sim.Tesla
	cars   map[string]*sim.CarHandle
	key    *ecdsa.PrivateKey // that signs commands
	broker *mqtttest.Broker
	url    string // of the broker
	log    *text
}

// text collects what programs say.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(p)
}

func (x *text) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv("E2E_PROXY") == "" {
		t.Skip("run by .ci/e2e/http-proxy")
	}
	w := &world{t: t, dir: t.TempDir(), region: "eu", cars: map[string]*sim.CarHandle{}, log: &text{}}
	w.tesla = &sim.Tesla{Fleet: &sim.Fleet{ClientID: "abc-123", Secret: clientSecret, RedirectURL: "https://my.example/tesla", Region: "eu"}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.check(err)
	public, err := key.PublicKey.ECDH()
	w.check(err)
	w.key = key
	for i, name := range []string{"new", "stranger", "old"} {
		w.cars[name] = w.tesla.Add(sim.Car{VIN: fmt.Sprintf("5YJ3E1EA7KF00000%d", i+1), SignedCommands: name != "old", Unpaired: name == "stranger",
			PluggedIn: true, Level: 40, Phases: 3, MaxAmps: 16, Amps: 16})
	}
	w.cars["new"].Protocol().Enroll(public.Bytes(), keys.Role_ROLE_FM)
	w.serve()
	w.broker, err = mqtttest.NewBroker()
	w.check(err)
	t.Cleanup(func() { w.broker.Close() })
	w.url, err = w.broker.Listen("127.0.0.1:0")
	w.check(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.log.text())
		}
	})
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// serve is Tesla, under each of its names.
func (w *world) serve() {
	w.t.Helper()
	pair, err := tls.LoadX509KeyPair(os.Getenv("E2E_CERT"), os.Getenv("E2E_KEY"))
	w.check(err)
	listener, err := tls.Listen("tcp", "127.0.0.1:443", &tls.Config{Certificates: []tls.Certificate{pair}})
	w.check(err)
	server := &http.Server{Handler: w.tesla}
	go server.Serve(listener)
	w.t.Cleanup(func() { server.Close() })
}

func (w *world) write(name, content string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	w.check(os.WriteFile(path, []byte(content), 0o600))
	return path
}

// start runs a program until the end of the test.
func (w *world) start(program string, args ...string) {
	w.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = w.log, w.log
	cmd.Env = append(os.Environ(), "HOME="+w.dir) // where the proxy looks for its sessions
	w.check(cmd.Start())
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// config writes what a user would, and starts the proxy that it names.
func (w *world) config() string {
	w.t.Helper()
	proxied := ""
	if !w.direct {
		proxied = fmt.Sprintf("  api_url: https://localhost:4443\n  ca_file: %s\n", os.Getenv("E2E_CERT"))
	}
	w.write("secret", clientSecret)
	return w.write("config.yaml", fmt.Sprintf(`mqtt: {url: %q}
tesla:
  api: fleet
  region: %s
  client_id: abc-123
  client_secret_file: secret
  redirect_url: https://my.example/tesla
%spoll: {state: 1s, online: 5s, charging: 5s}
commands: {amps: {settle: 100ms, raise_gap: 0s, lower_gap: 0s}}
vehicles:
  - {vin: %s, name: new, write: rest}
  - {vin: %s, name: stranger, write: rest}
  - {vin: %s, name: old, write: rest}
`, w.url, w.region, proxied, w.cars["new"].VIN(), w.cars["stranger"].VIN(), w.cars["old"].VIN()))
}

var loginURL = regexp.MustCompile(`https://auth\.tesla\.com/oauth2/v3/authorize\?\S+`)

// logIn pastes the address that the login page sends a person to.
func (w *world) logIn() {
	w.t.Helper()
	if !w.direct {
		der, err := x509.MarshalECPrivateKey(w.key)
		w.check(err)
		key := w.write("command.key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
		w.start(os.Getenv("E2E_PROXY"), "-key-file", key, "-cert", os.Getenv("E2E_CERT"), "-tls-key", os.Getenv("E2E_KEY"), "-port", "4443", "-verbose")
		w.eventually("the proxy listens", func() bool {
			c, err := net.Dial("tcp", "127.0.0.1:4443")
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	cmd := exec.Command(os.Getenv("E2E_BRIDGE"), "-config", w.config(), "-log", "debug", "login")
	in, err := cmd.StdinPipe()
	w.check(err)
	out, err := cmd.StderrPipe()
	w.check(err)
	w.check(cmd.Start())
	talk, address := bufio.NewReader(out), ""
	for address == "" && err == nil {
		var line string
		line, err = talk.ReadString('\n')
		address = loginURL.FindString(line)
	}
	back, err := w.tesla.Approve(address)
	w.check(err)
	_, err = io.WriteString(in, back+"\n")
	w.check(err)
	_, err = io.Copy(w.log, talk)
	w.check(err)
	w.check(cmd.Wait())
}

func (w *world) run() {
	w.t.Helper()
	w.start(os.Getenv("E2E_BRIDGE"), "-config", filepath.Join(w.dir, "config.yaml"), "-log", "debug", "run")
}

func (w *world) said(car, key string) string { return w.broker.Retained()["tesla2mqtt/"+car+"/"+key] }

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatal("not in a minute: " + what)
		}
	}
}

// want sends a command and checks its result.
func (w *world) want(car, thing, payload, status, reason string) {
	w.t.Helper()
	id := fmt.Sprintf("%s-%s-%s-%d", car, thing, payload, time.Now().UnixNano())
	w.check(w.broker.Publish("tesla2mqtt/"+car+"/"+thing+"/set", fmt.Sprintf(`{"value":%q,"id":%q}`, payload, id), false))
	var got bridge.Result
	w.eventually(car+"/"+thing+" has a result", func() bool {
		for _, m := range w.broker.Published() {
			if strings.HasSuffix(m.Topic, "/result") && strings.Contains(m.Payload, id) {
				w.check(json.Unmarshal([]byte(m.Payload), &got))
				return true
			}
		}
		return false
	})
	why, words := "", ""
	if got.Reason != nil {
		why = *got.Reason
	}
	if got.Message != nil {
		words = *got.Message
	}
	w.t.Logf("%s %s %s: %s %s (%s)", car, thing, payload, got.Status, why, words)
	if got.Status != status || why != reason {
		w.t.Errorf("%s %s %s is %s/%s, want %s/%s", car, thing, payload, got.Status, why, status, reason)
	}
}

// checkSecrets looks for what must not be in our own log or on the broker. What the proxy says is its own affair.
func (w *world) checkSecrets() {
	w.t.Helper()
	var all strings.Builder
	for line := range strings.Lines(w.log.text()) {
		if strings.Contains(line, "time=20") {
			all.WriteString(line)
		}
	}
	for _, m := range w.broker.Published() {
		fmt.Fprintln(&all, m.Topic, m.Payload)
	}
	for _, secret := range append(w.tesla.Secrets(), clientSecret) {
		if strings.Contains(all.String(), secret) {
			w.t.Errorf("the secret %.6s… got out", secret)
		}
	}
}
