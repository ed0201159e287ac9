package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestInstallDocumentCleansTheBroker runs what docs/install.md has people run when the bridge is gone: nothing of it is left on the
// broker, nothing else is touched, and no password is an argument.
func TestInstallDocumentCleansTheBroker(t *testing.T) {
	text, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, found := strings.Cut(string(text), "## End the login")
	_, part, found2 := strings.Cut(part, "```\n")
	script, _, found3 := strings.Cut(part, "```\n")
	if !found || !found2 || !found3 {
		t.Fatal("no such part")
	}
	for line := range strings.Lines(script) {
		if regexp.MustCompile(`mosquitto_(sub|pub) .*(-P|--pw|password)`).MatchString(line) {
			t.Errorf("a password is an argument: %s", line)
		}
	}
	for _, name := range []string{"mosquitto_sub", "mosquitto_pub"} {
		if _, err := exec.LookPath(name); err != nil && os.Getenv("MOSQUITTO_REQUIRED") == "" {
			t.Skip(err)
		}
	}
	g := startGuarded(t)
	root, _ := g.join("root", "#")
	ours := []string{"tesla2mqtt/bridge/state", "tesla2mqtt/car/state", "homeassistant/device/tesla2mqtt_5YJ3E1EA7KF000001/config"}
	const others = "homeassistant/device/lamp/config"
	for _, topic := range append(ours, others) {
		root.Publish(topic, []byte("x"), true)
	}
	for _, topic := range append(ours, others) {
		eventually(t, topic+" is there", func() bool { return g.retained(topic) == "x" })
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	for user, password := range g.password {
		if err := os.WriteFile(filepath.Join(dir, "secrets", user+"-password"), []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, port, err := net.SplitHostPort(g.addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", strings.Replace(script, `"-u $user"`, `"-h 127.0.0.1" "-p `+port+`" "-u $user"`, 1))
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, topic := range ours {
		eventually(t, topic+" is gone", func() bool { return g.retained(topic) == "" })
	}
	if g.retained(others) != "x" {
		t.Error("another's message is gone")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "tmp*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
