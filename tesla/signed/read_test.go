package signed

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/carserver"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestReadsAgree: the car's own words and vehicle_data come out as the same values.
func TestReadsAgree(t *testing.T) {
	for name, bring := range map[string]func(*sim.CarHandle){
		"unplugged": func(*sim.CarHandle) {},
		"charging":  func(h *sim.CarHandle) { h.PlugIn(16, 3); time.Sleep(47 * time.Minute) },
		"starting":  func(h *sim.CarHandle) { h.PlugIn(16, 3); time.Sleep(5 * time.Second) },
		"one phase": func(h *sim.CarHandle) { h.PlugIn(25, 1); time.Sleep(time.Minute) },
		"complete":  func(h *sim.CarHandle) { h.PlugIn(32, 3); time.Sleep(6 * time.Hour) },
		"no power":  func(h *sim.CarHandle) { h.PlugIn(0, 3) },
		"DC":        func(h *sim.CarHandle) { h.SetDC(true); time.Sleep(3 * time.Minute) },
		"scheduled": func(h *sim.CarHandle) { h.ScheduleAt(time.Now().Add(3 * time.Hour)); h.PlugIn(16, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, keys.Role_ROLE_CHARGING_MANAGER, sim.Car{Level: 40})
				bring(r.handle)
				r.handle.Wake()
				want, err := r.client.Car(tesla.Vehicle{VIN: vin}).ChargeState(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got, err := r.car.ChargeState(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if got.Timestamp.Sub(want.Timestamp).Abs() > time.Second {
					t.Errorf("time %s, want %s", got.Timestamp, want.Timestamp)
				}
				want.Timestamp, want.Source = got.Timestamp, got.Source
				g, w := reflect.ValueOf(got), reflect.ValueOf(want)
				for i := range g.NumField() {
					if a, b := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(a, b) {
						t.Errorf("%s: %v, want %v", g.Type().Field(i).Name, reflect.Indirect(g.Field(i)), reflect.Indirect(w.Field(i)))
					}
				}
			})
		})
	}
}

// TestNotTold: what the car leaves out stays unknown, and nonsense is not told either.
func TestNotTold(t *testing.T) {
	if got := chargeState(&carserver.ChargeState{}); !reflect.DeepEqual(got, tesla.ChargeState{}) {
		t.Errorf("of nothing: %+v", got)
	}
	got := chargeState(&carserver.ChargeState{
		OptionalBatteryLevel:               &carserver.ChargeState_BatteryLevel{BatteryLevel: 0},
		OptionalBatteryRange:               &carserver.ChargeState_BatteryRange{BatteryRange: float32(math.NaN())},
		OptionalChargeEnergyAdded:          &carserver.ChargeState_ChargeEnergyAdded{ChargeEnergyAdded: 0.1},
		OptionalChargeCurrentRequest:       &carserver.ChargeState_ChargeCurrentRequest{ChargeCurrentRequest: 7},
		OptionalScheduledChargingStartTime: &carserver.ChargeState_ScheduledChargingStartTime{ScheduledChargingStartTime: math.MaxUint64},
		Timestamp:                          &timestamppb.Timestamp{Seconds: math.MaxInt64},
	})
	if got.BatteryLevel == nil || *got.BatteryLevel != 0 {
		t.Errorf("level %v, want 0", got.BatteryLevel)
	}
	if got.ChargeEnergyAdded == nil || *got.ChargeEnergyAdded != 0.1 {
		t.Errorf("energy %v, want 0.1", *got.ChargeEnergyAdded)
	}
	if got.BatteryRange != nil || got.ScheduledChargingStartTime != nil || !got.Timestamp.IsZero() {
		t.Errorf("nonsense was believed: %+v", got)
	}
	if got.ChargeAmps == nil || *got.ChargeAmps != 7 {
		t.Errorf("amps %v, want 7", got.ChargeAmps)
	}
}

// TestSleep: a look at the state neither wakes the car nor keeps it awake, and a sleeping car is not read.
func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, keys.Role_ROLE_CHARGING_MANAGER, sim.Car{SleepAfter: 15 * time.Minute})
		if _, err := r.car.ChargeState(t.Context()); err != nil {
			t.Fatal(err)
		}
		var seen []tesla.VehicleState
		for range 40 {
			state, err := r.car.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, state)
			time.Sleep(time.Minute)
		}
		if seen[0] != tesla.StateOnline || seen[39] != tesla.StateAsleep || !r.handle.Asleep() {
			t.Errorf("states %v", seen)
		}
		if _, err := r.car.ChargeState(t.Context()); !errors.Is(err, tesla.ErrAsleep) {
			t.Errorf("read: %v", err)
		}
		if by := r.handle.WokenBy(); len(by) != 0 || !r.handle.Asleep() {
			t.Errorf("woken by %v", by)
		}
	})
}

// TestOutOfReach: a car that does not answer the radio is offline, and is found again; a connection that breaks is made anew
// without another session.
func TestOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, keys.Role_ROLE_CHARGING_MANAGER, sim.Car{PluggedIn: true})
		r.air.gone = true
		if state, err := r.car.State(t.Context()); state != tesla.StateOffline || err != nil {
			t.Errorf("state %s, %v", state, err)
		}
		if err := r.car.Do(t.Context(), amps(8)); !errors.Is(err, tesla.ErrAsleep) || tesla.MayHaveSucceeded(err) {
			t.Errorf("command: %v", err)
		}
		if _, err := r.car.ChargeState(t.Context()); !errors.Is(err, tesla.ErrAsleep) {
			t.Errorf("read: %v", err)
		}
		r.air.gone = false
		for i := range 5 {
			if err := r.car.Do(t.Context(), amps(8+i)); err != nil {
				t.Fatal(err)
			}
			r.air.links[i].drop()
			synctest.Wait()
		}
		if n := r.handle.Protocol().Handshakes(); n != 1 || len(r.air.links) != 5 {
			t.Errorf("%d handshakes, %d connections", n, len(r.air.links))
		}
	})
}

// TestWithoutKey: without a key the state can be asked, and nothing else.
func TestWithoutKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, keys.Role_ROLE_NONE, sim.Car{})
		car := New(Config{VIN: vin, Dial: r.air.dial})
		defer car.Close()
		if state, err := car.State(t.Context()); state != tesla.StateOnline || err != nil {
			t.Errorf("state %s, %v", state, err)
		}
		if _, err := car.ChargeState(t.Context()); !errors.Is(err, tesla.ErrNoKey) {
			t.Errorf("read: %v", err)
		}
		if err := car.Do(t.Context(), on); !errors.Is(err, tesla.ErrNoKey) || !errors.Is(car.Can(tesla.Wake), tesla.ErrNoKey) {
			t.Errorf("command: %v", err)
		}
	})
}
