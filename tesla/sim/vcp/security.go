package vcp

import (
	"google.golang.org/protobuf/proto"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/vcsec"
)

// secure does what a client wants of VCSEC.
func (c *Car) secure(m *universalmessage.RoutableMessage, who caller, payload []byte, direct bool) []*universalmessage.RoutableMessage {
	var message vcsec.UnsignedMessage
	if proto.Unmarshal(payload, &message) != nil {
		return c.fault(c.security, m, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_DECODING)
	}
	switch message.GetSubMessage().(type) {
	case *vcsec.UnsignedMessage_InformationRequest:
		return c.inform(m, who, message.GetInformationRequest())
	case *vcsec.UnsignedMessage_RKEAction:
		if message.GetRKEAction() == vcsec.RKEAction_E_RKE_ACTION_WAKE_VEHICLE && may(who.role, toWake) {
			c.book("wake", 0)
			c.vehicle.Wake()
			return c.obeyed(m, who, direct)
		}
	}
	if !may(who.role, toDrive) {
		return c.fault(c.security, m, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INSUFFICIENT_PRIVILEGES)
	}
	return c.fault(c.security, m, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_COMMAND)
}

// obeyed is the answer to what was done: nothing. Over Bluetooth a status comes first, which clients have to pass over.
func (c *Car) obeyed(m *universalmessage.RoutableMessage, who caller, direct bool) []*universalmessage.RoutableMessage {
	last := c.say(c.security, m, who, nil)
	if !direct {
		return []*universalmessage.RoutableMessage{last}
	}
	status := &vcsec.FromVCSECMessage{SubMessage: &vcsec.FromVCSECMessage_CommandStatus{CommandStatus: &vcsec.CommandStatus{
		OperationStatus: vcsec.OperationStatus_E_OPERATIONSTATUS_OK,
	}}}
	return []*universalmessage.RoutableMessage{c.say(c.security, m, who, marshal(status)), last}
}

// inform answers what needs no key: whether the car sleeps, and which keys it knows.
func (c *Car) inform(m *universalmessage.RoutableMessage, who caller, asked *vcsec.InformationRequest) []*universalmessage.RoutableMessage {
	var answer vcsec.FromVCSECMessage
	switch asked.GetInformationRequestType() {
	case vcsec.InformationRequestType_INFORMATION_REQUEST_TYPE_GET_STATUS:
		sleep := vcsec.VehicleSleepStatus_E_VEHICLE_SLEEP_STATUS_AWAKE
		if c.vehicle.Asleep() {
			sleep = vcsec.VehicleSleepStatus_E_VEHICLE_SLEEP_STATUS_ASLEEP
		}
		answer.SubMessage = &vcsec.FromVCSECMessage_VehicleStatus{VehicleStatus: &vcsec.VehicleStatus{
			VehicleLockState:   vcsec.VehicleLockState_E_VEHICLELOCKSTATE_LOCKED,
			VehicleSleepStatus: sleep,
			UserPresence:       vcsec.UserPresence_E_VEHICLE_USER_PRESENCE_NOT_PRESENT,
		}}
	case vcsec.InformationRequestType_INFORMATION_REQUEST_TYPE_GET_WHITELIST_INFO:
		answer.SubMessage = &vcsec.FromVCSECMessage_WhitelistInfo{WhitelistInfo: &vcsec.WhitelistInfo{
			NumberOfEntries: uint32(len(c.keychain)),
		}}
	default:
		return c.fault(c.security, m, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_COMMAND)
	}
	return []*universalmessage.RoutableMessage{c.say(c.security, m, who, marshal(&answer))}
}
