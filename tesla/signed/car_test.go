package signed

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// ways are both kinds of connection, with the role that suits them.
var ways = map[string]struct {
	cloud bool
	role  keys.Role
}{"fleet": {true, keys.Role_ROLE_FM}, "air": {false, keys.Role_ROLE_CHARGING_MANAGER}}

// TestCommands: each command does to the car what it says, and the session costs one handshake in all.
func TestCommands(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, way.cloud, way.role, sim.Car{PluggedIn: true, Level: 40})
				time.Sleep(time.Minute)
				for _, c := range []tesla.Command{amps(11), {Thing: tesla.ChargeLimit, Value: 63}, off, on,
					{Thing: tesla.ChargePort, Value: tesla.On}, {Thing: tesla.ChargePort, Value: tesla.Off}} {
					if err := r.car.Do(t.Context(), c); err != nil {
						t.Errorf("%v: %v", c, err)
					}
				}
				var did []string
				for _, e := range r.handle.Executed() {
					did = append(did, e.Name)
				}
				if len(did) != 6 || r.handle.Amps() != 11 || r.handle.Limit() != 63 {
					t.Errorf("executed %v, %d A, %d %%", did, r.handle.Amps(), r.handle.Limit())
				}
				if n := r.handle.Protocol().Handshakes(); n != 1 {
					t.Errorf("%d handshakes", n)
				}
			})
		})
	}
}

// TestWake: by Fleet API Tesla wakes the car, without a session; over the air VCSEC does.
func TestWake(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, way.cloud, way.role, sim.Car{Asleep: true})
				if err := r.car.Do(t.Context(), tesla.Command{Thing: tesla.Wake, Value: tesla.On}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if by := r.handle.WokenBy(); len(by) != 1 || way.cloud != (r.handle.Protocol().Handshakes() == 0) {
					t.Errorf("woken by %v after %d handshakes", by, r.handle.Protocol().Handshakes())
				}
			})
		})
	}
}

// TestSlowWake: Tesla may take its time to answer a wake.
func TestSlowWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{Asleep: true})
		if err := r.tesla.Fault("slow", sim.On("wake_up"), sim.Wait(20*time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := r.car.Do(t.Context(), tesla.Command{Thing: tesla.Wake, Value: tesla.On}); err != nil {
			t.Error(err)
		}
	})
}

// TestWords: refusals are the same words as without a signature, and failures the same classes.
func TestWords(t *testing.T) {
	for _, row := range []struct {
		name  string
		cloud bool
		role  keys.Role
		car   sim.Car
		fault string
		do    tesla.Command
		class error
		word  string
	}{
		{"not plugged in", true, keys.Role_ROLE_FM, sim.Car{}, "", on, nil, "disconnected"},
		{"charges already", true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true}, "", on, nil, "is_charging"},
		{"does not charge", false, keys.Role_ROLE_OWNER, sim.Car{}, "", off, nil, "not_charging"},
		{"full", true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true, Level: 80}, "", on, nil, "complete"},
		{"buses", true, keys.Role_ROLE_FM, sim.Car{Asleep: true, BusesTake: time.Hour}, "", amps(8), nil, "could_not_wake_buses"},
		{"asleep", true, keys.Role_ROLE_FM, sim.Car{Asleep: true}, "", amps(8), tesla.ErrAsleep, ""},
		{"503", true, keys.Role_ROLE_FM, sim.Car{}, "503", amps(8), tesla.ErrAsleep, ""},
		{"429", true, keys.Role_ROLE_FM, sim.Car{}, "429", amps(8), tesla.ErrRateLimited, ""},
		{"in service", true, keys.Role_ROLE_FM, sim.Car{}, "405-in-service", amps(8), tesla.ErrInService, ""},
		{"unknown key", true, keys.Role_ROLE_NONE, sim.Car{}, "", amps(8), tesla.ErrNotPaired, ""},
		{"unknown key, air", false, keys.Role_ROLE_NONE, sim.Car{}, "", amps(8), tesla.ErrNotPaired, ""},
		{"may only look", true, keys.Role_ROLE_VEHICLE_MONITOR, sim.Car{}, "", amps(8), tesla.ErrNotAllowed, ""},
		{"fleet key, air", false, keys.Role_ROLE_FM, sim.Car{}, "", amps(8), tesla.ErrNotAllowed, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, row.cloud, row.role, row.car)
				if row.car.BusesTake > 0 {
					r.handle.Wake()
				}
				if row.fault != "" {
					if err := r.tesla.Fault(row.fault, sim.On("signed_command")); err != nil {
						t.Fatal(err)
					}
				}
				err := r.car.Do(t.Context(), row.do)
				if !is(err, row.class, row.word) || tesla.MayHaveSucceeded(err) {
					t.Errorf("got %v (may have succeeded: %v), want %v %s", err, tesla.MayHaveSucceeded(err), row.class, row.word)
				}
				if n := len(r.handle.Executed()); n != 0 {
					t.Errorf("%d commands executed", n)
				}
			})
		})
	}
}

// TestRetryAfter: what Tesla asks for reaches the caller, and keeps the next command at home; a stop goes all the same.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		if err := r.tesla.Fault("429", sim.Times(1), sim.On("signed_command")); err != nil {
			t.Fatal(err)
		}
		if err := r.car.Do(t.Context(), amps(8)); tesla.RetryAfter(err) != time.Minute {
			t.Errorf("got %v", err)
		}
		if err := r.car.Do(t.Context(), amps(9)); !errors.Is(err, tesla.ErrRateLimited) || r.tesla.Count("signed_command", "") != 1 {
			t.Errorf("got %v after %d requests", err, r.tesla.Count("signed_command", ""))
		}
		if err := r.car.Do(t.Context(), off); err != nil || r.handle.Charging() {
			t.Errorf("a stop: %v", err)
		}
	})
}

// TestNewEpoch: a car that has restarted is told again, with its new epoch, and heeds the order once.
func TestNewEpoch(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, way.cloud, way.role, sim.Car{PluggedIn: true})
				if err := r.car.Do(t.Context(), amps(8)); err != nil {
					t.Fatal(err)
				}
				r.handle.Protocol().Restart()
				if err := r.car.Do(t.Context(), amps(9)); err != nil || r.handle.Amps() != 9 {
					t.Errorf("%v, %d A", err, r.handle.Amps())
				}
				if n := len(r.handle.Protocol().Executed()); n != 2 || r.handle.Protocol().Handshakes() != 1 {
					t.Errorf("%d orders, %d handshakes", n, r.handle.Protocol().Handshakes())
				}
			})
		})
	}
}

// TestAuto: a car is commanded the way it takes, and is asked only once which that is.
func TestAuto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		old := r.tesla.Add(sim.Car{VIN: "5YJSA1E11GF100001", PluggedIn: true})
		for _, row := range []struct {
			handle *sim.CarHandle
			signs  bool // as the list says, rightly or not
			signed int
		}{{r.handle, true, 3}, {r.handle, false, 2}, {old, true, 1}, {old, false, 0}} {
			car := New(Config{VIN: row.handle.VIN(), Key: r.key, Dial: Fleet(row.handle.VIN(), r.client, nil), Memory: r.disk})
			defer car.Close()
			auto := NewAuto(car, r.client.Car(tesla.Vehicle{VIN: row.handle.VIN()}), row.signs)
			before := r.tesla.Count("signed_command", row.handle.VIN())
			for _, a := range []int{7, 8} {
				if err := auto.Can(tesla.ChargeAmps); err != nil {
					t.Errorf("%s: %v", row.handle.VIN(), err)
				}
				if err := auto.Do(t.Context(), amps(a)); err != nil || row.handle.Amps() != a {
					t.Errorf("%s: %v, %d A", row.handle.VIN(), err, row.handle.Amps())
				}
			}
			if n := r.tesla.Count("signed_command", row.handle.VIN()) - before; n != row.signed {
				t.Errorf("%s, signs %v: %d signed messages, want %d", row.handle.VIN(), row.signs, n, row.signed)
			}
		}
	})
}
