package bridge

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// TestLeftoversAreCleared: what an earlier configuration has left on the broker goes, and nothing else does.
func TestLeftoversAreCleared(t *testing.T) {
	for name, change := range map[string]func(c *Config){
		"nothing":           func(*Config) {},
		"scalars off":       func(c *Config) { c.Scalars = false },
		"discovery off":     func(c *Config) { c.Discovery = false },
		"another prefix":    func(c *Config) { c.DiscoveryPrefix = "ha/discovery" },
		"another base":      func(c *Config) { c.BaseTopic = "cars/tesla" },
		"another client id": func(c *Config) { c.ClientID = "garage" },
		"another name": func(c *Config) {
			renamed := defaults()
			renamed.Name = "zoe"
			c.Cars = map[string]CarConfig{vin: renamed}
		},
		"served no longer":     func(c *Config) { c.Cars, c.AllCars = map[string]CarConfig{}, false },
		"everything at a time": func(c *Config) { c.Scalars, c.Discovery, c.BaseTopic = false, false, "cars/tesla" },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, plugged(), func(r *rig) {
				settled(r)
				r.stop()
				broker := maps.Clone(r.said.retained)
				broker["tesla2mqtt/bridge/state"] = "offline" // which the MQTT client says
				change(&r.cfg)
				r.start()
				r.pass(3 * time.Minute)
				said := maps.Clone(r.said.retained)
				said[StateTopic(r.cfg.BaseTopic)] = "online"
				var want, got []string
				for topic := range broker {
					if said[topic] == "" {
						want = append(want, topic)
					}
				}
				for _, topic := range r.said.published() {
					if cleared, ok := strings.CutPrefix(topic, "-"); ok {
						got = append(got, cleared)
					}
				}
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("cleared\n%q\nwant\n%q", got, want)
				}
				for topic := range said {
					if !slices.Contains(r.bridge.record.Topics, topic) {
						t.Errorf("%s is published, and would never be cleared", topic)
					}
				}
			})
		})
	}
}

// TestTopicsAreRememberedBeforeTheyAreSaid: a crash right after a publish leaves nothing that would never be cleared.
func TestTopicsAreRememberedBeforeTheyAreSaid(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		r.fault("hang", sim.On("api"))
		r.start()
		data, err := r.memory.Load(bridgeFile)
		if err != nil {
			t.Fatal(err)
		}
		var kept bridgeRecord
		if err := json.Unmarshal(data, &kept); err != nil {
			t.Fatal(err)
		}
		if len(r.said.retained) == 0 {
			t.Error("nothing was said")
		}
		for topic := range r.said.retained {
			if !slices.Contains(kept.Topics, topic) {
				t.Errorf("%s is on the broker, and not remembered", topic)
			}
		}
		r.tesla.ClearFaults()
	})
}

// TestOneListWithoutACar may be a slip of Tesla's, over a restart too; and a car that the configuration names keeps its topics.
func TestOneListWithoutACar(t *testing.T) {
	for name, row := range map[string]struct {
		named bool
		gone  time.Duration
	}{"once": {false, time.Hour + 5*time.Minute}, "for good, but named": {true, 3 * time.Hour}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, plugged(), func(r *rig) {
				alias := "model3"
				if !row.named {
					r.cfg.Cars, alias = nil, vin
				}
				settled(r)
				r.car.Remove(true)
				r.pass(row.gone)
				r.stop()
				r.start()
				r.pass(10 * time.Minute)
				if slices.Contains(r.said.published(), "-tesla2mqtt/"+alias+"/state") {
					t.Error("its topics are cleared")
				}
				if got := r.retained(alias + "/availability"); got != "offline" {
					t.Errorf("it is %q", got)
				}
			})
		})
	}
}

// TestBridgeComesFirst: Home Assistant makes a nameless device of a bridge that it does not know yet.
func TestBridgeComesFirst(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.stop()
		r.start() // with a car that is known from before
		said := r.said.published()
		bridge := slices.Index(said, "homeassistant/device/tesla2mqtt_bridge_tesla2mqtt/config")
		if car := slices.Index(said, "homeassistant/device/tesla2mqtt_"+vin+"/config"); bridge < 0 || car < bridge {
			t.Errorf("the bridge is said at %d, the car at %d", bridge, car)
		}
	})
}
