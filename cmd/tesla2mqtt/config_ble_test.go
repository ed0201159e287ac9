package main

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla/ble"
)

// Which way each combination means, and whether it needs a login.
func TestWays(t *testing.T) {
	if !ble.Supported {
		t.Skip("needs Linux")
	}
	for _, row := range []struct {
		read, write          string
		cloud, nearby, radio bool
	}{
		{"api", "auto", true, false, false}, {"api", "none", true, false, false}, {"api", "ble", true, true, true},
		{"ble", "auto", false, true, true}, {"ble", "ble", false, true, true}, {"ble", "none", false, true, false},
		{"telemetry", "none", false, false, false}, {"telemetry", "ble", false, true, true}, {"telemetry", "auto", true, false, false},
	} {
		c := mustLoad(t, fmt.Sprintf("vehicles: [{vin: 5YJ3E1EA7KF317000, read: %s, write: %s}]", row.read, row.write))
		v := c.Vehicles[0]
		if c.cloud() != row.cloud || v.nearby() != row.nearby || v.toldByRadio() != row.radio {
			t.Errorf("%s, %s: cloud %v, nearby %v, told by radio %v", row.read, row.write, c.cloud(), v.nearby(), v.toldByRadio())
		}
		if got := len(c.unlisted()) == 1; got == row.cloud {
			t.Errorf("%s, %s: there without an account: %v", row.read, row.write, got)
		}
		if got := c.bridgeConfig("", "").API; (got == bridge.NoAPI) == row.cloud {
			t.Errorf("%s, %s: api %s", row.read, row.write, got)
		}
	}
	if c := mustLoad(t, ""); !c.cloud() {
		t.Error("every car of an account that is not needed")
	}
}

func TestBLEKeyFile(t *testing.T) {
	c := mustLoad(t, "state_dir: /var/lib/x")
	if got := c.bleKeyFile(); got != filepath.Join("/var/lib/x", "ble-key.pem") {
		t.Errorf("got %s", got)
	}
	c = mustLoad(t, "ble: {key_file: keys/mine.pem}")
	if got := c.bleKeyFile(); !filepath.IsAbs(got) || !strings.HasSuffix(got, filepath.Join("keys", "mine.pem")) {
		t.Errorf("got %s", got)
	}
}

// On a system without Bluetooth the configuration says so, kindly, at the line that wants it.
func TestBLEUnsupported(t *testing.T) {
	if ble.Supported {
		t.Skip("needs a program without Bluetooth: go test -tags nobluetooth")
	}
	c := defaults()
	d := &decoder{file: "x", lines: map[string]int{}, newVehicle: c.newVehicle}
	c.Vehicles = []vehicle{{Read: "ble"}}
	d.checkBLE(c)
	if err := d.err(); err == nil || !strings.Contains(err.Error(), "vehicles[0].read: ble is not possible here: Bluetooth needs Linux") {
		t.Errorf("got %v", err)
	}
}

// The examples for Bluetooth let the program reach D-Bus's socket, and nothing else.
func TestBluetoothExamples(t *testing.T) {
	var c composeFile
	d := yaml.NewDecoder(strings.NewReader(exampleFile(t, "docker/bluetooth.yml")))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	const socket = "/run/dbus/system_bus_socket"
	want := composeService{Volumes: []string{socket + ":" + socket}}
	if got := c.Services["tesla2mqtt"]; len(c.Services) != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("the container gets %+v", c.Services)
	}
	rights := 0
	for line := range strings.Lines(exampleFile(t, "systemd/bluetooth.conf")) {
		if strings.Contains(line, "=") {
			rights++
		}
		if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found && value != map[string]string{
			"SupplementaryGroups": "bluetooth", "RestrictAddressFamilies": "AF_UNIX"}[key] {
			t.Errorf("the service gets %s", line)
		}
	}
	if rights != 2 {
		t.Errorf("%d rights", rights)
	}
}
