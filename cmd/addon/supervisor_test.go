package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/internal/secret"
)

func TestParseBroker(t *testing.T) {
	for _, test := range []struct {
		status    int
		text      string
		url, says string
	}{
		{200, `{"result":"ok","data":{"host":"core-mosquitto","port":1883,"username":"a","password":"b"}}`, "mqtt://core-mosquitto:1883", ""},
		{200, `{"data":{"host":"::1","port":8883,"ssl":true,"app":"core_mosquitto"}}`, "mqtts://[::1]:8883", ""},
		{200, `{"result":"ok","data":{}}`, "", "names no broker"},
		{200, `{"data":{"host":"h","port":70000}}`, "", "names no broker"},
		{200, `{"data":{"host":"h","port":"1883"}}`, "", "names no broker"},
		{200, `<html>`, "", "names no broker"},
		{400, `{"result":"error","message":"Service not enabled"}`, "", "install the app Mosquitto broker"},
		{401, ``, "", "services: [mqtt:need]"},
		{403, `{"result":"error","message":"No access to mqtt service!"}`, "", "services: [mqtt:need]"},
		{502, `hunter2`, "", "answered 502"},
		{302, ``, "", "answered 302"},
	} {
		b, err := parseBroker(test.status, []byte(test.text))
		if test.says == "" {
			if err != nil || b.url() != test.url {
				t.Errorf("%d %s: %s, %v", test.status, test.text, b.url(), err)
			}
		} else if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d %s: %v", test.status, test.text, err)
		}
	}
}

// TestAwaitBroker: it waits for a broker that comes later, says each reason once, and gives up where waiting is no help.
func TestAwaitBroker(t *testing.T) {
	r := newRig(t)
	there := r.answers[0]
	r.answers = []answer{{400, ""}, {400, ""}, {502, ""}, {400, ""}, there}
	b, err := r.awaitBroker(t.Context())
	if err != nil || b.Password.Reveal() != brokerPassword || b.Username != "addons" {
		t.Errorf("%+v, %v", b, err)
	}
	if got := strings.Count(r.log.text(), "no MQTT broker yet"); got != 2 {
		t.Errorf("said %d times:\n%s", got, r.log.text())
	}
	for _, header := range r.asked {
		if header != "Bearer "+supervisorToken {
			t.Errorf("asked with %q", header)
		}
	}
	r.answers = []answer{{403, ""}, there}
	if _, err := r.awaitBroker(t.Context()); !errors.Is(err, errDenied) {
		t.Errorf("denied: %v", err)
	}
	r.supervisor = "http://127.0.0.1:1"
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.awaitBroker(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no Supervisor: %v", err)
	}
	if !strings.Contains(r.log.text(), "the Supervisor does not answer") {
		t.Errorf("nothing says that there is none:\n%s", r.log.text())
	}
}

// TestNoTokenForTheBridge: the bridge is given the broker's password, and not what opens the Supervisor.
func TestNoTokenForTheBridge(t *testing.T) {
	t.Setenv("SUPERVISOR_TOKEN", supervisorToken)
	r := newRig(t)
	r.token = secret.Hide(os.Getenv("SUPERVISOR_TOKEN"))
	r.write(r.options, "{}")
	r.program = filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(r.program, []byte("#!/bin/sh\necho \"arguments $*\"\nexec env\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	code, log := r.ends(), ""
	if log = r.log.text(); code != 0 || !strings.Contains(log, "config.yaml run\n") || !strings.Contains(log, "MQTT_PASSWORD="+brokerPassword) {
		t.Errorf("code %d:\n%s", code, log)
	}
	if strings.Contains(log, supervisorToken) {
		t.Errorf("the token is in it:\n%s", log)
	}
}
