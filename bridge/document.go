package bridge

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"tesla2mqtt/tesla"
)

// Document is what <base>/<car>/state says. Its keys, their order and their units are a contract with the users; null
// means never seen, or that the car does not tell at the moment.
type Document struct {
	VehicleState         *string    `json:"vehicle_state"`
	ChargingState        *string    `json:"charging_state"`
	Charging             *bool      `json:"charging"`
	PluggedIn            *bool      `json:"plugged_in"`
	BatteryLevel         *int       `json:"battery_level"`        // %
	UsableBatteryLevel   *int       `json:"usable_battery_level"` // %
	BatteryRange         *float64   `json:"battery_range"`        // km, rated
	ChargeLimit          *int       `json:"charge_limit"`         // %
	ChargeAmps           *int       `json:"charge_amps"`          // A, the set point
	ChargeAmpsMax        *int       `json:"charge_amps_max"`      // A
	ChargerActualCurrent *int       `json:"charger_actual_current"`
	ChargerVoltage       *int       `json:"charger_voltage"` // V, of one phase
	ChargerPhases        *int       `json:"charger_phases"`  // 1, 2 or 3
	ChargerPower         *float64   `json:"charger_power"`   // kW
	ChargeEnergyAdded    *float64   `json:"charge_energy_added"`
	ChargeEnergyTotal    *float64   `json:"charge_energy_total"` // kWh, our own counter, never falls
	TimeToFull           *int       `json:"time_to_full"`        // min
	Cable                *string    `json:"cable"`
	ChargePort           *string    `json:"charge_port"`
	FastCharger          *bool      `json:"fast_charger"`
	ScheduledStart       *time.Time `json:"scheduled_start"`
	AtHome               *bool      `json:"at_home"`
	LastUpdate           *time.Time `json:"last_update"`
	Source               *string    `json:"source"`
}

// NewDocument is what one look at a car tells, without anything remembered of it: charge_energy_total is null. c is nil
// for a car that was not read.
func NewDocument(s tesla.VehicleState, c *tesla.ChargeState, source string, readAt time.Time) Document {
	var d Document
	if c != nil {
		d = d.update(*c, source, readAt)
		d.ChargeEnergyTotal = nil
	}
	return d.withState(s)
}

// kmPerMile converts Tesla's miles, which do not follow the car's display.
const kmPerMile = 1.609344

// These list every value that the keys of the same names can take; Home Assistant's enum sensors must know them all.
var (
	chargingStates = []string{"disconnected", "no_power", "starting", "charging", "complete", "stopped", "calibrating", "unknown"}
	vehicleStates  = []string{"online", "asleep", "offline", "unknown"}
	cables         = []string{"iec", "sae", "gb_ac", "gb_dc", "none"}
)

// chargingWords maps Tesla's words; a new one becomes "unknown" rather than an error in Home Assistant.
var chargingWords = map[string]string{
	"Disconnected": "disconnected", "NoPower": "no_power", "Starting": "starting", "Charging": "charging",
	"Complete": "complete", "Stopped": "stopped", "Calibrating": "calibrating",
}

var cableWords = map[string]string{"IEC": "iec", "SAE": "sae", "GB_AC": "gb_ac", "GB_DC": "gb_dc"}

// update returns d with what a read of the car told. What describes a moment (current, voltage, power) is null where
// the car leaves it out; what lasts (levels, set points) keeps its last value.
func (d Document) update(c tesla.ChargeState, source string, readAt time.Time) Document {
	c.BatteryRange, c.ChargeEnergyAdded = measured(c.BatteryRange), measured(c.ChargeEnergyAdded)
	d.updateCharging(c)
	keep(&d.BatteryLevel, c.BatteryLevel)
	keep(&d.UsableBatteryLevel, c.UsableBatteryLevel)
	if c.BatteryRange != nil {
		d.BatteryRange = new(round(*c.BatteryRange*kmPerMile, 1))
	}
	keep(&d.ChargeLimit, c.ChargeLimitSOC)
	keep(&d.ChargeAmps, c.ChargeAmps)
	keep(&d.ChargeAmpsMax, c.ChargeCurrentRequestMax)
	d.ChargeEnergyTotal = total(d.ChargeEnergyTotal, d.ChargeEnergyAdded, c.ChargeEnergyAdded)
	d.ChargeEnergyAdded = sessionEnergy(d, c)
	d.ChargerActualCurrent = c.ChargerActualCurrent
	d.ChargerVoltage = c.ChargerVoltage
	d.ChargerPhases = phases(c)
	d.ChargerPower = power(c)
	d.TimeToFull = c.MinutesToFullCharge
	d.ScheduledStart = utc(c.ScheduledChargingStartTime)
	d.FastCharger = c.FastChargerPresent
	d.AtHome = c.AtHome
	if at := utc(&c.Timestamp); at != nil {
		d.LastUpdate = at
	} else if c.Told == nil {
		d.LastUpdate = utc(&readAt)
	}
	d.Source = &source
	return d
}

func (d *Document) updateCharging(c tesla.ChargeState) {
	if c.ChargingState != "" {
		word, known := chargingWords[c.ChargingState]
		if !known {
			word = "unknown"
		}
		d.ChargingState = &word
		d.Charging = new(word == "charging" || word == "starting")
		if known {
			d.PluggedIn = new(word != "disconnected")
		}
	}
	if c.ConnChargeCable != "" {
		word, known := cableWords[c.ConnChargeCable]
		if !known {
			word = "none"
		}
		d.Cable = &word
	}
	if c.ChargePortDoorOpen != nil {
		d.ChargePort = new("closed")
		if *c.ChargePortDoorOpen {
			d.ChargePort = new("open")
		}
	}
}

// withState returns d with what the cloud says of the car's state.
func (d Document) withState(s tesla.VehicleState) Document {
	if !slices.Contains(vehicleStates, string(s)) {
		s = tesla.StateUnknown
	}
	d.VehicleState = new(string(s))
	if s == tesla.StateAsleep && d.Charging != nil && *d.Charging {
		// A charge has ended that nobody saw end: a car that charges does not sleep. How it ended, the next read tells.
		d.Charging, d.ChargingState = new(false), new("unknown")
		d.ChargerActualCurrent, d.ChargerPower = new(0), new(0.0)
		d.ChargerVoltage, d.ChargerPhases, d.TimeToFull = nil, nil, nil
	}
	return d
}

// JSON returns the document with every key.
func (d Document) JSON() []byte {
	b, err := json.Marshal(d)
	if err != nil {
		panic("bridge: a state document holds only finite numbers: " + err.Error())
	}
	return b
}

// Scalar is one key of a document as a plain text: 16, charging, true, null.
type Scalar struct{ Key, Value string }

// Scalars returns every key of d in the document's order.
func (d Document) Scalars() []Scalar {
	values := map[string]json.RawMessage{}
	if err := json.Unmarshal(d.JSON(), &values); err != nil {
		panic("bridge: a state document is an object: " + err.Error())
	}
	var out []Scalar
	for _, key := range documentKeys() {
		out = append(out, Scalar{key, strings.Trim(string(values[key]), `"`)})
	}
	return out
}

// documentKeys lists the keys of a Document in order.
func documentKeys() []string {
	var keys []string
	for f := range reflect.TypeFor[Document]().Fields() {
		keys = append(keys, f.Tag.Get("json"))
	}
	return keys
}

func keep[T any](to **T, seen *T) {
	if seen != nil {
		*to = seen
	}
}

// measured drops what is no measurement: JSON has no NaN, and neither range nor energy is below 0. It cuts what a car's
// single precision appends (7.42 arrives as 7.420000076).
func measured(v *float64) *float64 {
	if v == nil || !(*v >= 0 && *v < 1e9) {
		return nil
	}
	return new(round(math.Abs(*v), 3)) // Abs for -0
}

// utc also drops years that JSON's times cannot hold.
func utc(t *time.Time) *time.Time {
	if t == nil || t.IsZero() || t.Unix() < 0 || t.Year() > 9998 {
		return nil
	}
	return new(t.UTC().Truncate(time.Second))
}

func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}
