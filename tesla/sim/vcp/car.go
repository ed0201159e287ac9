package vcp

import (
	"crypto/ecdh"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/carserver"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/signatures"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/vcsec"
)

// Order is one thing that a client wants of the car.
type Order int

// The orders of charging. Amps and Limit come with a value.
const (
	SetAmps Order = iota
	SetLimit
	Start
	Stop
	OpenPort
	ClosePort
)

// Vehicle is the rest of the car.
type Vehicle interface {
	// Asleep tells whether infotainment sleeps.
	Asleep() bool
	// Wake begins to wake it.
	Wake()
	// Do carries out an order at once, or returns the car's word for why not.
	Do(order Order, value int) (refusal string)
	// Charge is the state of charging.
	Charge() *carserver.ChargeState
}

// Executed is a command that was found authentic and given to the [Vehicle], or the wake or the read that it asked for.
type Executed struct {
	At    time.Time
	What  string
	Value int
}

// Car is one car. All its methods may be called at any time; messages are worked off one after the other.
type Car struct {
	vin     string
	vehicle Vehicle

	mu       sync.Mutex
	security *computer
	screen   *computer
	keychain map[string]keys.Role // by public key
	waiting  *newKey
	tapped   time.Time
	asked    int // requests for session info
	refused  map[universalmessage.MessageFault_E]int
	done     []Executed
}

// New makes a car with no keys but its own.
func New(vin string, v Vehicle) *Car {
	return &Car{
		vin: vin, vehicle: v,
		security: newComputer(universalmessage.Domain_DOMAIN_VEHICLE_SECURITY, 1),
		screen:   newComputer(universalmessage.Domain_DOMAIN_INFOTAINMENT, 32),
		keychain: map[string]keys.Role{}, refused: map[universalmessage.MessageFault_E]int{},
	}
}

// Enroll gives a public key, an uncompressed point of P-256, a role, as if an owner had done it.
func (c *Car) Enroll(publicKey []byte, role keys.Role) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keychain[string(publicKey)] = role
}

// Role is what the car lets a key do, ROLE_NONE if it does not know it.
func (c *Car) Role(publicKey []byte) keys.Role {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keychain[string(publicKey)]
}

// Restart reboots both computers: new epochs, clocks at zero, no sessions. Keys stay.
func (c *Car) Restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.security.boot()
	c.screen.boot()
}

// Executed lists what clients have brought about, in order.
func (c *Car) Executed() []Executed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Executed(nil), c.done...)
}

// Handshakes counts the requests for session info.
func (c *Car) Handshakes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// Refused counts the refusals of one kind.
func (c *Car) Refused(fault universalmessage.MessageFault_E) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused[fault]
}

// ErrEncrypted is why Fleet API does not hand a message on: it could not look for commands that the token does not allow.
var ErrEncrypted = errors.New("an encrypted command does not pass Fleet API")

// Receive takes a message from the Bluetooth link and returns the answers, none for what is not understood at all.
func (c *Car) Receive(message []byte) (answers [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if envelope := new(vcsec.ToVCSECMessage); proto.Unmarshal(message, envelope) == nil && envelope.GetSignedMessage() != nil {
		return c.request(envelope.GetSignedMessage())
	}
	m := new(universalmessage.RoutableMessage)
	if proto.Unmarshal(message, m) != nil || len(m.GetFromDestination().GetRoutingAddress()) == 0 {
		return nil
	}
	for _, answer := range c.handle(m, true) {
		answers = append(answers, encode(answer))
	}
	return answers
}

// Relay takes a message from Fleet API and returns the last answer, nil if there is none.
func (c *Car) Relay(message []byte) (answer []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := new(universalmessage.RoutableMessage)
	if proto.Unmarshal(message, m) != nil || len(m.GetFromDestination().GetRoutingAddress()) == 0 {
		return nil, nil
	}
	if m.GetSignatureData().GetAES_GCM_PersonalizedData() != nil {
		return nil, ErrEncrypted
	}
	all := c.handle(m, false)
	if len(all) == 0 {
		return nil, nil
	}
	return encode(all[len(all)-1]), nil
}

// handle answers one message. direct tells that it came over Bluetooth.
func (c *Car) handle(m *universalmessage.RoutableMessage, direct bool) []*universalmessage.RoutableMessage {
	var to *computer
	switch m.GetToDestination().GetDomain() {
	case universalmessage.Domain_DOMAIN_VEHICLE_SECURITY:
		to = c.security
	case universalmessage.Domain_DOMAIN_INFOTAINMENT:
		to = c.screen
	default:
		return c.fault(nil, m, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_DOMAINS)
	}
	if to == c.screen && c.vehicle.Asleep() {
		return c.fault(to, m, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIMEOUT)
	}
	if request := m.GetSessionInfoRequest(); request != nil {
		return c.greet(to, m, request.GetPublicKey())
	}
	who, payload, fault := c.authenticate(to, m, direct)
	if fault != none {
		return c.fault(to, m, fault)
	}
	if to == c.security {
		return c.secure(m, who, payload, direct)
	}
	return c.act(m, who, payload)
}

// greet answers a request for session info, by which a client begins.
func (c *Car) greet(to *computer, m *universalmessage.RoutableMessage, publicKey []byte) []*universalmessage.RoutableMessage {
	c.asked++
	if _, err := ecdh.P256().NewPublicKey(publicKey); err != nil {
		return c.fault(to, m, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_BAD_PARAMETER)
	}
	if _, known := c.keychain[string(publicKey)]; !known {
		if to == c.screen {
			return c.fault(to, m, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_UNKNOWN_KEY_ID)
		}
		stranger := &signatures.SessionInfo{Status: signatures.Session_Info_Status_SESSION_INFO_STATUS_KEY_NOT_ON_WHITELIST}
		answer := to.reply(m)
		answer.Payload = &universalmessage.RoutableMessage_SessionInfo{SessionInfo: marshal(stranger)}
		return []*universalmessage.RoutableMessage{answer}
	}
	answer := to.reply(m)
	to.introduce(answer, c.vin, publicKey, m.GetUuid())
	return []*universalmessage.RoutableMessage{answer}
}

// mendable are the refusals that a client may mend by a look at the session info which comes with them.
var mendable = map[universalmessage.MessageFault_E]bool{
	universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_SIGNATURE:        true,
	universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_TOKEN_OR_COUNTER: true,
	universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INCORRECT_EPOCH:          true,
	universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_EXPIRED:             true,
	universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_TO_LIVE_TOO_LONG:    true,
}

// fault refuses a message, and books that.
func (c *Car) fault(from *computer, m *universalmessage.RoutableMessage, fault universalmessage.MessageFault_E) []*universalmessage.RoutableMessage {
	c.refused[fault]++
	if from == nil {
		from = c.security // which routes
	}
	answer := from.reply(m)
	answer.SignedMessageStatus = &universalmessage.MessageStatus{
		OperationStatus:    universalmessage.OperationStatus_E_OPERATIONSTATUS_ERROR,
		SignedMessageFault: fault,
	}
	if signer := m.GetSignatureData().GetSignerIdentity().GetPublicKey(); mendable[fault] {
		from.introduce(answer, c.vin, signer, m.GetUuid())
	}
	return []*universalmessage.RoutableMessage{answer}
}

// book remembers what a client has brought about.
func (c *Car) book(what string, value int) {
	c.done = append(c.done, Executed{time.Now(), what, value})
}

func encode(m *universalmessage.RoutableMessage) []byte { return marshal(m) }

// marshal encodes what this package itself has made.
func marshal(m proto.Message) []byte {
	raw, err := proto.Marshal(m)
	if err != nil {
		panic("vcp: encode own message: " + err.Error())
	}
	return raw
}
