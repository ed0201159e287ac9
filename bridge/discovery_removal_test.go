package bridge

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// components decodes what discovery says of the rig's car: key to platform, and the keys that are there to be removed.
func (r *rig) components() (shown, removed platforms) {
	r.t.Helper()
	payload := []byte(r.said.get("homeassistant/device/tesla2mqtt_" + vin + "/config"))
	shown, removed = platforms{}, platforms{}
	for key, c := range haDecode(r.t, "", payload).Components {
		if c.UniqueID != "" {
			shown[key] = c.Platform
			continue
		}
		if bare := (haComponent{Platform: c.Platform}); !reflect.DeepEqual(c, bare) {
			r.t.Errorf("%s is to be removed, but says %+v", key, c)
		}
		removed[key] = c.Platform
	}
	return shown, removed
}

// A car that takes no more commands must not keep a slider that does nothing: Home Assistant removes a component only
// where its platform alone is named, and once it has done so the name must go, or the payload would grow for ever.
func TestDiscoveryRemovesWhatACarHasLost(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(r *rig)
	}{
		{"by configuration, over a restart", func(r *rig) {
			r.stop()
			cfg := defaults()
			cfg.ReadOnly = true
			r.cfg.Cars[vin] = cfg
			r.start()
		}},
		{"because the car refuses, while it runs", func(r *rig) {
			if err := r.tesla.Fault("403-signing-required", sim.On("command")); err != nil {
				t.Fatal(err)
			}
			r.send("charge_amps", "9")
			r.pass(30 * time.Second)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, plugged(), func(r *rig) {
				settled(r)
				r.pass(2 * time.Minute)
				before, _ := r.components()
				c.lose(r)
				shown, removed := r.components()
				for key, platform := range (platforms{"charge_amps": "number", "charge_limit": "number", "charging": "switch", "wake": "button"}) {
					if before[key] != platform || removed[key] != platform {
						t.Errorf("%s was %q and is removed as %q, want %q", key, before[key], removed[key], platform)
					}
				}
				if shown["charge_amps_readonly"] != "sensor" {
					t.Errorf("instead there is %v", shown)
				}
				r.pass(3 * time.Minute)
				if after, left := r.components(); len(left) > 0 || len(after) != len(shown) {
					t.Errorf("afterwards %v are still to be removed, and %d of %d shown", left, len(after), len(shown))
				}
			})
		})
	}
}

// Home Assistant logs an error for each entity whose topic is emptied while the entity is there. So what shows a car goes
// first, and after a change of its name the old topics wait until Home Assistant knows the new ones.
func TestDeviceGoesBeforeItsTopics(t *testing.T) {
	const other = "5YJ3E1EA7KF000002"
	renamed := defaults()
	renamed.Name = "zoe"
	for name, c := range map[string]struct {
		cars  map[string]CarConfig
		first string // what is published before anything is cleared
	}{
		"removed": {map[string]CarConfig{other: renamed}, "-homeassistant/device/tesla2mqtt_" + vin + "/config"},
		"renamed": {map[string]CarConfig{vin: renamed}, "homeassistant/device/tesla2mqtt_" + vin + "/config"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, plugged(), func(r *rig) {
				settled(r)
				r.stop()
				r.cfg.Cars, r.cfg.AllCars = c.cars, false
				r.start()
				r.pass(sweepGap - time.Second)
				if !slices.Contains(r.said.published(), c.first) {
					t.Errorf("no %s in %q", c.first, r.said.published())
				}
				if slices.Contains(r.said.published(), "-tesla2mqtt/model3/state") {
					t.Error("the state is cleared at once")
				}
				r.pass(2 * time.Second)
				if !slices.Contains(r.said.published(), "-tesla2mqtt/model3/state") {
					t.Error("the state is never cleared")
				}
			})
		})
	}
}
