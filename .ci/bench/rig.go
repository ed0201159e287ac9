package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tesla2mqtt/tesla/sim"
)

// rig is what every figure is measured on: a Mosquitto, a simulated Tesla behind a tap, and the program as it is released.
type rig struct {
	dir    string // everything that is written, removed by close
	binary string
	broker string // host:port
	tesla  *sim.Tesla
	cars   []*sim.CarHandle
	tap    *tap
	url    string // of the simulated Tesla
	undo   []func()
}

func newRig(ctx context.Context) (_ *rig, err error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	r := &rig{dir: dir, binary: filepath.Join(dir, "tesla2mqtt"), tesla: &sim.Tesla{}}
	r.undo = append(r.undo, func() { os.RemoveAll(dir) })
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	// Mosquitto gives up its rights when root starts it, and must still read its file.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{r.build, r.startBroker, r.startTesla} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *rig) close() {
	for len(r.undo) > 0 {
		last := len(r.undo) - 1
		r.undo[last]()
		r.undo = r.undo[:last]
	}
}

// build makes the program with the flags of a release.
func (r *rig) build(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", r.binary, "./cmd/tesla2mqtt")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program (run this from the project's folder): %w\n%s", err, out)
	}
	return nil
}

func (r *rig) startBroker(context.Context) error {
	if _, err := exec.LookPath("mosquitto"); err != nil {
		return errors.New("mosquitto is not installed: apt-get install mosquitto")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.broker = l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(r.broker)
	conf := filepath.Join(r.dir, "mosquitto.conf")
	// No limit of the queue, since a fleet publishes much at its start. No delay, or Nagle's algorithm and the 40 ms of a
	// delayed acknowledgement decide what is measured when messages follow each other closely.
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\nlog_type error\n", port)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return err
	}
	cmd := exec.Command("mosquitto", "-c", conf)
	if err := cmd.Start(); err != nil {
		return err
	}
	r.undo = append(r.undo, func() { end(cmd) })
	return eventually("mosquitto listens", 10*time.Second, func() bool {
		conn, err := net.Dial("tcp", r.broker)
		return err == nil && conn.Close() == nil
	})
}

func (r *rig) startTesla(context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.tap = &tap{next: r.tesla}
	r.url = "http://" + l.Addr().String()
	server := &http.Server{Handler: r.tap}
	go func() { _ = server.Serve(l) }() // ends with Close
	r.undo = append(r.undo, func() { server.Close() })
	return nil
}

// add puts n cars that charge into the account; they are named car0, car1 and so on in the configuration.
func (r *rig) add(n int) {
	for range n {
		r.cars = append(r.cars, r.tesla.Add(sim.Car{Level: 20, PluggedIn: true, Amps: 16}))
	}
}

// configure writes a configuration with a state folder of its own and logs in. extra is YAML of its top level.
func (r *rig) configure(ctx context.Context, extra string) (config string, err error) {
	config = filepath.Join(r.dir, "config.yaml")
	text := fmt.Sprintf("mqtt: {url: %q}\ntesla: {auth_url: %q, api_url: %q}\nstate_dir: ./state\n%s\n", "mqtt://"+r.broker, r.url, r.url, extra)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", err
	}
	_, refresh := r.tesla.Login()
	cmd := exec.CommandContext(ctx, r.binary, "-config", config, "login")
	cmd.Stdin = strings.NewReader("refresh_token=" + refresh + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("log in: %w\n%s", err, out)
	}
	return config, nil
}

// run starts the bridge; its log goes to a file. The returned function stops it and waits.
func (r *rig) run(config string) (pid int, stop func(), err error) {
	log, err := os.OpenFile(filepath.Join(r.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, nil, err
	}
	cmd := exec.Command(r.binary, "-config", config, "run")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	ended := false
	stop = func() {
		if !ended {
			ended = true
			end(cmd)
			log.Close()
		}
	}
	r.undo = append(r.undo, stop)
	return cmd.Process.Pid, stop, nil
}

// end asks a process to stop and makes sure that it does.
func end(cmd *exec.Cmd) {
	patience := time.AfterFunc(15*time.Second, func() { _ = cmd.Process.Kill() })
	defer patience.Stop()
	if cmd.Process.Signal(syscall.SIGTERM) == nil {
		_ = cmd.Wait() // how it ended is not what is measured
	}
}

// eventually waits for what another process does.
func eventually(what string, within time.Duration, f func() bool) error {
	deadline := time.Now().Add(within)
	for !f() {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %s", within, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}
