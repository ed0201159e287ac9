package signed

import (
	"testing"
	"testing/synctest"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestLateAnswer: over the air the refusal of one command may come while the next one is waited for, whose own answer is lost. It
// says nothing about that one.
func TestLateAnswer(t *testing.T) {
	busy := answering(universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_BUSY)
	wake := tesla.Command{Thing: tesla.Wake, Value: tesla.On}
	for name, row := range map[string]struct{ first, second tesla.Command }{
		"infotainment": {amps(9), amps(10)}, "VCSEC": {wake, wake}, "VCSEC, then infotainment": {wake, amps(10)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true})
				for _, c := range []tesla.Command{wake, amps(8)} {
					if err := r.car.Do(t.Context(), c); err != nil {
						t.Fatal(err)
					}
				}
				var late [][]byte
				r.air.bend = func(answer []byte) [][]byte {
					late = append(late, busy(answer)...)
					return nil
				}
				if err := r.car.Do(t.Context(), row.first); !tesla.MayHaveSucceeded(err) {
					t.Fatalf("without an answer: %v", err)
				}
				sent := len(r.air.sent)
				r.air.bend = func([]byte) [][]byte { return late }
				err := r.car.Do(t.Context(), row.second)
				if n := len(r.air.sent) - sent; !tesla.MayHaveSucceeded(err) || n != 1 {
					t.Errorf("sent %d times, %v", n, err)
				}
				r.air.bend = busy
				if err := r.car.Do(t.Context(), row.second); !is(err, nil, "could_not_wake_buses") {
					t.Errorf("its own refusal: %v", err)
				}
			})
		})
	}
}
