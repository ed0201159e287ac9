package telemetry

import (
	"math"
	"slices"

	"tesla2mqtt/tesla"
)

// wish is how a car is asked to send a field.
type wish = tesla.TelemetryField

// field is one of Tesla's that is of use here. wish is how often it is wanted; set writes it into what a full read would tell; thing
// is what a command would change by it.
type field struct {
	name  string
	kind  kind
	wish  wish
	set   func(c *tesla.ChargeState, v value)
	thing tesla.Thing
}

// fields are all that are looked at, in Tesla's units: miles for ranges whatever the display shows (fleet-telemetry#335),
// hours for times, kW and kWh. Not here, although they exist: ChargeState, which knows no more than charging or not;
// ACChargingEnergyIn, which counts what the charger takes, not the battery; ScheduledChargingStartTime, which is wrong by the
// distance of two time zones (Tesla's documentation says so).
var fields = [...]field{
	{"DetailedChargeState", word, wish{Interval: 5, Resend: 30}, func(c *tesla.ChargeState, v value) { c.ChargingState = v.Text }, tesla.Charging},
	{"ChargeCurrentRequest", number, wish{Interval: 5, Resend: 30}, func(c *tesla.ChargeState, v value) { c.ChargeAmps = whole(v) }, tesla.ChargeAmps},
	{"ChargeLimitSoc", percent, wish{Interval: 5, Resend: 30}, func(c *tesla.ChargeState, v value) { c.ChargeLimitSOC = whole(v) }, tesla.ChargeLimit},
	{"ChargePortDoorOpen", truth, wish{Interval: 5, Resend: 300}, func(c *tesla.ChargeState, v value) { c.ChargePortDoorOpen = yes(v) }, tesla.ChargePort},
	{"ChargeCurrentRequestMax", number, wish{Interval: 10, Resend: 300}, func(c *tesla.ChargeState, v value) { c.ChargeCurrentRequestMax = whole(v) }, ""},
	// In spite of its name this is measured (fleet-telemetry#127).
	{"ChargeAmps", number, wish{Interval: 10, Delta: 0.5}, func(c *tesla.ChargeState, v value) { c.ChargerActualCurrent = whole(v) }, ""},
	{"ChargerVoltage", number, wish{Interval: 30, Delta: 2}, func(c *tesla.ChargeState, v value) { c.ChargerVoltage = whole(v) }, ""},
	{"ChargerPhases", number, wish{Interval: 30}, func(c *tesla.ChargeState, v value) { c.ChargerPhases = whole(v) }, ""},
	{"DCChargingEnergyIn", number, wish{Interval: 60, Delta: 0.1}, func(c *tesla.ChargeState, v value) { c.ChargeEnergyAdded = real(v) }, ""},
	{"BatteryLevel", percent, wish{Interval: 60, Delta: 0.5}, func(c *tesla.ChargeState, v value) { c.BatteryLevel = whole(v) }, ""},
	{"Soc", percent, wish{Interval: 60, Delta: 0.5}, func(c *tesla.ChargeState, v value) { c.UsableBatteryLevel = whole(v) }, ""},
	{"RatedRange", number, wish{Interval: 60, Delta: 1}, func(c *tesla.ChargeState, v value) { c.BatteryRange = real(v) }, ""},
	{"TimeToFullCharge", number, wish{Interval: 60}, func(c *tesla.ChargeState, v value) {
		c.MinutesToFullCharge = whole(value{Known: v.Known, Number: 60 * v.Number})
	}, ""},
	{"ChargingCableType", word, wish{Interval: 60}, func(c *tesla.ChargeState, v value) { c.ConnChargeCable = cable(v) }, ""},
	{"FastChargerPresent", truth, wish{Interval: 5, Resend: 300}, func(c *tesla.ChargeState, v value) { c.FastChargerPresent = yes(v) }, ""},
	{"LocatedAtHome", truth, wish{Interval: 60}, func(c *tesla.ChargeState, v value) { c.AtHome = yes(v) }, ""},
	// Which of the two counts is known when FastChargerPresent is: it comes before them.
	{"ACChargingPower", number, wish{Interval: 30, Delta: 0.1}, func(c *tesla.ChargeState, v value) { setPower(c, v, false) }, ""},
	{"DCChargingPower", number, wish{Interval: 30, Delta: 1}, func(c *tesla.ChargeState, v value) { setPower(c, v, true) }, ""},
}

// Wanted is all that a car shall be asked to send, by name. What a command is judged by is sent again unchanged: only what was told in
// the last minute counts.
func Wanted() map[string]tesla.TelemetryField {
	all := make(map[string]tesla.TelemetryField, len(fields))
	for _, f := range fields {
		all[f.name] = f.wish
	}
	return all
}

func indexOf(name string) int {
	return slices.IndexFunc(fields[:], func(f field) bool { return f.name == name })
}

func whole(v value) *int {
	if !v.Known {
		return nil
	}
	return new(int(math.Round(v.Number)))
}

func real(v value) *float64 {
	if !v.Known {
		return nil
	}
	return new(v.Number)
}

func yes(v value) *bool {
	if !v.Known {
		return nil
	}
	return new(v.Truth)
}

// cable is never "not told": without a cable the field has no value.
func cable(v value) string {
	if !v.Known {
		return invalid
	}
	return v.Text
}

// setPower truncates, as Tesla's other sources do.
func setPower(c *tesla.ChargeState, v value, fast bool) {
	if at := c.FastChargerPresent; (at != nil && *at) != fast {
		return
	}
	c.ChargerPower = nil
	if v.Known {
		c.ChargerPower = new(int(v.Number))
	}
}
