package telemetry

import (
	"math"
	"slices"

	"tesla2mqtt/tesla"
)

// field is one of Tesla's that is of use here. set writes it into what a full read would tell; thing is what a command
// would change by it.
type field struct {
	name  string
	kind  kind
	set   func(c *tesla.ChargeState, v Value)
	thing tesla.Thing
}

// fields are all that are looked at, in Tesla's units: miles for ranges whatever the display shows (fleet-telemetry#335),
// hours for times, kW and kWh. Not here, although they exist: ChargeState, which knows no more than charging or not;
// ACChargingEnergyIn, which counts what the charger takes, not the battery; ScheduledChargingStartTime, which is wrong by the
// distance of two time zones (Tesla's documentation says so).
var fields = [...]field{
	{"DetailedChargeState", word, func(c *tesla.ChargeState, v Value) { c.ChargingState = v.Text }, tesla.Charging},
	{"ChargeCurrentRequest", number, func(c *tesla.ChargeState, v Value) { c.ChargeAmps = whole(v) }, tesla.ChargeAmps},
	{"ChargeLimitSoc", percent, func(c *tesla.ChargeState, v Value) { c.ChargeLimitSOC = whole(v) }, tesla.ChargeLimit},
	{"ChargePortDoorOpen", truth, func(c *tesla.ChargeState, v Value) { c.ChargePortDoorOpen = yes(v) }, tesla.ChargePort},
	{"ChargeCurrentRequestMax", number, func(c *tesla.ChargeState, v Value) { c.ChargeCurrentRequestMax = whole(v) }, ""},
	// In spite of its name this is measured (fleet-telemetry#127).
	{"ChargeAmps", number, func(c *tesla.ChargeState, v Value) { c.ChargerActualCurrent = whole(v) }, ""},
	{"ChargerVoltage", number, func(c *tesla.ChargeState, v Value) { c.ChargerVoltage = whole(v) }, ""},
	{"ChargerPhases", number, func(c *tesla.ChargeState, v Value) { c.ChargerPhases = whole(v) }, ""},
	{"DCChargingEnergyIn", number, func(c *tesla.ChargeState, v Value) { c.ChargeEnergyAdded = real(v) }, ""},
	{"BatteryLevel", percent, func(c *tesla.ChargeState, v Value) { c.BatteryLevel = whole(v) }, ""},
	{"Soc", percent, func(c *tesla.ChargeState, v Value) { c.UsableBatteryLevel = whole(v) }, ""},
	{"RatedRange", number, func(c *tesla.ChargeState, v Value) { c.BatteryRange = real(v) }, ""},
	{"TimeToFullCharge", number, func(c *tesla.ChargeState, v Value) {
		c.MinutesToFullCharge = whole(Value{Known: v.Known, Number: 60 * v.Number})
	}, ""},
	{"ChargingCableType", word, func(c *tesla.ChargeState, v Value) { c.ConnChargeCable = cable(v) }, ""},
	{"FastChargerPresent", truth, func(c *tesla.ChargeState, v Value) { c.FastChargerPresent = yes(v) }, ""},
	{"LocatedAtHome", truth, func(c *tesla.ChargeState, v Value) { c.AtHome = yes(v) }, ""},
	// Which of the two counts is known when FastChargerPresent is: it comes before them.
	{"ACChargingPower", number, func(c *tesla.ChargeState, v Value) { setPower(c, v, false) }, ""},
	{"DCChargingPower", number, func(c *tesla.ChargeState, v Value) { setPower(c, v, true) }, ""},
}

func indexOf(name string) int {
	return slices.IndexFunc(fields[:], func(f field) bool { return f.name == name })
}

func whole(v Value) *int {
	if !v.Known {
		return nil
	}
	return new(int(math.Round(v.Number)))
}

func real(v Value) *float64 {
	if !v.Known {
		return nil
	}
	return new(v.Number)
}

func yes(v Value) *bool {
	if !v.Known {
		return nil
	}
	return new(v.Truth)
}

// cable is never "not told": without a cable the field has no value.
func cable(v Value) string {
	if !v.Known {
		return invalid
	}
	return v.Text
}

// setPower truncates, as Tesla's other sources do.
func setPower(c *tesla.ChargeState, v Value, fast bool) {
	if at := c.FastChargerPresent; (at != nil && *at) != fast {
		return
	}
	c.ChargerPower = nil
	if v.Known {
		c.ChargerPower = new(int(v.Number))
	}
}
