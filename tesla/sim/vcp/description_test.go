package vcp

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"testing"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/signatures"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDescription: the numbers that Tesla's description gives as its example come out here as well.
func TestDescription(t *testing.T) {
	client := unhex(t, "04b2b6bc68c2da0665ce656815594996c62394edd8bea905fe781a754fe6a845a714330902f225e9269d466e05b349981fda9d85cc23c6fb444aa73b629105dc6e")
	c := New(vin, &rest{})
	key, err := ecdh.P256().NewPrivateKey(unhex(t, "344ee5b466a7cf1eeb12b6f50331db2e5ec5834ef5f4befcfd8cbe55c2528d70"))
	if err != nil {
		t.Fatal(err)
	}
	c.screen.key, c.screen.epoch = key, unhex(t, "4c463f9cc0d3d26906e982ed224adde6")
	c.Enroll(client, keys.Role_ROLE_OWNER)
	s := c.screen.session(client)
	if want := unhex(t, "1b2fce19967b79db696f909cff89ea9a"); !bytes.Equal(s.shared, want) {
		t.Errorf("shared key %x, want %x", s.shared, want)
	}
	if want := unhex(t, "fceb679ee7bca756fcd441bf238bf2f338629b41d9eb9c67be1b32c9672ce300"); !bytes.Equal(s.subkey("session info"), want) {
		t.Errorf("key for session info %x, want %x", s.subkey("session info"), want)
	}
	m := &universalmessage.RoutableMessage{
		Payload: &universalmessage.RoutableMessage_ProtobufMessageAsBytes{ProtobufMessageAsBytes: unhex(t, "38038e8c0f2e")},
		Flags:   2,
		SubSigData: &universalmessage.RoutableMessage_SignatureData{SignatureData: &signatures.SignatureData{
			SignerIdentity: &signatures.KeyIdentity{IdentityType: &signatures.KeyIdentity_PublicKey{PublicKey: client}},
			SigType: &signatures.SignatureData_AES_GCM_PersonalizedData{AES_GCM_PersonalizedData: &signatures.AES_GCM_Personalized_Signature_Data{
				Epoch: c.screen.epoch, Nonce: unhex(t, "dbf79447fa156674dae1caed"), Counter: 7, ExpiresAt: 2655,
				Tag: unhex(t, "c228e0ff64991481db3a7bbc133696c5"),
			}},
		}},
	}
	sig := m.GetSignatureData().GetAES_GCM_PersonalizedData()
	meta := c.signedOver(c.screen, m, sig, signatures.SignatureType_SIGNATURE_TYPE_AES_GCM_PERSONALIZED)
	if want := unhex(t, "000105010103021135594a333031323334353637383941424303104c463f9cc0d3d26906e982ed224adde6040400000a5f050400000007070400000002ff"); !bytes.Equal(meta, want) {
		t.Errorf("metadata %x, want %x", meta, want)
	}
	plain, fault := open(s.shared, sig, m.GetProtobufMessageAsBytes(), meta)
	if want := unhex(t, "120452020801"); fault != none || !bytes.Equal(plain, want) {
		t.Errorf("decrypted %x, %s, want %x", plain, fault, want)
	}
}
