package sim

import (
	"math"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/carserver"
)

// protobuf is the charge state as the car itself tells it to clients that have a key: the same values as in vehicle_data, in
// 32 bits where those are fractions, and with words that are fields.
func (g *charger) protobuf(cable string) *carserver.ChargeState {
	s := &carserver.ChargeState{
		ChargingState: g.phase.protobuf(), ConnChargeCable: &carserver.ChargeState_CableType{Type: &carserver.ChargeState_CableType_SNA{}},
		OptionalChargeLimitSoc:       &carserver.ChargeState_ChargeLimitSoc{ChargeLimitSoc: int32(g.limit)},
		OptionalChargeLimitSocMin:    &carserver.ChargeState_ChargeLimitSocMin{ChargeLimitSocMin: limitMin},
		OptionalChargeLimitSocMax:    &carserver.ChargeState_ChargeLimitSocMax{ChargeLimitSocMax: limitMax},
		OptionalFastChargerPresent:   &carserver.ChargeState_FastChargerPresent{FastChargerPresent: g.dc},
		OptionalBatteryRange:         &carserver.ChargeState_BatteryRange{BatteryRange: float32(round(g.energy*milesAKWh, 2))},
		OptionalBatteryLevel:         &carserver.ChargeState_BatteryLevel{BatteryLevel: int32(g.level() + 1e-6)},
		OptionalUsableBatteryLevel:   &carserver.ChargeState_UsableBatteryLevel{UsableBatteryLevel: int32(g.level() + 1e-6)},
		OptionalChargeEnergyAdded:    &carserver.ChargeState_ChargeEnergyAdded{ChargeEnergyAdded: float32(round(g.added, 2))},
		OptionalMinutesToFullCharge:  &carserver.ChargeState_MinutesToFullCharge{MinutesToFullCharge: int32(g.minutesLeft())},
		OptionalChargePortDoorOpen:   &carserver.ChargeState_ChargePortDoorOpen{ChargePortDoorOpen: g.doorOpen},
		OptionalChargingAmps:         &carserver.ChargeState_ChargingAmps{ChargingAmps: int32(g.setPoint)},
		OptionalChargeCurrentRequest: &carserver.ChargeState_ChargeCurrentRequest{ChargeCurrentRequest: int32(g.setPoint)},
		OptionalChargeCurrentRequestMax: &carserver.ChargeState_ChargeCurrentRequestMax{
			ChargeCurrentRequestMax: int32(g.ceiling),
		},
	}
	g.protobufCurrent(s)
	if g.plugged {
		s.ConnChargeCable = cableProtobuf(cable)
	}
	if !g.scheduled.IsZero() {
		s.OptionalScheduledChargingStartTime = &carserver.ChargeState_ScheduledChargingStartTime{
			ScheduledChargingStartTime: uint64(g.scheduled.Unix()),
		}
	}
	return s
}

// protobufCurrent adds what flows.
func (g *charger) protobufCurrent(s *carserver.ChargeState) {
	volts, amps, kW := 0, 0, 0.0
	switch {
	case g.dc && g.phase == charging:
		volts, kW = 380, g.power()
	case g.phase == charging:
		volts, amps, kW = g.volts, int(math.Round(g.amps)), g.drawn()
		s.OptionalChargerPhases = &carserver.ChargeState_ChargerPhases{ChargerPhases: int32(min(g.phases, 2))}
	case g.plugged && g.phase != noPower:
		volts = 2
	}
	s.OptionalChargerVoltage = &carserver.ChargeState_ChargerVoltage{ChargerVoltage: int32(volts)}
	s.OptionalChargerActualCurrent = &carserver.ChargeState_ChargerActualCurrent{ChargerActualCurrent: int32(amps)}
	s.OptionalChargerPower = &carserver.ChargeState_ChargerPower{ChargerPower: int32(kW)}
}

func (p phase) protobuf() *carserver.ChargeState_ChargingState {
	none := &carserver.Void{}
	switch p {
	case disconnected:
		return &carserver.ChargeState_ChargingState{Type: &carserver.ChargeState_ChargingState_Disconnected{Disconnected: none}}
	case noPower:
		return &carserver.ChargeState_ChargingState{Type: &carserver.ChargeState_ChargingState_NoPower{NoPower: none}}
	case starting:
		return &carserver.ChargeState_ChargingState{Type: &carserver.ChargeState_ChargingState_Starting{Starting: none}}
	case charging:
		return &carserver.ChargeState_ChargingState{Type: &carserver.ChargeState_ChargingState_Charging{Charging: none}}
	case complete:
		return &carserver.ChargeState_ChargingState{Type: &carserver.ChargeState_ChargingState_Complete{Complete: none}}
	case stopped:
		return &carserver.ChargeState_ChargingState{Type: &carserver.ChargeState_ChargingState_Stopped{Stopped: none}}
	}
	return nil
}

func cableProtobuf(cable string) *carserver.ChargeState_CableType {
	none := &carserver.Void{}
	switch cable {
	case "SAE":
		return &carserver.ChargeState_CableType{Type: &carserver.ChargeState_CableType_SAE{SAE: none}}
	case "GB_AC":
		return &carserver.ChargeState_CableType{Type: &carserver.ChargeState_CableType_GB_AC{GB_AC: none}}
	case "GB_DC":
		return &carserver.ChargeState_CableType{Type: &carserver.ChargeState_CableType_GB_DC{GB_DC: none}}
	}
	return &carserver.ChargeState_CableType{Type: &carserver.ChargeState_CableType_IEC{IEC: none}}
}
