//go:build linux

package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// image is a built image, as .ci/package/image unpacks it: the files, and what a container engine is told of it.
type image struct {
	root   string
	config struct {
		User            string
		Entrypoint, Cmd []string
		Volumes         map[string]any
		Healthcheck     struct {
			Test    []string
			Timeout time.Duration
		}
	}
}

func builtImage(t *testing.T) *image {
	t.Helper()
	i := &image{root: os.Getenv("IMAGE_ROOT")}
	if i.root == "" {
		t.Skip("no image; .ci/package/image builds one and runs this")
	}
	text, err := os.ReadFile(os.Getenv("IMAGE_CONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	var inspected struct {
		Docker struct{ Config *json.RawMessage }
	}
	if err := json.Unmarshal(text, &inspected); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(*inspected.Docker.Config, &i.config); err != nil {
		t.Fatal(err)
	}
	return i
}

// container runs an image by runc, as docker-compose.yml says: read-only, no capability, no new privilege, the network of
// the machine. Files are written for the image's user, in a folder that only that user may open.
type container struct {
	t      *testing.T
	image  *image
	dir    string
	mounts map[string]string // inside: outside
	log    *lockedText
}

const imageUser = 65532

func (c *container) mount(inside string, content []byte) {
	c.t.Helper()
	file := filepath.Join(c.dir, strings.ReplaceAll(strings.Trim(inside, "/"), "/", "-"))
	if err := os.WriteFile(file, content, 0o400); err != nil {
		c.t.Fatal(err)
	}
	c.own(file)
	c.mounts[inside] = file
}

func (c *container) own(file string) {
	if err := os.Chown(file, imageUser, imageUser); err != nil {
		c.t.Fatal(err)
	}
}

// bundle writes what runc needs to start the image's entrypoint with these words.
func (c *container) bundle(words []string) string {
	c.t.Helper()
	type m = map[string]any
	mounts := []m{{"destination": "/proc", "type": "proc", "source": "proc"}}
	for inside, outside := range c.mounts {
		options := []string{"bind", "ro"}
		if inside == "/state" {
			options = []string{"bind"}
		}
		mounts = append(mounts, m{"destination": inside, "type": "bind", "source": outside, "options": options})
	}
	var uid, gid int
	if n, err := fmt.Sscanf(c.image.config.User, "%d:%d", &uid, &gid); n != 2 {
		c.t.Fatalf("the image's user is %q: %v", c.image.config.User, err)
	}
	none := []string{}
	spec := m{
		"ociVersion": "1.0.2",
		"root":       m{"path": c.image.root, "readonly": true},
		"mounts":     mounts,
		"process": m{
			"user": m{"uid": uid, "gid": gid}, "cwd": "/", "env": none, "noNewPrivileges": true,
			"args":         append(c.image.config.Entrypoint, words...),
			"capabilities": m{"bounding": none, "effective": none, "inheritable": none, "permitted": none, "ambient": none},
		},
		"linux": m{"namespaces": []m{{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}}},
	}
	text, err := json.Marshal(spec)
	if err != nil {
		c.t.Fatal(err)
	}
	bundle := c.t.TempDir()
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return bundle
}

func (c *container) runc(ctx context.Context, words ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "runc", append([]string{"--root", filepath.Join(c.dir, "runc")}, words...)...)
	cmd.Stdout, cmd.Stderr = c.log, c.log
	return cmd
}

// once runs a subcommand in a container of its own.
func (c *container) once(stdin string, words ...string) error {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	cmd := c.runc(ctx, "run", "--bundle", c.bundle(words), "tesla2mqtt-once")
	cmd.Stdin = strings.NewReader(stdin)
	return cmd.Run()
}

// checkHealth runs the image's health check in the running container, as a container engine does.
func (c *container) checkHealth() error {
	test, limit := c.image.config.Healthcheck.Test, c.image.config.Healthcheck.Timeout
	if len(test) < 2 || test[0] != "CMD" || limit <= healthDeadline {
		c.t.Fatalf("the health check is %q within %s; want a program without a shell, with more time than its own %s", test, limit, healthDeadline)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), limit)
	defer cancel()
	return c.runc(ctx, append([]string{"exec", "tesla2mqtt"}, test[1:]...)...).Run()
}

// newVolume is an empty folder for what the image declares a volume, with the owner it has in the image.
func (c *container) newVolume(inside string) string {
	c.t.Helper()
	if _, declared := c.image.config.Volumes[inside]; !declared {
		c.t.Fatalf("the image declares no volume %s", inside)
	}
	info, err := os.Stat(filepath.Join(c.image.root, inside))
	if err != nil {
		c.t.Fatal(err)
	}
	outside := filepath.Join(c.dir, filepath.Base(inside))
	if err := os.Mkdir(outside, 0o700); err != nil {
		c.t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if err := os.Chown(outside, int(owner.Uid), int(owner.Gid)); err != nil {
		c.t.Fatal(err)
	}
	return outside
}

// newContainer has the configuration of examples/docker, for a broker and a Tesla on loopback, and a state folder.
func newContainer(t *testing.T, broker *guarded, tesla *httptest.Server) *container {
	t.Helper()
	c := &container{t: t, image: builtImage(t), dir: t.TempDir(), mounts: map[string]string{}, log: &lockedText{}}
	yaml := strings.Replace(exampleFile(t, "docker/config.yaml"), "mqtt://mosquitto:1883", "mqtt://"+broker.addr, 1)
	yaml += fmt.Sprintf("tesla: {auth_url: %q, api_url: %q}\nvehicles: [{vin: 5YJ3E1EA7KF000001, name: car}]\n", tesla.URL, tesla.URL)
	c.mount("/etc/tesla2mqtt/config.yaml", []byte(yaml))
	c.mount("/run/secrets/tesla2mqtt-password", []byte(broker.password["tesla2mqtt"]))
	c.mounts["/state"] = c.newVolume("/state")
	return c
}

// TestImage runs the image: https through its own bundle of authorities, the broker of examples/mosquitto, the health check
// before and after the broker is killed, and the end.
func TestImage(t *testing.T) {
	builtImage(t)
	broker := startGuarded(t)
	tesla := &sim.Tesla{}
	car := tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000001", Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 16})
	server := httptest.NewTLSServer(tesla)
	t.Cleanup(server.Close)
	c := newContainer(t, broker, server)
	_, refresh := tesla.Login()

	err := c.once("refresh_token="+refresh+"\n", "login")
	if err == nil || !strings.Contains(c.log.text(), "its certificate is signed by nobody whom this machine trusts") {
		t.Fatalf("a Tesla with an unknown certificate: %v\n%s", err, c.log.text())
	}
	bundle, err := os.ReadFile(filepath.Join(c.image.root, "etc/ssl/certs/ca-certificates.crt"))
	if err != nil {
		t.Fatal(err)
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	c.mount("/etc/ssl/certs/ca-certificates.crt", append(bundle, authority...))
	if err := c.once("refresh_token="+refresh+"\n", "login"); err != nil {
		t.Fatalf("login: %v\n%s", err, c.log.text())
	}

	c.log = &lockedText{} // the next goes to the test's log, without the long text of login
	daemon := c.runc(context.Background(), "run", "--bundle", c.bundle(c.image.config.Cmd), "tesla2mqtt")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.runc(context.Background(), "delete", "--force", "tesla2mqtt").Run() }) // also if it is gone
	eventually(t, "the bridge publishes", func() bool { return broker.retained("tesla2mqtt/car/charge_amps") == "16" })
	ha, _ := broker.join("homeassistant", "tesla2mqtt/#")
	ha.Publish("tesla2mqtt/car/charge_amps/set", []byte("8"), false)
	eventually(t, "the car is set", func() bool { return car.Amps() == 8 })
	if err := c.checkHealth(); err != nil {
		t.Errorf("healthcheck: %v\n%s", err, c.log.text())
	}
	broker.kill()
	if err := c.checkHealth(); exitStatus(err) != 1 {
		t.Errorf("healthcheck without a broker: %v\n%s", err, c.log.text())
	}
	if err := c.runc(t.Context(), "kill", "tesla2mqtt", "TERM").Run(); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, c.log.text())
	}
	checkState(t, c.mounts["/state"])
	t.Logf("what the container said:\n%s", c.log.text())
}

func exitStatus(err error) int {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	return -1
}

// checkState: the login is there, and the image's user alone can read what is.
func checkState(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(file))
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 || info.Sys().(*syscall.Stat_t).Uid != imageUser {
			t.Errorf("%s is %v of user %d", file, info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
		}
	}
	if !strings.Contains(strings.Join(names, " "), "token.json") {
		t.Errorf("the state folder has %v", names)
	}
}
