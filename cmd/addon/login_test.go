package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

func TestPlainText(t *testing.T) {
	for line, want := range map[string]string{
		`"tesla://auth/callback?code=a&state=b"`: "tesla://auth/callback?code=a&state=b", // by json.dumps of Python
		`"code=a\u0026state=b"`:                  "code=a&state=b",
		`"\"refresh_token\":\"x\""`:              `"refresh_token":"x"`,
		`"tesla://auth/call\nback?code=a\r\n"`:   "tesla://auth/call back?code=a",
		`tesla://auth/callback?code=a`:           "tesla://auth/callback?code=a",
		`{"code": "a"}`:                          `{"code": "a"}`,
		`"unfinished`:                            `"unfinished`,
		`""`:                                     "",
		"":                                       "",
	} {
		if got := plainText([]byte(line + "\n")); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestReadLines(t *testing.T) {
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	var got []string
	for line := range readLines(strings.NewReader("\"one\"\n\n"+strings.Repeat("x", 3*maxLine)+"\ntwo\nthree"), say) {
		got = append(got, line)
	}
	if strings.Join(got, " ") != "one two three" || len(said) != 1 || !strings.Contains(said[0], "longer than 16384 bytes") {
		t.Errorf("%q, %q", got, said)
	}
}

// world is a simulated Tesla that the add-on's own configuration names.
func (r *rig) world() *sim.Tesla {
	r.t.Helper()
	tesla := &sim.Tesla{}
	tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000001", Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 16})
	server := httptest.NewServer(tesla)
	r.t.Cleanup(server.Close)
	var service struct{ Data broker }
	if err := json.Unmarshal([]byte(r.answers[0].text), &service); err != nil {
		r.t.Fatal(err)
	}
	r.write(filepath.Join(filepath.Dir(r.own), "password"), brokerPassword)
	r.write(r.own, fmt.Sprintf("mqtt: {url: %q, username: addons, password_file: password}\nstate_dir: %s\ntesla: {auth_url: %q, api_url: %q}\npoll: {state: 1s, online: 1s, charging: 1s}\n",
		service.Data.url(), r.stateDir(), server.URL, server.URL))
	r.t.Cleanup(func() {
		if v := tesla.Violations(); len(v) > 0 {
			r.t.Errorf("the simulator complains: %q", v)
		}
		for _, secret := range append(tesla.Secrets(), brokerPassword, supervisorToken) {
			if strings.Contains(r.log.text(), secret) {
				r.t.Errorf("the log holds the secret %s", secret)
			}
		}
	})
	return tesla
}

var loginURL = regexp.MustCompile(`https?://\S+/authorize\?\S+`)

// approve signs in as the person does, at the nth address that was printed, and returns what is to be pasted.
func (r *rig) approve(tesla *sim.Tesla, n int) string {
	r.t.Helper()
	r.eventually("an address is printed", func() bool { return len(loginURL.FindAllString(r.log.text(), -1)) >= n })
	callback, err := tesla.Approve(loginURL.FindAllString(r.log.text(), -1)[n-1])
	if err != nil {
		r.t.Fatal(err)
	}
	return callback
}

func quoted(text string) string { return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"` }

// TestLogin: begun unasked, made by one line of JSON.
func TestLogin(t *testing.T) {
	r := newRig(t)
	tesla := r.world()
	stop := r.begin()
	r.logs("addon: there is no Tesla login yet", 1)
	r.eventually("the bridge says so too", func() bool {
		return strings.Contains(r.broker.Retained()["tesla2mqtt/bridge/health"], "login_required")
	})
	r.send(quoted("what is this?"))
	r.logs("Nothing was sent. Please try again.", 1)
	r.send(quoted(r.approve(tesla, 1)))
	r.logs("the bridge takes the new login", 1)
	r.send(quoted("late"))
	r.logs("no login is open", 1)
	if code := stop(); code != 0 {
		t.Errorf("the exit code is %d", code)
	}
	if state := r.broker.Retained()["tesla2mqtt/bridge/state"]; state != "offline" {
		t.Errorf("the bridge left %q behind", state)
	}
}

// TestLoginIsKept: neither a restart, nor a wrong paste, nor a login that was begun and left loses the one there is.
func TestLoginIsKept(t *testing.T) {
	r := newRig(t)
	tesla := r.world()
	stop := r.begin()
	r.send(quoted(r.approve(tesla, 1)))
	r.logs("the bridge takes the new login", 1)
	stop()
	file := filepath.Join(r.stateDir(), "token.json")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	kept := func(when string) {
		t.Helper()
		if now, err := os.ReadFile(file); err != nil || string(now) != string(before) {
			t.Errorf("%s, the login is another: %v", when, err)
		}
	}
	stop = r.begin()
	r.eventually("the car is served", func() bool { return r.broker.Retained()["tesla2mqtt/5YJ3E1EA7KF000001/charge_amps"] == "16" })
	r.send(`"login"`)
	first := r.approve(tesla, 2)
	r.send(`"Login"`) // the address has scrolled away: another one
	r.approve(tesla, 3)
	kept("after two logins were begun")
	r.send(quoted(first)) // belongs to the attempt that was left
	r.logs("the state does not match", 1)
	r.send(quoted("garbage?"))
	r.send(quoted("garbage??"))
	r.logs("ended with the fault told above", 1)
	kept("after three wrong pastes")
	r.send("login")
	r.approve(tesla, 4)
	stop()
	kept("after a stop with a login open")
}

// TestLoginIsOffered: unasked only where there is none. A program that does nothing stands for tesla2mqtt.
func TestLoginIsOffered(t *testing.T) {
	for _, there := range []bool{false, true} {
		r := newRig(t)
		r.write(r.options, "{}")
		if err := os.Mkdir(r.stateDir(), 0o700); err != nil {
			t.Fatal(err)
		}
		if there {
			r.write(filepath.Join(r.stateDir(), "token.json"), "{}")
		}
		r.settle, r.program = 10*time.Millisecond, filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(r.program, []byte("#!/bin/sh\necho \"$3\"\n[ \"$3\" = login ] || sleep 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if code := r.ends(); code != 0 || strings.Contains(r.log.text(), "\nlogin\n") == there {
			t.Errorf("with a login %v: code %d\n%s", there, code, r.log.text())
		}
	}
}
