package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/bridge"
)

const example = "../../config.example.yaml"

// writeConfig puts a configuration in a folder of its own.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t *testing.T, text string) *Config {
	t.Helper()
	c, err := loadConfig(writeConfig(t, text), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExampleEqualsDefaults(t *testing.T) {
	c, err := loadConfig(example, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	want, err := loadConfig(filepath.Join("testdata", "empty"), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	c.StateDir, want.StateDir = filepath.Base(c.StateDir), filepath.Base(want.StateDir)
	want.account, want.Warnings = c.account, nil // it has every section, and is not empty
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the example is\n%+v\nthe defaults are\n%+v", c, want)
	}
}

// exampleWithCar is the example with the entry of a car switched on, which is a comment there.
func exampleWithCar(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	text, cars, found := strings.Cut(string(data), "vehicles: []\n")
	if !found {
		t.Fatal("the example does not end in vehicles: []")
	}
	return text + "vehicles:\n" + regexp.MustCompile(`(?m)^#`).ReplaceAllString(cars, "")
}

// Every key of the structs must be in the example.
func TestExampleHasEveryKey(t *testing.T) {
	text := exampleWithCar(t)
	c := defaults()
	d := &decoder{file: "example", lines: map[string]int{}, newVehicle: c.newVehicle}
	d.decodeFile([]byte(text), c)
	d.checkAll(c)
	if err := d.err(); err != nil {
		t.Fatal(err)
	}
	for _, path := range allPaths("", reflect.TypeFor[Config]()) {
		if d.lines[strings.Replace(path, "[]", "[0]", 1)] == 0 {
			t.Errorf("the example has no %s", path)
		}
	}
	want := c.newVehicle()
	want.VIN, want.Name = "5YJ3E1EA7KF317000", "model3"
	if !reflect.DeepEqual(c.Vehicles, []vehicle{want}) {
		t.Errorf("the car of the example is %+v, by default it is %+v", c.Vehicles, want)
	}
}

func TestGoodConfigs(t *testing.T) {
	tests := []struct {
		name, text string
		got        func(*Config) any
		want       any
	}{
		{"empty sections keep defaults", "mqtt:\npoll:\nlog: {level: }", func(c *Config) any { return c.Log.Level }, "info"},
		{"empty list", "vehicles:", func(c *Config) any { return len(c.Vehicles) }, 0},
		{"a number is a text where a text is wanted", "tesla: {tls_min: 1.2}", func(c *Config) any { return c.Tesla.TLSMin }, "1.2"},
		{"client_id from a base topic", "mqtt: {base_topic: home/car}", func(c *Config) any { return c.MQTT.ClientID }, "home-car"},
		{"client_id of its own", "mqtt: {base_topic: car, client_id: x}", func(c *Config) any { return c.MQTT.ClientID }, "x"},
		{"no waiting between amps", "commands: {amps: {settle: 0s, raise_gap: 0, lower_gap: 0s}}",
			func(c *Config) any { return c.Commands.Amps }, bridge.Amps{Min: 1, Max: 48}},
		{"an alias", "poll: &p {state: 30s}\nvehicles: [{vin: 5YJ3E1EA7KF317000, poll: *p}]",
			func(c *Config) any { return c.Vehicles[0].Poll.State }, 30 * time.Second},
		{"a car inherits what stands below it", "vehicles: [{vin: 5YJ3E1EA7KF317000}]\ncommands: {wake: never, amps: {max: 16}}",
			func(c *Config) any { return []any{c.Vehicles[0].Commands.Wake, c.Vehicles[0].Commands.Amps.Max} }, []any{"never", 16}},
		{"a car overrides one value", "poll: {state: 20s}\nvehicles: [{vin: 5YJ3E1EA7KF317000, poll: {online: 90s}}]",
			func(c *Config) any { return []any{c.Vehicles[0].Poll.State, c.Vehicles[0].Poll.Online} }, []any{20 * time.Second, 90 * time.Second}},
		{"loopback http", "tesla: {auth_url: 'http://127.0.0.1:8080', api_url: 'http://localhost:8080'}",
			func(c *Config) any { return c.Tesla.APIURL }, "http://localhost:8080"},
		{"fast polls are warned of", "poll: {state: 1s}\nvehicles: [{vin: 5YJ3E1EA7KF317000}]", func(c *Config) any { return c.Warnings },
			[]string{"poll.state: 1s is very often, Tesla may refuse calls for hours; use 15s or more"}},
		{"quiet ones are not", "poll: {state: 15s, suspend: 5s}", func(c *Config) any { return len(c.Warnings) }, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.got(mustLoad(t, test.text)); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestRelativePaths(t *testing.T) {
	path := writeConfig(t, "state_dir: data\nmqtt: {username: me, password_file: pw}\n")
	dir := filepath.Dir(path)
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte("hunter2\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(path, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "data"); c.StateDir != want {
		t.Errorf("state_dir %s, want %s", c.StateDir, want)
	}
	if got := c.mqttOptions().Password; got != "hunter2" {
		t.Errorf("password %q: the end of line belongs to the editor", got)
	}
}

func TestPasswordFromEnvironment(t *testing.T) {
	env := func(name string) string { return map[string]string{"MQTT_PASSWORD": "hunter2"}[name] }
	c, err := loadConfig(writeConfig(t, "mqtt: {username: me}"), env)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.mqttOptions().Password; got != "hunter2" {
		t.Errorf("password %q", got)
	}
	for name, row := range map[string]struct{ text, want string }{
		"both":    {"mqtt: {username: me, password_file: pw}", "mqtt.password_file: the environment has MQTT_PASSWORD too (keep one of them)"},
		"no user": {"", "mqtt.username: missing (MQTT sends no password without a user name)"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(writeConfig(t, row.text), env)
			if err == nil || !strings.HasSuffix(err.Error(), row.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

func TestConfigDoesNotPrintThePassword(t *testing.T) {
	env := func(string) string { return "hunter2" }
	c, err := loadConfig(writeConfig(t, "mqtt: {username: me}"), env)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "c", c, "v", *c)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "c", c, "v", *c)
	out := log.String() + fmt.Sprintf("%v %+v %#v %v", c, *c, c, []any{*c})
	if strings.Contains(out, "hunter2") {
		t.Error("the password is printed")
	}
	if !strings.Contains(out, "5m") && !strings.Contains(out, "localhost") {
		t.Error("nothing was printed at all")
	}
}

func TestBridgeConfig(t *testing.T) {
	c := mustLoad(t, `
mqtt: {base_topic: home/car, scalars: false}
homeassistant: {discovery: false, prefix: ha}
commands: {enabled: false, ttl: 30s, charge_port: true, fast_charging: true}
vehicles:
  - {vin: 5YJ3E1EA7KF317000, name: model3, write: none, commands: {wake: never, amps: {max: 16}}}
`)
	b := c.bridgeConfig("v1", "abc")
	amps := bridge.Amps{Min: 1, Max: 48, Settle: 2 * time.Second, RaiseGap: 15 * time.Second, LowerGap: 5 * time.Second}
	all := bridge.CarConfig{Poll: c.Poll, Source: "owner", Commands: bridge.Commands{
		Wake: true, TTL: 30 * time.Second, ChargePort: true, FastCharging: true, Amps: amps}}
	car := all
	car.Name, car.ReadOnly, car.Commands.Wake, car.Commands.Amps.Max = "model3", true, false, 16
	want := bridge.Config{BaseTopic: "home/car", ClientID: "home-car", DiscoveryPrefix: "ha", API: "owner", Version: "v1", Commit: "abc",
		Cars: map[string]bridge.CarConfig{"5YJ3E1EA7KF317000": car}, Default: all}
	if !reflect.DeepEqual(b, want) {
		t.Errorf("got\n%+v\nwant\n%+v", b, want)
	}
	if !mustLoad(t, "").bridgeConfig("", "").AllCars {
		t.Error("without vehicles every car is to be served")
	}
}

func TestSettings(t *testing.T) {
	c := mustLoad(t, "vehicles: [{vin: 5YJ3E1EA7KF317000, name: model3, write: none}, {vin: 5YJ3E1EA7KF317001}]")
	for _, row := range []struct {
		name, vin string
		named     bool
	}{
		{"5YJ3E1EA7KF317000", "5YJ3E1EA7KF317000", true}, {"5yj3e1ea7kf317001", "5YJ3E1EA7KF317001", true},
		{"Model3", "5YJ3E1EA7KF317000", true}, {"", "", false}, {"other", "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if v, named := c.settings(row.name); v.VIN != row.vin || named != row.named {
				t.Errorf("got %q, %v", v.VIN, named)
			}
		})
	}
}

func TestFindConfig(t *testing.T) {
	t.Chdir(t.TempDir())
	if got, err := findConfig("given.yaml"); got != "given.yaml" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := os.Stat(defaultPaths[1]); err == nil {
		t.Skip("this machine has a configuration of its own")
	}
	_, err := findConfig("")
	if exitCode(err) != exitUsage || err.Error() != "there is no configuration: neither ./config.yaml nor /etc/tesla2mqtt/config.yaml" ||
		!strings.Contains(hintFor(err), "config.example.yaml") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile("config.yaml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := findConfig(""); got != "config.yaml" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestNearest(t *testing.T) {
	keys := fieldKeys(reflect.TypeFor[mqttConfig]())
	for _, row := range []struct{ key, want string }{
		{"url", "url"}, {"ulr", "url"}, {"uri", "url"}, {"clientid", "client_id"}, {"Client-ID", "client_id"}, {"user", "username"},
		{"topic", "base_topic"}, {"scalar", "scalars"}, {"cert", "cert_file"}, {"colour", ""}, {"", ""}, {"x", ""},
		{strings.Repeat("x", 100_000), ""},
	} {
		if got := nearest(row.key, keys); got != row.want {
			t.Errorf("%.20q: got %q, want %q", row.key, got, row.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"", "abc", 3}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"poll", "pool", 1}} {
		if got := distance(row.a, row.b); got != row.want {
			t.Errorf("%s, %s: got %d, want %d", row.a, row.b, got, row.want)
		}
	}
}

func TestManyFaultsAreCutOff(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "unknown%d: 1\n", i)
	}
	_, err := loadConfig(writeConfig(t, text.String()), noEnv)
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != maxFaults+1 || !strings.HasSuffix(lines[maxFaults], "and 960 faults more") {
		t.Errorf("%d lines, the last is %s", len(lines), lines[len(lines)-1])
	}
}

// FuzzConfig looks for files that break the program instead of being reported, or whose report is out of bounds.
func FuzzConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(files, example) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := defaults()
		d := &decoder{file: "config.yaml", lines: map[string]int{}, newVehicle: c.newVehicle}
		d.decodeFile(data, c)
		// Without the files that a configuration may name: a fuzzer would find /dev/zero.
		c.MQTT.CAFile, c.MQTT.CertFile, c.MQTT.KeyFile, c.Tesla.CAFile = "", "", "", ""
		d.checkAll(c)
		err := d.err()
		if err == nil && (c.Commands.Amps.Max > maxAmps || c.Poll.State < time.Second) {
			t.Errorf("accepted %+v", c)
		}
		if lines := strings.Count(fmt.Sprint(err), "\n"); lines > maxFaults {
			t.Errorf("%d lines of faults", lines)
		}
	})
}
