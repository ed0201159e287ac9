package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOptions: what options of all kinds become, and that tesla2mqtt itself takes it.
func TestOptions(t *testing.T) {
	for _, test := range []struct {
		name, options string
		has, hasNot   []string
	}{
		{"none", `{}`, []string{`"vehicles": null`}, []string{"amps_max", `"max"`, `"wake"`, `"level"`}},
		{"empty", `{"cars": [], "amps_max": 0, "wake": "", "log_level": ""}`, []string{`"vehicles": []`}, []string{`"wake"`}},
		{"all", `{"cars": [{"vin": "5YJ3E1EA7KF317000", "name": "model3"}, {"vin": "5YJ3E1EA7KF317001"}], "amps_max": 16, "wake": "never",
			"poll_state": "30s", "poll_online": "2m", "poll_charging": "1h", "api": "owner", "log_level": "debug"}`,
			[]string{`"max": 16`, `"wake": "never"`, `"state": "30s"`, `"online": "2m"`, `"charging": "1h"`, `"api": "owner"`,
				`"level": "debug"`, `"name": "model3"`, "5YJ3E1EA7KF317001", `"username": "addons"`}, []string{`"name": ""`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.write(r.options, test.options)
			c, err := r.configure(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(c.file)
			if err != nil {
				t.Fatal(err)
			}
			for _, words := range append(test.has, `"state_dir": "`+r.stateDir()+`"`, `"url": "mqtt://127.0.0.1:`) {
				if !strings.Contains(string(text), words) {
					t.Errorf("without %s:\n%s", words, text)
				}
			}
			for _, words := range append(test.hasNot, "pass", supervisorToken) {
				if strings.Contains(string(text), words) {
					t.Errorf("with %s:\n%s", words, text)
				}
			}
			if info, err := os.Stat(c.file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			// 2 would be a configuration that is refused; the bridge does not run, which is 1.
			check := exec.Command(r.program, "-config", c.file, "healthcheck")
			check.Env = c.env
			if out, _ := check.CombinedOutput(); check.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "bridge") {
				t.Errorf("healthcheck: %d %s", check.ProcessState.ExitCode(), out)
			}
		})
	}
}

// TestBadOptions: what is wrong is said in the log, the password is not, and no login is asked for.
func TestBadOptions(t *testing.T) {
	for _, test := range []struct {
		name, options string
		code          int
		says          string
	}{
		{"no file", "", 1, "the options cannot be read"},
		{"no JSON", "{", 1, "the options are not those of this version"},
		{"another version's", `{"ampere": 5}`, 1, `unknown field "ampere"`},
		{"a wrong type", `{"amps_max": "16"}`, 1, "amps_max"},
		{"too large", strings.Repeat(" ", maxFile+1), 1, "is larger than"},
		{"amps", `{"amps_max": 99}`, 2, "commands.amps.max: must be 1 to 80"},
		{"name", `{"cars": [{"vin": "5YJ3E1EA7KF317000", "name": "bridge"}]}`, 2, "vehicles[0].name: must not be bridge"},
		{"poll", `{"poll_state": "60"}`, 2, "poll.state"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			if test.options != "" {
				r.write(r.options, test.options)
			}
			code := r.ends()
			log := r.log.text()
			if code != test.code || !strings.Contains(log, test.says) {
				t.Errorf("code %d, want %d and %q:\n%s", code, test.code, test.says, log)
			}
			if test.code == 2 && !strings.Contains(log, "is made of the options on the page Configuration") {
				t.Errorf("nothing says what to do:\n%s", log)
			}
			if strings.Contains(log, "login") || strings.Contains(log, "pass") {
				t.Errorf("the log says too much:\n%s", log)
			}
		})
	}
}

// TestOwnConfiguration: it counts alone, and keeps the login where only the add-on sees it.
func TestOwnConfiguration(t *testing.T) {
	for name, test := range map[string]struct{ line, fault string }{
		"right":     {"state_dir: %DATA%/state # the login", ""},
		"quoted":    {`state_dir: "%DATA%/state"`, ""},
		"none":      {"", "must have the line state_dir: "},
		"beside it": {"state_dir: ./state", "must have the line state_dir: "},
		"deeper":    {"log:\n  state_dir: %DATA%/state", "must have the line state_dir: "},
		"commented": {"# state_dir: %DATA%/state", "must have the line state_dir: "},
		"longer":    {"state_dir: %DATA%/state2", "must have the line state_dir: "},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write(r.own, "mqtt: {url: mqtt://core-mosquitto}\n"+strings.ReplaceAll(test.line, "%DATA%", r.data)+"\n")
			c, err := r.configure(t.Context())
			switch {
			case test.fault == "" && (err != nil || c.file != r.own || len(c.env) > 0 || c.env == nil || len(r.asked) > 0):
				t.Errorf("%+v, %v, the Supervisor was asked %d times", c, err, len(r.asked))
			case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)):
				t.Errorf("%v", err)
			}
		})
	}
	r := newRig(t)
	if err := os.Mkdir(r.own, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := r.configure(t.Context()); err == nil || !strings.Contains(err.Error(), filepath.Base(r.own)+" cannot be read") {
		t.Errorf("a folder: %v", err)
	}
}

// TestExposedSecrets: a secret beside a configuration of one's own is warned of, and what the line says is not repeated.
func TestExposedSecrets(t *testing.T) {
	for line, want := range map[string]string{
		"mqtt:\n  password_file: hunter2":                      "password_file",
		"mqtt: {username: me, password_file: 'hunter2'}":       "password_file",
		"mqtt: {\"password_file\": \"./a/hunter2\"}":           "password_file",
		"tesla:\n  client_secret_file: %CONFIG%/hunter2":       "client_secret_file",
		"tesla: {api: fleet, key_file: ../%BASE%/hunter2.pem}": "key_file",
		"ble:\n    key_file: \"hunter2\" # mine":               "key_file",
		"ble: {key_file: /data/state/hunter2}":                 "",
		"mqtt: {password_file: /run/secrets/hunter2}":          "",
		"mqtt:\n  # password_file: hunter2":                    "",
		"mqtt:\n  password_file:":                              "",
		"mqtt: {ca_file: hunter2.pem, cert_file: hunter2}":     "",
		"mqtt: {password_file: ../hunter2}":                    "",
	} {
		r := newRig(t)
		dir := filepath.Dir(r.own)
		line = strings.NewReplacer("%CONFIG%", dir, "%BASE%", filepath.Base(dir)).Replace(line)
		r.write(r.own, line+"\nstate_dir: "+r.stateDir()+"\n")
		if _, err := r.configure(t.Context()); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		log := r.log.text()
		if got := strings.Contains(log, "WARNING: "+want+" names"); got != (want != "") || strings.Count(log, "WARNING") > 1 || strings.Contains(log, "hunter2") {
			t.Errorf("%s: the log is %s", line, log)
		}
	}
}
