package tesla

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// loose is a JSON object of which any member may be missing, null or of another type than yesterday. Tesla has sent
// words where numbers belong ("bad value" for minutes_to_full_charge), so what does not fit is "not told".
type loose map[string]json.RawMessage

func (l loose) number(name string) *float64 {
	var v any
	if json.Unmarshal(l[name], &v) != nil {
		return nil
	}
	var f float64
	switch v := v.(type) {
	case float64:
		f = v
	case string:
		n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if err != nil {
			return nil
		}
		f = n
	default:
		return nil
	}
	// Beyond this no charging figure is meant; it also keeps NaN and infinity out.
	if !(math.Abs(f) < 1e15) {
		return nil
	}
	return &f
}

func (l loose) integer(name string) *int {
	f := l.number(name)
	if f == nil || math.Abs(*f) > 1e9 {
		return nil
	}
	return new(int(math.Round(*f)))
}

func (l loose) text(name string) string {
	var s string
	if json.Unmarshal(l[name], &s) != nil || len(s) > maxText {
		return ""
	}
	return s
}

func (l loose) boolean(name string) *bool {
	var b *bool
	if json.Unmarshal(l[name], &b) != nil {
		return nil
	}
	return b
}

// epoch reads a time given as a number of units since 1970.
func (l loose) epoch(name string, unit time.Duration) time.Time {
	f := l.number(name)
	if f == nil || *f <= 0 || *f > 1e10*float64(time.Second/unit) {
		return time.Time{}
	}
	return time.UnixMilli(int64(*f * float64(unit/time.Millisecond))).UTC()
}

var errNoChargeState = errors.New("the answer has no charge_state")

// decodeChargeState reads the response of vehicle_data. Unknown members are ignored, missing ones stay nil.
func decodeChargeState(response []byte) (ChargeState, error) {
	var data struct {
		ChargeState loose `json:"charge_state"`
	}
	if err := json.Unmarshal(response, &data); err != nil {
		return ChargeState{}, errNoChargeState
	}
	l := data.ChargeState
	if len(l) == 0 {
		return ChargeState{}, errNoChargeState
	}
	c := ChargeState{
		Timestamp:               l.epoch("timestamp", time.Millisecond),
		ChargingState:           l.text("charging_state"),
		BatteryLevel:            l.integer("battery_level"),
		UsableBatteryLevel:      l.integer("usable_battery_level"),
		BatteryRange:            l.number("battery_range"),
		ChargeLimitSOC:          l.integer("charge_limit_soc"),
		ChargeLimitSOCMin:       l.integer("charge_limit_soc_min"),
		ChargeLimitSOCMax:       l.integer("charge_limit_soc_max"),
		ChargeAmps:              l.integer("charge_amps"),
		ChargeCurrentRequestMax: l.integer("charge_current_request_max"),
		ChargerActualCurrent:    l.integer("charger_actual_current"),
		ChargerVoltage:          l.integer("charger_voltage"),
		ChargerPhases:           l.integer("charger_phases"),
		ChargerPower:            l.integer("charger_power"),
		ChargeEnergyAdded:       l.number("charge_energy_added"),
		MinutesToFullCharge:     minutesToFull(l),
		ConnChargeCable:         l.text("conn_charge_cable"),
		ChargePortDoorOpen:      l.boolean("charge_port_door_open"),
		FastChargerPresent:      l.boolean("fast_charger_present"),
	}
	if start := l.epoch("scheduled_charging_start_time", time.Second); !start.IsZero() {
		c.ScheduledChargingStartTime = &start
	}
	if c.ChargeAmps == nil {
		c.ChargeAmps = l.integer("charge_current_request")
	}
	return c, nil
}

func minutesToFull(l loose) *int {
	if m := l.integer("minutes_to_full_charge"); m != nil {
		return m
	}
	if h := l.number("time_to_full_charge"); h != nil && math.Abs(*h) < 1e6 {
		return new(int(math.Round(*h * 60)))
	}
	return nil
}

// decodeVehicle reads one entry of products, or the response of vehicles/{id}.
func decodeVehicle(raw []byte) (Vehicle, VehicleState, bool) {
	var l loose
	if json.Unmarshal(raw, &l) != nil {
		return Vehicle{}, "", false
	}
	v := Vehicle{VIN: l.text("vin"), Name: l.text("display_name"), SignedCommands: l.text("command_signing") == "required"}
	// Not through a float: ids are larger than 2^53.
	if json.Unmarshal(l["id"], &v.ID) != nil {
		id, err := strconv.ParseInt(l.text("id_s"), 10, 64)
		if err != nil {
			return v, "", false
		}
		v.ID = id
	}
	state := VehicleState(l.text("state"))
	switch state {
	case StateOnline, StateAsleep, StateOffline:
	default:
		state = StateUnknown
	}
	if service := l.boolean("in_service"); service != nil && *service {
		// A car in service answers nothing of use: 405 to a read.
		state = StateOffline
	}
	return v, state, true
}
