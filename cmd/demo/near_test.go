package main

import (
	"log/slog"
	"testing"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestNearRoad: on the road of Bluetooth a car is read and commanded without a request to Tesla.
func TestNearRoad(t *testing.T) {
	theirs := &sim.Tesla{}
	car := theirs.Add(sim.Car{VIN: chargingVIN, Level: 42, PluggedIn: true, Amps: 13, SignedCommands: true})
	n, err := openNear(t.TempDir(), slog.New(slog.DiscardHandler), car)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	cars, err := n.Vehicles(t.Context())
	if err != nil || len(cars) != 1 {
		t.Fatal(cars, err)
	}
	reader, commander := n.Car(cars[0])
	if err := commander.Do(t.Context(), tesla.Command{Thing: tesla.ChargeAmps, Value: 8}); err != nil || car.Amps() != 8 {
		t.Errorf("%d A, %v", car.Amps(), err)
	}
	if charge, err := reader.ChargeState(t.Context()); err != nil || charge.BatteryLevel == nil || *charge.BatteryLevel != 42 {
		t.Errorf("it reads %+v, %v", charge, err)
	}
	if calls := theirs.Count("all", ""); calls != 0 {
		t.Errorf("%d requests", calls)
	}
}
