package tesla

import (
	"errors"
	"fmt"
	"time"
)

// The classes of failure, one for each thing that a user or the bridge has to do differently. Texts are for people;
// Advice says what to do.
var (
	ErrLoginRequired   = errors.New("login required")
	ErrUnauthorized    = errors.New("access token refused by Tesla")
	ErrAsleep          = errors.New("car asleep or offline")
	ErrInService       = errors.New("car in service")
	ErrNotFound        = errors.New("car not in this account")
	ErrForbidden       = errors.New("client refused by Tesla")
	ErrSigningRequired = errors.New("car accepts signed commands only")
	ErrNoProtocol      = errors.New("car takes unsigned commands only")
	ErrNoKey           = errors.New("command key cannot be used")
	ErrNotAllowed      = errors.New("the car does not let this key do that")
	ErrSession         = errors.New("the car did not accept the signature")
	ErrBudget          = errors.New("billing limit at Tesla reached")
	ErrOwnBudget       = errors.New("not sent, to keep within tesla.monthly_budget_usd")
	ErrMissingScopes   = errors.New("login lacks a permission")
	ErrPayment         = errors.New("payment asked for by Tesla")
	ErrWrongEndpoint   = errors.New("endpoint closed by Tesla")
	ErrNotRegistered   = errors.New("application not registered in this region")
	ErrNotPaired       = errors.New("the car does not know this key")
	ErrWrongRegion     = errors.New("account belongs to another region")
	ErrRateLimited     = errors.New("too many requests")
	ErrTooLate         = errors.New("its time ran out before it could be sent")
	ErrTemporary       = errors.New("no proper answer from Tesla")
	ErrSilent          = errors.New("no telemetry from the car")
	ErrNoRadio         = errors.New("no Bluetooth on this machine")
	ErrOutOfRange      = errors.New("car out of Bluetooth range")
	ErrNoLink          = errors.New("no Bluetooth connection to the car")
	ErrRefused         = errors.New("request refused by Tesla")
)

// advice says for each class what the user can do.
var advice = []struct {
	class error
	words string
}{
	{ErrLoginRequired, "run: tesla2mqtt login"},
	{ErrUnauthorized, "if it stays, run: tesla2mqtt login"},
	{ErrAsleep, "wait until it wakes, or send wake"},
	{ErrInService, "wait until service hands it back"},
	{ErrNotFound, "check that the account still has this car"},
	{ErrForbidden, "refreshing does not help; try a new login, tesla.tls_min, tesla.tls_max or tesla.http2; see README, Limits"},
	{ErrSigningRequired, "command this car by Bluetooth (docs/setup-bluetooth.md), or over the Fleet API with a key as tesla.key_file (tesla2mqtt fleet keygen makes one, see docs/setup-fleet.md); reading goes on without"},
	{ErrNoProtocol, "set write: auto or rest for this car"},
	{ErrNoKey, "see tesla.key_file in the configuration; tesla2mqtt check looks at it, and a running bridge reads it when it is restarted"},
	{ErrNotAllowed, "look at the key's role under Locks in the car, and whether mobile access is allowed there"},
	{ErrSession, "try again, with a new session; if it stays, the key or the clock of this machine is wrong"},
	{ErrBudget, "raise the billing limit at developer.tesla.com or wait for the next month"},
	{ErrOwnBudget, "wait, or raise tesla.monthly_budget_usd and restart"},
	{ErrMissingScopes, "run tesla2mqtt login again, and tick both the vehicle's information and its charging commands on Tesla's page"},
	{ErrPayment, "check the payment method at developer.tesla.com"},
	{ErrWrongEndpoint, "an update of tesla2mqtt may be needed"},
	{ErrNotRegistered, "run: tesla2mqtt fleet register; see docs/setup-fleet.md"},
	{ErrNotPaired, "run: tesla2mqtt fleet pair, and open the address that it shows on the phone with Tesla's app"},
	{ErrKeyNotHosted, "put the public key there, as tesla2mqtt fleet keygen shows it, and try its curl command"},
	{ErrKeyTaken, "use that application, or make a key for this one: another tesla.key_file, then tesla2mqtt fleet keygen"},
	{ErrDomainTaken, "use that application's client ID and secret, or another domain; one domain serves one application"},
	{ErrDomain, "write it in lower case without https://, and as an allowed origin of your application at developer.tesla.com"},
	{ErrWrongRegion, "set tesla.region to the region that Tesla names, or correct tesla.api_url; with the Owner API, log in at the issuer of your region"},
	{ErrRateLimited, "try again later; reads go on by themselves when Tesla allows it"},
	{ErrTooLate, "send it again if it is still wanted"},
	{ErrTemporary, "try again later; reads go on by themselves"},
	{ErrSilent, "see that the fleet-telemetry server runs, and that it publishes below telemetry.base_topic on this broker"},
	{ErrNoRadio, "run: tesla2mqtt check"},
	{ErrOutOfRange, "bring the Bluetooth adapter nearer to the car, or wait until the car is there"},
	{ErrNoLink, "try again; if it stays, bring the Bluetooth adapter nearer, and see whether phones have taken the car's three places"},
}

// Advice returns what the user can do about err, or "".
func Advice(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Todo != "" {
		return e.Todo
	}
	for _, a := range advice {
		if errors.Is(err, a.class) {
			return a.words
		}
	}
	return ""
}

// Error is a call that failed before the car itself could answer.
type Error struct {
	// Class is one of the sentinels of this package.
	Class error
	// Status is the HTTP status, 0 if there was none.
	Status int
	// Text is what Tesla said, cut and without control characters, or what went wrong on the way.
	Text string
	// Todo is what the user can do about it where the class alone does not tell, or "".
	Todo string
	// RetryAfter is how long Tesla asked us to wait, 0 if it did not say.
	RetryAfter time.Duration
	// Uncertain is true if the request may have been carried out all the same.
	Uncertain bool

	unsent bool // it was certainly never sent
	cause  error
}

// Error says the class, the status and Tesla's words.
func (e *Error) Error() string {
	text := e.Class.Error()
	if e.Status != 0 {
		text = fmt.Sprintf("%s (HTTP %d)", text, e.Status)
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf("; not again for %s", e.RetryAfter.Round(time.Second))
	}
	return text
}

// Unwrap leads to the class and to what caused it.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Class}
	}
	return []error{e.Class, e.cause}
}

// Refusal is the car's own no to a command, in its own word: complete, disconnected, is_charging, …
type Refusal struct{ Reason string }

// Error quotes the reason.
func (r *Refusal) Error() string { return "the car refused: " + r.Reason }

// MayHaveSucceeded tells that a command whose call returned err may have been carried out: it must be confirmed by a
// read and never be sent again blindly.
func MayHaveSucceeded(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Uncertain
}

// Unsent tells that what err is about certainly never left this machine.
func Unsent(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.unsent
}

// RetryAfter returns how long Tesla asked us to wait, or 0.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
