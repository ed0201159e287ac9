package bridge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func haTestConfig() Config {
	return Config{
		BaseTopic: "tesla2mqtt", ClientID: "tesla2mqtt", DiscoveryPrefix: "homeassistant", Discovery: true, Scalars: true, Version: "1.0.0",
	}
}

func haTestCar() device {
	return device{
		VIN: "5YJ3E1EA7KF317000", Alias: "model3", Name: "Blitz", AmpsMax: 16, Amps: 13, LimitMin: 50, LimitMax: 100,
		Writable: true, Wake: true, ChargePort: true,
	}
}

// haVariants are cars and configurations of every kind.
func haVariants() map[string]struct {
	c Config
	d device
} {
	type variant = struct {
		c Config
		d device
	}
	edit := func(f func(*Config, *device)) variant {
		v := variant{haTestConfig(), haTestCar()}
		f(&v.c, &v.d)
		return v
	}
	return map[string]variant{
		"everything":        edit(func(*Config, *device) {}),
		"no scalars":        edit(func(c *Config, _ *device) { c.Scalars = false }),
		"read only":         edit(func(_ *Config, d *device) { d.Writable = false }),
		"no wake, no port":  edit(func(_ *Config, d *device) { d.Wake, d.ChargePort = false, false }),
		"never seen":        edit(func(_ *Config, d *device) { *d = device{VIN: d.VIN, Alias: d.VIN, Writable: true} }),
		"an alias of signs": edit(func(_ *Config, d *device) { d.Alias = "-my__car-2-" }),
		"a name of signs":   edit(func(_ *Config, d *device) { d.Name = "Größe \"1\" <🚗>\n\xff" }),
		"a large charger":   edit(func(_ *Config, d *device) { d.AmpsMax = 80 }),
		"other names": edit(func(c *Config, _ *device) {
			c.BaseTopic, c.ClientID, c.DiscoveryPrefix = "cars/tesla", "bridge #2/é", "ha/discovery"
		}),
		"billed":     edit(func(c *Config, _ *device) { c.API, c.Budget = BilledAPI, true }),
		"no version": edit(func(c *Config, _ *device) { c.Version = "" }),
	}
}

func TestDiscoveryIsWhatHomeAssistantTakes(t *testing.T) {
	for name, v := range haVariants() {
		t.Run(name, func(t *testing.T) {
			published := publishedFull(v.c, v.d.Alias)
			topic, payload := carDiscovery(v.c, v.d, nil)
			for _, fault := range haInspect(v.c.BaseTopic, published, topic, payload) {
				t.Errorf("car: %s", fault)
			}
			topic, payload = bridgeDiscovery(v.c)
			for _, fault := range haInspect(v.c.BaseTopic, published, topic, payload) {
				t.Errorf("bridge: %s", fault)
			}
		})
	}
}

// The rules must be able to say no: each of these payloads loses a device or an entity in Home Assistant.
func TestDiscoveryRulesFindFaults(t *testing.T) {
	component := func(key, field string, value any) func(map[string]any) {
		return func(root map[string]any) { haObject(haObject(root["cmps"])[key])[field] = value }
	}
	rows := map[string]struct {
		spoil func(root map[string]any)
		want  string
	}{
		"a new key at the root":      {func(r map[string]any) { r["msg_exp_int"] = 60 }, "root: key msg_exp_int"},
		"a new key of the device":    {func(r map[string]any) { haObject(r["dev"])["vin"] = "x" }, "device: key vin"},
		"a new key of the origin":    {func(r map[string]any) { haObject(r["o"])["by"] = "x" }, "origin: key by"},
		"a base at the root":         {func(r map[string]any) { r["~"] = "x" }, "root: key ~"},
		"no device":                  {func(r map[string]any) { delete(r, "dev") }, "device without an identifier"},
		"no origin":                  {func(r map[string]any) { delete(r, "o") }, "origin without a name"},
		"by way of itself":           {func(r map[string]any) { d := haObject(r["dev"]); d["via_device"] = d["ids"].([]any)[0] }, "by way of itself"},
		"the latest of two topics":   {func(r map[string]any) { delete(r, "avty_mode") }, "availability of 2 topics"},
		"nobody's availability":      {func(r map[string]any) { r["avty"] = []any{map[string]any{"t": "x/y"}} }, "nobody publishes"},
		"qos 3":                      {func(r map[string]any) { r["qos"] = 3.0 }, "qos 3"},
		"no components":              {func(r map[string]any) { delete(r, "cmps") }, "no components"},
		"nobody's state":             {func(r map[string]any) { r["stat_t"] = "x/y" }, "nobody publishes"},
		"no platform":                {component("battery_level", "p", ""), "loses the whole device"},
		"no unique id":               {component("battery_level", "uniq_id", ""), "no unique id"},
		"a unique id twice":          {component("battery_level", "uniq_id", "tesla2mqtt_5YJ3E1EA7KF317000_cable"), "twice"},
		"an old entity id":           {component("battery_level", "obj_id", "x"), "key obj_id"},
		"expiry of retained topics":  {component("battery_level", "exp_aft", 60), "key exp_aft"},
		"an entity id of capitals":   {component("battery_level", "def_ent_id", "sensor.Tesla"), "entity id"},
		"an entity id of another":    {component("battery_level", "def_ent_id", "number.tesla"), "entity id"},
		"a wrong unit":               {component("battery_range", "unit_of_meas", "miles"), "unit"},
		"a wrong state class":        {component("battery_level", "stat_cla", "total_increasing"), "state class"},
		"an enum without options":    {component("cable", "ops", []any{}), "options"},
		"options without an enum":    {component("battery_level", "ops", []any{"a"}), "options"},
		"an enum with a unit":        {component("cable", "unit_of_meas", "A"), "with unit"},
		"a sensor to be configured":  {component("cable", "ent_cat", "config"), "category"},
		"an icon of another set":     {component("cable", "ic", "fa:car"), "icon"},
		"a template for a lost key":  {component("cable", "val_tpl", "{{ value_json.kabel }}"), "has no .kabel"},
		"no template":                {component("cable", "val_tpl", ""), "template"},
		"an unheard-of class":        {component("plugged_in", "dev_cla", "socket"), "class socket"},
		"on that is off":             {component("plugged_in", "pl_on", "False"), "on is"},
		"a maximum of nothing":       {component("charge_amps", "max", 0.0), "from 0 to 0"},
		"a step of nothing":          {component("charge_amps", "step", 0.0001), "by 0.0001"},
		"a retained command":         {component("charge_amps", "ret", true), "retained: true"},
		"a command that may be lost": {component("charge_amps", "qos", 0.0), "qos 0"},
		"a command for ever":         {component("charge_amps", "msg_exp_int", nil), "never expires"},
		"a command nobody hears":     {component("charge_amps", "cmd_t", "tesla2mqtt/model3/set"), "command topic"},
		"a command for everybody":    {component("charge_amps", "cmd_t", "tesla2mqtt/+/charge_amps/set"), "command topic"},
		"an unknown thing":           {component("wake", "cmd_t", "tesla2mqtt/model3/horn/set"), "unknown_thing"},
		"a word nobody knows":        {component("charging", "pl_on", "GO"), "invalid_payload"},
		"a state no template writes": {component("charging", "stat_on", "true"), "writes true as True"},
	}
	c, d := haTestConfig(), haTestCar()
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			topic, payload := carDiscovery(c, d, nil)
			var root map[string]any
			if err := json.Unmarshal(payload, &root); err != nil {
				t.Fatal(err)
			}
			row.spoil(root)
			spoiled, err := json.Marshal(root)
			if err != nil {
				t.Fatal(err)
			}
			faults := strings.Join(haInspect(c.BaseTopic, publishedFull(c, d.Alias), topic, spoiled), "\n")
			if !strings.Contains(faults, row.want) {
				t.Errorf("want %q among the faults:\n%s", row.want, faults)
			}
		})
	}
}

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

func TestDiscoveryIdentities(t *testing.T) {
	c, d := haTestConfig(), haTestCar()
	car := haCarOf(t, c, d)
	bridge := haDecode(t, "", nil2(bridgeDiscovery(c)))
	if car.topic != "homeassistant/device/tesla2mqtt_5YJ3E1EA7KF317000/config" {
		t.Errorf("the car's topic is %s", car.topic)
	}
	if topic, _ := bridgeDiscovery(c); topic != "homeassistant/device/tesla2mqtt_bridge_tesla2mqtt/config" {
		t.Errorf("the bridge's topic is %s", topic)
	}
	if car.Device.ViaDevice != bridge.Device.Identifiers[0] {
		t.Errorf("the car comes by way of %s, the bridge is %s", car.Device.ViaDevice, bridge.Device.Identifiers[0])
	}
	// Another name for the same car must not make new entities: the ids hang on the VIN alone.
	d.Alias, d.Name = "other", "Other"
	renamed := haCarOf(t, c, d)
	if renamed.topic != car.topic {
		t.Errorf("renamed, the topic is %s", renamed.topic)
	}
	for key, component := range car.Components {
		if other := renamed.Components[key]; other.UniqueID != component.UniqueID || component.UniqueID != "tesla2mqtt_"+d.VIN+"_"+key {
			t.Errorf("%s: %s became %s", key, component.UniqueID, other.UniqueID)
		}
	}
	for id := range bridge.Components {
		if bridge.Components[id].UniqueID != "tesla2mqtt_bridge_tesla2mqtt_"+id {
			t.Errorf("%s: %s", id, bridge.Components[id].UniqueID)
		}
	}
}

// nil2 drops a topic.
func nil2(_ string, payload []byte) []byte { return payload }

func TestDiscoveryNames(t *testing.T) {
	rows := map[string]struct{ vin, name, want string }{
		"the owner's":     {"5YJ3E1EA7KF317000", "Blitz", "Blitz"},
		"none":            {"5YJ3E1EA7KF317000", "", "Tesla 317000"},
		"blanks":          {"5YJ3E1EA7KF317000", " \t", "Tesla 317000"},
		"around the name": {"5YJ3E1EA7KF317000", " Blitz ", "Blitz"},
		"a short VIN":     {"317", "", "Tesla 317"},
		"no VIN":          {"", "", "Tesla "},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := haCarOf(t, haTestConfig(), device{VIN: row.vin, Alias: "a", Name: row.name}).Device.Name
			if got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestDiscoveryTokens(t *testing.T) {
	rows := map[string]struct{ in, token, slug string }{
		"plain":     {"tesla2mqtt", "tesla2mqtt", "tesla2mqtt"},
		"allowed":   {"Az09_-", "Az09_-", "az09"},
		"wildcards": {"a/+#$b", "a____b", "a_b"},
		"not ASCII": {"é1", "_1", "1"},
		"not UTF-8": {"a\xffb", "a_b", "a_b"},
		"empty":     {"", "", ""},
		"capitals":  {"5YJ3E1EA7KF317000", "5YJ3E1EA7KF317000", "5yj3e1ea7kf317000"},
		"doubled":   {"my__car--2_", "my__car--2_", "my_car_2"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := haToken(row.in); got != row.token {
				t.Errorf("token %q, want %q", got, row.token)
			}
			if got := haSlug(row.in); got != row.slug {
				t.Errorf("slug %q, want %q", got, row.slug)
			}
		})
	}
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
