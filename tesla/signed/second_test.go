package signed

import (
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestSecondIsNotAnswered: the car refuses an order unread and is sent it once more. If that one gets no answer, it may have been
// carried out, whatever became of the first.
func TestSecondIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true})
		if err := r.car.Do(t.Context(), amps(8)); err != nil {
			t.Fatal(err)
		}
		answers := 0
		busy := answering(universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_BUSY)
		r.air.bend = func(answer []byte) [][]byte {
			if answers++; answers == 1 {
				return busy(answer)
			}
			return nil
		}
		err := r.car.Do(t.Context(), amps(9))
		if answers != 2 || !tesla.MayHaveSucceeded(err) {
			t.Errorf("sent %d times, may have succeeded: %v; %v", answers, tesla.MayHaveSucceeded(err), err)
		}
	})
}

// passing is what a connector says that could not send just now.
type passing struct{}

func (passing) Error() string          { return "no room in the air" }
func (passing) Temporary() bool        { return true }
func (passing) MayHaveSucceeded() bool { return false }

// TestSendThatFailed: what did not leave the machine does not count as sent: the order goes once more, and once only.
func TestSendThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true})
		if err := r.car.Do(t.Context(), amps(8)); err != nil {
			t.Fatal(err)
		}
		failed := 0
		r.air.refuse = func(message []byte) error {
			var m universalmessage.RoutableMessage
			if proto.Unmarshal(message, &m) != nil || m.GetSignatureData() == nil || failed == 3 {
				return nil
			}
			failed++
			return passing{}
		}
		if err := r.car.Do(t.Context(), amps(9)); err != nil || failed != 3 || r.handle.Amps() != 9 || len(r.handle.Executed()) != 2 {
			t.Errorf("%v after %d failures; %d A, %d commands", err, failed, r.handle.Amps(), len(r.handle.Executed()))
		}
	})
}
