package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tesla2mqtt/bridge/mqtt/mqtttest"
)

func TestJudgeHealth(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	at := func(age time.Duration, rest string) string {
		return fmt.Sprintf(`{"time":%q%s}`, now.Add(-age).Format(time.RFC3339), rest)
	}
	for _, row := range []struct{ name, payload, state, line, err string }{
		{"well", at(12*time.Second, `,"auth":{"status":"ok"},"api":{"status":"ok"}`), "online", "healthy: the bridge spoke 12s ago; login: ok; Tesla: ok", ""},
		{"at the limit", at(150*time.Second, ""), "online", "healthy: the bridge spoke 2m30s ago; login: unknown; Tesla: unknown", ""},
		{"too old", at(151*time.Second, ""), "online", "", "unhealthy: the bridge last spoke 2m31s ago"},
		{"a little ahead", at(-150*time.Second, ""), "online", "healthy: the bridge spoke 0s ago; login: unknown; Tesla: unknown", ""},
		{"far ahead", at(-151*time.Second, ""), "online", "", "unhealthy: the bridge last spoke 2m31s in the future"},
		{"killed", at(time.Second, ""), "offline", "", "unhealthy: bridge/state is offline, the bridge has lost the broker or has ended"},
		{"nonsense in state", at(time.Second, ""), "\x1b[2J", "", `unhealthy: bridge/state is "\x1b[2J", the bridge has lost the broker or has ended`},
		{"state not shown", at(time.Second, ""), "", "healthy: the bridge spoke 1s ago; login: unknown; Tesla: unknown", ""},
		{"trouble is told", at(0, `,"auth":{"status":"login_required","message":"run\tlogin"},"api":{"status":"login_required"}`), "online",
			"healthy: the bridge spoke 0s ago; login: login_required (run login); Tesla: login_required", ""},
		{"no JSON", "hello", "online", "", "unhealthy: what the broker has as bridge/health was not written by a bridge"},
		{"no time", "{}", "online", "", "unhealthy: what the broker has as bridge/health was not written by a bridge"},
		{"time of another type", `{"time":5}`, "online", "", "unhealthy: what the broker has as bridge/health was not written by a bridge"},
	} {
		t.Run(row.name, func(t *testing.T) {
			line, err := judgeHealth([]byte(row.payload), row.state, now)
			if line != row.line || (err == nil) != (row.err == "") || err != nil && (err.Error() != row.err || exitCode(err) != exitFailed) {
				t.Errorf("got %q, %v", line, err)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[1m\xff\n" + strings.Repeat("é", 300)); !strings.HasPrefix(got, "a [1m? éé") || len([]rune(got)) != maxTold+1 {
		t.Errorf("got %q", got)
	}
}

// asked runs a subcommand as a process and returns its exit code and all it said.
func asked(t *testing.T, config string, words ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "tesla2mqtt", append([]string{"-config", config}, words...)...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// TestHealthcheckOfAProcess: before, while and after the real bridge runs.
func TestHealthcheckOfAProcess(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	want := func(code int, text string) {
		t.Helper()
		if got, said := asked(t, p.config, "healthcheck"); got != code || !strings.Contains(said, text) {
			t.Errorf("exit code %d, want %d with %q; it said: %s", got, code, text, said)
		}
	}
	want(exitFailed, "the broker has nothing on tesla2mqtt/bridge/health")
	p.logIn()
	p.start()
	want(exitDone, "healthy: the bridge spoke ")
	p.tesla.RevokeLogin()
	eventually(t, "the lost login is told", func() bool { return strings.Contains(p.says("bridge/health"), `"status":"login_required"`) })
	want(exitDone, "login: login_required (")
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	eventually(t, "the will says offline", func() bool { return p.says("bridge/state") == "offline" })
	want(exitFailed, "bridge/state is offline")
	p.broker.Stop()
	want(exitFailed, "cannot connect to the broker")
}

// An offline that is put right within a second is no reason for a restart.
func TestHealthcheckLooksTwice(t *testing.T) {
	broker, err := mqtttest.NewBroker()
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	url, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	say := func(topic, payload string) {
		if err := broker.Publish("tesla2mqtt/bridge/"+topic, payload, true); err != nil {
			t.Error(err)
		}
	}
	say("health", fmt.Sprintf(`{"time":%q}`, time.Now().UTC().Format(time.RFC3339)))
	say("state", "offline")
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "mqtt: {url: %q}\n", url), 0o600); err != nil {
		t.Fatal(err)
	}
	mend := sync.OnceFunc(func() { time.AfterFunc(secondLook/3, func() { say("state", "online") }) })
	broker.Authorize(func(client, topic string, write bool) bool {
		if client != "inline" && topic == "tesla2mqtt/bridge/state" && !write {
			mend() // it was looked at once
		}
		return true
	})
	if code, said := asked(t, config, "healthcheck"); code != exitDone {
		t.Errorf("exit code %d: %s", code, said)
	}
}
