package mqtt

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// mosquitto is a real broker on a loopback port, in its own process.
type mosquitto struct {
	t    *testing.T
	path string
	dir  string
	port string
	cmd  *exec.Cmd
}

// newMosquitto starts one with the given lines in its configuration; %DIR% in them is a folder of its own, which prepare
// may fill.
func newMosquitto(t *testing.T, conf string, prepare ...func(*mosquitto)) *mosquitto {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto" // Debian's place is not in everybody's PATH
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("MOSQUITTO_REQUIRED") == "1" {
			t.Fatal("mosquitto is not installed")
		}
		t.Skip("mosquitto is not installed")
	}
	m := &mosquitto{t: t, path: path, dir: t.TempDir(), port: freePort(t)}
	conf = fmt.Sprintf("listener %s 127.0.0.1\n%s", m.port, strings.ReplaceAll(conf, "%DIR%", m.dir))
	if os.Geteuid() == 0 {
		conf += "\nuser root\n" // or it could not write into the test's folder
	}
	m.file("conf", conf)
	for _, f := range prepare {
		f(m)
	}
	m.start()
	t.Cleanup(func() { m.end(syscall.SIGKILL) })
	return m
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (m *mosquitto) file(name, text string) string {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// start returns when the broker accepts connections.
func (m *mosquitto) start() {
	m.t.Helper()
	m.cmd = exec.Command(m.path, "-c", filepath.Join(m.dir, "conf"))
	out, err := os.Create(filepath.Join(m.dir, "log"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer out.Close()
	m.cmd.Stdout, m.cmd.Stderr = out, out
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	for range 200 {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+m.port); err == nil {
			conn.Close()
			return
		}
		time.Sleep(25 * time.Millisecond) // another process has no channel to wait on
	}
	said, err := os.ReadFile(out.Name())
	m.t.Fatalf("mosquitto does not answer: %s %v", said, err)
}

func (m *mosquitto) end(s os.Signal) {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Signal(s) // it may have ended already
	_ = m.cmd.Wait()
	m.cmd = nil
}

func (m *mosquitto) options() Options {
	return Options{URL: "mqtt://127.0.0.1:" + m.port, ClientID: "bridge", StateTopic: stateTopic, InfoTopic: infoTopic,
		Log: slog.New(slog.NewTextHandler(m.t.Output(), nil))}
}

// run starts a client and returns it with the function that stops it.
func run(t *testing.T, o Options) (*Client, func()) {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(stop)
	return c, stop
}

// watch collects what the broker sends on a filter, seen by a client of its own.
type watch struct {
	messages chan Message
}

func (m *mosquitto) watch(filter string) *watch {
	m.t.Helper()
	w := &watch{messages: make(chan Message, 10000)}
	o := m.options()
	o.ClientID, o.StateTopic, o.InfoTopic = "watcher", "", ""
	o.Subscribe = []string{filter}
	o.Handler = func(msg Message) { w.messages <- msg }
	c, _ := run(m.t, o)
	waitFor(m.t, c, func(s Stats) bool { return s.State == StateConnected })
	return w
}

// until returns the payloads on a topic up to the wanted one.
func (w *watch) until(t *testing.T, topic, want string) []string {
	t.Helper()
	var got []string
	limit := time.After(30 * time.Second)
	for {
		select {
		case m := <-w.messages:
			if m.Topic != topic {
				continue
			}
			got = append(got, string(m.Payload))
			if string(m.Payload) == want {
				return got
			}
		case <-limit:
			t.Fatalf("waited for %q on %s, got %q", want, topic, got)
		}
	}
}

func (m *mosquitto) read(topic string) string {
	m.t.Helper()
	got, err := Fetch(m.t.Context(), m.options(), topic)
	if err != nil {
		m.t.Errorf("read %s: %v", topic, err)
	}
	return string(got)
}

func TestMosquittoInvariant6RestartOfTheBroker(t *testing.T) {
	for _, r := range []struct{ name, conf string }{
		{"without persistence", "allow_anonymous true\npersistence false"},
		{"with persistence", "allow_anonymous true\npersistence true\npersistence_location %DIR%/\nautosave_interval 1"},
	} {
		for _, s := range []struct {
			name string
			sig  os.Signal
		}{{"killed", syscall.SIGKILL}, {"ended", syscall.SIGTERM}} {
			t.Run(r.name+" "+s.name, func(t *testing.T) {
				m := newMosquitto(t, r.conf)
				c, stop := run(t, m.options())
				waitFor(t, c, func(s Stats) bool { return s.State == StateConnected })
				c.Publish("t/car/level", []byte("50"), true)
				c.Publish("t/car/state", []byte("asleep"), true)
				waitFor(t, c, func(s Stats) bool { return s.Published == 3 })
				m.end(s.sig)
				waitFor(t, c, func(s Stats) bool { return s.State == StateConnecting })
				c.Publish("t/car/level", []byte("51"), true)
				c.Publish("t/car/result", []byte("done"), false)
				m.start()
				w := m.watch("t/#")
				w.until(t, stateTopic, "online")
				w.until(t, "t/car/result", "done")
				if level, state := m.read("t/car/level"), m.read("t/car/state"); level != "51" || state != "asleep" {
					t.Errorf("the broker says %q and %q", level, state)
				}
				stop()
				if got := m.read(stateTopic); got != "offline" {
					t.Errorf("after stopping the state reads %q", got)
				}
			})
		}
	}
}

func TestMosquittoResultsInOrderOverRestarts(t *testing.T) {
	m := newMosquitto(t, "allow_anonymous true")
	c, _ := run(t, m.options())
	waitFor(t, c, func(s Stats) bool { return s.State == StateConnected })
	m.end(syscall.SIGKILL)
	for i := range 200 {
		c.Publish("t/car/result", fmt.Appendf(nil, "%03d", i), false)
	}
	c.Publish("t/car/result", []byte("end"), false)
	m.start()
	w := m.watch("t/+/result")
	got := w.until(t, "t/car/result", "end")
	// The watcher may have come after the first ones; those it saw must be in order and complete.
	for i := 1; i < len(got)-1; i++ {
		if got[i] <= got[i-1] {
			t.Fatalf("%s came after %s", got[i], got[i-1])
		}
	}
}

func TestMosquittoFrozenBroker(t *testing.T) {
	m := newMosquitto(t, "allow_anonymous true")
	c, _ := run(t, m.options())
	waitFor(t, c, func(s Stats) bool { return s.State == StateConnected })
	if err := m.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c.Publish("t/car/result", []byte("lost?"), false)
	waitFor(t, c, func(s Stats) bool { return s.State == StateConnecting })
	if err := m.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waitFor(t, c, func(s Stats) bool { return s.State == StateConnected })
	w := m.watch("t/#")
	w.until(t, stateTopic, "online")
	c.Publish("t/car/level", []byte("1"), true)
	w.until(t, "t/car/level", "1")
	if got := m.read(stateTopic); got != "online" {
		t.Errorf("the state reads %q", got)
	}
}

func TestMosquittoStoppingAFrozenBrokerIsBounded(t *testing.T) {
	m := newMosquitto(t, "allow_anonymous true")
	c, stop := run(t, m.options())
	waitFor(t, c, func(s Stats) bool { return s.State == StateConnected })
	if err := m.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c.Publish("t/car/result", []byte("x"), false)
	began := time.Now()
	stop()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("stopping took %v", d)
	}
}

func TestMosquittoWillOfAKilledBridge(t *testing.T) {
	m := newMosquitto(t, "allow_anonymous true")
	c, err := New(m.options())
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(c, false)
	if err := s.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := m.watch("t/#")
	s.hangUp(false) // as kill -9 does: the connection ends without MQTT's goodbye
	w.until(t, stateTopic, "offline")
}

func TestMosquittoLoginAndAccess(t *testing.T) {
	m := newMosquitto(t, "allow_anonymous false\npassword_file %DIR%/users\nacl_file %DIR%/acl", func(m *mosquitto) {
		users := m.file("users", "")
		if out, err := exec.Command("mosquitto_passwd", "-b", users, "bridge", "hunter2").CombinedOutput(); err != nil {
			t.Skipf("mosquitto_passwd: %v %s", err, out)
		}
		m.file("acl", "user bridge\ntopic readwrite t/#\n")
	})
	o := m.options()
	c, stop := run(t, o)
	waitFor(t, c, func(s Stats) bool {
		return s.State == StateRefused && strings.Contains(s.Message, "mqtt.password_file")
	})
	stop()
	o.Username, o.Password = "bridge", "wrong"
	if _, err := Fetch(t.Context(), o, "t/x"); err == nil || !strings.Contains(err.Error(), "mqtt.password_file") {
		t.Errorf("wrong password: %v", err)
	}
	o.Password = "hunter2"
	c, _ = run(t, o)
	waitFor(t, c, func(s Stats) bool { return s.State == StateConnected })
	// A publish that is not allowed is acknowledged and dropped by Mosquitto: it must not disturb the others.
	c.Publish("other/topic", []byte("x"), true)
	c.Publish("t/car/level", []byte("1"), true)
	if got, err := Fetch(t.Context(), o, stateTopic); err != nil || string(got) != "online" {
		t.Errorf("state: %q, %v", got, err)
	}
}

func TestMosquittoTwoInstances(t *testing.T) {
	m := newMosquitto(t, "allow_anonymous true")
	older, newer := m.options(), m.options()
	older.Foreign = func(p []byte) bool { return string(p) == "newer" }
	newer.Foreign = func([]byte) bool { return false }
	a, _ := run(t, older)
	a.Publish(infoTopic, []byte("older"), true)
	waitFor(t, a, func(s Stats) bool { return s.State == StateConnected })
	b, _ := run(t, newer)
	b.Publish(infoTopic, []byte("newer"), true)
	waitFor(t, a, func(s Stats) bool { return s.State == StateInUse })
	waitFor(t, b, func(s Stats) bool { return s.State == StateConnected })
	w := m.watch("t/#")
	w.until(t, stateTopic, "online")
}
