package signed

import (
	"context"
	"fmt"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"
	"github.com/teslamotors/vehicle-command/pkg/vehicle"

	"tesla2mqtt/tesla"
)

const (
	security     = universalmessage.Domain_DOMAIN_VEHICLE_SECURITY
	infotainment = universalmessage.Domain_DOMAIN_INFOTAINMENT
)

// order is one command in the library's terms.
type order struct {
	name   string // as the Owner API calls it
	domain universalmessage.Domain
	give   func(context.Context, *vehicle.Vehicle) error
}

// orderOf finds the order for a command.
func orderOf(cmd tesla.Command) (order, error) {
	value := int32(cmd.Value)
	switch cmd.Thing {
	case tesla.ChargeAmps:
		return charging("set_charging_amps", func(ctx context.Context, v *vehicle.Vehicle) error { return v.SetChargingAmps(ctx, value) }), nil
	case tesla.ChargeLimit:
		return charging("set_charge_limit", func(ctx context.Context, v *vehicle.Vehicle) error { return v.ChangeChargeLimit(ctx, value) }), nil
	case tesla.Wake:
		return order{"wake_up", security, func(ctx context.Context, v *vehicle.Vehicle) error { return v.Wakeup(ctx) }}, nil
	}
	switch cmd {
	case tesla.Command{Thing: tesla.Charging, Value: tesla.On}:
		return charging("charge_start", func(ctx context.Context, v *vehicle.Vehicle) error { return v.ChargeStart(ctx) }), nil
	case tesla.Command{Thing: tesla.Charging, Value: tesla.Off}:
		return charging("charge_stop", func(ctx context.Context, v *vehicle.Vehicle) error { return v.ChargeStop(ctx) }), nil
	case tesla.Command{Thing: tesla.ChargePort, Value: tesla.On}:
		return charging("charge_port_door_open", func(ctx context.Context, v *vehicle.Vehicle) error { return v.OpenChargePort(ctx) }), nil
	case tesla.Command{Thing: tesla.ChargePort, Value: tesla.Off}:
		return charging("charge_port_door_close", func(ctx context.Context, v *vehicle.Vehicle) error { return v.CloseChargePort(ctx) }), nil
	}
	return order{}, fmt.Errorf("no such command: %s %d", cmd.Thing, cmd.Value)
}

// charging is an order of the kind that infotainment takes.
func charging(name string, give func(context.Context, *vehicle.Vehicle) error) order {
	return order{name, infotainment, give}
}
