package main

import (
	"context"
	"fmt"
	"net/http/httptest"
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

// process is the real program with a broker and a simulated Tesla on loopback.
type process struct {
	t      *testing.T
	tesla  *sim.Tesla
	car    *sim.CarHandle
	broker *mqtttest.Broker
	config string
	log    *lockedText
	env    []string // besides our own
	cmd    *exec.Cmd
}

func newProcess(t *testing.T) *process {
	t.Helper()
	p := &process{t: t, tesla: &sim.Tesla{}, log: &lockedText{}}
	p.car = p.tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000001", Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 16})
	server := httptest.NewServer(p.tesla)
	t.Cleanup(server.Close)
	broker, err := mqtttest.NewBroker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	url, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.broker = broker
	p.config = filepath.Join(t.TempDir(), "config.yaml")
	yaml := fmt.Sprintf("mqtt: {url: %q}\ntesla: {auth_url: %q, api_url: %q}\npoll: {state: 1s, online: 1s, charging: 1s}\n", url, server.URL, server.URL)
	if err := os.WriteFile(p.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// command is the program with these words; the login is made by pasting a refresh token.
func (p *process) command(ctx context.Context, words ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "tesla2mqtt", append([]string{"-config", p.config, "-log", "debug"}, words...)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = p.log, p.log, append(os.Environ(), p.env...)
	return cmd
}

func (p *process) logIn() {
	p.t.Helper()
	_, refresh := p.tesla.Login()
	cmd := p.command(p.t.Context(), "login")
	cmd.Stdin = strings.NewReader("refresh_token=" + refresh + "\n")
	if err := cmd.Run(); err != nil {
		p.t.Fatalf("login: %v\n%s", err, p.log.text())
	}
}

func (p *process) start() {
	p.t.Helper()
	p.launch()
	eventually(p.t, "the car's state is on the broker", func() bool { return p.says("5YJ3E1EA7KF000001/charge_amps") != "" })
	eventually(p.t, "the bridge is online", func() bool { return p.says("bridge/state") == "online" })
}

// launch starts the bridge and waits for nothing.
func (p *process) launch() {
	p.t.Helper()
	p.cmd = p.command(context.Background(), "run")
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
}

func (p *process) says(topic string) string { return p.broker.Retained()["tesla2mqtt/"+topic] }

// TestRunAsAProcess: login, run, a command, kill -9, run again, SIGTERM; and no secret in any of it.
func TestRunAsAProcess(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.logIn()
	p.start()
	if err := p.broker.Publish("tesla2mqtt/5YJ3E1EA7KF000001/charge_amps/set", "8", false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the set point shows", func() bool { return p.says("5YJ3E1EA7KF000001/charge_amps") == "8" })
	if p.car.Amps() != 8 {
		t.Errorf("the car is at %d", p.car.Amps())
	}

	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	eventually(t, "the will says offline", func() bool { return p.says("bridge/state") == "offline" })
	p.start()

	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	if p.says("bridge/state") != "offline" {
		t.Error("after a clean stop the bridge is not offline")
	}
	lines := strings.Split(strings.TrimSpace(p.log.text()), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, `msg="tesla2mqtt has stopped" because="terminated signal received" topics="tesla2mqtt/bridge/state says offline"`) {
		t.Errorf("the last line is %s", last)
	}
	for _, secret := range p.tesla.Secrets() {
		if strings.Contains(p.log.text(), secret) {
			t.Errorf("the log holds the secret %.12s…", secret)
		}
	}
	for _, v := range p.tesla.Violations() {
		t.Error("the simulator complains:", v)
	}
}
