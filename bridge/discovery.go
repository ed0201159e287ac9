package bridge

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Home Assistant refuses a device whole, in silence, for one key that its closed schemas do not know. So the root, the
// device and the origin hold the few keys that every release since 2024.11 takes, and whatever is newer goes into the
// components, where an older release strips it.

// device is what discovery needs to know of one car.
type device struct {
	VIN, Alias string
	// Name is what the owner calls the car; empty gives "Tesla" and the end of the VIN.
	Name string
	// AmpsMax is the highest charge_amps_max ever seen and Amps the set point, both in A, 0 if unknown.
	AmpsMax, Amps int
	// LimitMin and LimitMax bound the charge limit in %, 0 if unknown.
	LimitMin, LimitMax int
	// Writable is false for a car that takes no commands; it gets nothing to press or to set.
	Writable bool
	// Wake and ChargePort tell whether a writable car may be woken and its charge port be moved.
	Wake, ChargePort bool
}

// haConfig is the payload of one device discovery topic.
type haConfig struct {
	Device           haDevice               `json:"dev"`
	Origin           haOrigin               `json:"o"`
	StateTopic       string                 `json:"stat_t"`
	QoS              int                    `json:"qos"`
	Availability     []haAvailability       `json:"avty,omitempty"`
	AvailabilityMode string                 `json:"avty_mode,omitempty"`
	Components       map[string]haComponent `json:"cmps"`
}

type haDevice struct {
	Identifiers  []string `json:"ids"`
	Name         string   `json:"name"`
	Manufacturer string   `json:"mf"`
	Model        string   `json:"mdl,omitempty"`
	Serial       string   `json:"sn,omitempty"`
	Software     string   `json:"sw,omitempty"`
	ViaDevice    string   `json:"via_device,omitempty"`
}

type haOrigin struct {
	Name     string `json:"name"`
	Software string `json:"sw,omitempty"`
}

type haAvailability struct {
	Topic string `json:"t"`
}

// platforms are the components of a device by key, as Home Assistant was told of them.
type platforms map[string]string

// lacks tells whether p has lost something that was told.
func (p platforms) lacks(told platforms) bool {
	for key := range told {
		if _, has := p[key]; !has {
			return true
		}
	}
	return false
}

// carComponents are what a car shows.
func carComponents(c Config, d device) haSet {
	t := topics{c.BaseTopic}
	set := newHASet(haCarID(d.VIN), "tesla_"+d.Alias)
	set.add(haReadings...)
	set.add(haLastCommand(t, d), haRefresh(t, d))
	if d.Writable {
		set.add(haCommands(t, d)...)
	} else {
		set.add(haReadOnly...)
	}
	return set
}

// carDiscovery returns the topic and the payload that show a car in Home Assistant. The same input gives the same bytes.
// The bridge's own device must have been published before, since the car names it as its way. What of told the car no
// longer has is named by its platform alone, which makes Home Assistant remove it; merely left out, it would stay.
func carDiscovery(c Config, d device, told platforms) (topic string, payload []byte) {
	t := topics{c.BaseTopic}
	set := carComponents(c, d)
	id := set.id
	for key, platform := range told {
		if _, has := set.components[key]; !has {
			set.components[key] = haComponent{Platform: platform}
		}
	}
	return c.discovery(id, haConfig{
		Device: haDevice{
			Identifiers: []string{id}, Name: d.displayName(), Manufacturer: "Tesla", Serial: d.VIN,
			ViaDevice: haBridgeID(c),
		},
		// The JSON document and never the scalars, which can be turned off.
		StateTopic: t.car(d.Alias, "state"),
		// With two topics the mode must be all: Home Assistant's default believes whichever came last.
		Availability:     []haAvailability{{t.bridge("state")}, {t.car(d.Alias, "availability")}},
		AvailabilityMode: "all",
		Components:       set.components,
	})
}

// bridgeDiscovery returns the topic and the payload that show the bridge itself in Home Assistant.
func bridgeDiscovery(c Config) (topic string, payload []byte) {
	t := topics{c.BaseTopic}
	id := haBridgeID(c)
	set := newHASet(id, "tesla_bridge")
	// Each component has its own availability, because connection is to say off rather than unavailable.
	set.add(haConnection(t))
	for _, component := range append(haHealth(t), haBill(c)...) {
		component.AvailabilityTopic = t.bridge("state")
		set.add(component)
	}
	return c.discovery(id, haConfig{
		Device: haDevice{
			Identifiers: []string{id}, Name: "Tesla bridge", Manufacturer: "tesla2mqtt", Model: "Bridge", Software: c.Version,
		},
		StateTopic: t.bridge("health"),
		Components: set.components,
	})
}

// discovery completes a device and encodes it. The components are a map, which encoding/json writes in sorted order.
func (c Config) discovery(id string, config haConfig) (topic string, payload []byte) {
	config.Origin = haOrigin{Name: "tesla2mqtt", Software: c.Version}
	config.QoS = 1
	b, err := json.Marshal(config)
	if err != nil {
		panic("bridge: a discovery payload holds only texts and numbers: " + err.Error())
	}
	return deviceConfig(c.DiscoveryPrefix, id), b
}

// numberMax is the highest charging current, in A, that Home Assistant offers. It is never below the present set point,
// which would show as unknown and be logged as an error at each update, and never as low as the minimum. A car that was
// never read may turn out to be at any value. What is really allowed is bound's decision.
func numberMax(d device) int {
	if d.Amps == 0 && d.AmpsMax == 0 {
		return haSlider
	}
	return max(d.Amps, d.AmpsMax, 6)
}

func haCarID(vin string) string { return "tesla2mqtt_" + haToken(vin) }

func haBridgeID(c Config) string { return "tesla2mqtt_bridge_" + haToken(c.ClientID) }

func (d device) displayName() string {
	if name := strings.TrimSpace(d.Name); name != "" {
		return name
	}
	return "Tesla " + d.VIN[max(0, len(d.VIN)-6):]
}

var (
	haForeign   = regexp.MustCompile(`[^a-zA-Z0-9_-]`)
	haSeparator = regexp.MustCompile(`[^a-z0-9]+`)
)

// haToken makes s a legal part of a discovery topic; Home Assistant ignores topics with anything else.
func haToken(s string) string { return haForeign.ReplaceAllString(s, "_") }

// haSlug makes s a legal part of an entity id.
func haSlug(s string) string {
	return strings.Trim(haSeparator.ReplaceAllString(strings.ToLower(s), "_"), "_")
}
