package tesla_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
)

// TestPairedLater: a car that got the key is known to have it with the next list, and not asked about any more.
func TestPairedLater(t *testing.T) {
	s, car, c, notices := inRegion(t, hosts.FleetAPI("eu"), sim.Fleet{}, sim.Car{SignedCommands: true, Unpaired: true})
	list := func(want tesla.KeyState, asked int) {
		t.Helper()
		cars, err := c.Vehicles(t.Context())
		if err != nil || len(cars) != 1 || cars[0].Key != want || !cars[0].SignedCommands {
			t.Errorf("got %+v, %v; want the key %s", cars, err, want)
		}
		if n := s.Count("fleet_status", ""); n != asked {
			t.Errorf("fleet_status was asked %d times, want %d", n, asked)
		}
	}
	list(tesla.KeyMissing, 1)
	list(tesla.KeyMissing, 2)
	if err := s.Fault("504", sim.On("fleet_status")); err != nil {
		t.Fatal(err)
	}
	list(tesla.KeyMissing, 3) // what was known of the cars stays, and the list is good
	if len(*notices) != 1 {
		t.Errorf("told %q", *notices)
	}
	s.ClearFaults()
	if !car.Approve() {
		t.Fatal("the car does not take the key")
	}
	list(tesla.KeyPaired, 4)
	list(tesla.KeyPaired, 4)
}

// TestRefusedForADay: a car that refused an unsigned command is believed to do so for a day, and one of which the list says so for
// as long as it does.
func TestRefusedForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, c, _ := inRegion(t, hosts.FleetAPI("eu"), sim.Fleet{}, sim.Car{PluggedIn: true})
		if err := s.Fault("403-signing-required", sim.On("command"), sim.Times(1)); err != nil {
			t.Fatal(err)
		}
		car, listed := c.Car(tesla.Vehicle{VIN: fleetVIN}), c.Car(tesla.Vehicle{VIN: fleetVIN, SignedCommands: true})
		amps := tesla.Command{Thing: tesla.ChargeAmps, Value: 9}
		if err := car.Can(tesla.ChargeAmps); err != nil {
			t.Errorf("before: %v", err)
		}
		if err := car.Do(t.Context(), amps); !errors.Is(err, tesla.ErrSigningRequired) {
			t.Errorf("got %v", err)
		}
		time.Sleep(24*time.Hour - 1)
		if err := car.Can(tesla.ChargeAmps); !errors.Is(err, tesla.ErrSigningRequired) || car.Can(tesla.Wake) != nil {
			t.Errorf("within the day: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := car.Can(tesla.ChargeAmps); err != nil {
			t.Errorf("after it: %v", err)
		}
		if err := listed.Can(tesla.ChargeAmps); !errors.Is(err, tesla.ErrSigningRequired) {
			t.Errorf("the list says so: %v", err)
		}
	})
}
