package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/tesla/sim"
)

// checked runs check -json and returns what it found, by area and name.
func checked(t *testing.T, config string, code int) map[string]finding {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "tesla2mqtt", "-config", config, "check", "-json")
	said, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	var list []finding
	if err := json.Unmarshal(said, &list); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d: %s", got, code, said)
	}
	found := map[string]finding{}
	for _, f := range list {
		found[f.Area+"/"+f.Name] = f
	}
	return found
}

func wantFinding(t *testing.T, found map[string]finding, key, status, message string) {
	t.Helper()
	if f := found[key]; f.Status != status || !strings.Contains(f.Message, message) || status == statusFail && f.Fix == "" {
		t.Errorf("%s: got %+v, want %s with %q", key, f, status, message)
	}
}

// fortress is a real broker with TLS, users and rules, and a simulated Tesla with TLS, both with the same certificate.
type fortress struct {
	tesla  sim.Tesla
	broker *mosquitto
	dir    string
}

const fortressVIN = "5YJ3E1EA7KF000001"

// newFortress gives the users bridge and narrow, whose passwords are their names, these rules.
func newFortress(t *testing.T, rules string) *fortress {
	t.Helper()
	f := &fortress{dir: t.TempDir()}
	f.tesla.Add(sim.Car{VIN: fortressVIN, Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 16})
	server := httptest.NewUnstartedServer(&f.tesla)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	cert := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	f.write(t, "users", "")
	needs(t, "mosquitto_passwd")
	for _, user := range []string{"bridge", "narrow"} {
		if out, err := exec.Command("mosquitto_passwd", "-b", filepath.Join(f.dir, "users"), user, user).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v %s", err, out)
		}
		f.write(t, user+".password", user+"\n")
	}
	users, err := os.ReadFile(filepath.Join(f.dir, "users"))
	if err != nil {
		t.Fatal(err)
	}
	f.broker = mosquittoWith(t, "allow_anonymous false\npassword_file %DIR%/users\nacl_file %DIR%/rules\ncertfile %DIR%/cert.pem\nkeyfile %DIR%/key.pem\n",
		map[string][]byte{"users": users, "rules": []byte(rules), "cert.pem": public, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})})
	f.write(t, "ca.pem", string(public))
	for _, user := range []string{"bridge", "narrow"} {
		f.write(t, user+".yaml", fmt.Sprintf("mqtt: {url: \"mqtts://%s\", username: %s, password_file: %s.password, ca_file: ca.pem}\n"+
			"tesla: {auth_url: %q, api_url: %q, ca_file: ca.pem}\npoll: {state: 1s, online: 1s, charging: 1s}\n", f.broker.addr, user, user, server.URL, server.URL))
	}
	return f
}

func (f *fortress) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// config returns the file for a user.
func (f *fortress) config(user string) string { return filepath.Join(f.dir, user+".yaml") }

// start logs in and runs the bridge as a process.
func (f *fortress) start(t *testing.T) *process {
	t.Helper()
	p := &process{t: t, tesla: &f.tesla, log: &lockedText{}, config: f.config("bridge")}
	p.logIn()
	p.cmd = p.command(context.Background(), "run")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	eventually(t, "the bridge publishes", func() bool { return strings.Contains(p.log.text(), "connected to the broker") })
	eventually(t, "the bridge is healthy", func() bool { code, _ := asked(t, p.config, "healthcheck"); return code == exitDone })
	return p
}

const fortressRules = `user bridge
topic readwrite tesla2mqtt/#
topic readwrite homeassistant/#
topic read $SYS/#
user narrow
topic write tesla2mqtt/#
topic readwrite tesla2mqtt/bridge/state
topic read tesla2mqtt/+/+/set
topic read homeassistant/status
`

// TestCheckBesideTheBridge: with TLS on both sides and access rules, while the bridge runs. It must not notice.
func TestCheckBesideTheBridge(t *testing.T) {
	t.Parallel()
	f := newFortress(t, fortressRules)
	p := f.start(t)
	c, err := loadConfig(p.config, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan mqtt.Message, 1000)
	o := c.mqttOptions()
	o.ClientID, o.Subscribe, o.Handler = "watcher", []string{"tesla2mqtt/#", "homeassistant/#"}, func(m mqtt.Message) { seen <- m }
	watcher, err := mqtt.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- watcher.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	kept := len(bridge.Written(c.bridgeConfig(version, ""), nil)) // of the bridge alone: more than that is retained
	eventually(t, "the watcher sees what is retained", func() bool { return len(seen) > kept })

	found := checked(t, p.config, exitDone)
	for key, f := range found {
		if f.Status == statusFail {
			t.Errorf("%s: %+v", key, f)
		}
	}
	wantFinding(t, found, "state folder/run", statusOK, "a bridge runs with this folder now")
	wantFinding(t, found, "login/login", statusOK, "it renews itself")
	wantFinding(t, found, "clock/time", statusOK, "this machine")
	wantFinding(t, found, "tesla/login page", statusOK, "TLS 1.3 and HTTP/2.0")
	wantFinding(t, found, "tesla/"+fortressVIN, statusOK, "takes commands")
	wantFinding(t, found, "broker/tls", statusOK, "TLS 1.3, the broker's certificate lasts until 20")
	wantFinding(t, found, "broker/login", statusOK, "the broker accepts us, the user ")
	wantFinding(t, found, "broker/write", statusOK,
		fmt.Sprintf("this user may write all %d topics", len(bridge.Written(c.bridgeConfig(version, ""), []string{fortressVIN}))))
	wantFinding(t, found, "broker/read", statusWarn, "tesla2mqtt/+/+/set")
	wantFinding(t, found, "broker/read health", statusOK, "healthcheck")
	for len(seen) > 0 {
		if m := <-seen; len(m.Payload) == 0 || strings.HasSuffix(m.Topic, "/set") {
			t.Errorf("somebody saw %+v", m)
		}
	}
	if text := p.log.text(); strings.Contains(text, "msg=command") || strings.Contains(text, "unknown car") || strings.Contains(text, "not connected") || strings.Count(text, "connected to the broker") != 1 {
		t.Errorf("the bridge noticed:\n%s", text)
	}

	found = checked(t, f.config("narrow"), exitFailed)
	wantFinding(t, found, "broker/write", statusFail, "this user may not write 2 topics: homeassistant/device/")
	wantFinding(t, found, "broker/read health", statusWarn, "tesla2mqtt/bridge/health")
	f.write(t, "narrow.password", "wrong")
	found = checked(t, f.config("narrow"), exitFailed)
	wantFinding(t, found, "broker/login", statusFail, "the broker refused the login")
	wantFinding(t, found, "broker/write", statusWarn, "not tried: the step login failed")
	for _, secret := range p.tesla.Secrets() {
		if strings.Contains(fmt.Sprint(found), secret) {
			t.Error("a secret was shown")
		}
	}
}

// TestCheckLogin: nothing but the login failed, before the first one and after it was revoked.
func TestCheckLogin(t *testing.T) {
	p := newProcess(t)
	found := checked(t, p.config, exitLogin)
	wantFinding(t, found, "login/login", statusFail, "there is no Tesla login yet")
	wantFinding(t, found, "broker/write", statusOK, "topics of any name")
	wantFinding(t, found, "broker/read health", statusOK, "no bridge has run here yet")
	p.logIn()
	found = checked(t, p.config, exitDone)
	wantFinding(t, found, "broker/login", statusWarn, "anybody on the network who can reach it: he can read your cars, and command them") // only a warning
	wantFinding(t, found, "login/login", statusOK, "")
	p.tesla.RevokeLogin()
	found = checked(t, p.config, exitLogin)
	wantFinding(t, found, "login/login", statusFail, "Tesla no longer accepts this login")
	wantFinding(t, found, "tesla/cars", statusWarn, "not tried")
}

// TestCheckAsAnotherUser goes no further than the owner of the state folder.
func TestCheckAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	p := newProcess(t)
	dir := filepath.Join(filepath.Dir(p.config), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	found := checked(t, p.config, exitFailed)
	wantFinding(t, found, "state folder/owner", statusFail, "belongs to user 12345, and this is user 0")
	wantFinding(t, found, "login/login", statusWarn, "not tried: the state folder cannot be used")
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("the folder holds %v, %v", files, err)
	}
}

// TestCheckStops: Ctrl-C ends it while a broker says nothing.
func TestCheckStops(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := newProcess(t)
	text := fmt.Sprintf("mqtt: {url: \"mqtt://%s\"}\ntesla: {auth_url: \"http://%s\"}\n", silent.Addr(), silent.Addr())
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := p.command(t.Context(), "check")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has begun", func() bool { return strings.Contains(p.log.text(), "state folder") })
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if took := time.Since(began); took > 5*time.Second || cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(p.log.text(), "stopped before the end") {
		t.Errorf("after %s, exit code %d:\n%s", took, cmd.ProcessState.ExitCode(), p.log.text())
	}
}

// TestWrittenTopics: check asks about exactly the topics that the real bridge writes.
func TestWrittenTopics(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.logIn()
	p.start()
	for _, thing := range []string{"charge_amps", "charge_limit", "charging", "charge_port", "wake", "refresh"} {
		if err := p.broker.Publish("tesla2mqtt/"+fortressVIN+"/"+thing+"/set", "nonsense", false); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the answer to "+thing, func() bool {
			for _, m := range p.broker.Published() {
				if m.Topic == "tesla2mqtt/"+fortressVIN+"/"+thing+"/result" {
					return true
				}
			}
			return false
		})
	}
	c, err := loadConfig(p.config, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	var wrote []string
	for _, m := range p.broker.Published() {
		if m.Client == "tesla2mqtt" {
			wrote = append(wrote, m.Topic)
		}
	}
	slices.Sort(wrote)
	want := bridge.Written(c.bridgeConfig(version, ""), []string{fortressVIN, fortressVIN})
	if want[0] != "tesla2mqtt/bridge/state" {
		t.Errorf("the first is %s", want[0])
	}
	slices.Sort(want)
	if wrote = slices.Compact(wrote); !slices.Equal(wrote, want) {
		t.Errorf("the bridge wrote\n%s\nasked would be for\n%s", strings.Join(wrote, "\n"), strings.Join(want, "\n"))
	}
}
