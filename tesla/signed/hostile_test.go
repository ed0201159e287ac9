package signed

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/signatures"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// sealed is an answer to the message that the client sent last, encrypted as it says.
func sealed(t testing.TB, asked []byte, data *signatures.AES_GCM_Response_Signature_Data) []byte {
	var m universalmessage.RoutableMessage
	if err := proto.Unmarshal(asked, &m); err != nil {
		t.Fatal(err)
	}
	answer, err := proto.Marshal(&universalmessage.RoutableMessage{
		ToDestination: m.GetFromDestination(), FromDestination: m.GetToDestination(), RequestUuid: m.GetUuid(),
		Payload: &universalmessage.RoutableMessage_ProtobufMessageAsBytes{ProtobufMessageAsBytes: []byte("x")},
		SubSigData: &universalmessage.RoutableMessage_SignatureData{SignatureData: &signatures.SignatureData{
			SigType: &signatures.SignatureData_AES_GCM_ResponseData{AES_GCM_ResponseData: data},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestAnswersThatPanic: the library panics on a nonce of the wrong length, and on anything encrypted before there is a session.
// Whoever can put a word in, by radio say, must not be able to end this program by it.
func TestAnswersThatPanic(t *testing.T) {
	for name, data := range map[string]*signatures.AES_GCM_Response_Signature_Data{
		"short nonce": {Nonce: []byte{1}, Tag: make([]byte, 16)},
		"long nonce":  {Nonce: make([]byte, 100), Tag: make([]byte, 16)},
		"no nonce":    {Tag: make([]byte, 16)},
		"short tag":   {Nonce: make([]byte, 12)},
		"well formed": {Nonce: make([]byte, 12), Tag: make([]byte, 16)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true})
				r.air.bend = func(answer []byte) [][]byte {
					return [][]byte{sealed(t, r.air.sent[len(r.air.sent)-1], data), answer}
				}
				for i := range 3 {
					if err := r.car.Do(t.Context(), amps(7+i)); err != nil || r.handle.Amps() != 7+i {
						t.Errorf("the answer after it was not heard: %v", err)
					}
				}
			})
		})
	}
}

// FuzzAnswers: whatever a car answers, a command ends in time, goes out twice at most, and nothing panics. Each input is given as
// the answer to everything, both bare and put into an answer that belongs to the request.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add([]byte("<html>"), uint8(1))
	f.Add(bytes.Repeat([]byte{0xff}, 40), uint8(2))
	r := newRig(f, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true})
	r.air.bend = func(answer []byte) [][]byte { f.Add(answer, uint8(len(answer))); return [][]byte{answer} }
	if err := r.car.Do(f.Context(), amps(7)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, where uint8) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true})
			if where&1 != 0 { // with a session, or without
				if err := r.car.Do(t.Context(), amps(6)); err != nil {
					t.Fatal(err)
				}
			}
			sent, shakes := len(r.air.sent), r.handle.Protocol().Handshakes()
			r.air.bend = func(answer []byte) [][]byte { return [][]byte{data, put(answer, data, where), answer} }
			began := time.Now()
			err := r.car.Do(t.Context(), amps(9))
			if took := time.Since(began); took > linkTime+lifetime {
				t.Errorf("it took %s", took)
			}
			if n := len(r.air.sent) - sent - (r.handle.Protocol().Handshakes() - shakes); n > maxSends || r.handle.Amps() == 9 && n == 0 {
				t.Errorf("sent %d times", n)
			}
			if err == nil && r.handle.Amps() != 9 || tesla.MayHaveSucceeded(err) && len(r.air.sent) == sent {
				t.Errorf("%v, but the car has %d A", err, r.handle.Amps())
			}
			_, _ = r.car.ChargeState(t.Context()) // must only end
		})
	})
}

// put replaces one part of an answer by data.
func put(answer, data []byte, where uint8) []byte {
	var m universalmessage.RoutableMessage
	if proto.Unmarshal(answer, &m) != nil {
		return data
	}
	switch where >> 1 % 6 {
	case 0:
		m.Payload = &universalmessage.RoutableMessage_ProtobufMessageAsBytes{ProtobufMessageAsBytes: data}
	case 1:
		m.Payload = &universalmessage.RoutableMessage_SessionInfo{SessionInfo: data}
	case 2:
		m.RequestUuid = data
	case 3:
		sig := new(signatures.SignatureData)
		_ = proto.Unmarshal(data, sig) // what can be read of it
		m.SubSigData = &universalmessage.RoutableMessage_SignatureData{SignatureData: sig}
	case 4:
		if gcm := m.GetSignatureData().GetAES_GCM_ResponseData(); gcm != nil {
			gcm.Nonce = data
		}
	case 5:
		m.SubSigData = nil
		m.Payload = &universalmessage.RoutableMessage_ProtobufMessageAsBytes{ProtobufMessageAsBytes: data}
	}
	bent, err := proto.Marshal(&m)
	if err != nil {
		return data
	}
	return bent
}
