package main

import (
	"strings"
	"time"
)

// telemetryConfig says where Tesla's fleet-telemetry server publishes, on the same broker.
type telemetryConfig struct {
	BaseTopic   string        `yaml:"base_topic"`
	SilentAfter time.Duration `yaml:"silent_after"`
}

func (d *decoder) checkTelemetry(c *Config) {
	t := c.Telemetry
	d.topic("telemetry.base_topic", t.BaseTopic)
	d.between("telemetry.silent_after", t.SilentAfter)
	for _, other := range []struct{ key, topic string }{{"mqtt.base_topic", c.MQTT.BaseTopic}, {"homeassistant.prefix", c.HomeAssistant.Prefix}} {
		if below(t.BaseTopic, other.topic) || below(other.topic, t.BaseTopic) {
			d.wrong(d.given("telemetry.base_topic", other.key), "must lie outside of %s (what is published there is not the server's)", other.key)
		}
	}
}

// below tells whether a topic is base or below it.
func below(topic, base string) bool { return strings.HasPrefix(topic+"/", base+"/") }

// streamed lists the VINs of the cars that are read by telemetry.
func (c *Config) streamed() []string {
	var vins []string
	for _, v := range c.Vehicles {
		if v.Read == "telemetry" {
			vins = append(vins, v.VIN)
		}
	}
	return vins
}
