package vcp

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/teslamotors/vehicle-command/pkg/connector"
	"github.com/teslamotors/vehicle-command/pkg/protocol"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/carserver"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/vcsec"
	"github.com/teslamotors/vehicle-command/pkg/vehicle"
)

const vin = "5YJ30123456789ABC"

// rest is the rest of a car.
type rest struct {
	asleep bool
	amps   int
	orders []Order
	says   string
}

func (r *rest) Asleep() bool { return r.asleep }
func (r *rest) Wake()        { r.asleep = false }
func (r *rest) Do(o Order, value int) string {
	r.orders = append(r.orders, o)
	if r.says == "" && o == SetAmps {
		r.amps = value
	}
	return r.says
}
func (r *rest) Charge() *carserver.ChargeState {
	return &carserver.ChargeState{OptionalChargingAmps: &carserver.ChargeState_ChargingAmps{ChargingAmps: int32(r.amps)}}
}

// wire connects Tesla's own client with a car, by Bluetooth or by Fleet API.
type wire struct {
	car    *Car
	cloud  bool
	in     chan []byte
	mu     sync.Mutex // of what follows: the library sends from several goroutines
	sent   [][]byte
	tamper func([]byte) []byte
}

func (w *wire) Receive() <-chan []byte       { return w.in }
func (w *wire) VIN() string                  { return vin }
func (w *wire) Close()                       {}
func (w *wire) RetryInterval() time.Duration { return time.Second }
func (w *wire) AllowedLatency() time.Duration {
	return 4 * time.Second
}
func (w *wire) PreferredAuthMethod() connector.AuthMethod {
	if w.cloud {
		return connector.AuthMethodHMAC
	}
	return connector.AuthMethodGCM
}

func (w *wire) Send(_ context.Context, message []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, slices.Clone(message))
	if w.tamper != nil {
		message = w.tamper(message)
	}
	if !w.cloud {
		for _, answer := range w.car.Receive(message) {
			w.in <- answer
		}
		return nil
	}
	answer, err := w.car.Relay(message)
	if answer != nil {
		w.in <- answer
	}
	return err
}

// rig is a car with a client whose key has a role in it.
type rig struct {
	*wire
	rest *rest
	key  protocol.ECDHPrivateKey
	v    *vehicle.Vehicle
}

func newRig(t *testing.T, cloud bool, role keys.Role) *rig {
	t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{rest: &rest{}, key: protocol.UnmarshalECDHPrivateKey(private.Bytes())}
	r.wire = &wire{car: New(vin, r.rest), cloud: cloud, in: make(chan []byte, 10)}
	if role != keys.Role_ROLE_NONE {
		r.car.Enroll(r.key.PublicBytes(), role)
	}
	if r.v, err = vehicle.NewVehicle(r.wire, r.key, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.v.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.v.Disconnect)
	return r
}

// within bounds one call, as every client should; it is also what the command's expiry is made of.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func (r *rig) start(t *testing.T, domains ...universalmessage.Domain) {
	t.Helper()
	if err := r.v.StartSession(within(t, 5*time.Second), domains); err != nil {
		t.Fatalf("session: %v", err)
	}
}

const (
	security     = universalmessage.Domain_DOMAIN_VEHICLE_SECURITY
	infotainment = universalmessage.Domain_DOMAIN_INFOTAINMENT
)

// TestClient: Tesla's own client is content with this car, by both ways.
func TestClient(t *testing.T) {
	for name, cloud := range map[string]bool{"bluetooth": false, "cloud": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, cloud, keys.Role_ROLE_OWNER)
				r.start(t, security, infotainment)
				ctx := within(t, 5*time.Second)
				for _, give := range []func() error{
					func() error { return r.v.SetChargingAmps(ctx, 13) },
					func() error { return r.v.ChangeChargeLimit(ctx, 70) },
					func() error { return r.v.ChargeStart(ctx) },
					func() error { return r.v.ChargeStop(ctx) },
					func() error { return r.v.OpenChargePort(ctx) },
					func() error { return r.v.CloseChargePort(ctx) },
					func() error { return r.v.Ping(ctx) },
					func() error { return r.v.Wakeup(ctx) },
				} {
					if err := give(); err != nil {
						t.Error(err)
					}
				}
				if want := []Order{SetAmps, SetLimit, Start, Stop, OpenPort, ClosePort}; !slices.Equal(r.rest.orders, want) {
					t.Errorf("orders %v, want %v", r.rest.orders, want)
				}
				data, err := r.v.GetState(ctx, vehicle.StateCategoryCharge)
				if err != nil || data.GetChargeState().GetChargingAmps() != 13 {
					t.Errorf("read %v, %v", data, err)
				}
				status, err := r.v.BodyControllerState(ctx)
				if err != nil || status.GetVehicleSleepStatus() != vcsec.VehicleSleepStatus_E_VEHICLE_SLEEP_STATUS_AWAKE {
					t.Errorf("body controller %v, %v", status, err)
				}
				if n := r.car.Handshakes(); n != 2 {
					t.Errorf("%d handshakes", n)
				}
			})
		})
	}
}

// refusals are ways to be refused.
var refusals = []struct {
	name  string
	cloud bool
	role  keys.Role
	do    func(t *testing.T, r *rig) error
	want  universalmessage.MessageFault_E
}{
	{"replay", false, keys.Role_ROLE_OWNER, func(t *testing.T, r *rig) error {
		r.start(t, infotainment)
		if err := r.v.SetChargingAmps(within(t, 5*time.Second), 9); err != nil {
			return err
		}
		r.rest.orders = nil
		r.car.Receive(r.sent[len(r.sent)-1])
		return nil
	}, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_TOKEN_OR_COUNTER},
	{"late", true, keys.Role_ROLE_OWNER, func(t *testing.T, r *rig) error {
		r.start(t, infotainment)
		r.tamper = func(m []byte) []byte { time.Sleep(3 * time.Second); return m }
		return errorOf(r.v.SetChargingAmps(within(t, 2*time.Second), 9))
	}, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_EXPIRED},
	{"for too long", true, keys.Role_ROLE_OWNER, func(t *testing.T, r *rig) error {
		r.start(t, infotainment)
		r.tamper = func(m []byte) []byte { r.tamper = func([]byte) []byte { return nil }; return m }
		return errorOf(r.v.SetChargingAmps(within(t, 5*time.Minute), 9))
	}, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_TO_LIVE_TOO_LONG},
	{"tampered", true, keys.Role_ROLE_OWNER, func(t *testing.T, r *rig) error {
		r.start(t, infotainment)
		r.tamper = func(m []byte) []byte {
			var command universalmessage.RoutableMessage
			if err := proto.Unmarshal(m, &command); err != nil {
				t.Fatal(err)
			}
			command.Flags ^= 4
			return marshal(&command)
		}
		return errorOf(r.v.SetChargingAmps(within(t, 3*time.Second), 9))
	}, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_SIGNATURE},
	{"unknown key", false, keys.Role_ROLE_NONE, func(t *testing.T, r *rig) error {
		return r.v.StartSession(within(t, 5*time.Second), []universalmessage.Domain{infotainment})
	}, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_UNKNOWN_KEY_ID},
	{"may only look", false, keys.Role_ROLE_VEHICLE_MONITOR, func(t *testing.T, r *rig) error {
		r.start(t, infotainment)
		return r.v.SetChargingAmps(within(t, 5*time.Second), 9)
	}, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INSUFFICIENT_PRIVILEGES},
	{"fleet key by bluetooth", false, keys.Role_ROLE_FM, func(t *testing.T, r *rig) error {
		r.start(t, infotainment)
		return r.v.SetChargingAmps(within(t, 5*time.Second), 9)
	}, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INSUFFICIENT_PRIVILEGES},
	{"charging key and doors", false, keys.Role_ROLE_CHARGING_MANAGER, func(t *testing.T, r *rig) error {
		r.start(t, security)
		return r.v.Unlock(within(t, 5*time.Second))
	}, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INSUFFICIENT_PRIVILEGES},
	{"asleep", false, keys.Role_ROLE_OWNER, func(t *testing.T, r *rig) error {
		r.start(t, infotainment)
		r.rest.asleep = true
		return errorOf(r.v.ChargeStart(within(t, 3*time.Second)))
	}, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIMEOUT},
}

// TestRefusals: what a car refuses, this one refuses with the same word, and does nothing.
func TestRefusals(t *testing.T) {
	for _, row := range refusals {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, row.cloud, row.role)
				err := row.do(t, r)
				if r.car.Refused(row.want) == 0 {
					t.Errorf("no %s; the client says %v", row.want, err)
				}
				if len(r.rest.orders) > 0 {
					t.Errorf("carried out: %v", r.rest.orders)
				}
			})
		})
	}
}

// errorOf is for calls that fail in whatever way.
func errorOf(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// TestRestart: after a restart the client learns the new epoch from the refusal, and is heard then.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_OWNER)
		time.Sleep(time.Hour)
		r.start(t, infotainment)
		r.car.Restart()
		if err := r.v.SetChargingAmps(within(t, 10*time.Second), 7); err != nil {
			t.Fatal(err)
		}
		if n := r.car.Refused(universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INCORRECT_EPOCH); n != 1 || r.rest.amps != 7 {
			t.Errorf("%d refusals, %d A", n, r.rest.amps)
		}
	})
}

// TestEncryptedNeedsBluetooth: Fleet API lets nothing pass that it cannot read.
func TestEncryptedNeedsBluetooth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, keys.Role_ROLE_OWNER)
		r.start(t, infotainment)
		r.cloud = true
		if err := r.v.ChargeStart(within(t, 3*time.Second)); !errors.Is(err, ErrEncrypted) || len(r.rest.orders) > 0 {
			t.Errorf("%v, orders %v", err, r.rest.orders)
		}
	})
}

// TestCard: a new key is taken when a card is tapped in time, and not otherwise.
func TestCard(t *testing.T) {
	for _, row := range []struct {
		name          string
		before, after time.Duration // of the tap, 0 for none
		want          keys.Role
	}{
		{"no card", 0, 0, keys.Role_ROLE_NONE},
		{"then a card", 0, 20 * time.Second, keys.Role_ROLE_CHARGING_MANAGER},
		{"a card too late", 0, 31 * time.Second, keys.Role_ROLE_NONE},
		{"card first", 5 * time.Second, 0, keys.Role_ROLE_CHARGING_MANAGER},
		{"card long ago", time.Minute, 0, keys.Role_ROLE_NONE},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, keys.Role_ROLE_NONE)
				public, err := ecdh.P256().NewPublicKey(r.key.PublicBytes())
				if err != nil {
					t.Fatal(err)
				}
				if row.before > 0 {
					r.car.Tap()
					time.Sleep(row.before)
				}
				if err := r.v.SendAddKeyRequestWithRole(t.Context(), public, keys.Role_ROLE_CHARGING_MANAGER,
					vcsec.KeyFormFactor_KEY_FORM_FACTOR_CLOUD_KEY); err != nil {
					t.Fatal(err)
				}
				if row.after > 0 {
					time.Sleep(row.after)
					r.car.Tap()
				}
				if got := r.car.Role(r.key.PublicBytes()); got != row.want {
					t.Errorf("role %s, want %s", got, row.want)
				}
			})
		})
	}
}
