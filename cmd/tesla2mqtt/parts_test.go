package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
)

func TestFindCar(t *testing.T) {
	c := mustLoad(t, "vehicles: [{vin: 5YJ3E1EA7KF317000, name: mine}, {vin: 5YJ3E1EA7KF317009, name: sold}]")
	cars := []tesla.Vehicle{
		{VIN: "5YJ3E1EA7KF317000", Name: "Red"}, {VIN: "5YJ3E1EA7KF317001", Name: "Blue"},
		{VIN: "5YJ3E1EA7KF317002", Name: "BLUE"}, {VIN: "5YJ3E1EA7KF317003"},
	}
	for _, row := range []struct{ name, vin, err string }{
		{"5YJ3E1EA7KF317001", "5YJ3E1EA7KF317001", ""}, {"5yj3e1ea7kf317003", "5YJ3E1EA7KF317003", ""},
		{"mine", "5YJ3E1EA7KF317000", ""}, {"RED", "5YJ3E1EA7KF317000", ""},
		{"blue", "", "2 cars are called blue"}, {"sold", "", "no car of this account is called sold"},
		{"a\nb", "", `no car of this account is called "a\nb"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			car, err := findCar(c, cars, row.name)
			if car.VIN != row.vin || (err == nil) != (row.err == "") || err != nil && (err.Error() != row.err || exitCode(err) != exitUsage) {
				t.Errorf("got %s, %v", car.VIN, err)
			}
		})
	}
	if got := served(c, cars); len(got) != 1 || got[0].Name != "Red" {
		t.Errorf("served %v", got)
	}
	if got, want := listed(c, cars[:2]), "5YJ3E1EA7KF317000 or mine (Red), 5YJ3E1EA7KF317001 (Blue)"; got != want {
		t.Errorf("listed %s, want %s", got, want)
	}
}

func TestReading(t *testing.T) {
	charge := tesla.ChargeState{
		ChargingState: "NoPower", BatteryLevel: new(0), BatteryRange: new(100.0), FastChargerPresent: new(false),
		ChargeEnergyAdded: new(3.0), Timestamp: time.Date(2026, 11, 24, 1, 2, 3, 4, time.UTC),
	}
	r := reading{"5YJ3E1EA7KF317000", "", bridge.NewDocument(tesla.StateOnline, &charge, "owner", time.Now())}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"vin": "5YJ3E1EA7KF317000", "name": "", "vehicle_state": "online", "charging_state": "no_power", "battery_level": 0.0,
		"battery_range": 160.9, "fast_charger": false, "last_update": "2026-11-24T01:02:03Z", "charge_amps": nil, "scheduled_start": nil,
		"charge_energy_added": 3.0, "charge_energy_total": nil, "source": "owner",
	} {
		if value, there := got[key]; !there || value != want {
			t.Errorf("%s: got %v, want %v", key, value, want)
		}
	}
	var out strings.Builder
	if err := printReadings(&out, []reading{r, r}); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "battery_level        0 %\n") || strings.Contains(text, "charge_amps") || !strings.Contains(text, "\n\nvin") {
		t.Errorf("printed\n%s", text)
	}
}

// A key of the state topic that changed its name would lose its unit in silence.
func TestUnits(t *testing.T) {
	keys := map[string]bool{}
	for _, s := range (bridge.Document{}).Scalars() {
		keys[s.Key] = true
	}
	for key := range units {
		if !keys[key] {
			t.Errorf("the state has no %s", key)
		}
	}
}

func TestReadLines(t *testing.T) {
	ctx := t.Context()
	lines := readLines(strings.NewReader("\n  one \r\n\ntwo"))
	for _, want := range []string{"one", "two"} {
		if got, err := nextLine(ctx, lines); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := nextLine(ctx, lines); err == nil || !strings.Contains(err.Error(), "the input ended") {
		t.Errorf("at the end: %v", err)
	}
}

// A terminal that says nothing must not keep Ctrl-C from ending the program.
func TestNextLineStops(t *testing.T) {
	silent, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupt"))
	if _, err := nextLine(ctx, readLines(silent)); err == nil || !strings.Contains(err.Error(), "nothing was changed: interrupt") {
		t.Errorf("got %v", err)
	}
}

func TestUseIssuer(t *testing.T) {
	for _, row := range []struct{ issuer, want string }{
		{"", ""}, {"https://auth.tesla.cn", "https://auth.tesla.cn"}, {"https://auth.tesla.com/", "https://auth.tesla.com"},
		{"http://auth.tesla.cn", "error"}, {"https://evil.example", "error"}, {"https://auth.tesla.cn.evil.example", "error"},
		{"https://me@auth.tesla.cn", "error"}, {"https://auth.tesla.cn/x", "error"}, {"%", "error"},
	} {
		c := defaults()
		err := useIssuer(c, row.issuer)
		if (err != nil) != (row.want == "error") || err == nil && c.Tesla.AuthURL != row.want {
			t.Errorf("%s: %q, %v", row.issuer, c.Tesla.AuthURL, err)
		}
	}
}

func TestReadBuild(t *testing.T) {
	b := readBuild(&debug.BuildInfo{
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
		Deps:     []*debug.Module{{Path: "a", Version: "v1"}, {Path: "b", Version: "v1", Replace: &debug.Module{Path: "c", Version: "v2"}}},
	})
	if b.Commit != "abc" || !b.Modified || !reflect.DeepEqual(b.Modules, []module{{"a", "v1"}, {"c", "v2"}}) {
		t.Errorf("got %+v", b)
	}
	if b := readBuild(nil); b.Version != version || b.Commit != "unknown" || b.Modules == nil {
		t.Errorf("without information: %+v", b)
	}
}

func TestTracedHidesCredentials(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Secret", "hunter2")
		_, err := io.WriteString(w, "hunter2")
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	var log strings.Builder
	client := &http.Client{Transport: &traced{http.DefaultTransport, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/path?code=hunter2", strings.NewReader("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer hunter2")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); strings.Contains(got, "hunter2") || !strings.Contains(got, "method=POST") || !strings.Contains(got, "path=/path status=200") {
		t.Errorf("logged %s", got)
	}
}

func TestNewLogger(t *testing.T) {
	for _, row := range []struct{ level, format, want string }{
		{"debug", "text", "level=DEBUG msg=a\n"}, {"info", "json", `"msg":"b"`}, {"error", "text", ""},
	} {
		var out strings.Builder
		log := newLogger(&out, row.level, row.format)
		log.Debug("a")
		log.Info("b")
		if got := out.String(); !strings.Contains(got, row.want) || row.want == "" && got != "" || row.level == "info" && strings.Contains(got, `"a"`) {
			t.Errorf("%s, %s: %s", row.level, row.format, got)
		}
	}
}

// A login refused by Tesla is asked about again when the file of the login has become another.
func TestRenewed(t *testing.T) {
	c := &Config{StateDir: t.TempDir()}
	if got := c.renewed(); !got.IsZero() {
		t.Errorf("without a login: %s", got)
	}
	before := time.Now().Add(-time.Second)
	if err := os.WriteFile(c.tokenFile(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := c.renewed(); !got.After(before) {
		t.Errorf("just made, but renewed at %s", got)
	}
}

// sudo tesla2mqtt status must not take the login away from the user who runs the bridge.
func TestRefuseRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs to be root")
	}
	c := mustLoad(t, "state_dir: "+t.TempDir())
	for _, row := range []struct {
		owner int
		want  string
	}{{65534, "belongs to user 65534"}, {0, ""}} {
		if err := os.Chown(c.StateDir, row.owner, row.owner); err != nil {
			t.Fatal(err)
		}
		source, _, err := openAccount(c, slog.New(slog.DiscardHandler))
		if (err == nil) != (row.want == "") || err != nil && (!strings.Contains(err.Error(), row.want) || exitCode(err) != exitUsage) {
			t.Errorf("owner %d: %v", row.owner, err)
		}
		if files, _ := os.ReadDir(c.StateDir); err != nil && len(files) > 0 {
			t.Errorf("files were left: %v", files)
		}
		if source != nil {
			closeAccount(source, &err)
		}
	}
}
