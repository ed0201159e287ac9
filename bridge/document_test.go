package bridge

import (
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla"
)

var docNoon = time.Date(2026, 8, 24, 12, 0, 0, 0, time.UTC)

// chargingCar is a European car in the middle of a charge, with every field told.
func chargingCar() tesla.ChargeState {
	start := docNoon.Add(14*time.Hour + 400*time.Millisecond).In(time.FixedZone("CEST", 7200))
	return tesla.ChargeState{
		Timestamp:     docNoon.Add(-3*time.Second + 123*time.Millisecond),
		ChargingState: "Charging", BatteryLevel: new(63), UsableBatteryLevel: new(62), BatteryRange: new(187.31),
		ChargeLimitSOC: new(80), ChargeLimitSOCMin: new(50), ChargeLimitSOCMax: new(100),
		ChargeAmps: new(16), ChargeCurrentRequestMax: new(16), ChargerActualCurrent: new(15), ChargerVoltage: new(231),
		ChargerPhases: new(2), ChargerPower: new(10), ChargeEnergyAdded: new(7.42), MinutesToFullCharge: new(95),
		ConnChargeCable: "IEC", ChargePortDoorOpen: new(true), FastChargerPresent: new(false),
		ScheduledChargingStartTime: &start, AtHome: new(true),
	}
}

// goldenScalars is the contract: these keys, in this order, with these values for chargingCar.
const goldenScalars = `vehicle_state=online
charging_state=charging
charging=true
plugged_in=true
battery_level=63
usable_battery_level=62
battery_range=301.4
charge_limit=80
charge_amps=16
charge_amps_max=16
charger_actual_current=15
charger_voltage=231
charger_phases=3
charger_power=10.4
charge_energy_added=7.42
charge_energy_total=7.42
time_to_full=95
cable=iec
charge_port=open
fast_charger=false
scheduled_start=2026-08-25T02:00:00Z
at_home=true
last_update=2026-08-24T11:59:57Z
source=fleet`

func writtenScalars(d Document) string {
	var lines []string
	for _, s := range d.Scalars() {
		lines = append(lines, s.Key+"="+s.Value)
	}
	return strings.Join(lines, "\n")
}

func TestScalarsGolden(t *testing.T) {
	d := Document{}.withState(tesla.StateOnline).update(chargingCar(), "fleet", docNoon)
	if got := writtenScalars(d); got != goldenScalars {
		t.Errorf("got\n%s\nwant\n%s", got, goldenScalars)
	}
}

func TestEveryKeyIsAlwaysThere(t *testing.T) {
	var keys []string
	for line := range strings.SplitSeq(goldenScalars, "\n") {
		key, _, _ := strings.Cut(line, "=")
		keys = append(keys, key)
	}
	if !slices.Equal(documentKeys(), keys) {
		t.Errorf("keys are %v, want %v", documentKeys(), keys)
	}
	rows := map[string]struct {
		d    Document
		told []string // what is not null
	}{
		"never seen":         {Document{}, nil},
		"only the cloud":     {Document{}.withState(tesla.StateAsleep), []string{"vehicle_state"}},
		"a car that is dumb": {Document{}.update(tesla.ChargeState{}, "ble", docNoon), []string{"last_update", "source"}},
		"all":                {Document{}.withState(tesla.StateOnline).update(chargingCar(), "ble", docNoon), keys},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var object map[string]any
			if err := json.Unmarshal(row.d.JSON(), &object); err != nil {
				t.Fatal(err)
			}
			if len(object) != len(keys) {
				t.Errorf("%d keys, want %d", len(object), len(keys))
			}
			for _, s := range row.d.Scalars() {
				value, there := object[s.Key]
				told := slices.Contains(row.told, s.Key)
				if !there || told != (value != nil) || told == (s.Value == "null") || s.Value == "" {
					t.Errorf("%s: JSON has %v (there: %v), the scalar is %q, told: %v", s.Key, value, there, s.Value, told)
				}
			}
		})
	}
}

func TestJSONKeepsTheOrder(t *testing.T) {
	text := string(Document{}.JSON())
	at := -1
	for _, key := range documentKeys() {
		i := strings.Index(text, `"`+key+`":`)
		if i <= at {
			t.Errorf("%s is at %d, after something at %d", key, i, at)
		}
		at = i
	}
}

// What lasts keeps its value when the car leaves it out; what describes the moment does not.
func TestWhatTheCarLeavesOut(t *testing.T) {
	d := Document{}.withState(tesla.StateOnline).update(chargingCar(), "fleet", docNoon)
	later := docNoon.Add(time.Hour)
	got := strings.Split(writtenScalars(d.update(tesla.ChargeState{}, "ble", later)), "\n")
	want := map[string]string{
		"charger_actual_current": "null", "charger_voltage": "null", "charger_phases": "null", "charger_power": "null",
		"time_to_full": "null", "fast_charger": "null", "scheduled_start": "null", "at_home": "null",
		"last_update": "2026-08-24T13:00:00Z", "source": "ble",
	}
	for i, line := range strings.Split(goldenScalars, "\n") {
		key, _, _ := strings.Cut(line, "=")
		if value, other := want[key]; other {
			line = key + "=" + value
		}
		if got[i] != line {
			t.Errorf("got %s, want %s", got[i], line)
		}
	}
}

func TestUpdateLeavesTheOldDocumentAlone(t *testing.T) {
	d := Document{}.update(chargingCar(), "fleet", docNoon)
	before := writtenScalars(d)
	c := chargingCar()
	c.BatteryLevel, c.ChargingState, c.ChargeEnergyAdded = new(99), "Complete", new(30.0)
	d.update(c, "ble", docNoon.Add(time.Hour))
	d.withState(tesla.StateOffline)
	if after := writtenScalars(d); after != before {
		t.Errorf("was\n%s\nis\n%s", before, after)
	}
}

func TestChargingWords(t *testing.T) {
	rows := map[string]struct{ state, charging, plugged string }{
		"Disconnected": {"disconnected", "false", "false"},
		"NoPower":      {"no_power", "false", "true"},
		"Starting":     {"starting", "true", "true"},
		"Charging":     {"charging", "true", "true"},
		"Complete":     {"complete", "false", "true"},
		"Stopped":      {"stopped", "false", "true"},
		"Calibrating":  {"calibrating", "false", "true"},
		"Levitating":   {"unknown", "false", "null"}, // a word of tomorrow tells nothing about the plug
		"charging":     {"unknown", "false", "null"}, // Tesla writes it with a capital
		"":             {"null", "null", "null"},
	}
	for word, row := range rows {
		t.Run("word "+word, func(t *testing.T) {
			d := Document{}.update(tesla.ChargeState{ChargingState: word}, "owner", docNoon)
			wantScalar(t, d, "charging_state", row.state)
			wantScalar(t, d, "charging", row.charging)
			wantScalar(t, d, "plugged_in", row.plugged)
			if row.state != "null" && !slices.Contains(chargingStates, row.state) {
				t.Errorf("%s is not among the states that are announced", row.state)
			}
		})
	}
	for word, ours := range chargingWords {
		if !slices.Contains(chargingStates, ours) {
			t.Errorf("%s becomes %s, which is not announced", word, ours)
		}
	}
}

func TestAnUnknownWordKeepsThePlug(t *testing.T) {
	d := Document{}.update(tesla.ChargeState{ChargingState: "Charging"}, "owner", docNoon)
	d = d.update(tesla.ChargeState{ChargingState: "Levitating"}, "owner", docNoon)
	wantScalar(t, d, "plugged_in", "true")
	wantScalar(t, d, "charging", "false")
}

func TestOtherWords(t *testing.T) {
	cable := func(word string) Document {
		return Document{}.update(tesla.ChargeState{ConnChargeCable: word}, "owner", docNoon)
	}
	port := func(open bool) Document {
		return Document{}.update(tesla.ChargeState{ChargePortDoorOpen: &open}, "owner", docNoon)
	}
	rows := []struct {
		name, key, want string
		d               Document
		words           []string
	}{
		{"cable IEC", "cable", "iec", cable("IEC"), cables},
		{"cable SAE", "cable", "sae", cable("SAE"), cables},
		{"cable GB AC", "cable", "gb_ac", cable("GB_AC"), cables},
		{"cable GB DC", "cable", "gb_dc", cable("GB_DC"), cables},
		{"no cable", "cable", "none", cable("<invalid>"), cables},
		{"cable unheard of", "cable", "none", cable("NACS2"), cables},
		{"cable not told", "cable", "null", cable(""), nil},
		{"port open", "charge_port", "open", port(true), nil},
		{"port closed", "charge_port", "closed", port(false), nil},
		{"online", "vehicle_state", "online", Document{}.withState(tesla.StateOnline), vehicleStates},
		{"asleep", "vehicle_state", "asleep", Document{}.withState(tesla.StateAsleep), vehicleStates},
		{"offline", "vehicle_state", "offline", Document{}.withState(tesla.StateOffline), vehicleStates},
		{"unknown", "vehicle_state", "unknown", Document{}.withState(tesla.StateUnknown), vehicleStates},
		{"a state unheard of", "vehicle_state", "unknown", Document{}.withState("driving"), vehicleStates},
		{"no state", "vehicle_state", "unknown", Document{}.withState(""), vehicleStates},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			wantScalar(t, row.d, row.key, row.want)
			if row.words != nil && !slices.Contains(row.words, row.want) {
				t.Errorf("%s is not among the words that are announced", row.want)
			}
		})
	}
}

func TestUnits(t *testing.T) {
	rows := map[string]struct {
		c         tesla.ChargeState
		key, want string
	}{
		"400 miles":            {tesla.ChargeState{BatteryRange: new(400.0)}, "battery_range", "643.7"},
		"100 miles":            {tesla.ChargeState{BatteryRange: new(100.0)}, "battery_range", "160.9"},
		"an empty car":         {tesla.ChargeState{BatteryRange: new(0.0)}, "battery_range", "0"},
		"whole km are bare":    {tesla.ChargeState{BatteryRange: new(621.371)}, "battery_range", "1000"},
		"minutes stay minutes": {tesla.ChargeState{MinutesToFullCharge: new(125)}, "time_to_full", "125"},
		"zero minutes":         {tesla.ChargeState{MinutesToFullCharge: new(0)}, "time_to_full", "0"},
		"kWh without rest":     {tesla.ChargeState{ChargeEnergyAdded: new(5.0)}, "charge_energy_added", "5"},
		"kWh, a speck":         {tesla.ChargeState{ChargeEnergyAdded: new(0.0000004)}, "charge_energy_added", "0"},
		"kW without rest":      {tesla.ChargeState{FastChargerPresent: new(true), ChargerPower: new(250)}, "charger_power", "250"},
		"percent":              {tesla.ChargeState{BatteryLevel: new(100)}, "battery_level", "100"},
		"zero percent":         {tesla.ChargeState{BatteryLevel: new(0)}, "battery_level", "0"},
		"amps":                 {tesla.ChargeState{ChargeAmps: new(0)}, "charge_amps", "0"},
		"a time of before":     {tesla.ChargeState{ScheduledChargingStartTime: new(time.Unix(-5, 0))}, "scheduled_start", "null"},
		"a time beyond JSON":   {tesla.ChargeState{ScheduledChargingStartTime: new(time.Unix(1e13, 0))}, "scheduled_start", "null"},
		"no time":              {tesla.ChargeState{ScheduledChargingStartTime: new(time.Time{})}, "scheduled_start", "null"},
		"whole seconds in UTC": {tesla.ChargeState{ScheduledChargingStartTime: new(docNoon.Add(7 * time.Millisecond).In(time.FixedZone("", -3600)))}, "scheduled_start", "2026-08-24T12:00:00Z"},
		"a clock gone mad":     {tesla.ChargeState{Timestamp: time.Unix(1e13, 0)}, "last_update", "2026-08-24T12:00:00Z"},
		"the car's own clock":  {tesla.ChargeState{Timestamp: docNoon.Add(-time.Minute)}, "last_update", "2026-08-24T11:59:00Z"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			wantScalar(t, Document{}.update(row.c, "telemetry", docNoon), row.key, row.want)
		})
	}
}

// plainNumber is how a number may look: readers such as .NET's Convert.ToInt32 know neither exponents nor 16.0.
var plainNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]*[1-9])$`)

func TestNumbersArePlain(t *testing.T) {
	values := []float64{0, 1e-9, 0.04, 0.1 + 0.2, 1.0 / 3, 16, 187.31, 99999.999, 1e8, 1e9, 1e14, 1e300, -1, -1e-9,
		math.SmallestNonzeroFloat64, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1)}
	d := Document{}
	for _, v := range values {
		c := chargingCar()
		c.BatteryRange, c.ChargeEnergyAdded = &v, &v
		d = d.update(c, "ble", docNoon)
		for _, s := range d.Scalars() {
			switch s.Key {
			case "battery_range", "charge_energy_added", "charge_energy_total":
				if !plainNumber.MatchString(s.Value) {
					t.Errorf("%v gives %s = %s", v, s.Key, s.Value)
				}
			}
		}
	}
}

// A scalar is what the JSON says, so that a reader may take either.
func TestScalarsSayWhatTheJSONSays(t *testing.T) {
	for _, d := range []Document{{}, Document{}.update(chargingCar(), "owner", docNoon)} {
		var object map[string]any
		decoder := json.NewDecoder(strings.NewReader(string(d.JSON())))
		decoder.UseNumber()
		if err := decoder.Decode(&object); err != nil {
			t.Fatal(err)
		}
		for _, s := range d.Scalars() {
			want := "null"
			switch v := object[s.Key].(type) {
			case string:
				want = v
			case json.Number:
				want = v.String()
			case bool:
				want = map[bool]string{true: "true", false: "false"}[v]
			}
			if s.Value != want {
				t.Errorf("%s is %q as a scalar and %q in JSON", s.Key, s.Value, want)
			}
		}
	}
}

// The document is remembered over a restart as its own JSON.
func TestJSONRoundTrip(t *testing.T) {
	d := Document{}.withState(tesla.StateOnline).update(chargingCar(), "fleet", docNoon)
	var back Document
	if err := json.Unmarshal(d.JSON(), &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(d, back) {
		t.Errorf("got\n%s\nwant\n%s", back.JSON(), d.JSON())
	}
}

func wantScalar(t *testing.T, d Document, key, want string) {
	t.Helper()
	for _, s := range d.Scalars() {
		if s.Key == key {
			if s.Value != want {
				t.Errorf("%s is %s, want %s", key, s.Value, want)
			}
			return
		}
	}
	t.Errorf("there is no key %s", key)
}
