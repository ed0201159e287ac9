package signed

import (
	"context"
	"errors"
	"strings"

	"github.com/teslamotors/vehicle-command/pkg/protocol"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"

	"tesla2mqtt/tesla"
)

// classify turns what the library says into the classes of package tesla, so that a user reads the same words whatever way a
// command went. unanswered tells that a command went out and may have been carried out, for all that is known.
func classify(err error, unanswered bool) error {
	if err == nil {
		return nil
	}
	if _, ours := errors.AsType[*tesla.Error](err); ours {
		return err
	}
	if _, ours := errors.AsType[*tesla.Refusal](err); ours {
		return err
	}
	if nominal, ok := errors.AsType[*protocol.NominalError](err); ok {
		return tesla.Refused(nominal.Error())
	}
	if fault, ok := errors.AsType[*protocol.RoutableMessageError](err); ok {
		return faultError(fault.Code)
	}
	switch {
	case errors.Is(err, protocol.ErrProtocolNotSupported):
		return &tesla.Error{Class: tesla.ErrNoProtocol}
	case errors.Is(err, protocol.ErrKeyNotPaired):
		return &tesla.Error{Class: tesla.ErrNotPaired}
	case errors.Is(err, protocol.ErrBusy):
		return faultError(universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_BUSY)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &tesla.Error{Class: tesla.ErrTemporary, Text: "the car gave no answer in time", Uncertain: unanswered}
	}
	return &tesla.Error{Class: tesla.ErrTemporary, Text: tesla.Refused(err.Error()).Reason,
		Uncertain: unanswered || protocol.MayHaveSucceeded(err)}
}

// faultError is what a refusal in the protocol's own layer means. All but those marked uncertain were not carried out.
func faultError(fault universalmessage.MessageFault_E) error {
	word := strings.ToLower(strings.TrimPrefix(fault.String(), "MESSAGEFAULT_ERROR_"))
	switch fault {
	case universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_BUSY:
		return tesla.Refused("could_not_wake_buses") // the car's word for the same when it is told without a signature
	case universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_UNKNOWN_KEY_ID, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INACTIVE_KEY:
		return &tesla.Error{Class: tesla.ErrNotPaired, Text: word}
	case universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INSUFFICIENT_PRIVILEGES,
		universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_REMOTE_ACCESS_DISABLED,
		universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_COMMAND_REQUIRES_ACCOUNT_CREDENTIALS:
		return &tesla.Error{Class: tesla.ErrNotAllowed, Text: word}
	case universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_EXPIRED:
		return &tesla.Error{Class: tesla.ErrTooLate}
	case universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_SIGNATURE,
		universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_TOKEN_OR_COUNTER,
		universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INCORRECT_EPOCH,
		universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_TO_LIVE_TOO_LONG:
		return &tesla.Error{Class: tesla.ErrSession, Text: word}
	case universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_NONE:
		return &tesla.Error{Class: tesla.ErrTemporary, Text: "the car gave no answer", Uncertain: true}
	case universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIMEOUT, universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INTERNAL:
		// The part of the car that was meant may have heard it.
		return &tesla.Error{Class: tesla.ErrTemporary, Text: "a computer of the car did not answer (" + word + ")", Uncertain: true}
	case universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_RESPONSE_MTU_EXCEEDED:
		return &tesla.Error{Class: tesla.ErrTemporary, Text: word, Uncertain: true}
	}
	return &tesla.Error{Class: tesla.ErrRefused, Text: word}
}

// maybe marks a refusal that may be for the second copy of a message, whose first was carried out.
func maybe(err error, uncertain bool) error {
	if e, ok := errors.AsType[*tesla.Error](err); ok && uncertain {
		e.Uncertain = true
	}
	return err
}

// sessionLost tells errors after which a session is worth nothing.
func sessionLost(err error) bool {
	return errors.Is(err, tesla.ErrSession) || errors.Is(err, tesla.ErrNotPaired)
}
