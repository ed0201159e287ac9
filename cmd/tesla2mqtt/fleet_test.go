package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
)

const appSecret = "ta-secret.hunter2"

// application [nosecret] [unregistered] [keytaken] [domaintaken] [key] [untick=SCOPE] makes this a Tesla of the Fleet API, and the configuration one for it.
func application(ts *testscript.TestScript, _ bool, args []string) {
	f := &sim.Fleet{ClientID: "abc-123", Secret: appSecret, RedirectURL: "https://my.example/tesla"}
	secret, keyFile := ", client_secret_file: secret.txt", ""
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "nosecret":
			secret = ""
		case "unregistered":
			f.Unregistered = true
		case "keytaken":
			f.KeyTaken = true
		case "domaintaken":
			f.DomainTaken = true
		case "key":
			keyFile = ", key_file: keys/key.pem"
		case "untick":
			f.Unticked = append(f.Unticked, value)
		default:
			ts.Fatalf("an application has no %s", key)
		}
	}
	of(ts).tesla.Fleet = f
	yaml := fmt.Sprintf("tesla: {auth_url: %q, api_url: %q, api: fleet, region: eu, client_id: abc-123, redirect_url: %q%s%s}\nmqtt: {url: \"mqtt://127.0.0.1:9\"} # where no broker is, whatever else this machine runs\n",
		ts.Getenv("SIM"), ts.Getenv("SIM"), f.RedirectURL, secret, keyFile)
	ts.Check(os.WriteFile(ts.MkAbs("secret.txt"), []byte(appSecret+"\n"), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("config.yaml"), []byte(yaml), 0o600))
}

// owner goes back to the Owner API.
func owner(ts *testscript.TestScript, _ bool, _ []string) {
	of(ts).tesla.Fleet = nil
	ts.Check(os.WriteFile(ts.MkAbs("config.yaml"), fmt.Appendf(nil, "tesla: {auth_url: %q, api_url: %q}\n", ts.Getenv("SIM"), ts.Getenv("SIM")), 0o600))
}

// inFleet is the whole program in fake time with the Fleet API. The account lives in the region account, and the
// configuration says region.
func inFleet(t *testing.T, account, region string, f func(w *whole)) {
	t.Helper()
	s := &sim.Tesla{Strict: true, Fleet: &sim.Fleet{ClientID: "abc-123", Secret: appSecret, RedirectURL: "https://my.example/tesla", Region: account}}
	inBubbleOf(t, s, func(w *whole) {
		if err := os.WriteFile(filepath.Join(w.dir, "secret.txt"), []byte(appSecret), 0o600); err != nil {
			t.Fatal(err)
		}
		w.yaml = "tesla: {api: fleet, region: " + region + ", client_id: abc-123, client_secret_file: secret.txt, redirect_url: 'https://my.example/tesla'}"
		f(w)
		if !slices.Contains(w.tesla.Secrets(), appSecret) {
			t.Error("the client secret was never sent, so it could not get out")
		}
	})
}

// TestInvariant4And5ADayInFleet: a day of charging over the Fleet API, with its renewals: who was asked, how often, and that
// no secret got out, the client secret least of all.
func TestInvariant4And5ADayInFleet(t *testing.T) {
	inFleet(t, "eu", "eu", func(w *whole) {
		w.yaml = strings.Replace(w.yaml, "api: fleet", "api: fleet, monthly_budget_usd: 0", 1)
		w.logIn()
		w.start()
		w.pass(24 * time.Hour)
		if got := fmt.Sprint(w.tesla.Hosts()); got != "[auth.tesla.com fleet-api.prd.eu.vn.cloud.tesla.com fleet-auth.prd.vn.cloud.tesla.com]" {
			t.Errorf("hosts: %s", got)
		}
		if n := w.tesla.Count("token", ""); n < 4 || n > 5 {
			t.Errorf("%d token requests in a day, want the login and one each 6 hours", n)
		}
		if n := w.tesla.Count("vehicle_data", ""); n < 285 || n > 290 {
			t.Errorf("%d full reads in a day, want one each 5 minutes", n)
		}
		t.Logf("%d full reads, %d looks, %d lists", w.tesla.Count("vehicle_data", ""), w.tesla.Count("vehicle", ""), w.tesla.Count("vehicles", ""))
		if n := w.tesla.Count("fleet_status", ""); n != 1 {
			t.Errorf("fleet_status was asked %d times", n)
		}
		if w.car1("source") != "fleet" || w.car1("charging") != "true" || w.health().Auth.Status != "ok" {
			t.Errorf("after a day: source %s, charging %s, %+v", w.car1("source"), w.car1("charging"), w.health())
		}
	})
}

// TestFleetMovesOnce: the region in the configuration is wrong; the bridge goes where Tesla says, tells so, and commands once.
func TestFleetMovesOnce(t *testing.T) {
	inFleet(t, "eu", "na", func(w *whole) {
		w.logIn()
		w.start()
		w.pass(time.Minute)
		if err := w.broker.Publish("tesla2mqtt/5YJ3E1EA7KF000001/charge_amps/set", "8", false); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		if n := len(w.car.Executed()); w.car1("charge_amps") != "8" || n != 1 {
			t.Errorf("%s A after %d commands", w.car1("charge_amps"), n)
		}
		if n := strings.Count(w.log.text(), "set tesla.region: eu"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestFleetConfig(t *testing.T) {
	env := func(name string) string { return map[string]string{"TESLA_CLIENT_SECRET": "hunter2\n"}[name] }
	const tesla = "tesla: {api: fleet, region: cn, client_id: abc, redirect_url: 'https://my.example'}\n"
	c, err := loadConfig(writeConfig(t, tesla+"poll: {charging: }\nvehicles: [{vin: 5YJ3E1EA7KF317000}, {vin: 5YJ3E1EA7KF317001, poll: {online: 60s}}]"), env)
	if err != nil {
		t.Fatal(err)
	}
	login := c.fleetLogin()
	if login.Secret.Reveal() != "hunter2" || login.API != hosts.FleetAPI("cn") || c.redirectShown() != "https://my.example/" {
		t.Errorf("got %+v", login)
	}
	if c.Poll.Online != 5*time.Minute || c.Vehicles[0].Poll.Charging != 5*time.Minute || c.Vehicles[1].Poll.Online != time.Minute || c.Poll.State != time.Minute {
		t.Errorf("polls: %+v, %+v", c.Poll, c.Vehicles)
	}
	near := mustLoad(t, tesla+"poll: {charging: 90s}\nvehicles: [{vin: 5YJ3E1EA7KF317000, read: ble}, {vin: 5YJ3E1EA7KF317001, read: ble, poll: {online: 7m}}, {vin: 5YJ3E1EA7KF317002}]")
	for i, online := range []time.Duration{time.Minute, 7 * time.Minute, 5 * time.Minute} {
		if p := near.Vehicles[i].Poll; p.Online != online || p.Charging != 90*time.Second {
			t.Errorf("the reads of car %d: %+v, want one each %s", i, p, online)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", c, *c, *login); strings.Contains(text, "hunter2") {
		t.Error("the configuration prints the client secret")
	}
	if c := mustLoad(t, tesla+"poll: {online: 90s}"); c.Poll.Online != 90*time.Second || c.Poll.Charging != 5*time.Minute {
		t.Errorf("polls: %+v", c.Poll)
	}
	if c := mustLoad(t, tesla+"vehicles: [{vin: 5YJ3E1EA7KF317000, write: rest}]"); len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "tesla-http-proxy") {
		t.Errorf("warnings: %q", c.Warnings)
	}
	both := writeConfig(t, "tesla: {api: fleet, region: eu, client_id: abc, redirect_url: 'https://my.example', client_secret_file: x}")
	if _, err := loadConfig(both, env); err == nil || !strings.Contains(err.Error(), "TESLA_CLIENT_SECRET too") {
		t.Errorf("two secrets: %v", err)
	}
}

func TestJudgeFleet(t *testing.T) {
	eu, na := hosts.FleetAPI("eu"), hosts.FleetAPI("na")
	for _, row := range []struct {
		f               finding
		status, message string
	}{
		{judgeRegion(teslaConfig{Region: "eu"}, eu), statusOK, "eu, as tesla.region says"},
		{judgeRegion(teslaConfig{Region: "na"}, eu), statusWarn, "the account is in eu, and tesla.region says na"},
		{judgeRegion(teslaConfig{Region: "eu", APIURL: "https://proxy.example"}, "https://proxy.example"), statusOK, "tesla.api_url"},
		{judgeGrant(auth.Grant{Audience: []string{na + "/", eu}}, eu)[0], statusOK, na},
		{judgeGrant(auth.Grant{Audience: []string{na}}, eu)[0], statusWarn, "and not for " + eu},
		{judgeGrant(auth.Grant{}, eu)[0], statusOK, "does not say"},
		{judgeGrant(auth.Grant{}, eu)[1], statusOK, "does not say"},
		{judgeGrant(auth.Grant{Scopes: auth.Scopes()}, eu)[1], statusOK, "may read"},
		{judgeGrant(auth.Grant{Scopes: []string{"openid"}}, eu)[1], statusFail, "lacks vehicle_device_data and vehicle_charging_cmds"},
		{judgeCar(carLine{VIN: "V", Served: true, Commands: "possible", Key: tesla.KeyMissing, Signer: true}, true), statusWarn, "does not know your application's key"},
		{judgeCar(carLine{VIN: "V", Served: true, Commands: "possible", Key: tesla.KeyMissing}, true), statusOK, "does not know your application's key"},
	} {
		if row.f.Status != row.status || !strings.Contains(row.f.Message, row.message) || (row.f.Fix == "") != (row.f.Status == statusOK) {
			t.Errorf("got %+v, want %s: %s", row.f, row.status, row.message)
		}
	}
}
