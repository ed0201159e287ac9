package main

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/teslamotors/vehicle-command/pkg/connector"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/enroll"
	"tesla2mqtt/tesla/signed"
	"tesla2mqtt/tesla/sim"
)

// near is the road of Bluetooth, as far as it goes without a radio: the messages are those, and are handed to the cars.
type near struct {
	listed []tesla.Vehicle
	cars   map[string]*signed.Car // by VIN
}

// openNear makes a key and puts it into the cars, for charging only: what a person does once with tesla2mqtt ble.
func openNear(dir string, log *slog.Logger, cars ...*sim.CarHandle) (*near, error) {
	file := filepath.Join(dir, "ble-key.pem")
	if err := enroll.Generate(file); err != nil {
		return nil, err
	}
	key, err := signed.LoadKey(file)
	if err != nil {
		return nil, err
	}
	n := &near{cars: map[string]*signed.Car{}}
	for _, car := range cars {
		vin := car.VIN()
		car.Protocol().Enroll(key.Public(), keys.Role_ROLE_CHARGING_MANAGER)
		n.listed = append(n.listed, tesla.Vehicle{VIN: vin})
		n.cars[vin] = signed.New(signed.Config{
			VIN: vin, Key: key,
			Dial:    func(context.Context) (connector.Connector, error) { return car.Beside(), nil },
			Trouble: func(err error) { log.Warn("signed messages", "car", vin, "err", err) },
		})
	}
	return n, nil
}

func (n *near) close() {
	for _, car := range n.cars {
		car.Close()
	}
}

// Vehicles are nobody's account: they are known by themselves.
func (n *near) Vehicles(context.Context) ([]tesla.Vehicle, error) { return n.listed, nil }

// Car is read and commanded by the same messages.
func (n *near) Car(v tesla.Vehicle) (bridge.Reader, bridge.Commander) {
	return n.cars[v.VIN], n.cars[v.VIN]
}
