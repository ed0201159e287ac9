package bridge

import (
	"testing"
)

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
