package bridge

import (
	"strconv"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// Home Assistant shows a set point that is above the slider's maximum as unknown, and logs an error each time. So no
// discovery may be too low for what the state says, not for the minute until the next one either.
func TestDiscoveryCoversEverySetPoint(t *testing.T) {
	inBubble(t, sim.Car{Phases: 1, MaxAmps: 32}, func(r *rig) {
		often := defaults()
		often.Poll.State, often.Poll.Online, often.Poll.Charging = 5*time.Second, 5*time.Second, 5*time.Second
		r.cfg.Cars = map[string]CarConfig{vin: often}
		check := func(when string, d time.Duration) {
			t.Helper()
			for range int(d / time.Second) {
				r.pass(time.Second)
				text := r.retained("model3/charge_amps")
				amps, err := strconv.Atoi(text)
				if err != nil && text != "null" {
					t.Errorf("charge_amps is %q", text)
				}
				payload := []byte(r.said.get("homeassistant/device/tesla2mqtt_" + vin + "/config"))
				if most := *haDecode(t, "", payload).Components["charge_amps"].Max; amps > most {
					t.Errorf("%s: the set point is %d A, and Home Assistant was told of at most %d", when, amps, most)
					return
				}
			}
		}
		r.car.PlugIn(13, 1)
		r.start()
		check("at the first reads", 3*time.Minute)
		r.car.PlugIn(16, 1)
		check("at another socket", 20*time.Second)
		r.car.PlugIn(32, 1)
		check("at a third one, soon after", 3*time.Minute)
	})
}
