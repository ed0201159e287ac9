package vcp

import (
	"crypto/ecdh"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/vcsec"
)

// cardTime is how long the car waits for a card to be tapped, and how long a card counts that was tapped before.
const cardTime = 30 * time.Second

// newKey is one that waits for a card.
type newKey struct {
	public []byte
	role   keys.Role
	until  time.Time
}

// Tap holds a key card to the reader: the key that waits is taken, or one that is offered within the next 30 seconds.
func (c *Car) Tap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tapped = time.Now()
	if k := c.waiting; k != nil && c.tapped.Before(k.until) {
		c.keychain[string(k.public)] = k.role
		c.tapped = time.Time{}
	}
	c.waiting = nil
}

// request is a key that asks to be let in, in the older envelope, which comes over Bluetooth only. The car says that it waits,
// or at once that it has taken the key; a client that waits has to look by itself.
func (c *Car) request(m *vcsec.SignedMessage) [][]byte {
	var message vcsec.UnsignedMessage
	if m.GetSignatureType() != vcsec.SignatureType_SIGNATURE_TYPE_PRESENT_KEY || proto.Unmarshal(m.GetProtobufMessageAsBytes(), &message) != nil {
		return nil
	}
	change := message.GetWhitelistOperation().GetAddKeyToWhitelistAndAddPermissions()
	public := change.GetKey().GetPublicKeyRaw()
	const (
		taken    = vcsec.WhitelistOperationInformation_E_WHITELISTOPERATION_INFORMATION_NONE
		noKey    = vcsec.WhitelistOperationInformation_E_WHITELISTOPERATION_INFORMATION_INVALID_PUBLIC_KEY
		noRole   = vcsec.WhitelistOperationInformation_E_WHITELISTOPERATION_INFORMATION_ATTEMPTING_TO_ADD_KEY_WITHOUT_ROLE
		aService = vcsec.WhitelistOperationInformation_E_WHITELISTOPERATION_INFORMATION_ATTEMPTING_TO_ADD_KEY_WITH_SERVICE_ROLE
		there    = vcsec.WhitelistOperationInformation_E_WHITELISTOPERATION_INFORMATION_ATTEMPTING_TO_ADD_KEY_THAT_IS_ALREADY_ON_THE_WHITELIST
	)
	if _, err := ecdh.P256().NewPublicKey(public); err != nil {
		return whitelisted(noKey)
	}
	if _, known := c.keychain[string(public)]; known {
		return whitelisted(there)
	}
	switch change.GetKeyRole() {
	case keys.Role_ROLE_NONE:
		return whitelisted(noRole)
	case keys.Role_ROLE_SERVICE:
		return whitelisted(aService)
	}
	now := time.Now()
	if !c.tapped.IsZero() && now.Sub(c.tapped) < cardTime {
		c.keychain[string(public)] = change.GetKeyRole()
		c.tapped = time.Time{}
		return whitelisted(taken)
	}
	c.waiting = &newKey{public, change.GetKeyRole(), now.Add(cardTime)}
	return [][]byte{marshal(&vcsec.FromVCSECMessage{SubMessage: &vcsec.FromVCSECMessage_CommandStatus{
		CommandStatus: &vcsec.CommandStatus{OperationStatus: vcsec.OperationStatus_E_OPERATIONSTATUS_WAIT},
	}})}
}

// whitelisted is the last word on a new key.
func whitelisted(info vcsec.WhitelistOperationInformation_E) [][]byte {
	status := vcsec.OperationStatus_E_OPERATIONSTATUS_OK
	if info != vcsec.WhitelistOperationInformation_E_WHITELISTOPERATION_INFORMATION_NONE {
		status = vcsec.OperationStatus_E_OPERATIONSTATUS_ERROR
	}
	return [][]byte{marshal(&vcsec.FromVCSECMessage{SubMessage: &vcsec.FromVCSECMessage_CommandStatus{
		CommandStatus: &vcsec.CommandStatus{
			OperationStatus: status,
			SubMessage: &vcsec.CommandStatus_WhitelistOperationStatus{WhitelistOperationStatus: &vcsec.WhitelistOperationStatus{
				WhitelistOperationInformation: info, OperationStatus: status,
			}},
		},
	}})}
}
