package bridge

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tesla2mqtt/tesla"
)

// The rules by which Home Assistant (2024.11 to 2026) takes or drops a device discovery message, as far as our payloads
// touch them. What it only strips in silence counts as a fault here: it would be a slip of ours.

var (
	rootKeys   = haWords("dev o cmps avty avty_mode avty_t avty_tpl pl_avail pl_not_avail stat_t cmd_t qos e")
	deviceKeys = haWords("ids cns name mf mdl mdl_id hw sw sn sa cu via_device")
	originKeys = haWords("name sw url")

	commonKeys   = haWords("p uniq_id def_ent_id name ent_cat ic en avty avty_mode avty_t stat_t val_tpl json_attr_t json_attr_tpl qos e")
	commandKeys  = haWords("cmd_t cmd_tpl ret msg_exp_int")
	platformKeys = map[string][]string{
		"sensor":        haWords("dev_cla stat_cla unit_of_meas sug_dsp_prc ops lrst_val_tpl"),
		"binary_sensor": haWords("dev_cla pl_on pl_off off_dly"),
		"number":        append(haWords("dev_cla unit_of_meas min max step mode pl_rst"), commandKeys...),
		"switch":        append(haWords("dev_cla pl_on pl_off stat_on stat_off opt"), commandKeys...),
		"button":        append(haWords("dev_cla pl_prs"), commandKeys...),
	}

	// unitsOf and stateClassesOf hold the numeric device classes that we use; a number entity shares the units.
	unitsOf = map[string][]string{
		"battery":  haWords("%"),
		"current":  haWords("A mA µA"),
		"voltage":  haWords("V mV µV kV MV"),
		"power":    haWords("W mW kW MW GW TW"),
		"energy":   haWords("J kJ MJ GJ mWh Wh kWh MWh GWh TWh cal kcal Mcal Gcal"),
		"duration": haWords("d h min s ms µs"),
		"distance": haWords("km m cm mm mi nmi yd ft in"), "monetary": haWords("USD"),
	}
	stateClassesOf = map[string][]string{
		"battery": haWords("measurement"), "current": haWords("measurement"), "voltage": haWords("measurement"),
		"power": haWords("measurement"), "energy": haWords("total total_increasing"), "distance": haWords("measurement total total_increasing"),
		"duration": haWords("measurement total total_increasing"), "": haWords("measurement total total_increasing"),
		"monetary": haWords("total"),
	}
	binaryClasses = haWords("plug opening presence connectivity problem battery_charging power running lock")

	discoveryTopic = regexp.MustCompile(`^[^+#]+/device/[a-zA-Z0-9_-]+/config$`)
	plainTopic     = regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)+$`)
	entityID       = regexp.MustCompile(`^([a-z_]+)\.[a-z0-9]+(_[a-z0-9]+)*$`)
	jsonPath       = regexp.MustCompile(`value_json((?:\.[a-z0-9_]+)+)`)
	anyTemplate    = regexp.MustCompile(`^\{\{ .+ \}\}$`)
)

func haWords(s string) []string { return strings.Fields(s) }

// haInspector finds the faults of one discovery message.
type haInspector struct {
	base string
	// published holds a full payload of every topic that the bridge publishes.
	published map[string]string
	faults    []string
}

func (in *haInspector) fault(format string, args ...any) {
	in.faults = append(in.faults, fmt.Sprintf(format, args...))
}

// haInspect returns what is wrong with a discovery message.
func haInspect(base string, published map[string]string, topic string, payload []byte) []string {
	in := &haInspector{base: base, published: published}
	if !discoveryTopic.MatchString(topic) {
		in.fault("topic %s", topic)
	}
	var root map[string]any
	if err := json.Unmarshal(payload, &root); err != nil {
		return append(in.faults, err.Error())
	}
	in.closed("root", root, rootKeys)
	in.device(haObject(root["dev"]))
	origin := haObject(root["o"])
	in.closed("origin", origin, originKeys)
	if haText(origin["name"]) == "" {
		in.fault("origin without a name")
	}
	in.availability("root", root)
	if qos, ok := root["qos"].(float64); ok && qos != 0 && qos != 1 && qos != 2 {
		in.fault("qos %v", qos)
	}
	ids := map[string]bool{}
	components := haObject(root["cmps"])
	for _, key := range slices.Sorted(maps.Keys(components)) {
		c := haObject(components[key])
		in.component(key, c, haText(root["stat_t"]))
		if id := haText(c["uniq_id"]); ids[id] {
			in.fault("%s: unique id %s twice", key, id)
		} else {
			ids[id] = true
		}
	}
	if len(components) == 0 {
		in.fault("no components")
	}
	return in.faults
}

func (in *haInspector) closed(where string, o map[string]any, keys []string) {
	for key := range o {
		if !slices.Contains(keys, key) {
			in.fault("%s: key %s", where, key)
		}
	}
	if slices.Contains(slices.Collect(maps.Values(o)), any("~")) {
		in.fault("%s: ~", where)
	}
}

func (in *haInspector) device(dev map[string]any) {
	in.closed("device", dev, deviceKeys)
	ids, _ := dev["ids"].([]any)
	if len(ids) == 0 || haText(ids[0]) == "" || haText(dev["name"]) == "" {
		in.fault("device without an identifier or a name")
	}
	if via, ok := dev["via_device"]; ok && (haText(via) == "" || slices.Contains(ids, via)) {
		in.fault("device by way of itself or nobody: %v", via)
	}
}

// availability checks the list form; more than one topic needs the mode all.
func (in *haInspector) availability(where string, o map[string]any) {
	list, _ := o["avty"].([]any)
	for _, entry := range list {
		in.readable(where+" availability", haText(haObject(entry)["t"]))
	}
	if len(list) > 1 && o["avty_mode"] != "all" {
		in.fault("%s: availability of %d topics by %v", where, len(list), o["avty_mode"])
	}
	if single, ok := o["avty_t"]; ok {
		in.readable(where+" availability", haText(single))
		if list != nil {
			in.fault("%s: two forms of availability", where)
		}
	}
}

func (in *haInspector) component(key string, c map[string]any, rootState string) {
	platform := haText(c["p"])
	own, known := platformKeys[platform]
	if !known {
		in.fault("%s: platform %q loses the whole device", key, platform)
		return
	}
	in.closed(key, c, append(slices.Clone(commonKeys), own...))
	if haText(c["uniq_id"]) == "" || haText(c["name"]) == "" {
		in.fault("%s: no unique id, which loses the whole device, or no name", key)
	}
	if m := entityID.FindStringSubmatch(haText(c["def_ent_id"])); m == nil || m[1] != platform {
		in.fault("%s: entity id %v for a %s", key, c["def_ent_id"], platform)
	}
	if icon := haText(c["ic"]); icon != "" && !strings.HasPrefix(icon, "mdi:") {
		in.fault("%s: icon %s", key, icon)
	}
	in.category(key, platform, c)
	in.availability(key, c)
	in.templates(key, platform, c, rootState)
	switch platform {
	case "sensor":
		in.sensor(key, c)
	case "binary_sensor":
		in.binary(key, c)
	case "number":
		in.number(key, c)
	}
	if slices.Contains(own, "cmd_t") {
		in.command(key, platform, c)
	}
}

func (in *haInspector) category(key, platform string, c map[string]any) {
	category, ok := c["ent_cat"]
	if !ok || category == "diagnostic" {
		return
	}
	if category != "config" || platform == "sensor" || platform == "binary_sensor" {
		in.fault("%s: category %v", key, category)
	}
}

func (in *haInspector) sensor(key string, c map[string]any) {
	class, unit, state := haText(c["dev_cla"]), haText(c["unit_of_meas"]), haText(c["stat_cla"])
	options, hasOptions := c["ops"].([]any)
	switch class {
	case "enum", "timestamp":
		if unit != "" || state != "" || c["sug_dsp_prc"] != nil {
			in.fault("%s: a %s with unit, state class or digits", key, class)
		}
	case "":
	default:
		if !slices.Contains(unitsOf[class], unit) {
			in.fault("%s: unit %q for %s", key, unit, class)
		}
	}
	if hasOptions != (class == "enum") || class == "enum" && len(options) == 0 {
		in.fault("%s: class %q with options %v", key, class, options)
	}
	if state != "" && !slices.Contains(stateClassesOf[class], state) {
		in.fault("%s: state class %s for %q", key, state, class)
	}
	if reset := haText(c["lrst_val_tpl"]); reset != "" && state != "total" {
		in.fault("%s: a last reset for state class %q", key, state)
	}
	if unit != "" && state == "" && !strings.HasSuffix(key, "_readonly") && key != "api_budget_left" { // see haReadOnly, haBill
		in.fault("%s: measured in %s, but without statistics", key, unit)
	}
}

func (in *haInspector) binary(key string, c map[string]any) {
	if class := haText(c["dev_cla"]); class != "" && !slices.Contains(binaryClasses, class) {
		in.fault("%s: class %s", key, class)
	}
	if on, off := haText(c["pl_on"]), haText(c["pl_off"]); on == "" || off == "" || on == off {
		in.fault("%s: on is %q and off %q", key, on, off)
	}
}

func (in *haInspector) number(key string, c map[string]any) {
	low, ok1 := c["min"].(float64)
	high, ok2 := c["max"].(float64)
	step, ok3 := c["step"].(float64)
	if !ok1 || !ok2 || !ok3 || low >= high || step < 0.001 {
		in.fault("%s: from %v to %v by %v", key, c["min"], c["max"], c["step"])
	}
	if class := haText(c["dev_cla"]); class != "" && !slices.Contains(unitsOf[class], haText(c["unit_of_meas"])) {
		in.fault("%s: unit %v for %s", key, c["unit_of_meas"], class)
	}
	if mode := haText(c["mode"]); !slices.Contains(haWords("auto box slider"), mode) {
		in.fault("%s: mode %q", key, mode)
	}
}

// templates checks that an entity shows something that is there to be shown.
func (in *haInspector) templates(key, platform string, c map[string]any, rootState string) {
	state := haText(c["stat_t"])
	if state == "" {
		state = rootState
	}
	if platform != "button" {
		in.readable(key, state)
		in.template(key, haText(c["val_tpl"]), state)
		if reset := haText(c["lrst_val_tpl"]); reset != "" {
			in.template(key, reset, state)
		}
	}
	if attributes, ok := c["json_attr_t"]; ok {
		in.readable(key, haText(attributes))
		if template, ok := c["json_attr_tpl"]; ok {
			in.template(key, haText(template), haText(attributes))
		}
	}
}

func (in *haInspector) template(key, template, topic string) {
	if !anyTemplate.MatchString(template) {
		in.fault("%s: template %q", key, template)
	}
	var document any
	_ = json.Unmarshal([]byte(in.published[topic]), &document) // a plain text has no paths, which is found next
	for _, m := range jsonPath.FindAllStringSubmatch(template, -1) {
		at := document
		for _, step := range strings.Split(m[1], ".")[1:] {
			value, there := haObject(at)[step]
			if !there {
				in.fault("%s: %s has no %s", key, topic, m[1])
				break
			}
			at = value
		}
	}
}

func (in *haInspector) readable(where, topic string) {
	if _, ok := in.published[topic]; !ok || !plainTopic.MatchString(topic) {
		in.fault("%s: nobody publishes %q", where, topic)
	}
}

// command checks that what an entity sends is understood and never replayed.
func (in *haInspector) command(key, platform string, c map[string]any) {
	topic := haText(c["cmd_t"])
	_, thing, ok := topics{in.base}.parseSet(topic)
	if !ok || !plainTopic.MatchString(topic) {
		in.fault("%s: command topic %q", key, topic)
		return
	}
	if _, clash := in.published[topic]; clash {
		in.fault("%s: %s is published too", key, topic)
	}
	if c["qos"] != 1.0 || c["ret"] != false {
		in.fault("%s: a command at qos %v, retained: %v", key, c["qos"], c["ret"])
	}
	if expiry, _ := c["msg_exp_int"].(float64); expiry < 1 {
		in.fault("%s: a command that never expires", key)
	}
	payloads := map[string][]any{
		"number": {"16"}, "button": {c["pl_prs"]}, "switch": {c["pl_on"], c["pl_off"]},
	}[platform]
	for _, payload := range payloads {
		if _, refused := parse(thing, []byte(haText(payload))); refused != nil {
			in.fault("%s: %s to %s: %v", key, payload, thing, refused)
		}
	}
	if platform == "switch" && (haText(c["stat_on"]) != "True" || haText(c["stat_off"]) != "False") {
		in.fault("%s: a template writes true as True", key)
	}
}

func haObject(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

func haText(v any) string {
	s, _ := v.(string)
	return s
}

// sampleHealth is bridge/health with every member, sparseHealth the same with all null or left out that may be.
const (
	sampleHealth = `{"time":"2026-08-24T12:00:00Z","version":"1.0.0","mqtt":{"connected":true},
		"auth":{"status":"login_required","message":"Tesla's \"no\": run login","access_expires_at":"2026-08-24T18:02:11Z","last_refresh":"2026-08-24T10:02:11Z","refresh_failures":2},
		"api":{"status":"rate_limited","message":"HTTP 429"},"usage":{"bill":{"since":"2026-08-01T00:00:00Z","spent_usd":3.214,"left_usd":6.786}},"vehicles":{}}`
	sparseHealth = `{"time":"2026-08-24T12:00:00Z","version":"","mqtt":null,"auth":{"status":"ok","access_expires_at":null},
		"api":{"status":"unknown"},"usage":null,"vehicles":{}}`
)

// publishedFull holds a full payload of each topic of the contract, publishedSparse one with nothing seen yet.
func publishedFull(c Config, alias string) map[string]string {
	d := Document{}.withState(tesla.StateOnline).update(chargingCar(), "fleet", docNoon)
	r := Result{ID: "nr-42", Thing: tesla.ChargeAmps, Status: statusOK, Requested: 16, Applied: 13,
		Reason: new("clamped_to_max"), Message: new("hello"), Source: new("nodered"), ReceivedAt: docNoon, FinishedAt: docNoon}
	return publishedTopics(c, alias, d, r.JSON(), sampleHealth)
}

func publishedSparse(c Config, alias string) map[string]string {
	return publishedTopics(c, alias, Document{}, []byte(`{"status":"none"}`), sparseHealth)
}

func publishedTopics(c Config, alias string, d Document, last []byte, health string) map[string]string {
	t := topics{c.BaseTopic}
	published := map[string]string{
		t.bridge("state"): "online", t.bridge("info"): "{}", t.bridge("health"): health,
		t.car(alias, "availability"): "online", t.car(alias, "state"): string(d.JSON()), t.car(alias, "last_command"): string(last),
	}
	if c.Scalars {
		for _, s := range d.Scalars() {
			published[t.car(alias, s.Key)] = s.Value
		}
	}
	return published
}
