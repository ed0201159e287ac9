package sim

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/signatures"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"
	"google.golang.org/protobuf/proto"
)

// hello is a request for session info with a key that the car is told of.
func hello(t *testing.T, h *CarHandle) []byte {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h.Protocol().Enroll(key.PublicKey().Bytes(), keys.Role_ROLE_FM)
	m, err := proto.Marshal(&universalmessage.RoutableMessage{
		ToDestination: &universalmessage.Destination{SubDestination: &universalmessage.Destination_Domain{
			Domain: universalmessage.Domain_DOMAIN_INFOTAINMENT}},
		FromDestination: &universalmessage.Destination{SubDestination: &universalmessage.Destination_RoutingAddress{
			RoutingAddress: bytes.Repeat([]byte{7}, 16)}},
		Payload: &universalmessage.RoutableMessage_SessionInfoRequest{SessionInfoRequest: &universalmessage.SessionInfoRequest{
			PublicKey: key.PublicKey().Bytes()}},
		Uuid: bytes.Repeat([]byte{8}, 16),
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// postSigned hands a message to signed_command and returns the status, the text and the car's message.
func postSigned(t *testing.T, s *Tesla, vin, body string) (status int, text string, answer []byte) {
	t.Helper()
	token, _ := s.Login()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://fleet-api.prd.eu.vn.cloud.tesla.com/api/1/vehicles/"+vin+"/signed_command", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct {
		Response string
		Error    string
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	if answer, err = base64.StdEncoding.DecodeString(out.Response); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, out.Error, answer
}

func inBase64(m []byte) string {
	return `{"routable_message":"` + base64.StdEncoding.EncodeToString(m) + `"}`
}

// epochOf is the epoch in an answer with session info.
func epochOf(t *testing.T, answer []byte) string {
	t.Helper()
	var m universalmessage.RoutableMessage
	var info signatures.SessionInfo
	if proto.Unmarshal(answer, &m) != nil || proto.Unmarshal(m.GetSessionInfo(), &info) != nil || len(info.GetEpoch()) != 16 {
		t.Fatalf("no session info: %s", &m)
	}
	return string(info.GetEpoch())
}

func TestSignedFaults(t *testing.T) {
	s := &Tesla{Fleet: &Fleet{}}
	h := s.Add(Car{SignedCommands: true})
	m := inBase64(hello(t, h))
	_, _, first := postSigned(t, s, h.VIN(), m)
	for _, fault := range ofSigned {
		if err := s.Fault(fault, Times(1)); err != nil {
			t.Fatal(err)
		}
	}
	_, _, twice := postSigned(t, s, h.VIN(), m)
	equal(t, "requests of which one came twice", h.Protocol().Handshakes(), 3)
	equal(t, "same epoch", epochOf(t, twice) == epochOf(t, first), true)
	_, _, rebooted := postSigned(t, s, h.VIN(), m)
	equal(t, "same epoch after a restart", epochOf(t, rebooted) == epochOf(t, first), false)
}

// TestSignedCommandEndpoint: what Tesla's servers make of a message before the car sees it.
func TestSignedCommandEndpoint(t *testing.T) {
	for _, row := range []struct {
		name   string
		fleet  *Fleet
		car    Car
		body   string // "": a good one
		status int
		text   string
	}{
		{"good", &Fleet{}, Car{SignedCommands: true}, "", 200, ""},
		{"old car", &Fleet{}, Car{}, "", 422, "vehicle does not support protocol"},
		{"Owner API", nil, Car{SignedCommands: true}, "", 404, "not_found"},
		{"asleep", &Fleet{}, Car{SignedCommands: true, Asleep: true}, "", 408, "vehicle unavailable: vehicle is offline or asleep"},
		{"no message", &Fleet{}, Car{SignedCommands: true}, `{"routable_message":"?"}`, 400, "invalid_command"},
		{"not for the car", &Fleet{}, Car{SignedCommands: true}, inBase64([]byte{1, 2, 3}), 504, "upstream request timeout"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := &Tesla{Fleet: row.fleet}
			h := s.Add(row.car)
			if row.car.Asleep {
				h.Sleep()
			}
			body := row.body
			if body == "" {
				body = inBase64(hello(t, h))
			}
			status, text, answer := postSigned(t, s, h.VIN(), body)
			equal(t, "status", status, row.status)
			equal(t, "text", text, row.text)
			equal(t, "has an answer", len(answer) > 0, status == 200)
		})
	}
}
