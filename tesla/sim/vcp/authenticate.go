package vcp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/signatures"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"
)

const none = universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_NONE

// longest is for how long ahead a command may be valid: a guess, Tesla has not published it.
const longest = 60 * time.Second

// metadata is what a signature covers besides the message: tags with values, in the order of the tags.
type metadata struct{ raw []byte }

func (m *metadata) add(tag signatures.Tag, value []byte) {
	m.raw = append(append(m.raw, byte(tag), byte(len(value))), value...)
}

func (m *metadata) number(tag signatures.Tag, value uint32) {
	m.add(tag, binary.BigEndian.AppendUint32(nil, value))
}

func (m *metadata) end() []byte { return append(m.raw, byte(signatures.Tag_TAG_END)) }

// caller is who signed a message, and all that its answer has to be bound to.
type caller struct {
	session *session
	role    keys.Role // ROLE_NONE for a message without a signature
	hash    []byte    // of the request, nil for a message without a signature
}

// signed is what both kinds of signature have.
type signed interface {
	GetEpoch() []byte
	GetCounter() uint32
	GetExpiresAt() uint32
	GetTag() []byte
}

// authenticate finds out who sent m, and returns what it says in plain. Without a signature it is from nobody.
func (c *Car) authenticate(to *computer, m *universalmessage.RoutableMessage, direct bool) (who caller, payload []byte, fault universalmessage.MessageFault_E) {
	payload = m.GetProtobufMessageAsBytes()
	data := m.GetSignatureData()
	var sig signed
	kind := signatures.SignatureType_SIGNATURE_TYPE_HMAC_PERSONALIZED
	switch s := data.GetSigType().(type) {
	case nil:
		return caller{}, payload, none
	case *signatures.SignatureData_HMAC_PersonalizedData:
		sig = s.HMAC_PersonalizedData
	case *signatures.SignatureData_AES_GCM_PersonalizedData:
		sig, kind = s.AES_GCM_PersonalizedData, signatures.SignatureType_SIGNATURE_TYPE_AES_GCM_PERSONALIZED
	default:
		return who, nil, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_BAD_PARAMETER
	}
	publicKey := data.GetSignerIdentity().GetPublicKey()
	role, known := c.keychain[string(publicKey)]
	session := to.session(publicKey)
	if !known || session == nil {
		return who, nil, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_UNKNOWN_KEY_ID
	}
	if len(sig.GetEpoch()) > 0 && !hmac.Equal(sig.GetEpoch(), to.epoch) {
		return who, nil, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INCORRECT_EPOCH
	}
	meta := c.signedOver(to, m, sig, kind)
	if gcm := data.GetAES_GCM_PersonalizedData(); gcm != nil {
		payload, fault = open(session.shared, gcm, payload, meta)
	} else if !hmac.Equal(sig.GetTag(), mac(session.subkey("authenticated command"), meta, payload)) {
		fault = universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_SIGNATURE
	}
	if fault == none {
		fault = to.timely(session, sig)
	}
	if fault == none && role == keys.Role_ROLE_FM && direct {
		fault = universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INSUFFICIENT_PRIVILEGES
	}
	if fault != none {
		return who, nil, fault
	}
	tag := sig.GetTag()
	if to == c.security {
		tag = tag[:min(len(tag), 16)]
	}
	return caller{session, role, append([]byte{byte(kind)}, tag...)}, payload, none
}

// signedOver is the metadata of a command.
func (c *Car) signedOver(to *computer, m *universalmessage.RoutableMessage, sig signed, kind signatures.SignatureType) []byte {
	var meta metadata
	meta.add(signatures.Tag_TAG_SIGNATURE_TYPE, []byte{byte(kind)})
	meta.add(signatures.Tag_TAG_DOMAIN, []byte{byte(to.domain)})
	meta.add(signatures.Tag_TAG_PERSONALIZATION, []byte(c.vin))
	meta.add(signatures.Tag_TAG_EPOCH, to.epoch)
	meta.number(signatures.Tag_TAG_EXPIRES_AT, sig.GetExpiresAt())
	meta.number(signatures.Tag_TAG_COUNTER, sig.GetCounter())
	if m.GetFlags() != 0 {
		meta.number(signatures.Tag_TAG_FLAGS, m.GetFlags())
	}
	return meta.end()
}

// timely checks expiry and counter. Only a message that was found authentic uses its counter up.
func (c *computer) timely(s *session, sig signed) universalmessage.MessageFault_E {
	now := c.clock()
	switch {
	case sig.GetExpiresAt() < now:
		return universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_EXPIRED
	case sig.GetExpiresAt() > now+uint32(longest/time.Second):
		return universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_TO_LIVE_TOO_LONG
	case !s.fresh(sig.GetCounter(), c.width):
		return universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_TOKEN_OR_COUNTER
	}
	return none
}

// open decrypts a command.
func open(key []byte, sig *signatures.AES_GCM_Personalized_Signature_Data, sealed, meta []byte) ([]byte, universalmessage.MessageFault_E) {
	aead := gcm(key)
	if len(sig.GetNonce()) != aead.NonceSize() {
		return nil, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_IV_INCORRECT_LENGTH
	}
	bound := sha256.Sum256(meta)
	plain, err := aead.Open(nil, sig.GetNonce(), append(append([]byte(nil), sealed...), sig.GetTag()...), bound[:])
	if err != nil {
		return nil, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_SIGNATURE
	}
	return plain, none
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("vcp: " + err.Error()) // the key has 16 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("vcp: " + err.Error())
	}
	return aead
}

// say puts a payload into an answer, encrypted if the client asked for that.
func (c *Car) say(from *computer, m *universalmessage.RoutableMessage, who caller, payload []byte) *universalmessage.RoutableMessage {
	answer := from.reply(m)
	wanted := m.GetFlags()&(1<<universalmessage.Flags_FLAG_ENCRYPT_RESPONSE) != 0
	if who.session == nil || !wanted {
		answer.Payload = &universalmessage.RoutableMessage_ProtobufMessageAsBytes{ProtobufMessageAsBytes: payload}
		return answer
	}
	who.session.answers++
	answer.Flags = 1 << universalmessage.Flags_FLAG_ENCRYPT_RESPONSE
	var meta metadata
	meta.add(signatures.Tag_TAG_SIGNATURE_TYPE, []byte{byte(signatures.SignatureType_SIGNATURE_TYPE_AES_GCM_RESPONSE)})
	meta.add(signatures.Tag_TAG_DOMAIN, []byte{byte(from.domain)})
	meta.add(signatures.Tag_TAG_PERSONALIZATION, []byte(c.vin))
	meta.number(signatures.Tag_TAG_COUNTER, who.session.answers)
	meta.number(signatures.Tag_TAG_FLAGS, answer.GetFlags())
	meta.add(signatures.Tag_TAG_REQUEST_HASH, who.hash)
	meta.number(signatures.Tag_TAG_FAULT, uint32(none))
	bound := sha256.Sum256(meta.end())
	aead := gcm(who.session.shared)
	nonce := random(aead.NonceSize())
	sealed := aead.Seal(nil, nonce, payload, bound[:])
	cut := len(sealed) - aead.Overhead()
	answer.Payload = &universalmessage.RoutableMessage_ProtobufMessageAsBytes{ProtobufMessageAsBytes: sealed[:cut]}
	answer.SubSigData = &universalmessage.RoutableMessage_SignatureData{SignatureData: &signatures.SignatureData{
		SigType: &signatures.SignatureData_AES_GCM_ResponseData{AES_GCM_ResponseData: &signatures.AES_GCM_Response_Signature_Data{
			Nonce: nonce, Counter: who.session.answers, Tag: sealed[cut:],
		}},
	}}
	return answer
}
