package signed

import (
	"bytes"
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/teslamotors/vehicle-command/pkg/connector"
	"github.com/teslamotors/vehicle-command/pkg/protocol"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/signatures"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"

	"tesla2mqtt/tesla"
)

// guard stands between Tesla's library and a connector, and has the last word on what is sent, and on what comes in.
type guard struct {
	connector.Connector
	handshakes handshakes
	suspended  func() time.Duration // of the machine, in all

	in     chan []byte
	closed chan struct{} // by us
	once   sync.Once

	mu     sync.Mutex
	dead   bool // the connector has closed
	ticket ticket
}

// handshakes books the requests for a session.
type handshakes interface {
	// begin tells whether one may be made now; stop tells that it serves to end a charge. undo takes it back: it was never sent.
	begin(now time.Time, stop bool) (undo func(), err error)
}

// ticket is the permission to send one signed message.
type ticket struct {
	domain universalmessage.Domain
	end    time.Time     // after which it is not sent
	slept  time.Duration // for how long the machine had been suspended when it was issued, in all
	open   bool
	sends  int
	fault  universalmessage.MessageFault_E
	again  bool // the car has refused it unread
	mute   bool // its answer does not say what became of it
	// counter, uuid and address are those of the last send; the car's answer goes back to them.
	counter       uint32
	uuid, address []byte
}

// maxSends is how often one signed message may go out: the second time only after the car has refused the first unread.
const maxSends = 2

func newGuard(c connector.Connector, h handshakes, suspended func() time.Duration) *guard {
	g := &guard{Connector: c, handshakes: h, suspended: suspended, in: make(chan []byte, connector.BufferSize), closed: make(chan struct{})}
	go g.pump()
	return g
}

// Receive is what is left of what came in.
func (g *guard) Receive() <-chan []byte { return g.in }

// Close ends the connection. It may be called more than once.
func (g *guard) Close() {
	g.once.Do(func() { close(g.closed) })
	g.Connector.Close()
}

// alive tells whether the connector still is.
func (g *guard) alive() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.dead
}

// issue opens the ticket for one message to domain, valid until end. slept is for how long the machine has been suspended.
func (g *guard) issue(domain universalmessage.Domain, end time.Time, slept time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ticket = ticket{domain: domain, end: end, slept: slept, open: true}
}

// settle closes the ticket, and returns it as it is then.
func (g *guard) settle() ticket {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ticket.open = false
	return g.ticket
}

// unanswered tells that the message went out and the car may have carried it out, for all that is known.
func (t ticket) unanswered() bool { return t.sends > 0 && !t.again }

// behind tells that somebody else uses up counters.
func (t ticket) behind() bool { return t.fault == usedCounter }

// Send lets pass what may be sent now.
func (g *guard) Send(ctx context.Context, message []byte) error {
	var m universalmessage.RoutableMessage
	if proto.Unmarshal(message, &m) != nil {
		return g.Connector.Send(ctx, message) // a request of VCSEC's own kind: nothing that is signed
	}
	switch {
	case m.GetSessionInfoRequest() != nil:
		undo, err := g.handshakes.begin(time.Now(), tesla.Stops(ctx))
		if err != nil {
			return err
		}
		if err = g.Connector.Send(ctx, message); unsent(err) {
			undo()
		}
		return err
	case m.GetSignatureData() != nil:
		return g.sendSigned(ctx, message, &m)
	}
	return g.Connector.Send(ctx, message)
}

// unsent tells that a message certainly did not leave this machine.
func unsent(err error) bool { return tesla.Unsent(err) || protocol.ShouldRetry(err) }

// counterOf is the counter of a command, by whatever kind of signature.
func counterOf(s *signatures.SignatureData) uint32 {
	return max(s.GetAES_GCM_PersonalizedData().GetCounter(), s.GetHMAC_PersonalizedData().GetCounter())
}

func (g *guard) sendSigned(ctx context.Context, message []byte, m *universalmessage.RoutableMessage) error {
	if err := g.punch(time.Now(), g.suspended(), m); err != nil {
		return err
	}
	err := g.Connector.Send(ctx, message)
	if unsent(err) {
		g.mu.Lock()
		g.ticket.sends--
		g.mu.Unlock()
	}
	return err
}

// punch uses the ticket for one send. slept is for how long the machine has been suspended, which now does not count.
func (g *guard) punch(now time.Time, slept time.Duration, m *universalmessage.RoutableMessage) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := &g.ticket
	now = now.Add(slept - t.slept)
	switch {
	case !t.open:
		return &tesla.Error{Class: tesla.ErrTooLate, Text: "nobody waits for it any more"}
	case !now.Before(t.end) && t.sends == 0, !now.Before(t.end) && t.again:
		return &tesla.Error{Class: tesla.ErrTooLate}
	case t.sends > 0 && !t.again:
		return maybe(faultError(t.fault), t.fault == usedCounter)
	case t.sends >= maxSends:
		return faultError(t.fault)
	}
	t.sends++
	t.again, t.counter = false, counterOf(m.GetSignatureData())
	t.uuid, t.address = m.GetUuid(), m.GetFromDestination().GetRoutingAddress()
	return nil
}

// answeredBy tells that m answers the last send, and not one before it: over the air an answer may come late. VCSEC leaves out
// the request's number for want of memory, but each message to it has an address of its own.
func (t *ticket) answeredBy(m *universalmessage.RoutableMessage) bool {
	return t.open && m.GetFromDestination().GetDomain() == t.domain && bytes.Equal(m.GetToDestination().GetRoutingAddress(), t.address) &&
		(t.domain == security || bytes.Equal(m.GetRequestUuid(), t.uuid))
}

// pump hands on what comes in, until one side closes.
func (g *guard) pump() {
	defer func() {
		g.mu.Lock()
		g.dead = true
		g.mu.Unlock()
		close(g.in)
	}()
	for {
		select {
		case <-g.closed:
			return
		case message, open := <-g.Connector.Receive():
			if !open {
				return
			}
			if !g.take(message) {
				continue
			}
			select {
			case g.in <- message:
			case <-g.closed:
				return
			}
		}
	}
}

// take looks at a message that came in, and tells whether the library may see it.
func (g *guard) take(message []byte) bool {
	var m universalmessage.RoutableMessage
	if len(message) > connector.MaxResponseLength || proto.Unmarshal(message, &m) != nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := &g.ticket
	ours := t.answeredBy(&m)
	if ours {
		t.mute = mute(&m)
	}
	if sealed := m.GetSignatureData().GetAES_GCM_ResponseData(); sealed != nil {
		// The library decrypts without a look at the nonce's length, and without a session if there is none yet: a panic
		// in a goroutine of its own, which nobody could recover.
		return ours && len(sealed.GetNonce()) == 12 && len(sealed.GetTag()) == 16
	}
	status := m.GetSignedMessageStatus()
	if fault := status.GetSignedMessageFault(); ours && fault != universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_NONE {
		t.fault, t.again = fault, unread[fault]
		if fault == usedCounter {
			// If it is ours that was used, the message may have come twice, and this be the answer to the second. If the
			// car knows a higher one, somebody else has our key too, and we are behind.
			info, ok := sessionInfo(m.GetSessionInfo())
			t.again = ok && info.GetCounter() > t.counter
		}
	} else if ours && status.GetOperationStatus() == universalmessage.OperationStatus_E_OPERATIONSTATUS_WAIT {
		t.fault, t.again = universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_BUSY, true
	}
	return true
}

// mute tells that an answer is neither a refusal nor says what came of a command, which the library takes for a success. VCSEC
// may say by nothing at all that it has done it.
func mute(m *universalmessage.RoutableMessage) bool {
	status := m.GetSignedMessageStatus()
	if status.GetSignedMessageFault() != universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_NONE {
		return false
	}
	return status.GetOperationStatus() == universalmessage.OperationStatus_E_OPERATIONSTATUS_ERROR ||
		m.GetFromDestination().GetDomain() == infotainment && len(m.GetProtobufMessageAsBytes()) == 0
}

const usedCounter = universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_TOKEN_OR_COUNTER

// unread are the refusals after which the same order may be sent once more, since the car did not get as far as looking at it.
var unread = map[universalmessage.MessageFault_E]bool{
	universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_BUSY:                  true,
	universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_SIGNATURE:     true,
	universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INCORRECT_EPOCH:       true,
	universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_EXPIRED:          true,
	universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_TO_LIVE_TOO_LONG: true,
}
