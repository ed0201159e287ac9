package bridge

import (
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

func TestRenameWithoutTeslaLeavesNoGhost(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.stop()
		cfg := defaults()
		cfg.Name = "zoe"
		r.cfg.Cars[vin] = cfg
		r.fault("503", sim.On("api"))
		r.start()
		r.pass(time.Minute)
		r.stop()
		r.tesla.ClearFaults()
		r.start()
		r.pass(time.Minute)
		if !strings.Contains(strings.Join(r.said.published(), "\n"), "-tesla2mqtt/model3/state") {
			t.Error("the old name stays on the broker for ever")
		}
	})
}

func TestListsThatSlip(t *testing.T) {
	for name, list := range map[string]func([]tesla.Vehicle) []tesla.Vehicle{
		"one car six times": func(v []tesla.Vehicle) []tesla.Vehicle { return append(append(append(v, v...), v...), v...) },
		"no car":            func([]tesla.Vehicle) []tesla.Vehicle { return nil },
		"an odd VIN": func(v []tesla.Vehicle) []tesla.Vehicle {
			return append(v, tesla.Vehicle{VIN: "+/#"}, tesla.Vehicle{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, plugged(), func(r *rig) {
				r.list = list
				settled(r)
				r.slip.Store(true)
				r.pass(2*time.Hour + 5*time.Minute)
				if r.retained("model3/availability") != "online" {
					t.Error("a car that answers is shown as unavailable")
				}
				r.send("charge_amps", "9")
				r.pass(10 * time.Second)
				r.wantResult(r.only("charge_amps"), "ok", "")
			})
		})
	}
}
