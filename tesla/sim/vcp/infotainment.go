package vcp

import (
	"google.golang.org/protobuf/proto"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/carserver"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"
)

// right is what a command needs.
type right int

const (
	toRead right = iota
	toCharge
	toWake
	toDrive // and all else that has nothing to do with charging
)

// may tells whether a role has a right.
func may(role keys.Role, r right) bool {
	switch role {
	case keys.Role_ROLE_OWNER, keys.Role_ROLE_DRIVER, keys.Role_ROLE_FM, keys.Role_ROLE_GUEST:
		return true
	case keys.Role_ROLE_CHARGING_MANAGER:
		return r != toDrive
	case keys.Role_ROLE_VEHICLE_MONITOR:
		return r == toRead
	}
	return false
}

// act does what a client wants of infotainment.
func (c *Car) act(m *universalmessage.RoutableMessage, who caller, payload []byte) []*universalmessage.RoutableMessage {
	var action carserver.Action
	if proto.Unmarshal(payload, &action) != nil {
		return c.fault(c.screen, m, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_DECODING)
	}
	needs, do := c.plan(action.GetVehicleAction())
	if !may(who.role, needs) {
		return c.fault(c.screen, m, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INSUFFICIENT_PRIVILEGES)
	}
	if do == nil {
		return c.fault(c.screen, m, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_COMMAND)
	}
	answer := c.say(c.screen, m, who, marshal(do()))
	return []*universalmessage.RoutableMessage{answer}
}

// plan is what an action needs and how it is carried out, nil for what is not modelled.
func (c *Car) plan(action *carserver.VehicleAction) (right, func() *carserver.Response) {
	order := func(what string, o Order, value int) (right, func() *carserver.Response) {
		return toCharge, func() *carserver.Response {
			c.book(what, value)
			return verdict(c.vehicle.Do(o, value))
		}
	}
	switch a := action.GetVehicleActionMsg().(type) {
	case *carserver.VehicleAction_SetChargingAmpsAction:
		return order("set_charging_amps", SetAmps, int(a.SetChargingAmpsAction.GetChargingAmps()))
	case *carserver.VehicleAction_ChargingSetLimitAction:
		return order("set_charge_limit", SetLimit, int(a.ChargingSetLimitAction.GetPercent()))
	case *carserver.VehicleAction_ChargingStartStopAction:
		switch a.ChargingStartStopAction.GetChargingAction().(type) {
		case *carserver.ChargingStartStopAction_Start:
			return order("charge_start", Start, 0)
		case *carserver.ChargingStartStopAction_Stop:
			return order("charge_stop", Stop, 0)
		}
		return toCharge, nil
	case *carserver.VehicleAction_ChargePortDoorOpen:
		return order("charge_port_door_open", OpenPort, 0)
	case *carserver.VehicleAction_ChargePortDoorClose:
		return order("charge_port_door_close", ClosePort, 0)
	case *carserver.VehicleAction_Ping:
		return toRead, func() *carserver.Response {
			return &carserver.Response{ActionStatus: &carserver.ActionStatus{}, ResponseMsg: &carserver.Response_Ping{Ping: a.Ping}}
		}
	case *carserver.VehicleAction_GetVehicleData:
		return toRead, func() *carserver.Response { return c.tell(a.GetVehicleData) }
	}
	return toDrive, nil
}

// tell reads what was asked for, of which charging is all that this car has.
func (c *Car) tell(asked *carserver.GetVehicleData) *carserver.Response {
	c.book("read", 0)
	data := new(carserver.VehicleData)
	if asked.GetGetChargeState() != nil {
		data.ChargeState = c.vehicle.Charge()
	}
	return &carserver.Response{ActionStatus: &carserver.ActionStatus{}, ResponseMsg: &carserver.Response_VehicleData{VehicleData: data}}
}

// verdict is the answer to an order.
func verdict(refusal string) *carserver.Response {
	if refusal == "" {
		return &carserver.Response{ActionStatus: &carserver.ActionStatus{Result: carserver.OperationStatus_E_OPERATIONSTATUS_OK}}
	}
	return &carserver.Response{ActionStatus: &carserver.ActionStatus{
		Result:       carserver.OperationStatus_E_OPERATIONSTATUS_ERROR,
		ResultReason: &carserver.ResultReason{Reason: &carserver.ResultReason_PlainText{PlainText: refusal}},
	}}
}
