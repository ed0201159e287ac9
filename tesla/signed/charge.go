package signed

import (
	"math"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/carserver"

	"tesla2mqtt/tesla"
)

// chargeState takes over what the car tells. In this protocol a value that is not told is a field that is not set, which is
// not the same as 0.
func chargeState(s *carserver.ChargeState) tesla.ChargeState {
	out := tesla.ChargeState{
		ChargingState:           chargingWord(s.GetChargingState()),
		BatteryLevel:            whole(s.OptionalBatteryLevel != nil, s.GetBatteryLevel()),
		UsableBatteryLevel:      whole(s.OptionalUsableBatteryLevel != nil, s.GetUsableBatteryLevel()),
		BatteryRange:            fraction(s.OptionalBatteryRange != nil, s.GetBatteryRange()),
		ChargeLimitSOC:          whole(s.OptionalChargeLimitSoc != nil, s.GetChargeLimitSoc()),
		ChargeLimitSOCMin:       whole(s.OptionalChargeLimitSocMin != nil, s.GetChargeLimitSocMin()),
		ChargeLimitSOCMax:       whole(s.OptionalChargeLimitSocMax != nil, s.GetChargeLimitSocMax()),
		ChargeAmps:              whole(s.OptionalChargingAmps != nil, s.GetChargingAmps()),
		ChargeCurrentRequestMax: whole(s.OptionalChargeCurrentRequestMax != nil, s.GetChargeCurrentRequestMax()),
		ChargerActualCurrent:    whole(s.OptionalChargerActualCurrent != nil, s.GetChargerActualCurrent()),
		ChargerVoltage:          whole(s.OptionalChargerVoltage != nil, s.GetChargerVoltage()),
		ChargerPhases:           whole(s.OptionalChargerPhases != nil, s.GetChargerPhases()),
		ChargerPower:            whole(s.OptionalChargerPower != nil, s.GetChargerPower()),
		ChargeEnergyAdded:       fraction(s.OptionalChargeEnergyAdded != nil, s.GetChargeEnergyAdded()),
		MinutesToFullCharge:     whole(s.OptionalMinutesToFullCharge != nil, s.GetMinutesToFullCharge()),
		ConnChargeCable:         cableWord(s.GetConnChargeCable()),
	}
	if out.ChargeAmps == nil {
		out.ChargeAmps = whole(s.OptionalChargeCurrentRequest != nil, s.GetChargeCurrentRequest())
	}
	if s.OptionalChargePortDoorOpen != nil {
		out.ChargePortDoorOpen = new(s.GetChargePortDoorOpen())
	}
	if s.OptionalFastChargerPresent != nil {
		out.FastChargerPresent = new(s.GetFastChargerPresent())
	}
	if at := s.GetScheduledChargingStartTime(); at > 0 && at < math.MaxInt32*4 { // seconds
		out.ScheduledChargingStartTime = new(time.Unix(int64(at), 0).UTC())
	}
	if at := s.GetTimestamp(); at.IsValid() && at.GetSeconds() > 0 {
		out.Timestamp = at.AsTime()
	}
	return out
}

func whole(told bool, value int32) *int {
	if !told {
		return nil
	}
	return new(int(value))
}

// fraction widens a number of 32 bits, without the noise that this would show behind its two decimals.
func fraction(told bool, value float32) *float64 {
	wide := math.Round(float64(value)*100) / 100
	if !told || math.IsNaN(wide) || math.IsInf(wide, 0) {
		return nil
	}
	return &wide
}

// chargingWord is charging_state as the APIs say it, "" if it is not told or new.
func chargingWord(s *carserver.ChargeState_ChargingState) string {
	switch s.GetType().(type) {
	case *carserver.ChargeState_ChargingState_Disconnected:
		return "Disconnected"
	case *carserver.ChargeState_ChargingState_NoPower:
		return "NoPower"
	case *carserver.ChargeState_ChargingState_Starting:
		return "Starting"
	case *carserver.ChargeState_ChargingState_Charging:
		return "Charging"
	case *carserver.ChargeState_ChargingState_Complete:
		return "Complete"
	case *carserver.ChargeState_ChargingState_Stopped:
		return "Stopped"
	case *carserver.ChargeState_ChargingState_Calibrating:
		return "Calibrating"
	case *carserver.ChargeState_ChargingState_Unknown:
		return "Unknown"
	}
	return ""
}

// cableWord is conn_charge_cable as the APIs say it.
func cableWord(c *carserver.ChargeState_CableType) string {
	switch c.GetType().(type) {
	case *carserver.ChargeState_CableType_IEC:
		return "IEC"
	case *carserver.ChargeState_CableType_SAE:
		return "SAE"
	case *carserver.ChargeState_CableType_GB_AC:
		return "GB_AC"
	case *carserver.ChargeState_CableType_GB_DC:
		return "GB_DC"
	case *carserver.ChargeState_CableType_SNA:
		return "<invalid>"
	}
	return ""
}
