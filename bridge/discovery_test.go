package bridge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

// haDecoded is what the tests look at.
type haDecoded struct {
	haConfig
	topic string
}

func haCarOf(t *testing.T, c Config, d device) haDecoded {
	t.Helper()
	topic, payload := carDiscovery(c, d, nil)
	return haDecode(t, topic, payload)
}

func haDecode(t *testing.T, topic string, payload []byte) haDecoded {
	t.Helper()
	decoded := haDecoded{topic: topic}
	if err := json.Unmarshal(payload, &decoded.haConfig); err != nil {
		t.Fatal(err)
	}
	return decoded
}

// Home Assistant rebuilds a device whose config changes, so the same car must give the same bytes.
func TestDiscoveryIsRepeatable(t *testing.T) {
	for name, v := range haVariants() {
		t.Run(name, func(t *testing.T) {
			carTopic, car := carDiscovery(v.c, v.d, nil)
			bridgeTopic, bridge := bridgeDiscovery(v.c)
			for range 20 {
				if topic, payload := carDiscovery(v.c, v.d, nil); topic != carTopic || !bytes.Equal(payload, car) {
					t.Fatal("the car's config differs")
				}
				if topic, payload := bridgeDiscovery(v.c); topic != bridgeTopic || !bytes.Equal(payload, bridge) {
					t.Fatal("the bridge's config differs")
				}
			}
		})
	}
}

func TestDiscoveryUsesTheDocumentWhateverTheScalars(t *testing.T) {
	c, d := haTestConfig(), haTestCar()
	_, with := carDiscovery(c, d, nil)
	c.Scalars = false
	if _, without := carDiscovery(c, d, nil); !bytes.Equal(with, without) {
		t.Error("the config depends on mqtt.scalars")
	}
}

// Every key of the state document is shown, by exactly one component.
func TestDiscoveryShowsEveryKey(t *testing.T) {
	for _, writable := range []bool{true, false} {
		t.Run(fmt.Sprintf("writable %v", writable), func(t *testing.T) {
			d := haTestCar()
			d.Writable = writable
			shown := map[string]int{}
			for _, component := range haCarOf(t, haTestConfig(), d).Components {
				if component.StateTopic == "" {
					shown[component.Template]++
				}
			}
			for _, key := range documentKeys() {
				if n := shown[haValue(key)]; n != 1 {
					t.Errorf("%s is shown %d times", key, n)
				}
			}
		})
	}
}

func TestDiscoveryCommands(t *testing.T) {
	base := []string{"charge_amps", "charge_limit", "charging", "refresh"}
	rows := map[string]struct {
		edit func(*device)
		want []string
	}{
		"all":           {func(*device) {}, append(slices.Clone(base), "charge_port_close", "charge_port_open", "wake")},
		"no wake":       {func(d *device) { d.Wake = false }, append(slices.Clone(base), "charge_port_close", "charge_port_open")},
		"no port":       {func(d *device) { d.ChargePort = false }, append(slices.Clone(base), "wake")},
		"neither":       {func(d *device) { d.ChargePort, d.Wake = false, false }, base},
		"read only":     {func(d *device) { d.Writable = false }, []string{"refresh"}},
		"read only, no": {func(d *device) { *d = device{VIN: d.VIN, Alias: d.Alias} }, []string{"refresh"}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			d := haTestCar()
			row.edit(&d)
			var got []string
			for key, component := range haCarOf(t, haTestConfig(), d).Components {
				if component.CommandTopic != "" {
					got = append(got, key)
				}
			}
			slices.Sort(got)
			slices.Sort(row.want)
			if !slices.Equal(got, row.want) {
				t.Errorf("commands are %v, want %v", got, row.want)
			}
		})
	}
}

// A component that stays but changes its platform would leave its old entity behind.
func TestDiscoveryNeverChangesAPlatform(t *testing.T) {
	platforms := map[string]string{}
	for _, v := range haVariants() {
		for key, component := range haCarOf(t, v.c, v.d).Components {
			if before, seen := platforms[key]; seen && before != component.Platform {
				t.Errorf("%s is a %s and a %s", key, before, component.Platform)
			}
			platforms[key] = component.Platform
		}
	}
}

func TestNumberMax(t *testing.T) {
	rows := map[string]struct {
		d    device
		want int
		mode string
	}{
		"nothing known":                 {device{}, 48, "slider"},
		"less than the least":           {device{AmpsMax: 5, Amps: 5}, 6, "slider"},
		"the ceiling":                   {device{AmpsMax: 16, Amps: 5}, 16, "slider"},
		"a set point above the ceiling": {device{AmpsMax: 16, Amps: 32}, 32, "slider"},
		"48 A":                          {device{AmpsMax: 48}, 48, "slider"},
		"more than a slider can set":    {device{AmpsMax: 80}, 80, "box"},
		"nonsense":                      {device{AmpsMax: -3, Amps: -1}, 6, "slider"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := numberMax(row.d); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
			row.d.VIN, row.d.Alias, row.d.Writable = "5YJ3E1EA7KF317000", "model3", true
			amps := haCarOf(t, haTestConfig(), row.d).Components["charge_amps"]
			if *amps.Min != 0 || *amps.Max != row.want || amps.Step != 1 || amps.Mode != row.mode {
				t.Errorf("from %d to %d by %d with a %s", *amps.Min, *amps.Max, amps.Step, amps.Mode)
			}
		})
	}
}

func TestDiscoveryChargeLimits(t *testing.T) {
	rows := map[string]struct{ low, high, wantLow, wantHigh int }{
		"unknown":     {0, 0, 50, 100},
		"the car's":   {20, 90, 20, 90},
		"only one":    {50, 0, 50, 100},
		"upside down": {90, 50, 50, 100},
		"beyond 100":  {50, 120, 50, 100},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			d := haTestCar()
			d.LimitMin, d.LimitMax = row.low, row.high
			limit := haCarOf(t, haTestConfig(), d).Components["charge_limit"]
			if *limit.Min != row.wantLow || *limit.Max != row.wantHigh {
				t.Errorf("from %d to %d, want %d to %d", *limit.Min, *limit.Max, row.wantLow, row.wantHigh)
			}
		})
	}
}

func TestDiscoveryAvailability(t *testing.T) {
	car := haCarOf(t, haTestConfig(), haTestCar())
	want := []haAvailability{{"tesla2mqtt/bridge/state"}, {"tesla2mqtt/model3/availability"}}
	if !slices.Equal(car.Availability, want) || car.AvailabilityMode != "all" {
		t.Errorf("the car is available by %v, %s", car.Availability, car.AvailabilityMode)
	}
	topic, payload := bridgeDiscovery(haTestConfig())
	bridge := haDecode(t, topic, payload)
	if bridge.Availability != nil {
		t.Errorf("the bridge is available by %v, so that its connection can never say off", bridge.Availability)
	}
	for key, component := range bridge.Components {
		want := "tesla2mqtt/bridge/state"
		if key == "connection" {
			want = ""
		}
		if component.AvailabilityTopic != want {
			t.Errorf("%s is available by %q, want %q", key, component.AvailabilityTopic, want)
		}
	}
}

// The words that entities announce must be all that can come, or Home Assistant logs an error at each update.
func TestDiscoveryOptions(t *testing.T) {
	car := haCarOf(t, haTestConfig(), haTestCar()).Components
	bridge := haDecode(t, "", nil2(bridgeDiscovery(haTestConfig()))).Components
	rows := map[string]struct{ got, want []string }{
		"charging_state": {car["charging_state"].Options, chargingStates},
		"vehicle_state":  {car["vehicle_state"].Options, vehicleStates},
		"cable":          {car["cable"].Options, cables},
		"source":         {car["source"].Options, []string{"owner", "fleet", "ble", "telemetry"}},
		"last_command":   {car["last_command"].Options, []string{"none", "ok", "rejected", "expired", "error", "unknown"}},
		"auth":           {bridge["auth_status"].Options, []string{"ok", "refresh_failing", "login_required", "not_configured", "save_failing", "not_needed"}},
		"api":            {bridge["api_status"].Options, []string{"ok", "rate_limited", "forbidden", "unreachable", "login_required", "unknown", "not_needed"}},
	}
	for name, row := range rows {
		if !slices.Equal(row.got, row.want) {
			t.Errorf("%s: %v, want %v", name, row.got, row.want)
		}
	}
	for _, status := range []string{statusOK, statusNoop, statusRejected, statusExpired, statusSuperseded, statusError, statusUnknown} {
		if lasting := (Result{Status: status}).lasting(); lasting != slices.Contains(lastStatuses, status) {
			t.Errorf("%s: lasting %v, announced %v", status, lasting, !lasting)
		}
	}
}

// An entity that changes with each read, though the car does not, fills Home Assistant's database for nothing: who wants it may
// enable it.
func TestDiscoveryEnablesNothingThatAlwaysChanges(t *testing.T) {
	car := plugged()
	car.Stopped = true
	inBubble(t, car, func(r *rig) {
		settled(r)
		read := func() (state map[string]any) {
			if err := json.Unmarshal([]byte(r.retained("model3/state")), &state); err != nil {
				t.Fatal(err)
			}
			return state
		}
		before := read()
		r.pass(time.Minute)
		after, changed := read(), 0
		for key, component := range haCarOf(t, r.cfg, haTestCar()).Components {
			if component.StateTopic != "" || before[key] == after[key] {
				continue
			}
			if changed++; component.Enabled == nil || *component.Enabled {
				t.Errorf("%s went from %v to %v while the car stood still", key, before[key], after[key])
			}
		}
		if changed == 0 {
			t.Error("nothing was read")
		}
	})
}
