//go:build linux

package whereittalks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// transcript collects what processes say.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// program is the shipped binary, at home, with a configuration that says no more than it must.
type program struct {
	w   *world
	t   *testing.T
	dir string
	log transcript // of all its processes
}

func newProgram(w *world) *program {
	w.t.Helper()
	p := &program{w: w, t: w.t, dir: w.t.TempDir()}
	p.configure("config.yaml", "mqtt://"+broker)
	return p
}

// configure writes a configuration with short intervals, and with that broker.
func (p *program) configure(file, url string) {
	p.t.Helper()
	text := fmt.Sprintf("mqtt: {url: %q}\npoll: {state: 1s, online: 1s, charging: 1s}\n"+
		"commands: {amps: {settle: 50ms, raise_gap: 100ms, lower_gap: 100ms}}\n", url)
	if err := os.WriteFile(filepath.Join(p.dir, file), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// proxies are what many programs obey. All of them point to a trap.
func proxies() (env []string) {
	for _, name := range []string{"http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		env = append(env, name+"=http://proxy.trap.example:3128")
	}
	return env
}

// command is a process of the program; it is interrupted, as by a person, when the context ends.
func (p *program) command(ctx context.Context, words ...string) *exec.Cmd {
	cmd := p.w.home.command(append([]string{os.Getenv(binaryKey), "-log", "debug"}, words...)...)
	timed := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	timed.SysProcAttr = cmd.SysProcAttr
	timed.Dir = p.dir
	timed.Env = append(proxies(), "PATH="+os.Getenv("PATH"), "HOME="+p.dir, "SSL_CERT_FILE="+p.w.ca)
	timed.Cancel = func() error { return timed.Process.Signal(os.Interrupt) }
	timed.WaitDelay = 30 * time.Second
	timed.Stdout, timed.Stderr = &p.log, &p.log
	return timed
}

// patience is how long a person waits for a subcommand before interrupting it; much, since machines may be busy.
const patience = time.Minute

// exits runs a subcommand, which must end with one of the codes.
func (p *program) exits(codes []int, words ...string) {
	p.t.Helper()
	p.exitsWithin(patience, codes, words...)
}

func (p *program) exitsWithin(limit time.Duration, codes []int, words ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	cmd := p.command(ctx, words...)
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); !slices.Contains(codes, code) {
		p.t.Errorf("%s: exit code %d (%v), want one of %v\n%s", strings.Join(words, " "), code, err, codes, tail(p.log.String()))
	}
}

func (p *program) done(words ...string) { p.t.Helper(); p.exits([]int{0}, words...) }

// tail is what a person would look at.
func tail(text string) string { return text[max(0, len(text)-800):] }

var loginURL = regexp.MustCompile(`https?://\S+/oauth2/v3/authorize\?\S+`)

// login runs the login with a person who opens the printed address in a browser, at another of Tesla's hosts if one is
// named, and pastes where the browser ends, after what edit made of it.
func (p *program) login(code int, site string, edit func(callback string) string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	cmd := p.command(ctx, "login")
	var said transcript
	cmd.Stderr = io.MultiWriter(&said, &p.log)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "the login address", func() bool { return strings.Contains(said.String(), "Paste here") })
	page := loginURL.FindString(said.String())
	callback, err := p.w.tesla.Approve(strings.Replace(page, "https://auth.tesla.com", "https://"+site, 1))
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, edit(callback)+"\n"); err != nil {
		p.t.Fatal(err)
	}
	stdin.Close()
	_ = cmd.Wait() // the code tells
	if got := cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("login: exit code %d, want %d\n%s", got, code, tail(said.String()))
	}
}

func (p *program) logIn() { p.t.Helper(); p.login(0, "auth.tesla.com", strings.Clone) }

// run starts the bridge on a broker that has forgotten everything, and returns what stops it.
func (p *program) run(config string) (stop func()) {
	p.t.Helper()
	if err := p.w.broker.Restart(false); err != nil {
		p.t.Fatal(err)
	}
	cmd := p.command(p.t.Context(), "-config", config, "run")
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	return func() {
		p.t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			p.t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			p.t.Errorf("run, after SIGTERM: %v\n%s", err, tail(p.log.String()))
		}
	}
}

// says is what the broker retains of a topic below the base topic.
func (p *program) says(topic string) string { return p.w.broker.Retained()["tesla2mqtt/"+topic] }

// health is what the bridge says of the login and of Tesla's API.
func (p *program) health() (auth, api string) {
	var h struct{ Auth, API struct{ Status string } }
	if json.Unmarshal([]byte(p.says("bridge/health")), &h) != nil {
		return "", ""
	}
	return h.Auth.Status, h.API.Status
}

// tell sends a command by MQTT and waits for its result.
func (p *program) tell(thing, value string, retain bool) {
	p.t.Helper()
	results := func() (n int) {
		for _, m := range p.w.broker.Published() {
			if m.Topic == "tesla2mqtt/"+vin+"/"+thing+"/result" {
				n++
			}
		}
		return n
	}
	before := results()
	if err := p.w.broker.Publish("tesla2mqtt/"+vin+"/"+thing+"/set", value, retain); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "a result of "+thing+" "+value, func() bool { return results() > before })
}

// eventually waits for what another process does.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
