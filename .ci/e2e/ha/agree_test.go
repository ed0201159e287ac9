package ha

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// component is one entity as discovery describes it, with what Home Assistant must make of it.
type component struct {
	Platform   string   `json:"p"`
	UniqueID   string   `json:"uniq_id"`
	EntityID   string   `json:"def_ent_id"`
	Name       string   `json:"name"`
	Class      string   `json:"dev_cla"`
	StateClass string   `json:"stat_cla"`
	Unit       string   `json:"unit_of_meas"`
	Icon       string   `json:"ic"`
	Options    []string `json:"ops"`
	Category   string   `json:"ent_cat"`
	Enabled    *bool    `json:"en"`
	Min        *float64 `json:"min"`
	Max        *float64 `json:"max"`
	Step       *float64 `json:"step"`
}

// shown is one device as discovery describes it.
type shown struct {
	Device struct {
		Identifiers []string `json:"ids"`
		Name        string   `json:"name"`
		Serial      string   `json:"sn"`
		Via         string   `json:"via_device"`
	} `json:"dev"`
	StateTopic string               `json:"stat_t"`
	Components map[string]component `json:"cmps"`
}

func discovered(topics map[string]string) (list []shown, err error) {
	for topic, payload := range topics {
		if strings.HasPrefix(topic, "homeassistant/device/") {
			var d shown
			if err := json.Unmarshal([]byte(payload), &d); err != nil {
				return nil, fmt.Errorf("%s: %w", topic, err)
			}
			for key, c := range d.Components {
				if c.UniqueID == "" { // named only to be removed
					delete(d.Components, key)
				}
			}
			list = append(list, d)
		}
	}
	return list, nil
}

// agree compares all that the broker keeps with all that Home Assistant shows, and both with the simulated cars. It tells
// the first difference. A car that charges may be read between two looks, so the broker is looked at before and after.
func (w *world) agree(cars ...string) string {
	before := w.retained()
	states, err := w.ha.states()
	if err != nil {
		return err.Error()
	}
	after := w.retained()
	devices, err := discovered(after)
	if err != nil {
		return err.Error()
	}
	if len(devices) != len(cars)+1 {
		return fmt.Sprintf("discovery shows %d devices for %d cars and a bridge", len(devices), len(cars))
	}
	entities, registered := w.ha.entities(w.t), w.ha.devices(w.t)
	count := 0
	for _, d := range devices {
		r, known := registered[d.Device.Identifiers[0]]
		if !known || r.Name != d.Device.Name || r.Serial != d.Device.Serial || r.Via != registered[d.Device.Via].ID {
			return fmt.Sprintf("device %s is registered as %+v", d.Device.Identifiers[0], r)
		}
		for key, c := range d.Components {
			count++
			e, known := entities[c.UniqueID]
			if !known || e.DeviceID != r.ID {
				return fmt.Sprintf("%s is not in the registry, or of another device", c.UniqueID)
			}
			if complaint := c.differs(e, states[e.EntityID], d.Device.Name, expected(key, d, before), expected(key, d, after)); complaint != "" {
				return complaint
			}
		}
	}
	if count != len(entities) || len(devices) != len(registered) {
		return fmt.Sprintf("the registry has %d entities of %d devices, discovery %d of %d", len(entities), len(registered), count, len(devices))
	}
	return w.untrue(after, cars)
}

// differs compares one entity with its description and with the states that are right for it.
func (c component) differs(e entity, s state, device string, values ...string) string {
	disabled := c.Enabled != nil && !*c.Enabled
	if category := text(e.Category); category != c.Category || disabled != (e.DisabledBy != nil) {
		return fmt.Sprintf("%s: registered with category %q, disabled by %q", e.EntityID, category, text(e.DisabledBy))
	}
	if disabled {
		return ""
	}
	want := map[string]any{"friendly_name": device + " " + c.Name}
	for key, value := range map[string]string{"device_class": c.Class, "unit_of_measurement": c.Unit, "state_class": c.StateClass, "icon": c.Icon} {
		if value != "" {
			want[key] = value
		}
	}
	for key, value := range map[string]*float64{"min": c.Min, "max": c.Max, "step": c.Step} {
		if value != nil {
			want[key] = *value
		}
	}
	if c.Options != nil {
		options := make([]any, len(c.Options))
		for i, o := range c.Options {
			options[i] = o
		}
		want["options"] = options
	}
	for key, value := range want {
		if !reflect.DeepEqual(s.Attributes[key], value) {
			return fmt.Sprintf("%s: %s is %v, want %v", e.EntityID, key, s.Attributes[key], value)
		}
	}
	if c.Platform == "button" && s.State != "unavailable" {
		return "" // the time of its last press
	}
	for _, value := range values {
		if s.State == value {
			return ""
		}
	}
	return fmt.Sprintf("%s is %q, want one of %q", e.EntityID, s.State, values)
}

// expected is what Home Assistant should show for a component, worked out from the topics and not from the templates.
func expected(key string, d shown, topics map[string]string) string {
	key = strings.TrimSuffix(key, "_readonly")
	payload := topics[d.StateTopic]
	if key == "last_command" {
		key, payload = "status", topics[strings.TrimSuffix(d.StateTopic, "state")+"last_command"]
	}
	if strings.HasSuffix(d.StateTopic, "bridge/health") {
		return map[string]string{"connection": "on", "login_problem": "off", "auth_status": "ok", "api_status": "ok"}[key]
	}
	var doc map[string]any
	decoder := json.NewDecoder(strings.NewReader(payload))
	decoder.UseNumber()
	if err := decoder.Decode(&doc); err != nil {
		return err.Error()
	}
	switch v := doc[key].(type) {
	case nil:
		return "unknown"
	case bool:
		return onOff(v)
	case string:
		if key == "charge_port" {
			return onOff(v == "open")
		}
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return at.Format("2006-01-02T15:04:05+00:00")
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}

// untrue compares what the topics say with the cars themselves.
func (w *world) untrue(topics map[string]string, vins []string) string {
	found := map[string]bool{}
	for topic, payload := range topics {
		if !strings.HasPrefix(topic, "tesla2mqtt/") || !strings.HasSuffix(topic, "/availability") {
			continue
		}
		if payload != "online" {
			return topic + " is " + payload
		}
	}
	devices, err := discovered(topics)
	if err != nil {
		return err.Error()
	}
	for _, d := range devices {
		car := w.cars[d.Device.Serial]
		if car == nil {
			continue
		}
		found[d.Device.Serial] = true
		says := func(key string) string { return expected(key, d, topics) }
		if got, want := says("vehicle_state"), car.State(); got != want {
			return fmt.Sprintf("%s: vehicle_state is %s, the car is %s", d.Device.Name, got, want)
		}
		if car.Asleep() {
			continue // what it was when last seen awake
		}
		for key, want := range map[string]string{
			"charge_amps": fmt.Sprint(car.Amps()), "charge_limit": fmt.Sprint(car.Limit()), "charging": onOff(car.Charging()),
			"charging_state": strings.ToLower(car.ChargingState()),
		} {
			if got := says(key); got != want {
				return fmt.Sprintf("%s: %s is %s, the car has %s", d.Device.Name, key, got, want)
			}
		}
	}
	for _, vin := range vins {
		if !found[vin] {
			return vin + " is not shown"
		}
	}
	return ""
}

func (w *world) awaitAgreement(t *testing.T, cars ...string) {
	t.Helper()
	await(t, "broker, Home Assistant and cars agree", 20*time.Second, func() string { return w.agree(cars...) })
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
