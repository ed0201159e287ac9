package signed

import (
	"errors"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"

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

// TestAnswerWithoutResult: an answer that does not say what became of a command is no success, though Tesla's library takes it for
// one.
func TestAnswerWithoutResult(t *testing.T) {
	bare := func(m *universalmessage.RoutableMessage) { m.Payload, m.SubSigData = nil, nil }
	for name, bend := range map[string]func(*universalmessage.RoutableMessage){
		"nothing in it": bare,
		"an error without a fault": func(m *universalmessage.RoutableMessage) {
			bare(m)
			m.SignedMessageStatus = &universalmessage.MessageStatus{OperationStatus: universalmessage.OperationStatus_E_OPERATIONSTATUS_ERROR}
		},
		"an error beside a payload": func(m *universalmessage.RoutableMessage) {
			m.SignedMessageStatus = &universalmessage.MessageStatus{OperationStatus: universalmessage.OperationStatus_E_OPERATIONSTATUS_ERROR}
		},
		"a session": func(m *universalmessage.RoutableMessage) {
			bare(m)
			m.Payload = &universalmessage.RoutableMessage_SessionInfo{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true})
				if err := r.car.Do(t.Context(), amps(8)); err != nil {
					t.Fatal(err)
				}
				sent := len(r.air.sent)
				r.air.bend = func(answer []byte) [][]byte {
					var m universalmessage.RoutableMessage
					if err := proto.Unmarshal(answer, &m); err != nil {
						t.Fatal(err)
					}
					bend(&m)
					bent, err := proto.Marshal(&m)
					if err != nil {
						t.Fatal(err)
					}
					return [][]byte{bent}
				}
				if err := r.car.Do(t.Context(), amps(9)); !errors.Is(err, tesla.ErrTemporary) || !tesla.MayHaveSucceeded(err) || len(r.air.sent) != sent+1 {
					t.Errorf("sent %d times: %v", len(r.air.sent)-sent, err)
				}
			})
		})
	}
}
