package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/tesla/auth"
)

func TestJudgeClock(t *testing.T) {
	for ahead, want := range map[time.Duration][2]string{
		0:                         {statusOK, "this machine and Tesla agree"},
		400 * time.Millisecond:    {statusOK, "agree"},
		-2 * time.Second:          {statusOK, "this machine is 2s behind Tesla"},
		30 * time.Second:          {statusOK, "30s ahead of Tesla"},
		31 * time.Second:          {statusWarn, "31s ahead of Tesla"},
		-5 * time.Minute:          {statusWarn, "5m behind"},
		301 * time.Second:         {statusFail, "5m1s ahead of"},
		-5 * 365 * 24 * time.Hour: {statusFail, "behind Tesla"},
	} {
		f := judgeClock(ahead, "fix it")
		if f.Status != want[0] || !strings.Contains(f.Message, want[1]) || (f.Fix == "") != (f.Status == statusOK) {
			t.Errorf("%s: %+v", ahead, f)
		}
	}
}

func TestJudgeLogin(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	later, earlier := now.Add(2*time.Hour), now.Add(-time.Hour)
	for _, row := range []struct {
		name            string
		s               auth.Status
		status, message string
		login           bool
	}{
		{"well", auth.Status{State: "ok", AccessExpires: later}, statusOK, "(2h); it renews itself", false},
		{"not used for long", auth.Status{State: "ok", AccessExpires: earlier}, statusOK, "it is renewed when it is needed", false},
		{"none", auth.Status{State: "not_configured", Message: "none yet"}, statusFail, "none yet", true},
		{"dead", auth.Status{State: "login_required", Message: "dead"}, statusFail, "dead", true},
		{"renewal fails, still good", auth.Status{State: "refresh_failing", Message: "HTTP 500", AccessExpires: later}, statusWarn, "HTTP 500; the access token lasts", false},
		{"renewal fails, over", auth.Status{State: "refresh_failing", Message: "HTTP 500", AccessExpires: earlier}, statusFail, "HTTP 500", false},
		{"not saved", auth.Status{State: "save_failing", Message: "disk full", AccessExpires: later}, statusFail, "disk full", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := judgeLogin(row.s, now)
			if f.Status != row.status || !strings.Contains(f.Message, row.message) || f.login != row.login || (f.Fix == "") != (f.Status == statusOK) && f.Status != statusWarn {
				t.Errorf("got %+v", f)
			}
		})
	}
}

// TestJudgeWhoWeAre: a broker that asks for no name asks nobody.
func TestJudgeWhoWeAre(t *testing.T) {
	for _, row := range []struct{ user, cert, status, message string }{
		{"", "", statusWarn, "without a user name, and so anybody"},
		{"bridge", "", statusOK, "the user bridge"},
		{"", "ours.pem", statusOK, "with the certificate"},
	} {
		c := mustLoad(t, "")
		c.MQTT.Username, c.MQTT.CertFile = row.user, row.cert
		f := (&checkup{config: c}).loggedIn(mqtt.Way{})
		if f.Status != row.status || !strings.Contains(f.Message, row.message) || (f.Fix == "") != (f.Status == statusOK) {
			t.Errorf("got %+v", f)
		}
	}
}

func TestJudgeCertificate(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for left, status := range map[time.Duration]string{14 * 24 * time.Hour: statusOK, 13 * 24 * time.Hour: statusWarn} {
		f := judgeCertificate(&tls.ConnectionState{Version: tls.VersionTLS12, PeerCertificates: []*x509.Certificate{{NotAfter: now.Add(left)}}}, now)
		if f.Status != status || !strings.Contains(f.Message, "TLS 1.2") || !strings.Contains(f.Message, "2026-12-0") {
			t.Errorf("%s: %+v", left, f)
		}
	}
}

func TestJudgeCar(t *testing.T) {
	for _, row := range []struct {
		line            carLine
		commands        bool
		status, message string
	}{
		{carLine{VIN: "V", Name: "Red", Alias: "red", Served: true, Commands: "possible"}, true, statusOK, "Red: served as red, takes commands"},
		{carLine{VIN: "V", Served: true, Commands: "possible"}, true, statusOK, "-: served as V, takes commands"},
		{carLine{VIN: "V", Served: true, Commands: "signed only"}, true, statusWarn, "signed commands only"},
		{carLine{VIN: "V", Served: true, Commands: "off"}, true, statusOK, "write: none"},
		{carLine{VIN: "V", Served: true, Commands: "off"}, false, statusOK, "commands.enabled"},
		{carLine{VIN: "V", Commands: "possible"}, true, statusOK, "not served"},
	} {
		f := judgeCar(row.line, row.commands)
		if row.line.Commands == "signed only" && !strings.Contains(f.Fix, "tesla.key_file") {
			t.Errorf("%s: what to do: %q", f.Message, f.Fix)
		}
		if f.Status != row.status || !strings.Contains(f.Message, row.message) || f.Name != "V" {
			t.Errorf("got %+v, want %s with %q", f, row.status, row.message)
		}
	}
}

// TestAccessWords: what is known, what is not, and what is refused are three things.
func TestAccessWords(t *testing.T) {
	const state, set = "tesla2mqtt/bridge/state", "tesla2mqtt/+/+/set"
	for _, row := range []struct {
		name        string
		r           mqtt.Rights
		write, read string // status and a part of the message
	}{
		{"all is known", mqtt.Rights{Writable: []string{"a", "b"}, Readable: []string{state, set}}, "ok all 2 topics", "ok may read " + state + ", " + set},
		{"nothing is restricted", mqtt.Rights{Open: true, Untried: []string{"a"}, Unsure: []string{set}}, "ok topics of any name", "ok topics of any name"},
		{"one is refused", mqtt.Rights{Writable: []string{"a"}, Unwritable: []string{"b"}, Readable: []string{set}}, "fail may not write 1 topic: b", "ok "},
		{"not told", mqtt.Rights{Writable: []string{"a"}, Untried: []string{"b", "c"}, Why: "no MQTT 5", Readable: []string{set}}, "warn for 2 of 3 topics: no MQTT 5", "ok "},
		{"may not read commands", mqtt.Rights{Writable: []string{"a"}, Unreadable: []string{set}}, "ok ", "fail refuses this user to read " + set + ", so no command arrives"},
		{"may not read its state", mqtt.Rights{Writable: []string{"a"}, Unreadable: []string{state}, Readable: []string{set}}, "ok ", "warn refuses this user to read " + state},
		{"may perhaps read", mqtt.Rights{Writable: []string{"a"}, Unsure: []string{set}}, "ok ", "warn need not mean that it delivers"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := mustLoad(t, "")
			k := &checkup{config: c}
			cfg := c.bridgeConfig(version, "")
			k.mayWrite(row.r, cfg)
			k.mayRead(row.r, cfg)
			for i, want := range []string{row.write, row.read} {
				status, message, _ := strings.Cut(want, " ")
				if f := k.found[i]; f.Status != status || !strings.Contains(f.Message, message) || f.Status != statusOK && f.Fix == "" {
					t.Errorf("got %+v, want %s", f, want)
				}
			}
		})
	}
}

func TestCheckupVerdict(t *testing.T) {
	for _, row := range []struct {
		found []finding
		code  int
	}{
		{[]finding{{Status: statusOK}, {Status: statusWarn}}, exitDone},
		{[]finding{{Status: statusFail, login: true}, {Status: statusWarn}}, exitLogin},
		{[]finding{{Status: statusFail, login: true}, {Status: statusFail}}, exitFailed},
		{[]finding{{Status: statusFail}}, exitFailed},
	} {
		if code := exitCode((&checkup{found: row.found}).verdict()); code != row.code {
			t.Errorf("%+v: exit code %d", row.found, code)
		}
	}
}

// What a server sent cannot break the table, and an error's advice has its own line.
func TestCheckupLines(t *testing.T) {
	var out strings.Builder
	k := &checkup{out: &out}
	k.begin("area")
	k.add(statusFail, "name", errors.New("it\nbroke\tall; mend it"))
	k.ok("5YJ3E1EA7KF317000", "well")
	want := "area\n  fail  name               it broke all\n                           -> mend it\n  ok    5YJ3E1EA7KF317000  well\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
