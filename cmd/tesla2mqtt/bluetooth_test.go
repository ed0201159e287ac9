//go:build linux && !nobluetooth

package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/ble"
	"tesla2mqtt/tesla/ble/bluetest"
	"tesla2mqtt/tesla/enroll"
	"tesla2mqtt/tesla/signed"
	"tesla2mqtt/tesla/sim"
)

const nearVINOfTest = "5YJ3E1EA7KF000001"

// nearProcess is a process with a Bluetooth adapter and a car beside it, which knows the key.
type nearProcess struct {
	*process
	bluez *bluetest.BlueZ
	near  *bluetest.Car
}

// startBluez runs a fake BlueZ with the adapter hci0, and returns the environment of programs that shall find it. These tests
// wait for most of their time, so they run beside each other.
func startBluez(t *testing.T) (z *bluetest.BlueZ, env string) {
	t.Helper()
	t.Parallel()
	bus, err := bluetest.StartBus("")
	if errors.Is(err, bluetest.ErrNoDaemon) && os.Getenv("DBUS_REQUIRED") == "" {
		t.Skip("needs dbus-daemon (Debian: the package dbus)")
	}
	if err != nil {
		t.Fatal(err)
	}
	if z, err = bluetest.Start(bus, "hci0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, v := range z.Violations() {
			t.Errorf("BlueZ complains: %s", v)
		}
		if err := errors.Join(z.Stop(), bus.Stop()); err != nil {
			t.Error(err)
		}
	})
	return z, "DBUS_SYSTEM_BUS_ADDRESS=" + bus.Address
}

// newNearProcess appends to a configuration that has nothing of Tesla's.
func newNearProcess(t *testing.T, car sim.Car, settings string) *nearProcess {
	t.Helper()
	z, env := startBluez(t)
	p := &nearProcess{process: newProcess(t), bluez: z}
	p.env = []string{env}
	car.VIN, car.SignedCommands = nearVINOfTest, true
	p.tesla = &sim.Tesla{}
	p.car = p.tesla.Add(car)
	p.near = z.Car("hci0", ble.LocalName(nearVINOfTest), p.car.Protocol())
	text, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n") // the broker
	if err := os.WriteFile(p.config, []byte(first+"\npoll: {state: 1s, online: 1s, charging: 1s}\n"+settings), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(p.config), "state", "ble-key.pem")
	if err := enroll.Generate(file); err != nil {
		t.Fatal(err)
	}
	key, err := signed.LoadKey(file)
	if err != nil {
		t.Fatal(err)
	}
	p.car.Protocol().Enroll(key.Public(), keys.Role_ROLE_CHARGING_MANAGER)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(tail(p.log.text(), 6000))
		}
	})
	return p
}

// append adds to the configuration.
func (p *nearProcess) append(settings string) {
	p.t.Helper()
	text, err := os.ReadFile(p.config)
	if err == nil {
		err = os.WriteFile(p.config, append(text, settings...), 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func serveSim(t *testing.T, tesla *sim.Tesla) string {
	t.Helper()
	server := httptest.NewServer(tesla)
	t.Cleanup(server.Close)
	return server.URL
}

func (p *nearProcess) becomes(topic, want string) {
	p.t.Helper()
	eventually(p.t, topic+" is "+want, func() bool { return p.says(topic) == want })
}

// result sends a command and returns what became of it.
func (p *nearProcess) result(car, thing, payload string) bridge.Result {
	p.t.Helper()
	before := len(p.broker.Published())
	if err := p.broker.Publish("tesla2mqtt/"+car+"/"+thing+"/set", payload, false); err != nil {
		p.t.Fatal(err)
	}
	var r bridge.Result
	eventually(p.t, thing+" "+payload+" has a result", func() bool {
		for _, m := range p.broker.Published()[before:] {
			if m.Topic == "tesla2mqtt/"+car+"/"+thing+"/result" {
				return json.Unmarshal([]byte(m.Payload), &r) == nil
			}
		}
		return false
	})
	return r
}

func wantStatus(t *testing.T, r bridge.Result, status, reason string) {
	t.Helper()
	if r.Status != status || reason != "" && (r.Reason == nil || *r.Reason != reason) {
		t.Errorf("%s: %s, %s: %s", r.Thing, r.Status, text(r.Reason), text(r.Message))
	}
}

const onlyNear = "vehicles: [{vin: " + nearVINOfTest + ", name: near, read: ble, write: ble}]\n"

// TestBluetoothAlone: no account, no token, no internet; the car is read, commanded, drives away and comes back, and the adapter
// does the same.
func TestBluetoothAlone(t *testing.T) {
	p := newNearProcess(t, sim.Car{Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 16}, onlyNear)
	p.launch()
	p.becomes("near/charge_amps", "16")
	for topic, want := range map[string]string{"near/source": "ble", "near/vehicle_state": "online", "near/availability": "online"} {
		p.becomes(topic, want)
	}
	eventually(t, "no login is missed", func() bool {
		return strings.Contains(p.says("bridge/health"), `"auth":{"status":"not_needed"`) && strings.Contains(p.says("bridge/health"), `"api":{"status":"not_needed"}`)
	})
	wantStatus(t, p.result("near", "charge_amps", "8"), "ok", "")
	if p.car.Amps() != 8 {
		t.Errorf("the car is at %d A", p.car.Amps())
	}

	p.near.Near(false)
	p.becomes("near/vehicle_state", "unknown")
	wantStatus(t, p.result("near", "charge_amps", "9"), "rejected", "unreachable")
	p.becomes("near/availability", "online")
	p.near.Near(true)
	p.becomes("near/vehicle_state", "online")
	wantStatus(t, p.result("near", "charge_amps", "9"), "ok", "")

	p.bluez.Unplug("hci0")
	p.becomes("near/availability", "offline")
	eventually(t, "health says what to do", func() bool {
		return strings.Contains(p.says("bridge/health"), "hci0 is not there") && strings.Contains(p.says("bridge/health"), "bluetoothctl list")
	})
	p.bluez.Plug("hci0")
	p.becomes("near/availability", "online")
	if _, err := os.Stat(filepath.Join(filepath.Dir(p.config), "state", "token.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a login appeared: %v", err)
	}
	if n := p.tesla.Count("all", ""); n != 0 {
		t.Errorf("Tesla was asked %d times", n)
	}
}

// TestBluetoothSleep: looking wakes nobody; ON does.
func TestBluetoothSleep(t *testing.T) {
	p := newNearProcess(t, sim.Car{Level: 40, PluggedIn: true, Stopped: true, Asleep: true}, onlyNear)
	p.launch()
	p.becomes("near/vehicle_state", "asleep")
	wantStatus(t, p.result("near", "charge_amps", "8"), "rejected", "asleep")
	if !p.car.Asleep() {
		t.Error("the car was woken")
	}
	wantStatus(t, p.result("near", "wake", "1"), "ok", "")
	if p.car.Asleep() {
		t.Error("the car still sleeps")
	}
}

// TestBluetoothMixed: reads by the account, commands by Bluetooth; without the adapter that car alone is offline.
func TestBluetoothMixed(t *testing.T) {
	p := newNearProcess(t, sim.Car{Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 16}, "")
	server := serveSim(t, p.tesla)
	p.tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000002"})
	p.append("tesla: {auth_url: " + server + ", api_url: " + server + "}\n" +
		"vehicles: [{vin: " + nearVINOfTest + ", name: near, write: ble}, {vin: 5YJ3E1EA7KF000002, name: far}]\n")
	p.logIn()
	p.launch()
	p.becomes("near/source", "owner")
	wantStatus(t, p.result("near", "charge_amps", "8"), "ok", "")
	if p.car.Amps() != 8 || p.tesla.Count("command", "") != 0 {
		t.Errorf("the car is at %d A after %d commands by the cloud", p.car.Amps(), p.tesla.Count("command", ""))
	}
	p.bluez.Power("hci0", "off")
	p.becomes("near/availability", "offline")
	p.becomes("far/availability", "online")
	p.bluez.Power("hci0", "")
	p.becomes("near/availability", "online")
}

// TestBluetoothBesideNoLogin: a car of the account that cannot be listed does not keep away one that needs no account.
func TestBluetoothBesideNoLogin(t *testing.T) {
	p := newNearProcess(t, sim.Car{Level: 40}, "")
	server := serveSim(t, p.tesla)
	p.append("tesla: {auth_url: " + server + ", api_url: " + server + "}\n" +
		"vehicles: [{vin: " + nearVINOfTest + ", name: near, read: ble}, {vin: 5YJ3E1EA7KF000002, name: far}]\n")
	p.launch()
	p.becomes("near/battery_level", "40")
	p.becomes("far/availability", "offline")
	eventually(t, "the login is missed", func() bool { return strings.Contains(p.says("bridge/health"), `"auth":{"status":"not_configured"`) })
}

// TestEnrollWaitsForTheCard: the car is asked, and the program waits until a card is held to the reader.
func TestEnrollWaitsForTheCard(t *testing.T) {
	p := newNearProcess(t, sim.Car{Asleep: true}, onlyNear)
	file := filepath.Join(filepath.Dir(p.config), "state", "ble-key.pem")
	if err := errors.Join(os.Remove(file), enroll.Generate(file)); err != nil {
		t.Fatal(err)
	}
	cmd := p.command(t.Context(), "ble", "enroll", "near")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const looksOnceMore = 3 // after the first look and the asking
	eventually(t, "it waits", func() bool { return p.near.Packets() >= looksOnceMore })
	p.car.Protocol().Tap()
	if err := cmd.Wait(); err != nil || !strings.Contains(p.log.text(), "near: the car has taken the key") {
		t.Error(err)
	}
	if !p.car.Asleep() {
		t.Error("the car was woken")
	}
}

// pushed is a reader that is pushed to.
type pushed struct {
	bridge.Reader
	changes chan struct{}
}

func (p pushed) Changes() <-chan struct{} { return p.changes }

func (pushed) Pushed(context.Context) (tesla.VehicleState, tesla.ChargeState, error) {
	return tesla.StateOnline, tesla.ChargeState{}, nil
}

// TestPushedBesideRadio: a car that is pushed to still is, when it is commanded over Bluetooth; but without the radio, which is not
// there, what is pushed does not hide that it cannot be commanded.
func TestPushedBesideRadio(t *testing.T) {
	a := newAir(&Config{BLE: bleConfig{Adapter: "hci999"}, StateDir: t.TempDir()}, slog.New(slog.DiscardHandler))
	defer a.close()
	changes := make(chan struct{})
	reader, commander := a.car(nearVINOfTest, vehicle{Read: "telemetry", Write: "ble"}, pushed{nil, changes}, untold{})
	if w, ok := reader.(bridge.Watcher); !ok || w.Changes() != changes {
		t.Error("nobody hears what is pushed")
	} else if _, _, err := w.Pushed(t.Context()); !errors.Is(err, tesla.ErrNoRadio) {
		t.Errorf("pushed without a radio: %v", err)
	}
	if _, ok := commander.(*nearCar); !ok {
		t.Errorf("commanded by %T", commander)
	}
	if reader, _ = a.car(nearVINOfTest, vehicle{Read: "telemetry", Write: "ble"}, deaf{}, untold{}); reader != bridge.Reader(commander.(*nearCar)) {
		t.Errorf("a subcommand, which hears no telemetry, reads by %T", reader)
	}
	reader, commander = a.car(nearVINOfTest, vehicle{Read: "ble", Write: "none"}, nil, untold{})
	if _, ok := reader.(*nearCar); !ok || commander != (untold{}) {
		t.Errorf("read by %T, commanded by %T", reader, commander)
	}
}

// TestSuspendedWhileConnecting: the clock on the wall, which was set back meanwhile, shows a command that is in time.
func TestSuspendedWhileConnecting(t *testing.T) {
	bus, err := bluetest.StartBus("")
	if errors.Is(err, bluetest.ErrNoDaemon) && os.Getenv("DBUS_REQUIRED") == "" {
		t.Skip("needs dbus-daemon (Debian: the package dbus)")
	}
	if err != nil {
		t.Fatal(err)
	}
	z, err := bluetest.Start(bus, "hci0")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)
	car := (&sim.Tesla{}).Add(sim.Car{VIN: nearVINOfTest, SignedCommands: true, PluggedIn: true, Amps: 16})
	z.Car("hci0", ble.LocalName(nearVINOfTest), car.Protocol())
	c := &Config{BLE: bleConfig{Adapter: "hci0", KeyFile: filepath.Join(t.TempDir(), "key.pem")}}
	if err := enroll.Generate(c.BLE.KeyFile); err != nil {
		t.Fatal(err)
	}
	key, err := signed.LoadKey(c.BLE.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	car.Protocol().Enroll(key.Public(), keys.Role_ROLE_CHARGING_MANAGER)
	a := newAir(c, slog.New(slog.DiscardHandler))
	var slept time.Duration
	a.suspended = func() time.Duration {
		defer func() { slept = time.Hour }() // right after it is asked for the first time
		return slept
	}
	_, commander := a.car(nearVINOfTest, vehicle{Read: "ble", Write: "ble"}, nil, nil)
	amps := tesla.Command{Thing: tesla.ChargeAmps, Value: 8}
	err = commander.Do(tesla.Until(t.Context(), time.Now().Add(time.Minute)), amps)
	if !errors.Is(err, tesla.ErrTooLate) || tesla.MayHaveSucceeded(err) || len(car.Executed()) != 0 {
		t.Errorf("suspended: %v; executed %v", err, car.Executed())
	}
	if err := commander.Do(tesla.Until(t.Context(), time.Now().Add(time.Minute)), amps); err != nil || car.Amps() != 8 {
		t.Errorf("awake: %v, %d A", err, car.Amps())
	}
	a.close()
	if err := errors.Join(z.Stop(), bus.Stop()); err != nil {
		t.Error(err)
	}
}
