package vcp

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // the protocol's, to derive a key from a shared secret
	"crypto/sha256"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/signatures"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"
)

// computer is one of the car's computers, a domain in the protocol's words.
type computer struct {
	domain universalmessage.Domain
	width  uint32 // how many counters below the highest may still come
	key    *ecdh.PrivateKey

	epoch    []byte
	booted   time.Time
	sessions map[string]*session // by the client's public key
}

// session is what a computer knows of one client since it booted.
type session struct {
	shared  []byte // K
	counter uint32 // the highest that was used
	used    uint64 // bit n: counter-n was used
	answers uint32
}

// newComputer makes one with a key of its own. width 1 takes messages in the order of their counters only.
func newComputer(domain universalmessage.Domain, width uint32) *computer {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		panic("vcp: no random numbers: " + err.Error())
	}
	c := &computer{domain: domain, width: width, key: key}
	c.boot()
	return c
}

// boot begins a new epoch.
func (c *computer) boot() {
	c.epoch = random(16)
	c.booted = time.Now()
	c.sessions = map[string]*session{}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// clock is the seconds since the start of the epoch.
func (c *computer) clock() uint32 { return uint32(time.Since(c.booted) / time.Second) }

// session returns that with a client, nil if its key is no key.
func (c *computer) session(publicKey []byte) *session {
	if s := c.sessions[string(publicKey)]; s != nil {
		return s
	}
	peer, err := ecdh.P256().NewPublicKey(publicKey)
	if err != nil {
		return nil
	}
	secret, err := c.key.ECDH(peer)
	if err != nil {
		return nil
	}
	sum := sha1.Sum(secret)
	s := &session{shared: sum[:16]}
	c.sessions[string(publicKey)] = s
	return s
}

// subkey derives a key for one purpose from the shared one.
func (s *session) subkey(purpose string) []byte { return mac(s.shared, []byte(purpose)) }

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// fresh tells whether a counter was not used yet, and uses it up.
func (s *session) fresh(counter, width uint32) bool {
	if counter > s.counter {
		s.used = s.used<<(min(counter-s.counter, 64)) | 1
		s.counter = counter
		return true
	}
	age := s.counter - counter
	if age == 0 || age >= width || s.used&(1<<age) != 0 {
		return false
	}
	s.used |= 1 << age
	return true
}

// reply is an empty answer to m. VCSEC has no room to remember the request's number.
func (c *computer) reply(m *universalmessage.RoutableMessage) *universalmessage.RoutableMessage {
	answer := &universalmessage.RoutableMessage{
		ToDestination: m.GetFromDestination(),
		FromDestination: &universalmessage.Destination{
			SubDestination: &universalmessage.Destination_Domain{Domain: c.domain},
		},
		Uuid: random(16),
	}
	if c.domain != universalmessage.Domain_DOMAIN_VEHICLE_SECURITY {
		answer.RequestUuid = m.GetUuid()
	}
	return answer
}

// introduce adds session info for a client to an answer, tagged so that the client can trust it. challenge is the number of the
// request.
func (c *computer) introduce(answer *universalmessage.RoutableMessage, vin string, publicKey, challenge []byte) {
	s := c.session(publicKey)
	if s == nil {
		return
	}
	info := marshal(&signatures.SessionInfo{
		Counter: s.counter, PublicKey: c.key.PublicKey().Bytes(), Epoch: c.epoch, ClockTime: c.clock(),
	})
	var meta metadata
	meta.add(signatures.Tag_TAG_SIGNATURE_TYPE, []byte{byte(signatures.SignatureType_SIGNATURE_TYPE_HMAC)})
	meta.add(signatures.Tag_TAG_PERSONALIZATION, []byte(vin))
	meta.add(signatures.Tag_TAG_CHALLENGE, challenge)
	tag := mac(s.subkey("session info"), meta.end(), info)
	answer.RequestUuid = challenge // of VCSEC too: the tag would be worth nothing without it
	answer.Payload = &universalmessage.RoutableMessage_SessionInfo{SessionInfo: info}
	answer.SubSigData = &universalmessage.RoutableMessage_SignatureData{SignatureData: &signatures.SignatureData{
		SigType: &signatures.SignatureData_SessionInfoTag{SessionInfoTag: &signatures.HMAC_Signature_Data{Tag: tag}},
	}}
}
