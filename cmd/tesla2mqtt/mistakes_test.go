package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mistake is one that people make when they join a bridge and a broker. %P, %D and %T are the broker's port, its folder
// and a TLS listener's lines.
type mistake struct {
	name   string
	broker string         // its configuration
	mqtt   string         // the section of ours
	says   []string       // what the log must tell
	mended string         // the broker's configuration once it is mended
	mend   func(p *place) // or what else mends it
}

const (
	tlsPort   = "listener %P 127.0.0.1\ncafile %D/ca.pem\ncertfile %D/server.pem\nkeyfile %D/server.key\n"
	letAll    = "allow_anonymous true\n"
	closed    = "allow_anonymous false\npassword_file %D/users\n"
	plainPort = "listener %P 127.0.0.1\n"
	mutual    = tlsPort + "require_certificate true\n" + letAll
	secure    = `url: "mqtts://localhost:%P", ca_file: %D/ca.pem`
	unsecure  = `url: "mqtt://localhost:%P"`
	loggedIn  = unsecure + ", username: bridge, password_file: %D/password"
)

var mistakes = []mistake{
	{"wrong password", plainPort + closed, unsecure + ", username: bridge, password_file: %D/wrong",
		[]string{"the broker refused", "mqtt.password_file"}, plainPort + letAll, nil},
	{"no such user", plainPort + closed, unsecure + ", username: nobody, password_file: %D/password",
		[]string{"the broker refused", "mqtt.username"}, plainPort + letAll, nil},
	{"anonymous refused", plainPort + closed, unsecure, []string{"the broker refused", "mqtt.username"}, plainPort + letAll, nil},
	{"wrong CA", tlsPort + letAll, `url: "mqtts://localhost:%P", ca_file: %D/other.pem`, []string{"mqtt.ca_file", "signed"}, "",
		func(p *place) { p.copy("ca.pem", "other.pem") }},
	{"no CA", tlsPort + letAll, `url: "mqtts://localhost:%P"`, []string{"mqtt.ca_file", "signed"}, "", nil},
	{"expired certificate", strings.ReplaceAll(tlsPort, "/server.", "/expired.") + letAll, secure,
		[]string{"expired", "renew it", "clock"}, tlsPort + letAll, nil},
	{"certificate for another name", strings.ReplaceAll(tlsPort, "/server.", "/elsewhere.") + letAll, secure,
		[]string{"mqtt.url", "elsewhere.example"}, tlsPort + letAll, nil},
	{"mqtt:// to a TLS port", tlsPort + letAll, unsecure, []string{"mqtts://"}, plainPort + letAll, nil},
	{"mqtts:// to a plain port", plainPort + letAll, secure, []string{"mqtt://", "mqtt.url"}, tlsPort + letAll, nil},
	{"no client certificate", mutual, secure, []string{"mqtt.cert_file"}, tlsPort + letAll, nil},
	{"client certificate of another CA", mutual, secure + ", cert_file: %D/stranger.pem, key_file: %D/stranger.key",
		[]string{"mqtt.cert_file"}, tlsPort + letAll, nil},
	{"may not write", plainPort + closed + "acl_file %D/acl-read\n", loggedIn, []string{"access rules", "tesla2mqtt/bridge/info"}, plainPort + closed, nil},
	{"may not read", plainPort + closed + "acl_file %D/acl-write\n", loggedIn, []string{"access rules", "tesla2mqtt/bridge/info"}, plainPort + closed, nil},
	{"nothing listens", "", unsecure, []string{"mqtt.url"}, plainPort + letAll, nil},
}

// TestCampaignMistakes makes each against a real Mosquitto: the log says in words what to do, with the key that does it;
// it goes on trying; and after the mistake is mended on the broker's side it connects without a restart.
func TestCampaignMistakes(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mosquitto_passwd"); err != nil {
		t.Skip("mosquitto_passwd is not installed")
	}
	_, long, _ := drawn(t, 1)
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if m.broker != "" {
				p.configure(p.fill(m.broker))
				p.start()
			}
			h := newHousehold(t, "")
			r := h.resident(p.fill(m.mqtt)).logIn()
			r.start()
			within(t, 30*time.Second, "the log says what to do", func() bool { return p.told(r, m.says) != "" })
			t.Log(p.told(r, m.says))
			if m.mended == "" && m.mend == nil {
				r.end(syscall.SIGTERM)
				h.checkNeighbours(r)
				return
			}
			if m.mend != nil {
				m.mend(p)
			}
			if m.mended != "" {
				p.kill()
				p.configure(p.fill(m.mended))
				p.start()
			}
			took := within(t, 2*time.Minute, "it works without a restart", func() bool { return p.works(r) })
			t.Logf("works %s after it was mended", took)
			if code := r.end(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d", code)
			}
			h.checkNeighbours(r)
		})
	}
	if long {
		t.Run("access rules mended while connected", mendedWhileConnected)
	}
}

// mendedWhileConnected shows that access rules need no new connection; it takes up to a minute.
func mendedWhileConnected(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.configure(p.fill(plainPort + closed + "acl_file %D/acl-read\n"))
	p.start()
	r := newHousehold(t, "").resident(p.fill(loggedIn)).logIn()
	r.start()
	within(t, 30*time.Second, "the log says what to do", func() bool { return r.says("access rules") })
	p.copy("acl-all", "acl-read")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	took := within(t, 2*time.Minute, "it notices", func() bool { return r.says("the broker passes on what we publish") })
	t.Logf("works %s after it was mended", took)
	if n := strings.Count(r.log.text(), `msg="connected to the broker"`); n != 1 {
		t.Errorf("it connected %d times", n)
	}
	r.h.checkNeighbours(r)
}

// place is a broker with all that mistakes are made of.
type place struct{ *mosquitto }

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{newMosquitto(t)}
	ca := newAuthority(t, p.dir, "ca")
	newAuthority(t, p.dir, "other").sign("stranger", client())
	ca.sign("server", server("localhost"))
	ca.sign("elsewhere", server("elsewhere.example"))
	old := server("localhost")
	old.NotAfter = time.Now().Add(-time.Minute)
	ca.sign("expired", old)
	for name, text := range map[string]string{
		"users": "", "password": "hunter2\n", "wrong": "hunter2, but wrong\n",
		"acl-read": "user bridge\ntopic read #\n", "acl-write": "user bridge\ntopic write #\n",
		"acl-all": "user bridge\ntopic readwrite #\n",
	} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	users := filepath.Join(p.dir, "users")
	if out, err := exec.Command("mosquitto_passwd", "-b", users, "bridge", "hunter2").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v %s", err, out)
	}
	for _, name := range []string{"users", "acl-read", "acl-write"} { // read by the broker, as another user
		if err := os.Chmod(filepath.Join(p.dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *place) fill(text string) string {
	return strings.NewReplacer("%P", p.port(), "%D", p.dir).Replace(text)
}

func (p *place) copy(from, to string) {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, from))
	if err == nil {
		err = os.WriteFile(filepath.Join(p.dir, to), data, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// told returns the line of the log that holds all of says.
func (p *place) told(r *resident, says []string) string {
	for line := range strings.Lines(r.log.text()) {
		_, line, is := strings.Cut(line, "level=WARN ")
		for _, s := range says {
			is = is && strings.Contains(line, s)
		}
		if is && strings.Contains(line, "broker") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// works asks the broker itself, by its own log.
func (p *place) works(r *resident) bool {
	at := strings.LastIndex(r.log.text(), "not connected to the broker")
	return strings.Contains(r.log.text()[max(0, at):], "connected to the broker\" broker=") &&
		strings.LastIndex(r.log.text(), `msg="connected to the broker"`) > at
}

// TestPasswordFileMistakes: those are seen at the start, and told there.
func TestPasswordFileMistakes(t *testing.T) {
	h := newHousehold(t, "")
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": "\n", "open": "hunter2", "key": "no key", "cert": "no certificate"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	newAuthority(t, dir, "a")
	newAuthority(t, dir, "b")
	for _, row := range []struct{ name, mqtt, says string }{
		{"password file missing", `url: "mqtt://localhost", username: x, password_file: %D/none`, "mqtt.password_file: the file cannot be read"},
		{"password file empty", `url: "mqtt://localhost", username: x, password_file: %D/empty`, "mqtt.password_file: the file is empty"},
		{"CA file missing", `url: "mqtts://localhost", ca_file: %D/none`, "mqtt.ca_file"},
		{"CA file without a certificate", `url: "mqtts://localhost", ca_file: %D/key`, "mqtt.ca_file: no PEM certificate"},
		{"key file missing", `url: "mqtts://localhost", cert_file: %D/a.pem, key_file: %D/none`, "mqtt.key_file"},
		{"key file is a folder", `url: "mqtts://localhost", cert_file: %D/a.pem, key_file: %D`, "mqtt.key_file"},
		{"key file holds no key", `url: "mqtts://localhost", cert_file: %D/a.pem, key_file: %D/key`, "mqtt.key_file"},
		{"key of another certificate", `url: "mqtts://localhost", cert_file: %D/a.pem, key_file: %D/b.key`, "mqtt.key_file"},
		{"certificate without key", `url: "mqtts://localhost", cert_file: %D/a.pem`, "mqtt.key_file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := h.resident(strings.ReplaceAll(row.mqtt, "%D", dir))
			cmd := r.command("run")
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitUsage {
				t.Errorf("it ended with %v", err)
			}
			if !strings.Contains(said.String(), row.says) || strings.Contains(said.String(), "hunter2") {
				t.Errorf("it said %s", said.String())
			}
			t.Log(strings.TrimSpace(said.String()))
		})
	}
	r := h.resident(fmt.Sprintf(`url: "mqtt://127.0.0.1:1", username: x, password_file: %s/open`, dir))
	r.start()
	within(t, 10*time.Second, "it warns of a file that all can read", func() bool { return r.says("run: chmod o-r ") })
	r.end(syscall.SIGTERM)
	h.checkNeighbours(r)
}
