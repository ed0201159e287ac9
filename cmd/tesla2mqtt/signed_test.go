package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/bridge/mqtt/mqtttest"
	"tesla2mqtt/tesla/sim"
)

const signedVIN = "5YJ3E1EA7KF000002"

// signedWhole is the whole program with the Fleet API, a key, and a car that wants signed commands.
type signedWhole struct {
	*whole
	signer  *sim.CarHandle
	key     *ecdsa.PrivateKey
	mu      sync.Mutex
	results []mqtttest.Message // under mu: the broker adds to them
}

// withKey runs f with a key that has a role in the car, and looks that the key got nowhere.
func withKey(t *testing.T, role keys.Role, f func(w *signedWhole)) {
	t.Helper()
	inFleet(t, "eu", "eu", func(w *whole) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s := &signedWhole{whole: w, key: key, signer: w.tesla.Add(sim.Car{VIN: signedVIN, Level: 40, PluggedIn: true, SignedCommands: true, SleepAfter: 24 * time.Hour})}
		public, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if role != keys.Role_ROLE_NONE {
			s.signer.Protocol().Enroll(public, role)
		}
		s.writeKey(0o600)
		w.yaml = strings.Replace(w.yaml, "api: fleet", "api: fleet, key_file: command.pem", 1)
		w.broker.Subscribe("tesla2mqtt/+/+/result", func(m mqtttest.Message) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.results = append(s.results, m)
		})
		w.logIn()
		f(s)
		s.checkKey()
	})
}

func (w *signedWhole) writeKey(mode os.FileMode) {
	w.t.Helper()
	der, err := x509.MarshalECPrivateKey(w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	name := filepath.Join(w.dir, "command.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), mode); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		w.t.Fatal(err)
	}
}

// checkKey looks for the key in the log, in what was published and in the state folder, in the forms that it could take.
func (w *signedWhole) checkKey() {
	w.t.Helper()
	scalar, err := w.key.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	all := w.log.text()
	for _, m := range w.broker.Published() {
		all += m.Topic + m.Payload
	}
	for _, name := range []string{"bridge.json", "session-" + signedVIN + ".json"} {
		data, _ := os.ReadFile(filepath.Join(w.dir, name))
		all += string(data)
	}
	for _, form := range []string{hex.EncodeToString(scalar), base64.StdEncoding.EncodeToString(scalar), new(big.Int).SetBytes(scalar).String(), string(scalar)} {
		if strings.Contains(all, form) {
			w.t.Error("the command key got out")
		}
	}
}

// outcome is what of a result the tests look at.
type commandOutcome struct{ Status, Reason, Message string }

// told are the results so far.
func (w *signedWhole) told() []mqtttest.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.results)
}

// tell sends a command and returns its result.
func (w *signedWhole) tell(vin, thing, payload string) commandOutcome {
	w.t.Helper()
	before := len(w.told())
	if err := w.broker.Publish("tesla2mqtt/"+vin+"/"+thing+"/set", payload, false); err != nil {
		w.t.Fatal(err)
	}
	for range 100 {
		w.pass(time.Second)
		if len(w.told()) > before {
			break
		}
	}
	results := w.told()
	if len(results) != before+1 {
		w.t.Fatalf("%s %s: %d results", thing, payload, len(results)-before)
	}
	var o commandOutcome
	if err := json.Unmarshal([]byte(results[before].Payload), &o); err != nil {
		w.t.Fatal(err)
	}
	return o
}

// TestSignedCommands: a car that wants signed commands gets them, an old one gets unsigned ones, and a restart costs no handshake.
func TestSignedCommands(t *testing.T) {
	withKey(t, keys.Role_ROLE_FM, func(w *signedWhole) {
		w.start()
		w.pass(time.Minute)
		if got := w.tell(signedVIN, "charge_amps", "9"); got.Status != "ok" || w.signer.Amps() != 9 {
			t.Errorf("amps: %+v, %d A", got, w.signer.Amps())
		}
		if got := w.tell(signedVIN, "charging", "OFF"); got.Status != "ok" || w.signer.Charging() {
			t.Errorf("stop: %+v", got)
		}
		if got := w.tell(w.car.VIN(), "charge_amps", "7"); got.Status != "ok" || w.car.Amps() != 7 {
			t.Errorf("unsigned: %+v, %d A", got, w.car.Amps())
		}
		if n := w.tesla.Count("signed_command", w.car.VIN()); n != 0 {
			t.Errorf("the old car got %d signed messages", n)
		}
		if n := w.tesla.Count("command/set_charging_amps", signedVIN); n != 0 {
			t.Errorf("the new car got %d unsigned commands", n)
		}
		w.stop()
		w.pass(10 * time.Minute)
		w.start()
		w.pass(time.Minute)
		if got := w.tell(signedVIN, "charging", "ON"); got.Status != "ok" || !w.signer.Charging() {
			t.Errorf("after a restart: %+v", got)
		}
		if n := w.signer.Protocol().Handshakes(); n != 1 {
			t.Errorf("%d handshakes", n)
		}
		w.checkPrivate("session-" + signedVIN + ".json")
	})
}

func (w *signedWhole) checkPrivate(name string) {
	w.t.Helper()
	info, err := os.Stat(filepath.Join(w.dir, name))
	if err != nil || info.Mode().Perm() != 0o600 {
		w.t.Errorf("%s: %v, %v", name, info, err)
	}
}

// signedRefusals are ways in which the car or Tesla refuses, or the network loses.
var signedRefusals = []struct {
	name   string
	role   keys.Role
	fault  string
	do     func(w *signedWhole)
	want   commandOutcome
	orders int  // that the car carried out
	fresh  bool // without a session
}{
	{name: "unknown key", role: keys.Role_ROLE_NONE, want: commandOutcome{"rejected", "not_paired", "tesla2mqtt fleet pair"}},
	{name: "wrong role", role: keys.Role_ROLE_VEHICLE_MONITOR, want: commandOutcome{"rejected", "not_allowed", "insufficient_privileges"}},
	{name: "another epoch each time", role: keys.Role_ROLE_FM, fault: "reboot", want: commandOutcome{"error", "session", "incorrect_epoch"}},
	{name: "doubled on the way", role: keys.Role_ROLE_FM, fault: "twice", want: commandOutcome{"ok", "", "confirmed by a read"}, orders: 1},
	{name: "answer lost", role: keys.Role_ROLE_FM, fault: "cut-after", want: commandOutcome{"ok", "", "confirmed by a read"}, orders: 1},
	{name: "too many", role: keys.Role_ROLE_FM, fault: "429", want: commandOutcome{"rejected", "rate_limited", "not again for"}},
	{name: "no answer of the car's", role: keys.Role_ROLE_FM, fault: "cut-before", want: commandOutcome{"error", "unreachable", "still has the old value"}},
	{name: "asleep", role: keys.Role_ROLE_FM, fault: "503", want: commandOutcome{"rejected", "asleep", ""}},
	{name: "restarted", role: keys.Role_ROLE_FM, do: func(w *signedWhole) { w.signer.Protocol().Restart() }, want: commandOutcome{"ok", "", ""}, orders: 1},
	{name: "time ran out before it could be sent", role: keys.Role_ROLE_FM, fault: "slow", fresh: true, want: commandOutcome{"expired", "", "its time ran out"}},
	{name: "time ran out", role: keys.Role_ROLE_FM, fault: "slow", want: commandOutcome{"error", "unreachable", "still has the old value"}},
}

// TestSignedRefusals: each way in which the car or Tesla refuses a signed command has its words on MQTT, and nothing is done twice.
func TestSignedRefusals(t *testing.T) {
	for _, row := range signedRefusals {
		t.Run(row.name, func(t *testing.T) {
			withKey(t, row.role, func(w *signedWhole) {
				w.start()
				w.pass(time.Minute)
				if (row.fault != "" || row.do != nil) && !row.fresh {
					if got := w.tell(signedVIN, "charge_amps", "7"); got.Status != "ok" {
						t.Fatalf("before: %+v", got)
					}
				}
				if row.do != nil {
					row.do(w)
				}
				if row.fault != "" {
					if err := w.tesla.Fault(row.fault, sim.On("signed_command"), sim.Wait(20*time.Second)); err != nil {
						t.Fatal(err)
					}
				}
				before := len(w.signer.Executed())
				payload := "9"
				if row.fresh {
					payload = `{"value":9,"ttl":15}` // shorter than the answer takes
				}
				got := w.tell(signedVIN, "charge_amps", payload)
				if got.Status != row.want.Status || got.Reason != row.want.Reason || !strings.Contains(got.Message, row.want.Message) {
					t.Errorf("got %+v, want %+v", got, row.want)
				}
				if n := len(w.signer.Executed()) - before; n != row.orders {
					t.Errorf("the car carried out %d orders, want %d", n, row.orders)
				}
				w.tesla.ClearFaults()
			})
		})
	}
}

// TestKeyThatCannotBeUsed: the car that needs it is read-only and says why; the other goes on.
func TestKeyThatCannotBeUsed(t *testing.T) {
	withKey(t, keys.Role_ROLE_FM, func(w *signedWhole) {
		w.writeKey(0o644)
		w.start()
		w.pass(time.Minute)
		got := w.tell(signedVIN, "charge_amps", "9")
		if got.Status != "rejected" || got.Reason != "no_key" || !strings.Contains(got.Message, "run chmod 600 on it") {
			t.Errorf("got %+v", got)
		}
		if got := w.tell(w.car.VIN(), "charge_amps", "7"); got.Status != "ok" {
			t.Errorf("the other car: %+v", got)
		}
		if !strings.Contains(w.retained("bridge/health"), "run chmod 600 on it") || !strings.Contains(w.log.text(), "the car is READ-ONLY: amps, limit and charging will be rejected\" car="+signedVIN) {
			t.Errorf("nobody was told: %s", w.retained("bridge/health"))
		}
		if w.retained(signedVIN+"/charge_amps") == "" {
			t.Error("the car is not read")
		}
	})
}

// TestSignedOldCar: a car that the list calls a new one, and that answers 422, is commanded without a signature from then on.
func TestSignedOldCar(t *testing.T) {
	withKey(t, keys.Role_ROLE_FM, func(w *signedWhole) {
		w.yaml += "\nvehicles: [{vin: " + w.car.VIN() + ", write: api}, {vin: " + signedVIN + ", write: api}]"
		w.start()
		w.pass(time.Minute)
		got := w.tell(w.car.VIN(), "charge_amps", "7")
		if got.Status != "rejected" || got.Reason != "unsupported" || !strings.Contains(got.Message, "set write: auto or rest") {
			t.Errorf("write: api: %+v", got)
		}
		if got := w.tell(signedVIN, "charge_amps", "9"); got.Status != "ok" {
			t.Errorf("write: api: %+v", got)
		}
	})
}

// TestSignedCheck: check looks at the key, and says of a car what it takes.
func TestSignedCheck(t *testing.T) {
	c, err := loadConfig(writeConfig(t, "tesla: {api: fleet, region: eu, client_id: abc, redirect_url: 'https://my.example', key_file: none.pem}"), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	k := &checkup{config: c}
	k.key()
	if len(k.found) != 1 || k.found[0].Status != statusFail || k.found[0].Fix == "" ||
		!strings.Contains(k.found[0].Message, "no such file") || strings.Contains(k.found[0].Message, "none.pem") {
		t.Errorf("found %+v", k.found)
	}
}

// keyed MODE CAR makes a command key with that mode, names it in the configuration, and lets one car know it, or nobody.
func keyed(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	public, err := key.PublicKey.Bytes()
	ts.Check(err)
	if handle := of(ts).cars[args[1]]; handle != nil {
		handle.Protocol().Enroll(public, keys.Role_ROLE_FM)
	}
	der, err := x509.MarshalECPrivateKey(key)
	ts.Check(err)
	mode, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	name := ts.MkAbs("key.pem")
	ts.Check(os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600))
	ts.Check(os.Chmod(name, os.FileMode(mode)))
	if config := ts.ReadFile("config.yaml"); !strings.Contains(config, "key_file") {
		ts.Check(os.WriteFile(ts.MkAbs("config.yaml"), []byte(strings.Replace(config, "api: fleet", "api: fleet, key_file: key.pem", 1)), 0o600))
	}
}
