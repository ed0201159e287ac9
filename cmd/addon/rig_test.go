package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tesla2mqtt/bridge/mqtt/mqtttest"
	"tesla2mqtt/internal/secret"
)

const (
	supervisorToken = "the-supervisors-token"
	brokerPassword  = `pass"word\`
)

// rig is the add-on with folders of its own, the real tesla2mqtt, an embedded broker and a Supervisor that knows it.
type rig struct {
	*addon
	t       *testing.T
	log     *lockedText
	broker  *mqtttest.Broker
	input   io.Writer // to which Home Assistant writes
	asked   []string  // of the Supervisor: the Authorization header of each question
	answers []answer  // in this order, and the last one from then on
	mu      sync.Mutex
}

type answer struct {
	status int
	text   string
}

// built is tesla2mqtt, made once, and only if a test wants it.
var built = sync.OnceValues(func() (string, error) {
	program := filepath.Join(os.Getenv("ADDON_TEST_DIR"), "tesla2mqtt")
	out, err := exec.Command("go", "build", "-o", program, "tesla2mqtt/cmd/tesla2mqtt").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
})

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "addon-test")
	if err != nil {
		panic(err)
	}
	os.Setenv("ADDON_TEST_DIR", dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"data", "config"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{t: t, log: &lockedText{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.addon = &addon{
		supervisor: server.URL, token: secret.Hide(supervisorToken),
		options: filepath.Join(dir, "data/options.json"), own: filepath.Join(dir, "config/config.yaml"),
		data: filepath.Join(dir, "data"), program: program, pause: 10 * time.Millisecond, settle: time.Second, stdin: strings.NewReader(""), log: r.log,
	}
	r.startBroker()
	return r
}

// startBroker has one user, whose password is the one that the Supervisor tells.
func (r *rig) startBroker() {
	r.t.Helper()
	broker, err := mqtttest.NewBroker()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { broker.Close() })
	broker.Authenticate(func(_, user, password string) bool { return user == "addons" && password == brokerPassword })
	url, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.broker = broker
	host, port, _ := strings.Cut(strings.TrimPrefix(url, "mqtt://"), ":")
	r.answers = []answer{{200, `{"result": "ok", "data": {"host": "` + host + `", "port": ` + port + `, "ssl": false,
		"username": "addons", "password": "pass\"word\\", "protocol": "3.1.1", "addon": "core_mosquitto"}}`}}
}

// ServeHTTP is the Supervisor.
func (r *rig) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q.Method != http.MethodGet || q.URL.Path != "/services/mqtt" {
		r.t.Errorf("the Supervisor is asked %s %s", q.Method, q.URL)
	}
	r.asked = append(r.asked, q.Header.Get("Authorization"))
	w.WriteHeader(r.answers[0].status)
	fmt.Fprint(w, r.answers[0].text)
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
}

func (r *rig) write(path, text string) {
	r.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// begin runs the add-on until the returned function is called, which returns the exit code.
func (r *rig) begin() (stop func() int) {
	stdin, out := io.Pipe()
	r.stdin, r.input = stdin, out
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan int, 1)
	go func() { done <- r.run(ctx) }()
	return func() int {
		cancel()
		out.Close()
		select {
		case code := <-done:
			return code
		case <-time.After(30 * time.Second):
			r.t.Fatalf("the add-on does not end:\n%s", r.log.text())
			return -1
		}
	}
}

// ends runs the add-on that ends by itself, and returns the exit code: 0 also if it does not.
func (r *rig) ends() int {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	code := r.run(ctx)
	if ctx.Err() != nil {
		r.t.Errorf("the add-on did not end by itself:\n%s", r.log.text())
	}
	return code
}

// send writes what the action hassio.app_stdin does, for a text in JSON already.
func (r *rig) send(line string) {
	r.t.Helper()
	if _, err := io.WriteString(r.input, line+"\n"); err != nil {
		r.t.Fatal(err)
	}
}

// logs waits until the log has these words count times.
func (r *rig) logs(words string, count int) {
	r.t.Helper()
	r.eventually("the log says "+words, func() bool { return strings.Count(r.log.text(), words) >= count })
}

func (r *rig) eventually(what string, f func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			r.t.Fatalf("never: %s\n%s", what, r.log.text())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// lockedText is a log that is written and read at the same time.
type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
