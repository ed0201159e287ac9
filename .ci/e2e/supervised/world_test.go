package supervised

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

const (
	token    = "the-supervisors-token"
	password = "the-brokers-password"
	vin      = "5YJ3E1EA7KF000001"
)

// world is a Supervisor, a Tesla and a broker under the names that the add-on knows, all on loopback.
type world struct {
	t         *testing.T
	dir       string
	tesla     *sim.Tesla
	car       *sim.CarHandle
	authority []byte // of Tesla's certificate, in PEM
	mu        sync.Mutex
	enabled   bool // the Supervisor has a broker
}

// names is the container's /etc/hosts.
const names = "127.0.0.1 localhost supervisor core-mosquitto auth.tesla.com owner-api.teslamotors.com\n"

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv("IMAGE_ROOT") == "" {
		t.Skip("run by .ci/e2e/addon")
	}
	w := &world{t: t, dir: t.TempDir(), tesla: &sim.Tesla{}}
	w.car = w.tesla.Add(sim.Car{VIN: vin, Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 16})
	w.serve("80", nil, w.supervise)
	w.serve("443", w.certificate(), w.tesla.ServeHTTP)
	w.startMosquitto()
	return w
}

func (w *world) serve(port string, cert *tls.Config, handler http.HandlerFunc) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		w.t.Fatal(err)
	}
	if cert != nil {
		l = tls.NewListener(l, cert)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(l) }() // ends with Close
	w.t.Cleanup(func() { server.Close() })
}

// supervise answers like the Supervisor: first that there is no such service.
func (w *world) supervise(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case r.Host != "supervisor" || r.URL.Path != "/services/mqtt" || r.Header.Get("Authorization") != "Bearer "+token:
		w.t.Errorf("the Supervisor is asked %s %s", r.Host, r.URL)
		out.WriteHeader(http.StatusForbidden)
	case !w.enabled:
		w.enabled = true
		out.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(out, `{"result": "error", "message": "Service not enabled"}`)
	default:
		fmt.Fprint(out, `{"result": "ok", "data": {"app": "core_mosquitto", "host": "core-mosquitto", "port": 1883, "ssl": false, "protocol": "3.1.1", "username": "addons", "password": "`+password+`"}}`)
	}
}

func (w *world) certificate() *tls.Config {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"auth.tesla.com", "owner-api.teslamotors.com"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"http/1.1"}}
}

func (w *world) startMosquitto() {
	w.t.Helper()
	users := w.write("users", "addons:"+password+"\n")
	if out, err := exec.Command("mosquitto_passwd", "-U", users).CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command("mosquitto", "-c", w.write("mosquitto.conf",
		"listener 1883 127.0.0.1\nallow_anonymous false\nuser root\npassword_file "+users+"\n"))
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// retained is what the broker keeps, by topic.
func (w *world) retained() map[string]string {
	out, _ := exec.Command("mosquitto_sub", "-h", "127.0.0.1", "-u", "addons", "-P", password, "-t", "#", "--retained-only",
		"-W", "1", "-F", "%t %p").Output() // its code says that the time is over
	topics := map[string]string{}
	for line := range strings.Lines(string(out)) {
		topic, payload, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		topics[topic] = payload
	}
	return topics
}

func (w *world) tell(topic, payload string) {
	w.t.Helper()
	out, err := exec.Command("mosquitto_pub", "-h", "127.0.0.1", "-u", "addons", "-P", password, "-t", topic, "-m", payload).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
}

// await waits for what other processes do; said is shown if it never comes.
func (w *world) await(what string, said func() string, f func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(75 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s\n%s", what, said())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// imageConfig is what the image says of itself.
type imageConfig struct {
	User            string
	Entrypoint, Cmd []string
}

func readImage(t *testing.T) (c imageConfig) {
	t.Helper()
	text, err := os.ReadFile(os.Getenv("IMAGE_CONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	var inspected struct{ Docker struct{ Config *imageConfig } }
	inspected.Docker.Config = &c
	if err := json.Unmarshal(text, &inspected); err != nil {
		t.Fatal(err)
	}
	return c
}
