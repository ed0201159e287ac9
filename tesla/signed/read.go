package signed

import (
	"context"
	"errors"
	"fmt"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/carserver"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/vcsec"
	"github.com/teslamotors/vehicle-command/pkg/vehicle"

	"tesla2mqtt/tesla"
)

// State asks VCSEC whether the rest of the car sleeps. That needs no key, and neither wakes the car nor keeps it awake. A car
// that cannot be reached (Dial says tesla.ErrAsleep) is offline.
func (c *Car) State(ctx context.Context) (tesla.VehicleState, error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return tesla.StateUnknown, fmt.Errorf("read the car's state: %w", err)
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, linkTime)
	defer cancel()
	state, err := c.state(ctx)
	switch {
	case errors.Is(err, tesla.ErrAsleep):
		return tesla.StateOffline, nil
	case err != nil:
		return tesla.StateUnknown, fmt.Errorf("read the car's state: %w", err)
	}
	return state, nil
}

// state is State for who has the turn.
func (c *Car) state(ctx context.Context) (tesla.VehicleState, error) {
	l, err := c.connect(ctx)
	if err != nil {
		return tesla.StateUnknown, err
	}
	status, err := l.vehicle.BodyControllerState(ctx)
	if err != nil {
		return tesla.StateUnknown, classify(err, false)
	}
	switch status.GetVehicleSleepStatus() {
	case vcsec.VehicleSleepStatus_E_VEHICLE_SLEEP_STATUS_AWAKE:
		return tesla.StateOnline, nil
	case vcsec.VehicleSleepStatus_E_VEHICLE_SLEEP_STATUS_ASLEEP:
		return tesla.StateAsleep, nil
	}
	return tesla.StateUnknown, nil
}

// ChargeState reads the charging from the car. A sleeping one is left in peace (tesla.ErrAsleep); an idle one is kept awake.
func (c *Car) ChargeState(ctx context.Context) (tesla.ChargeState, error) {
	state, err := c.State(ctx)
	if err != nil {
		return tesla.ChargeState{}, fmt.Errorf("read the charging: %w", err)
	}
	if state == tesla.StateAsleep || state == tesla.StateOffline {
		return tesla.ChargeState{}, fmt.Errorf("read the charging: %w", &tesla.Error{Class: tesla.ErrAsleep})
	}
	if err := c.Can(""); err != nil {
		return tesla.ChargeState{}, fmt.Errorf("read the charging: %w", err)
	}
	var data *carserver.VehicleData
	err = c.with(ctx, infotainment, func(ctx context.Context, l *link) (err error) {
		data, err = l.vehicle.GetState(ctx, vehicle.StateCategoryCharge)
		return err
	})
	if err == nil && data.GetChargeState() == nil {
		err = &tesla.Error{Class: tesla.ErrTemporary, Text: "the answer has no charge state"}
	}
	if err != nil {
		return tesla.ChargeState{}, fmt.Errorf("read the charging: %w", err)
	}
	return chargeState(data.GetChargeState()), nil
}
