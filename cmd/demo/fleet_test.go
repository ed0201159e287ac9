package main

import (
	"log/slog"
	"testing"

	"tesla2mqtt/internal/atomicfile"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestFleetRoad: on the road of the Fleet API a car that wants signed commands gets them, and they are counted.
func TestFleetRoad(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	theirs := &sim.Tesla{Fleet: theirFleet("fleet")}
	car := theirs.Add(sim.Car{VIN: chargingVIN, PluggedIn: true, Amps: 13, SignedCommands: true, Unpaired: true})
	source, err := logIn(t.Context(), theirs, dir, ourFleet("fleet"), log)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	memory, err := atomicfile.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := openFleet(t.Context(), dir, world{source: source, memory: memory, log: log}, theirs, car)
	if err != nil {
		t.Fatal(err)
	}
	cars, err := account{f.client, f, nil, func() {}}.Vehicles(t.Context())
	if err != nil || len(cars) != 1 {
		t.Fatal(cars, err)
	}
	_, commander := account{f.client, f, nil, nil}.Car(cars[0])
	if err := commander.Do(t.Context(), tesla.Command{Thing: tesla.ChargeAmps, Value: 8}); err != nil || car.Amps() != 8 {
		t.Errorf("%d A, %v", car.Amps(), err)
	}
	if spent := f.meter.Report().Commands.Count; spent < 1 {
		t.Errorf("%d commands were counted", spent)
	}
	f.close(&err)
	if err != nil {
		t.Error(err)
	}
	for _, v := range theirs.Violations() {
		t.Error("the simulator complains:", v)
	}
}
