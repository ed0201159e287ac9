package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// invalid has one file for each rule, with the exact report: what users read is decided here. FILE stands for the path.
var invalid = []struct{ name, want string }{
	{"vehicle-name-vin", `FILE:2: vehicles[0].name: must not be the VIN of a car (leave it out to use the VIN)`},
	{"amps-max", `FILE:3: commands.amps.max: must be 1 to 80 (amperes, of each phase)`},
	{"amps-min", `FILE:3: commands.amps.min: must be 1 to 80 (amperes, of each phase)`},
	{"amps-order", `FILE:3: commands.amps.min: min is 20 and max is 16 (min must not be above max)`},
	{"api-url-user", `FILE:2: tesla.api_url: must be https://host[:port], without user and query (http only for this machine, to a simulator)`},
	{"api", `FILE:2: tesla.api: is not a possible value (owner, fleet; did you mean owner?)`},
	{"auth-url-http", `FILE:2: tesla.auth_url: must be https://host[:port], without user and query (http only for this machine, to a simulator)`},
	{"base-topic-empty", `FILE:2: mqtt.base_topic: must be a topic of letters, digits, _ and -, with single slashes inside (such as home/tesla2mqtt)`},
	{"base-topic-slash", `FILE:2: mqtt.base_topic: must be a topic of letters, digits, _ and -, with single slashes inside (such as home/tesla2mqtt)`},
	{"base-topic-wildcard", `FILE:2: mqtt.base_topic: must be a topic of letters, digits, _ and -, with single slashes inside (such as home/tesla2mqtt)`},
	{"budget", `FILE:2: tesla.monthly_budget_usd: must be 1 to 10000 (dollars a month), or 0 for no limit`},
	{"budget-form", `FILE:2: tesla.monthly_budget_usd: must be an amount in dollars, without a sign (such as 10 or 2.50)`},
	{"ble-adapter", `FILE:2: ble.adapter: must be hci0, hci1 and so on (list them with: bluetoothctl list)`},
	{"bool", `FILE:2: mqtt.scalars: must be true or false, without quotes`},
	{"ca-unencrypted", `FILE:2: mqtt.ca_file: needs an encrypted connection; set mqtt.url to mqtts:// or wss://`},
	{"client-id", `FILE:2: mqtt.client_id: must be 1 to 64 letters, digits, _ or - (Home Assistant's ids are made of it)`},
	{"duplicate-key", `FILE:3: mqtt.url: given twice (see line 2; remove one)`},
	{"duration", `FILE:2: poll.state: must be a duration with its unit (such as 500ms, 60s, 15m, 1h)`},
	{"fleet", `FILE:1: tesla.client_id: missing (the Fleet API knows an application of yours only, made at developer.tesla.com; see docs/setup-fleet.md)
FILE:1: tesla.redirect_url: missing (one that your application is registered with; no page has to be there)
FILE:1: tesla.region: missing (where the account lives: eu for Europe, the Middle East and Africa, na for North America and Asia-Pacific, cn for China)`},
	{"fleet-form", `FILE:3: tesla.region: is not a possible value ("", na, eu, cn)
FILE:4: tesla.client_id: must be the client ID of your application, as developer.tesla.com shows it
FILE:5: tesla.redirect_url: must be https://host[/path], byte for byte as your application is registered with it
FILE:6: tesla.client_secret_file: the file cannot be read: no such file or directory (the value is the path of a file that holds the client secret)`},
	{"fleet-owner", `FILE:2: tesla.region: is for the Fleet API alone (set tesla.api: fleet, or remove it)
FILE:3: tesla.client_id: is for the Fleet API alone (set tesla.api: fleet, or remove it)
FILE:4: tesla.redirect_url: is for the Fleet API alone (set tesla.api: fleet, or remove it)
FILE:5: tesla.client_secret_file: is for the Fleet API alone (set tesla.api: fleet, or remove it)
FILE:6: tesla.key_file: is for the Fleet API alone (set tesla.api: fleet, or remove it)`},
	{"inline-client-secret", `FILE:2: tesla.client_secret: a secret does not belong in this file (use tesla.client_secret_file, or the environment variable TESLA_CLIENT_SECRET)`},
	{"gap", `FILE:3: commands.amps.raise_gap: must be 0s to 1h`},
	{"ha-prefix", `FILE:2: homeassistant.prefix: must be a topic of letters, digits, _ and -, with single slashes inside (such as home/tesla2mqtt)`},
	{"inline-password", `FILE:2: mqtt.password: a password does not belong in this file (use mqtt.password_file, or the environment variable MQTT_PASSWORD)`},
	{"inline-token", `FILE:2: tesla.refresh_token: a secret does not belong in this file (the Tesla login is made by: tesla2mqtt login)`},
	{"int", `FILE:2: commands.amps.max: must be a whole number, without a unit`},
	{"log-format", `FILE:2: log.format: is not a possible value (text, json)`},
	{"log-level", `FILE:2: log.level: is not a possible value (debug, info, warn, error)`},
	{"name-bridge", `FILE:3: vehicles[0].name: must not be bridge (those topics are the bridge's own)`},
	{"name-twice", `FILE:3: vehicles[1].name: is the same as that of vehicles[0] (each car needs its own)`},
	{"name", `FILE:3: vehicles[0].name: must be 1 to 64 of a-z, 0-9, _ and - (it is part of the topics; such as model_3)`},
	{"not-a-list", `FILE:1: vehicles: must be a list: entries that begin with a dash`},
	{"not-a-section", `FILE:1: mqtt: must be a section: keys, indented below it (such as url, client_id, username)`},
	{"not-a-value", `FILE:1: state_dir: must be a single value, not a list or a section`},
	{"password-as-file", `FILE:3: mqtt.password_file: the file cannot be read: no such file or directory (the value is the path of a file that holds the password)`},
	{"password-empty", `FILE:3: mqtt.password_file: the file is empty (write the password into it, and nothing else)`},
	{"password-in-url", `FILE:2: mqtt.url: must not contain a user name or password; use mqtt.username and mqtt.password_file`},
	{"password-no-user", `FILE:1: mqtt.username: missing (MQTT sends no password without a user name)`},
	{"poll-long", `FILE:2: poll.online: must be 1s to 24h`},
	{"poll-negative", `FILE:2: poll.suspend: must be 1s to 24h`},
	{"poll-short", `FILE:2: poll.charging: must be 1s to 24h`},
	{"read", `FILE:3: vehicles[0].read: is not a possible value (api, ble, telemetry)`},
	{"root-list", `FILE:1: must be keys with values, a line each (as in config.example.yaml)`},
	{"settle", `FILE:3: commands.amps.settle: must be 0s to 1m`},
	{"several", `FILE:1: log.level: is not a possible value (debug, info, warn, error)
FILE:3: mqtt.urll: unknown key (did you mean mqtt.url?)
FILE:4: mqtt.client_id: must be 1 to 64 letters, digits, _ or - (Home Assistant's ids are made of it)
FILE:5: poll.online: must be a duration with its unit (such as 500ms, 60s, 15m, 1h)
FILE:5: poll.state: must be 1s to 24h`},
	{"state-dir", `FILE:1: state_dir: must not be empty (the login is kept there; ./state is the default)`},
	{"syntax", `FILE:1: not readable as YAML: did not find expected ',' or ']' (compare with config.example.yaml)`},
	{"tabs", `FILE:2: not readable as YAML: found character that cannot start any token (indent with spaces: YAML takes no tabs)`},
	{"telemetry-around", `FILE:3: telemetry.base_topic: must lie outside of mqtt.base_topic (what is published there is not the server's)`},
	{"telemetry-inside", `FILE:2: telemetry.base_topic: must lie outside of mqtt.base_topic (what is published there is not the server's)`},
	{"telemetry-silent", `FILE:2: telemetry.silent_after: must be 1m to 24h`},
	{"telemetry-topic", `FILE:2: telemetry.base_topic: must be a topic of letters, digits, _ and -, with single slashes inside (such as home/tesla2mqtt)`},
	{"tesla-ca", `FILE:2: tesla.ca_file: no certificate in PEM form can be read from testdata/password (leave it empty for the system's own)`},
	{"tls-order", `FILE:2: tesla.tls_max: is below tesla.tls_min (set tls_min to 1.2 as well)`},
	{"tls-version", `FILE:2: tesla.tls_min: is not a possible value ("", 1.2, 1.3)`},
	{"ttl", `FILE:2: commands.ttl: must be 1s to 10m`},
	{"two-documents", `FILE:2: a second document begins here; everything belongs in one (remove the line ---)`},
	{"unknown-elsewhere", `FILE:2: log.base_topic: unknown key here (did you mean mqtt.base_topic?)`},
	{"unknown-key", `FILE:2: mqtt.ulr: unknown key (did you mean mqtt.url?)`},
	{"unknown-nowhere", `FILE:1: colour: unknown key (config.example.yaml has all there are)`},
	{"unknown-odd", `FILE:1: a…: unknown key (config.example.yaml has all there are)`},
	{"unknown-part", `FILE:2: mqtt.user: unknown key (did you mean mqtt.username?)`},
	{"unknown-vehicle", `FILE:3: vehicles[0].commands.ttl: unknown key here (did you mean commands.ttl?)`},
	{"url-scheme", `FILE:2: mqtt.url: must start with mqtt://, mqtts://, ws:// or wss://`},
	{"vehicle-amps", `FILE:3: vehicles[0].commands.amps.min: min is 49 and max is 48 (min must not be above max)`},
	{"vehicle-null", `FILE:2: vehicles[0].vin: missing (list your cars with: tesla2mqtt vehicles)`},
	{"vehicle-poll", `FILE:3: vehicles[0].poll.state: must be 1s to 24h`},
	{"vehicle-wake", `FILE:3: vehicles[0].commands.wake: is not a possible value (auto, never)`},
	{"vin-missing", `FILE:2: vehicles[0].vin: missing (list your cars with: tesla2mqtt vehicles)`},
	{"vin-twice", `FILE:3: vehicles[1].vin: is the same as that of vehicles[0] (each car needs its own)`},
	{"vin", `FILE:2: vehicles[0].vin: must be a VIN: 17 capital letters and digits, without I, O and Q (write its letters as capitals)`},
	{"wake", `FILE:2: commands.wake: is not a possible value (auto, never)`},
	{"write-api-owner", `FILE:3: vehicles[0].write: api needs tesla.api: fleet (use auto: the Owner API takes no signed commands, and unsigned ones only to some cars)`},
	{"write-api-key", `FILE:4: vehicles[0].write: api needs tesla.key_file, the key that signs (use auto for a car that takes unsigned commands)`},
	{"write-rest", `FILE:3: vehicles[0].write: rest needs tesla.api: fleet (use auto: the Owner API sends the same where the car takes it)`},
	{"url-none", `FILE:2: mqtt.url: must start with mqtt://, mqtts://, ws:// or wss://, as in mqtt://192.168.1.5:1883`},
	{"url-tcp", `FILE:2: mqtt.url: must start with mqtt://, mqtts://, ws:// or wss://; for tcp:// write mqtt://`},
	{"url-port", `FILE:2: mqtt.url: the port must be 1 to 65535`},
	{"vehicle-bare", `FILE:2: vehicles[0]: must be an entry with keys (as in: - vin: 5YJ3E1EA7KF317000)`},
	{"vin-short", `FILE:2: vehicles[0].vin: must be a VIN: 17 capital letters and digits, without I, O and Q (this has 16 characters)`},
	{"vin-letters", `FILE:2: vehicles[0].vin: must be a VIN: 17 capital letters and digits, without I, O and Q (is it a 1, or a 0?)`},
	{"no-blank", `FILE:2: mqtt: must be a section: keys, indented below it (after the colon of a key comes a blank)`},
	{"poll-number", `FILE:1: poll: must be a section: keys, indented below it (such as state, online, charging)`},
	{"columns", `FILE:3: not readable as YAML: mapping values are not allowed in this context (let all keys of a section begin in the same column, and quote a value that has a colon and a blank in it)`},
	{"utf16", `FILE: not readable as YAML: control characters are not allowed (save the file as plain text, in UTF-8)`},
	{"root-url", `FILE:2: url: unknown key here (it goes below mqtt, indented)`},
	{"root-vin", `FILE:1: vin: unknown key here (it goes into an entry below vehicles, as in: - vin: 5YJ3E1EA7KF317000)`},
	{"foreign-key", `FILE:2: mqtt.host: unknown key (use mqtt.url, as in mqtt://192.168.1.5:1883)`},
	{"write", `FILE:3: vehicles[0].write: is not a possible value (auto, api, rest, ble, none)`},
}

func noEnv(string) string { return "" }

func TestInvalidConfigs(t *testing.T) {
	seen := map[string]bool{}
	for _, test := range invalid {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join("testdata", "invalid-"+test.name+".yaml")
			seen[path] = true
			c, err := loadConfig(path, noEnv)
			if err == nil {
				t.Fatalf("loaded as %+v", c)
			}
			got := strings.ReplaceAll(err.Error(), path, "FILE")
			if got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if strings.Contains(got, "hunter2") {
				t.Error("the report holds the secret")
			}
			if code := exitCode(err); code != exitUsage {
				t.Errorf("exit code %d", code)
			}
		})
	}
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, f := range files {
		if !seen[f] {
			t.Errorf("%s has no row", f)
		}
	}
}

// TestEmptyConfigIsWarnedOf: all defaults may be what is wanted, but a file that was lost looks the same.
func TestEmptyConfigIsWarnedOf(t *testing.T) {
	for text, want := range map[string]int{"": 1, "# nothing yet\n": 1, "log: {level: warn}\n": 0} {
		if c := mustLoad(t, text); len(c.Warnings) != want || want > 0 && !strings.Contains(c.Warnings[0], "the file is empty") {
			t.Errorf("%q: %v", text, c.Warnings)
		}
	}
}

func TestUnreadableConfig(t *testing.T) {
	err := unreadable("c.yaml", &fs.PathError{Op: "open", Path: "c.yaml", Err: fs.ErrPermission})
	if err.Error() != "c.yaml: this user may not read it (run this as the user to whom it belongs, or let this one read it)" || exitCode(err) != exitUsage {
		t.Error(err)
	}
}

func TestConfigFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, []byte(strings.Repeat("#", maxConfig+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct{ path, want string }{
		"missing":   {filepath.Join(dir, "none.yaml"), "none.yaml: there is no such file (copy config.example.yaml to it, or"},
		"a folder":  {dir, dir + ": this is a folder (name the file in it, with -config "},
		"too large": {large, "larger than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(row.path, noEnv)
			if err == nil || !strings.Contains(err.Error(), row.want) || exitCode(err) != exitUsage {
				t.Errorf("got %v", err)
			}
		})
	}
}
