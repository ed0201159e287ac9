package bridge

import (
	"encoding/json"
	"errors"
	"time"

	"tesla2mqtt/tesla"
)

// The statuses of a result. Each accepted command message gets exactly one.
const (
	statusOK         = "ok"         // the car has taken it
	statusNoop       = "noop"       // it was so already; the car was not told
	statusRejected   = "rejected"   // not carried out, and the reason says why
	statusExpired    = "expired"    // its time ran out before it could be sent
	statusSuperseded = "superseded" // a newer command took its place
	statusError      = "error"      // tried, and it did not happen
	statusUnknown    = "unknown"    // sent, and nobody can tell whether it happened
)

// Result is what became of one command message.
type Result struct {
	ID         string      `json:"id"`
	Thing      tesla.Thing `json:"thing"`
	Status     string      `json:"status"`
	Requested  any         `json:"requested"`
	Applied    any         `json:"applied"`
	Reason     *string     `json:"reason"`
	Message    *string     `json:"message"`
	Source     *string     `json:"source"`
	ReceivedAt time.Time   `json:"received_at"`
	FinishedAt time.Time   `json:"finished_at"`
	DurationMS int64       `json:"duration_ms"`
}

// JSON returns the payload of the result topic.
func (r Result) JSON() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("bridge: a result holds only texts and finite numbers: " + err.Error())
	}
	return b
}

// lasting tells whether last_command shows the result: what was replaced, needless or replayed says nothing about the
// last wish.
func (r Result) lasting() bool {
	replayed := r.Status == statusRejected && r.Reason != nil && *r.Reason == "retained"
	return r.Status != statusSuperseded && r.Status != statusNoop && !replayed
}

// verdict is a result without the message it answers.
type verdict struct {
	status, reason, message string
	applied                 any
}

func expired() verdict { return verdict{status: statusExpired, message: tesla.ErrTooLate.Error()} }

// shown is a value in the form that the thing's payloads have.
func shown(thing tesla.Thing, value int) any {
	switch {
	case thing == tesla.Charging && value == tesla.On:
		return "ON"
	case thing == tesla.Charging:
		return "OFF"
	case thing == tesla.ChargePort && value == tesla.On:
		return "OPEN"
	case thing == tesla.ChargePort:
		return "CLOSE"
	case thing == tesla.Wake || thing == refresh:
		return "PRESS"
	}
	return value
}

// carWords maps the car's own words to a verdict; the same words mean the same for every Tesla client.
var carWords = map[string]verdict{
	"already_set":          {status: statusNoop, message: "the car had this value already"},
	"is_charging":          {status: statusNoop, message: "the car was charging already"},
	"not_charging":         {status: statusNoop, message: "the car was not charging"},
	"complete":             {status: statusRejected, reason: "complete", message: "the charge limit is reached"},
	"disconnected":         {status: statusRejected, reason: "not_plugged_in", message: "the car is not plugged in"},
	"could_not_wake_buses": {status: statusRejected, reason: "asleep", message: "the car did not wake up"},
}

// classWords maps the classes of failure on the way to the car.
var classWords = []struct {
	class          error
	status, reason string
}{
	{tesla.ErrAsleep, statusRejected, "asleep"},
	{tesla.ErrInService, statusRejected, "in_service"},
	{tesla.ErrRateLimited, statusRejected, "rate_limited"},
	{tesla.ErrSigningRequired, statusRejected, "unsupported"},
	{tesla.ErrBudget, statusRejected, "budget"},
	{tesla.ErrOwnBudget, statusRejected, "budget"},
	{tesla.ErrLoginRequired, statusRejected, "login_required"},
	{tesla.ErrUnauthorized, statusRejected, "login_required"},
	{tesla.ErrNotFound, statusError, "not_found"},
	{tesla.ErrForbidden, statusError, "forbidden"},
	{tesla.ErrPayment, statusError, "payment_required"},
	{tesla.ErrMissingScopes, statusError, "missing_scopes"},
	{tesla.ErrWrongEndpoint, statusError, "unsupported"},
	{tesla.ErrWrongRegion, statusError, "wrong_region"},
	{tesla.ErrNotRegistered, statusError, "not_registered"},
	{tesla.ErrNotPaired, statusRejected, "not_paired"},
	{tesla.ErrNotAllowed, statusRejected, "not_allowed"},
	{tesla.ErrNoKey, statusRejected, "no_key"},
	{tesla.ErrNoProtocol, statusRejected, "unsupported"},
	{tesla.ErrSession, statusError, "session"},
	{tesla.ErrTemporary, statusError, "unreachable"},
	{tesla.ErrSilent, statusError, "unreachable"},
	{tesla.ErrOutOfRange, statusRejected, "unreachable"},
	{tesla.ErrNoRadio, statusRejected, "unreachable"},
	{tesla.ErrNoLink, statusError, "unreachable"},
}

// judge says what the outcome of a command that was sent means. It must not be asked about an uncertain one.
func judge(thing tesla.Thing, value int, err error) verdict {
	if err == nil {
		return verdict{status: statusOK, applied: shown(thing, value)}
	}
	if r, ok := errors.AsType[*tesla.Refusal](err); ok {
		if v, known := carWords[r.Reason]; known {
			if v.status == statusNoop {
				v.applied = shown(thing, value)
			}
			return v
		}
		return verdict{status: statusError, reason: "refused", message: "the car says: " + r.Reason}
	}
	if errors.Is(err, tesla.ErrTooLate) {
		return expired()
	}
	message := err.Error()
	if advice := tesla.Advice(err); advice != "" {
		message += " (" + advice + ")"
	}
	for _, w := range classWords {
		if errors.Is(err, w.class) {
			return verdict{status: w.status, reason: w.reason, message: message}
		}
	}
	return verdict{status: statusError, reason: "refused", message: message}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
