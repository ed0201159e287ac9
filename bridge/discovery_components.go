package bridge

import "tesla2mqtt/tesla"

// haComponent is one entity of a device. What is empty is left out, and Home Assistant's default holds.
type haComponent struct {
	// key is the entity's name within its device: a key of the state document, where it shows one.
	key string

	Platform          string   `json:"p"`
	UniqueID          string   `json:"uniq_id,omitempty"`
	DefaultEntityID   string   `json:"def_ent_id,omitempty"`
	Name              string   `json:"name,omitempty"`
	DeviceClass       string   `json:"dev_cla,omitempty"`
	StateClass        string   `json:"stat_cla,omitempty"`
	Unit              string   `json:"unit_of_meas,omitempty"`
	LastReset         string   `json:"lrst_val_tpl,omitempty"`
	Digits            *int     `json:"sug_dsp_prc,omitempty"`
	Options           []string `json:"ops,omitempty"`
	Category          string   `json:"ent_cat,omitempty"`
	Icon              string   `json:"ic,omitempty"`
	Enabled           *bool    `json:"en,omitempty"`
	AvailabilityTopic string   `json:"avty_t,omitempty"`

	StateTopic         string `json:"stat_t,omitempty"` // empty: the device's
	Template           string `json:"val_tpl,omitempty"`
	AttributesTopic    string `json:"json_attr_t,omitempty"`
	AttributesTemplate string `json:"json_attr_tpl,omitempty"`

	CommandTopic string `json:"cmd_t,omitempty"`
	On           string `json:"pl_on,omitempty"`
	Off          string `json:"pl_off,omitempty"`
	StateOn      string `json:"stat_on,omitempty"`
	StateOff     string `json:"stat_off,omitempty"`
	Press        string `json:"pl_prs,omitempty"`
	Min          *int   `json:"min,omitempty"`
	Max          *int   `json:"max,omitempty"`
	Step         int    `json:"step,omitempty"`
	Mode         string `json:"mode,omitempty"`
	QoS          int    `json:"qos,omitempty"`
	Retain       *bool  `json:"ret,omitempty"`
	Expiry       int    `json:"msg_exp_int,omitempty"` // s
}

// haCommandExpiry lets the broker drop a press that nobody took within this many seconds.
const haCommandExpiry = 60

// haSlider is the longest range, in A, that a slider on a telephone can still set to one.
const haSlider = 48

// Words of Home Assistant.
const (
	haSensor     = "sensor"
	haBinary     = "binary_sensor"
	haButton     = "button"
	haDiagnostic = "diagnostic"
	haMeasured   = "measurement"
	haGrowing    = "total_increasing"
)

// The statuses that the retained topics can show; an enum entity ignores, and logs, whatever is not listed.
var (
	lastStatuses = []string{"none", statusOK, statusRejected, statusExpired, statusError, statusUnknown}
	authStatuses = []string{"ok", "refresh_failing", "login_required", "not_configured", "save_failing", "not_needed"}
	apiStatuses  = []string{"ok", "rate_limited", "forbidden", "unreachable", "login_required", "unknown", "not_needed"}
	stateSources = []string{"owner", "fleet", "ble", "telemetry"}
)

// haReadings are the entities that every car has, one for each key of the state document that no command sets. The
// usable level carries no device class, so that Home Assistant shows one battery for the car.
var haReadings = []haComponent{
	{key: "vehicle_state", Platform: haSensor, Name: "Vehicle state", DeviceClass: "enum", Options: vehicleStates, Icon: "mdi:car-connected"},
	{key: "charging_state", Platform: haSensor, Name: "Charging state", DeviceClass: "enum", Options: chargingStates, Icon: "mdi:ev-station"},
	{key: "plugged_in", Platform: haBinary, Name: "Plugged in", DeviceClass: "plug"},
	{key: "battery_level", Platform: haSensor, Name: "Battery", DeviceClass: "battery", StateClass: haMeasured, Unit: "%", Digits: new(0)},
	{key: "usable_battery_level", Platform: haSensor, Name: "Usable battery", StateClass: haMeasured, Unit: "%", Digits: new(0), Category: haDiagnostic, Icon: "mdi:battery"},
	{key: "battery_range", Platform: haSensor, Name: "Range", DeviceClass: "distance", StateClass: haMeasured, Unit: "km", Digits: new(0)},
	{key: "charge_amps_max", Platform: haSensor, Name: "Maximum charging amps", DeviceClass: "current", StateClass: haMeasured, Unit: "A", Digits: new(0), Category: haDiagnostic},
	{key: "charger_actual_current", Platform: haSensor, Name: "Charger current", DeviceClass: "current", StateClass: haMeasured, Unit: "A", Digits: new(0)},
	{key: "charger_voltage", Platform: haSensor, Name: "Charger voltage", DeviceClass: "voltage", StateClass: haMeasured, Unit: "V", Digits: new(0)},
	{key: "charger_phases", Platform: haSensor, Name: "Charger phases", Category: haDiagnostic, Icon: "mdi:sine-wave"},
	{key: "charger_power", Platform: haSensor, Name: "Charger power", DeviceClass: "power", StateClass: haMeasured, Unit: "kW", Digits: new(2)},
	{key: "charge_energy_added", Platform: haSensor, Name: "Energy added", DeviceClass: "energy", StateClass: haGrowing, Unit: "kWh", Digits: new(2)},
	{key: "charge_energy_total", Platform: haSensor, Name: "Energy total", DeviceClass: "energy", StateClass: haGrowing, Unit: "kWh", Digits: new(1)},
	{key: "time_to_full", Platform: haSensor, Name: "Time to charge limit", DeviceClass: "duration", StateClass: haMeasured, Unit: "min", Digits: new(0), Icon: "mdi:timer-outline"},
	{key: "cable", Platform: haSensor, Name: "Charge cable", DeviceClass: "enum", Options: cables, Category: haDiagnostic, Icon: "mdi:ev-plug-type2"},
	{key: "charge_port", Platform: haBinary, Name: "Charge port", DeviceClass: "opening", On: "open", Off: "closed"},
	{key: "fast_charger", Platform: haBinary, Name: "Fast charger", Category: haDiagnostic, Icon: "mdi:ev-plug-ccs2"},
	{key: "scheduled_start", Platform: haSensor, Name: "Scheduled start", DeviceClass: "timestamp", Category: haDiagnostic},
	{key: "at_home", Platform: haBinary, Name: "At home", DeviceClass: "presence", Enabled: new(false)}, // few sources tell
	// A row of Home Assistant's database for each read, though nothing else has changed; each 2 s of a car that streams.
	{key: "last_update", Platform: haSensor, Name: "Last vehicle data", DeviceClass: "timestamp", Category: haDiagnostic, Enabled: new(false)},
	{key: "source", Platform: haSensor, Name: "Data source", DeviceClass: "enum", Options: stateSources, Category: haDiagnostic, Icon: "mdi:source-branch"},
}

// haReadOnly shows what a car without commands cannot be told. The keys differ from those of the commands, because a
// component that changes its platform leaves the old entity behind. What was once set is no measurement: statistics of it
// would outlive the entity when the car takes commands again, and Home Assistant complain of them.
var haReadOnly = []haComponent{
	{key: "charging_readonly", Platform: haBinary, Name: "Charging", DeviceClass: "battery_charging", Template: haValue("charging")},
	{key: "charge_amps_readonly", Platform: haSensor, Name: "Charging amps", DeviceClass: "current", Unit: "A", Digits: new(0), Template: haValue("charge_amps")},
	{key: "charge_limit_readonly", Platform: haSensor, Name: "Charge limit", Unit: "%", Digits: new(0), Icon: "mdi:battery-charging-80", Template: haValue("charge_limit")},
}

// haCommands are the entities that tell a car something.
func haCommands(t topics, d device) []haComponent {
	low, high := socLimits{d.LimitMin, d.LimitMax}.orDefault()
	amps := haComponent{
		Platform: "number", Name: "Charging amps", DeviceClass: "current", Unit: "A", Icon: "mdi:current-ac",
		// From 0, because others may have set less than this bridge would.
		Min: new(0), Max: new(numberMax(d)), Step: 1, Mode: "slider",
	}
	if numberMax(d) > haSlider {
		amps.Mode = "box"
	}
	limit := haComponent{
		Platform: "number", Name: "Charge limit", DeviceClass: "battery", Unit: "%", Icon: "mdi:battery-charging-80",
		Min: new(low), Max: new(high), Step: 1, Mode: "slider",
	}
	charging := haComponent{
		Platform: "switch", Name: "Charging", On: "ON", Off: "OFF", StateOn: "True", StateOff: "False", Icon: "mdi:ev-station",
	}
	all := []haComponent{
		amps.commands(t, d, tesla.ChargeAmps), limit.commands(t, d, tesla.ChargeLimit), charging.commands(t, d, tesla.Charging),
	}
	if d.Wake {
		wake := haComponent{Platform: haButton, Name: "Wake up", Press: "PRESS", Icon: "mdi:alarm"}
		all = append(all, wake.commands(t, d, tesla.Wake))
	}
	if d.ChargePort {
		all = append(all, haPortButtons(t, d)...)
	}
	return all
}

// haPortButtons move the charge port. No cover, though there is a state: the port of a plugged-in car counts as open, so
// a cover would not let anyone press open, which is what frees the cable; and "close all covers" should not mean the car.
func haPortButtons(t topics, d device) []haComponent {
	open := haComponent{key: "charge_port_open", Platform: haButton, Name: "Open charge port", Press: "OPEN", Icon: "mdi:ev-plug-type2"}
	shut := haComponent{key: "charge_port_close", Platform: haButton, Name: "Close charge port", Press: "CLOSE", Icon: "mdi:ev-plug-type2"}
	return []haComponent{open.commands(t, d, tesla.ChargePort), shut.commands(t, d, tesla.ChargePort)}
}

// haRefresh reads the car now; it never wakes it, so even a car that takes no commands has it.
func haRefresh(t topics, d device) haComponent {
	c := haComponent{Platform: haButton, Name: "Refresh", Press: "PRESS", Category: haDiagnostic, Icon: "mdi:refresh"}
	return c.commands(t, d, refresh)
}

// commands returns h with the topic of thing. Never retained: a retained command would be given again at each reconnect.
func (h haComponent) commands(t topics, d device, thing tesla.Thing) haComponent {
	if h.key == "" {
		h.key = string(thing)
	}
	h.CommandTopic = t.set(d.Alias, string(thing))
	h.QoS, h.Retain, h.Expiry = 1, new(false), haCommandExpiry
	return h
}

func haLastCommand(t topics, d device) haComponent {
	topic := t.car(d.Alias, "last_command")
	return haComponent{
		key: "last_command", Platform: haSensor, Name: "Last command", DeviceClass: "enum", Options: lastStatuses,
		Category: haDiagnostic, Icon: "mdi:message-reply-text",
		StateTopic: topic, Template: haValue("status"), AttributesTopic: topic,
	}
}

func haConnection(t topics) haComponent {
	return haComponent{
		key: "connection", Platform: haBinary, Name: "Connection", DeviceClass: "connectivity", Category: haDiagnostic,
		StateTopic: t.bridge("state"), Template: "{{ value }}", On: "online", Off: "offline",
	}
}

// haHealth are the entities that read bridge/health. The access token expires every few hours, which nobody wants to look
// at unasked.
func haHealth(t topics) []haComponent {
	health := t.bridge("health")
	return []haComponent{
		{
			key: "login_problem", Platform: haBinary, Name: "Login problem", DeviceClass: "problem", Category: haDiagnostic,
			Template: "{{ value_json.auth.status not in ['ok', 'not_needed'] }}",
		},
		{
			key: "auth_status", Platform: haSensor, Name: "Login", DeviceClass: "enum", Options: authStatuses,
			Category: haDiagnostic, Icon: "mdi:account-key", Template: haValue("auth.status"),
			AttributesTopic: health, AttributesTemplate: haMessage("auth.message"),
		},
		{
			key: "access_token_expires", Platform: haSensor, Name: "Access token expires", DeviceClass: "timestamp",
			Category: haDiagnostic, Enabled: new(false), Template: haValue("auth.access_expires_at | default(none)"),
		},
		{
			key: "api_status", Platform: haSensor, Name: "Tesla API", DeviceClass: "enum", Options: apiStatuses,
			Category: haDiagnostic, Icon: "mdi:api", Template: haValue("api.status"),
			AttributesTopic: health, AttributesTemplate: haMessage("api.message"),
		},
	}
}

// haValue is the template for a path of the JSON document. A null becomes None, which Home Assistant shows as unknown.
func haValue(path string) string { return "{{ value_json." + path + " }}" }

// haMessage is the template that keeps only a message as an attribute; the times beside it would change the entity's
// state with each report. Health leaves an empty message out, which must not make the template fail.
func haMessage(path string) string {
	return "{{ {'message': value_json." + path + " | default(none)} | tojson }}"
}

// haSet collects the components of one device.
type haSet struct {
	id, slug   string
	components map[string]haComponent
}

func newHASet(id, name string) haSet {
	return haSet{id: id, slug: haSlug(name), components: map[string]haComponent{}}
}

// add completes each component with its identity and the defaults of its platform.
func (s haSet) add(components ...haComponent) {
	for _, c := range components {
		c.UniqueID = s.id + "_" + c.key
		// Only for an entity that is new; it keeps its id when the car gets another name.
		c.DefaultEntityID = c.Platform + "." + s.slug + "_" + c.key
		if c.Template == "" && c.Platform != haButton {
			c.Template = haValue(c.key)
		}
		if c.Platform == haBinary && c.On == "" {
			// How a template writes JSON's true and false.
			c.On, c.Off = "True", "False"
		}
		s.components[c.key] = c
	}
}

// platforms tells what Home Assistant knows once s was published.
func (s haSet) platforms() platforms {
	p := platforms{}
	for key, c := range s.components {
		p[key] = c.Platform
	}
	return p
}
