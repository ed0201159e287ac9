package bridge

import (
	"slices"
	"strings"

	"tesla2mqtt/tesla"
)

// topics builds and takes apart the names of the MQTT contract.
type topics struct{ base string }

func (t topics) bridge(name string) string     { return t.base + "/bridge/" + name }
func (t topics) car(alias, name string) string { return t.base + "/" + alias + "/" + name }
func (t topics) result(alias, thing string) string {
	return t.base + "/" + alias + "/" + thing + "/result"
}
func (t topics) set(alias, thing string) string { return t.base + "/" + alias + "/" + thing + "/set" }
func deviceConfig(prefix, id string) string     { return prefix + "/device/" + id + "/config" }

// isDiscovery tells a topic that shows a device in Home Assistant, below whatever prefix; none of a car's ends so.
func isDiscovery(topic string) bool { return strings.HasSuffix(topic, "/config") }

// parseSet returns the car and the thing of a command topic.
func (t topics) parseSet(topic string) (alias, thing string, ok bool) {
	rest, ok := strings.CutPrefix(topic, t.base+"/")
	if !ok {
		return "", "", false
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 3 || parts[2] != "set" {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// SetFilter matches every command topic below base.
func SetFilter(base string) string { return base + "/+/+/set" }

// StateTopic, InfoTopic and BirthTopic are what the MQTT client itself has to know.
func StateTopic(base string) string { return topics{base}.bridge("state") }

// InfoTopic says which process is the bridge; a second one shows there.
func InfoTopic(base string) string { return topics{base}.bridge("info") }

// HealthTopic is what healthcheck reads.
func HealthTopic(base string) string { return topics{base}.bridge("health") }

// BirthTopic is where Home Assistant says that it has started.
func BirthTopic(prefix string) string { return prefix + "/status" }

// things are what a command topic can name.
var things = []tesla.Thing{tesla.ChargeAmps, tesla.ChargeLimit, tesla.Charging, tesla.ChargePort, tesla.Wake, refresh}

// Written lists every topic that a bridge writes for itself, its state first, and for the cars with these VINs.
func Written(c Config, vins []string) []string {
	list := keptTopics(c, vins)
	for _, vin := range vins {
		cfg, served := c.car(vin)
		for _, thing := range things {
			if topic := (topics{c.BaseTopic}).result(cfg.Name, string(thing)); served && !slices.Contains(list, topic) {
				list = append(list, topic)
			}
		}
	}
	return list
}

// Read lists the filters that a bridge subscribes to.
func Read(c Config) []string {
	list := []string{StateTopic(c.BaseTopic), InfoTopic(c.BaseTopic), SetFilter(c.BaseTopic)}
	if c.Discovery {
		list = append(list, BirthTopic(c.DiscoveryPrefix))
	}
	return list
}

// keptTopics lists the retained ones of Written.
func keptTopics(c Config, vins []string) []string {
	t := topics{c.BaseTopic}
	list := []string{t.bridge("state"), t.bridge("info"), t.bridge("health")}
	if c.Discovery {
		topic, _ := bridgeDiscovery(c)
		list = append(list, topic)
	}
	seen := map[string]bool{}
	for _, vin := range vins {
		if cfg, served := c.car(vin); served && !seen[vin] {
			list = append(list, retainedTopics(c, cfg.Name, vin)...)
		}
		seen[vin] = true
	}
	return list
}
