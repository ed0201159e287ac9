package bridge

import (
	"encoding/json"
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

// spoiled is a payload that loses a device or an entity in Home Assistant, and what the rules say of it.
type spoiled struct {
	spoil func(root map[string]any)
	want  string
}

func spoiledDiscoveries() map[string]spoiled {
	component := func(key, field string, value any) func(map[string]any) {
		return func(root map[string]any) { haObject(haObject(root["cmps"])[key])[field] = value }
	}
	return map[string]spoiled{
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
}

// The rules must be able to say no.
func TestDiscoveryRulesFindFaults(t *testing.T) {
	c, d := haTestConfig(), haTestCar()
	for name, row := range spoiledDiscoveries() {
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
