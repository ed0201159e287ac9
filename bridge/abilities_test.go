package bridge

import (
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla"
)

// TestAbilitiesAreLogged: one line for each car at the start says what the bridge can do with it, and one more if that turns out wrong.
func TestAbilitiesAreLogged(t *testing.T) {
	off, untouched := defaults(), defaults()
	off.Commands.Enabled, untouched.ReadOnly = false, true
	for _, tt := range []struct {
		name        string
		signed, old bool // by the list, by the car
		cfg         CarConfig
		says        []string
	}{
		{"takes commands", false, false, defaults(), []string{`level=INFO msg="the car is read and takes commands" car=model3 vin=` + vin + ` read_from=owner`}},
		{"signed commands", true, true, defaults(), []string{`level=WARN msg="the car is READ-ONLY: amps, limit and charging will be rejected" car=model3 vin=` + vin +
			` read_from=owner because="car accepts signed commands only: the Owner API has none" todo="command this car by Bluetooth (docs/setup-bluetooth.md)`}},
		{"as the first command shows", false, true, defaults(), []string{`level=INFO msg="the car is read and takes`, `level=WARN msg="the car is READ-ONLY`}},
		{"commands.enabled", false, false, off, []string{`level=INFO msg="the car is read-only, as you want it" car=model3 vin=` + vin + ` read_from=owner because="the configuration says commands.enabled: false"`}},
		{"write: none", true, true, untouched, []string{`because="the configuration says write: none for this car"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			car := plugged()
			car.SignedCommands = tt.old
			inBubble(t, car, func(r *rig) {
				r.cfg.Cars[vin] = tt.cfg
				r.list = func(cars []tesla.Vehicle) []tesla.Vehicle { cars[0].SignedCommands = tt.signed; return cars }
				r.slip.Store(true)
				settled(r)
				r.send("charge_amps", "8")
				r.pass(10 * time.Minute)
				var said []string
				for line := range strings.Lines(r.logged.String()) {
					if strings.Contains(line, `msg="the car is read`) || strings.Contains(line, `msg="the car is READ`) {
						said = append(said, line)
					}
				}
				if len(said) != len(tt.says) {
					t.Fatalf("got %d lines, want %d: %q", len(said), len(tt.says), said)
				}
				for i, want := range tt.says {
					if !strings.Contains(said[i], want) {
						t.Errorf("got  %s\nwant %s", said[i], want)
					}
				}
			})
		})
	}
}
