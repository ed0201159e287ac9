// Package supervised tests the add-on as the Supervisor of Home Assistant runs it. It is run by .ci/e2e/addon, which builds
// its image.
package supervised

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// container is the add-on, as the Supervisor starts it: its folders, its environment, an open standard input. The rest is
// stricter: nothing may be written but /data, and there are no capabilities.
type container struct {
	w     *world
	log   *transcript
	input io.WriteCloser
	cmd   *exec.Cmd
}

func (w *world) startAddon(log *transcript) *container {
	w.t.Helper()
	image := readImage(w.t)
	if image.User != "" || len(image.Entrypoint) > 0 {
		w.t.Errorf("the image runs %q as %q", image.Entrypoint, image.User)
	}
	root := os.Getenv("IMAGE_ROOT")
	bundle, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
	if err != nil {
		w.t.Fatal(err)
	}
	type m = map[string]any
	bind := func(inside, outside, mode string) m {
		return m{"destination": inside, "type": "bind", "source": outside, "options": []string{"bind", mode}}
	}
	none := []string{}
	spec, err := json.Marshal(m{
		"ociVersion": "1.0.2",
		"root":       m{"path": root, "readonly": true},
		"mounts": []m{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			bind("/data", filepath.Join(w.dir, "data"), "rw"), bind("/config", filepath.Join(w.dir, "config"), "ro"),
			bind("/etc/hosts", w.write("hosts", names), "ro"), bind("/etc/resolv.conf", w.write("resolv.conf", "nameserver 127.0.0.1\n"), "ro"),
			bind("/etc/ssl/certs/ca-certificates.crt", w.write("bundle", string(bundle)+string(w.authority)), "ro"),
		},
		"process": m{
			"user": m{"uid": 0, "gid": 0}, "cwd": "/", "args": image.Cmd, "noNewPrivileges": true,
			"env":          []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TZ=Europe/Berlin", "SUPERVISOR_TOKEN=" + token, "HASSIO_TOKEN=" + token},
			"capabilities": m{"bounding": none, "effective": none, "inheritable": none, "permitted": none, "ambient": none},
		},
		"linux": m{"namespaces": []m{{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("bundle.d/config.json", string(spec))
	c := &container{w: w, log: log}
	c.cmd = c.runc("run", "--bundle", filepath.Join(w.dir, "bundle.d"), "addon")
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		w.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.runc("delete", "--force", "addon").Run() }) // also if it is gone
	return c
}

func (c *container) runc(words ...string) *exec.Cmd {
	cmd := exec.Command("runc", append([]string{"--root", filepath.Join(c.w.dir, "runc")}, words...)...)
	cmd.Stdout, cmd.Stderr = c.log, c.log
	return cmd
}

// stop is what the Supervisor does.
func (c *container) stop() {
	c.w.t.Helper()
	if err := c.runc("kill", "addon", "TERM").Run(); err != nil {
		c.w.t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		c.w.t.Errorf("after SIGTERM: %v\n%s", err, c.log.text())
	}
	if state := c.w.retained()["tesla2mqtt/bridge/state"]; state != "offline" {
		c.w.t.Errorf("after the stop the bridge's state is %q", state)
	}
}

// send is the action hassio.app_stdin: the text as JSON, in a line.
func (c *container) send(text string) {
	c.w.t.Helper()
	if _, err := io.WriteString(c.input, `"`+text+"\"\n"); err != nil {
		c.w.t.Fatal(err)
	}
}

func (c *container) says(words string) {
	c.w.t.Helper()
	c.w.await("the log says "+words, c.log.text, func() bool { return strings.Contains(c.log.text(), words) })
}

type transcript struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *transcript) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var loginURL = regexp.MustCompile(`https://auth\.tesla\.com/\S+/authorize\?\S+`)

// TestAddon: from an empty /data to a car in Home Assistant's discovery, by one login; and once more after a restart.
func TestAddon(t *testing.T) {
	w := newWorld(t)
	w.write("data/options.json", `{"cars": [{"vin": "`+vin+`", "name": "car"}], "amps_max": 12, "wake": "auto", "poll_state": "1s",
		"poll_online": "1s", "poll_charging": "1s", "api": "owner", "log_level": "info"}`)
	w.write("config/README", "the person's own folder, without a configuration")
	first := w.startAddon(&transcript{})
	first.says("there is no MQTT broker yet")
	first.says("the broker is mqtt://core-mosquitto:1883")
	first.says("addon: there is no Tesla login yet")
	w.await("an address is printed", first.log.text, func() bool { return loginURL.MatchString(first.log.text()) })
	callback, err := w.tesla.Approve(loginURL.FindString(first.log.text()))
	if err != nil {
		t.Fatal(err)
	}
	first.send(callback)
	first.says("the bridge takes the new login")
	w.served(first)
	w.tell("tesla2mqtt/car/charge_amps/set", "8")
	w.await("the car is set", first.log.text, func() bool { return w.car.Amps() == 8 })
	w.tell("tesla2mqtt/car/charge_amps/set", "13")
	w.await("the option amps_max counts", first.log.text, func() bool {
		return strings.Contains(w.retained()["tesla2mqtt/car/last_command"], "out_of_range")
	})
	first.stop()
	w.private()

	second := w.startAddon(&transcript{})
	w.served(second)
	second.stop()
	if strings.Contains(second.log.text(), "no Tesla login") {
		t.Errorf("the restart asks for a login:\n%s", second.log.text())
	}
	if v := w.tesla.Violations(); len(v) > 0 {
		t.Errorf("the simulator complains: %q", v)
	}
	for _, secret := range append(w.tesla.Secrets(), token, password) {
		if strings.Contains(first.log.text()+second.log.text(), secret) {
			t.Errorf("the log holds the secret %s", secret)
		}
	}
	t.Logf("what the add-on said:\n%s", first.log.text())
}

// served: the bridge is online, the car has its topics, and Home Assistant would find it.
func (w *world) served(c *container) {
	w.t.Helper()
	w.await("the car is served", c.log.text, func() bool {
		topics := w.retained()
		return topics["tesla2mqtt/bridge/state"] == "online" && topics["tesla2mqtt/car/availability"] == "online" &&
			topics["tesla2mqtt/car/battery_level"] != "" && strings.Contains(topics["homeassistant/device/tesla2mqtt_"+vin+"/config"], "charge_amps")
	})
}

// private: what lasts is readable by the add-on alone, and the Supervisor's token and the password are in none of it.
func (w *world) private() {
	w.t.Helper()
	seen := 0
	err := filepath.WalkDir(filepath.Join(w.dir, "data"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen++
		text, err := os.ReadFile(path)
		if info, statErr := d.Info(); statErr != nil || info.Mode().Perm()&0o077 != 0 {
			w.t.Errorf("%s: %v, %v", path, info.Mode(), statErr)
		}
		if strings.Contains(string(text), token) || strings.Contains(string(text), password) {
			w.t.Errorf("%s holds a password", path)
		}
		return err
	})
	if _, missing := os.Stat(filepath.Join(w.dir, "data/state/token.json")); err != nil || missing != nil || seen < 4 {
		w.t.Errorf("%d files in /data: %v, %v", seen, err, missing)
	}
}
