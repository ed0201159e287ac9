//go:build linux && !nobluetooth

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/tesla/ble"
	"tesla2mqtt/tesla/ble/bluetest"
	"tesla2mqtt/tesla/signed"
	"tesla2mqtt/tesla/sim"
)

// nearWorld is a world with a radio in it.
type nearWorld struct {
	bluez *bluetest.BlueZ
	near  map[string]*bluetest.Car
}

type nearKey struct{}

func near(ts *testscript.TestScript) *nearWorld { return ts.Value(nearKey{}).(*nearWorld) }

// TestBluetoothScripts runs the program beside a fake BlueZ, with the configuration of docs/setup-bluetooth.md.
func TestBluetoothScripts(t *testing.T) {
	for _, script := range []string{"setup", "trouble"} {
		t.Run(script, func(t *testing.T) {
			z, address := startBluez(t)
			testscript.Run(t, testscript.Params{
				Files: []string{filepath.Join("testdata", "bluetooth", script+".txtar")},
				Setup: func(env *testscript.Env) error {
					env.Values[worldKey{}] = &world{cars: map[string]*sim.CarHandle{}}
					env.Values[nearKey{}] = &nearWorld{z, map[string]*bluetest.Car{}}
					env.Vars = append(env.Vars, address)
					return os.WriteFile(env.WorkDir+"/config.yaml", []byte(strings.Replace(documentedYAML(t), ":1883", ":9", 1)), 0o600)
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"exits": exits, "calls": calls, "amps": amps, "radio": radio, "stranger": stranger, "tap": tap, "role": role,
					"asleep": asleep, "fault": radioFault, "power": power, "unplug": unplug, "stop": stop,
				},
			})
		})
	}
}

// TestBluetoothDocumented: the commands of docs/setup-bluetooth.md are those that the script runs.
func TestBluetoothDocumented(t *testing.T) {
	script, err := os.ReadFile("testdata/bluetooth/setup.txtar")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, m := range regexp.MustCompile(`(?m)^tesla2mqtt .*$`).FindAllString(files(t, ".md")["docs/setup-bluetooth.md"], -1) {
		seen++
		if m == "tesla2mqtt run" {
			continue // which TestBluetoothAlone does
		}
		if !regexp.MustCompile(`(?m)^exits [01] ` + regexp.QuoteMeta(m) + `$`).Match(script) {
			t.Errorf("no script runs %s", m)
		}
	}
	if seen < 6 {
		t.Errorf("only %d commands were seen; the check checks nothing", seen)
	}
}

// documentedYAML is the configuration of docs/setup-bluetooth.md.
func documentedYAML(t *testing.T) string {
	t.Helper()
	_, text, _ := strings.Cut(files(t, ".md")["docs/setup-bluetooth.md"], "```yaml\n")
	text, _, found := strings.Cut(text, "```")
	if !found {
		t.Fatal("docs/setup-bluetooth.md has no configuration")
	}
	return text
}

// radio VIN-ENDING key=value... puts a car beside the adapter.
func radio(ts *testscript.TestScript, neg bool, args []string) {
	addCar(ts, neg, append(args, "signed"))
	car := of(ts).cars[args[0]]
	near(ts).near[args[0]] = near(ts).bluez.Car("hci0", ble.LocalName(car.VIN()), car.Protocol())
}

// stranger VIN-ENDING is a neighbour's car.
func stranger(ts *testscript.TestScript, _ bool, args []string) {
	near(ts).bluez.Car("hci0", ble.LocalName("5YJ3E1EA7KF"+args[0]), nil)
}

// tap VIN-ENDING holds a key card to the reader of a car.
func tap(ts *testscript.TestScript, _ bool, args []string) { of(ts).cars[args[0]].Protocol().Tap() }

// role VIN-ENDING ROLE checks what the car lets our key do.
func role(ts *testscript.TestScript, _ bool, args []string) {
	key, err := signed.LoadKey(ts.MkAbs("state/ble-key.pem"))
	ts.Check(err)
	if got := of(ts).cars[args[0]].Protocol().Role(key.Public()); got != keys.Role(keys.Role_value[args[1]]) {
		ts.Fatalf("the role is %s, want %s", got, args[1])
	}
}

// asleep VIN-ENDING checks that a car was not woken.
func asleep(ts *testscript.TestScript, _ bool, args []string) {
	if !of(ts).cars[args[0]].Asleep() {
		ts.Fatalf("the car is awake")
	}
}

// fault VIN-ENDING NAME lets something go wrong with a car's radio.
func radioFault(ts *testscript.TestScript, _ bool, args []string) {
	near(ts).near[args[0]].Fault(args[1])
}

// power ADAPTER STATE turns an adapter off.
func power(ts *testscript.TestScript, _ bool, args []string) { near(ts).bluez.Power(args[0], args[1]) }

// unplug ADAPTER takes it out.
func unplug(ts *testscript.TestScript, _ bool, args []string) { near(ts).bluez.Unplug(args[0]) }

// stop ends BlueZ.
func stop(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(near(ts).bluez.Stop()) }
