package sim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// FaultKind is a fault that can be had by name.
type FaultKind struct {
	Name  string
	About string // one line for people
	Scope string // the requests that it hits unless told otherwise

	act func(t *Tesla, w http.ResponseWriter, q *request, f *fault)
}

// fault is one that was asked for.
type fault struct {
	kind  FaultKind
	scope string
	vin   string
	left  int // requests still to hit, -1 for all
	wait  time.Duration
}

// FaultOption narrows a fault.
type FaultOption func(*fault)

// Times lets a fault hit the next n requests that match; without it, it stays until [Tesla.ClearFaults].
func Times(n int) FaultOption { return func(f *fault) { f.left = n } }

// On sets the requests that a fault hits: an endpoint class, "command/<name>", or a group: "all", "api" (all with a
// bearer token), "car" (all that reaches a car), "command".
func On(scope string) FaultOption { return func(f *fault) { f.scope = scope } }

// For makes a fault hit one car only.
func For(vin string) FaultOption { return func(f *fault) { f.vin = vin } }

// Wait is how long the fault "slow" takes, 3 s without it.
func Wait(d time.Duration) FaultOption { return func(f *fault) { f.wait = d } }

// Fault sets a fault by name. Of several that match a request the one set first acts.
func (t *Tesla) Fault(name string, opts ...FaultOption) error {
	i := slices.IndexFunc(faultKinds, func(k FaultKind) bool { return k.Name == name })
	if i < 0 {
		return fmt.Errorf("no fault is called %q", name)
	}
	f := &fault{kind: faultKinds[i], scope: faultKinds[i].Scope, left: -1, wait: 3 * time.Second}
	for _, opt := range opts {
		opt(f)
	}
	switch {
	case !isScope(f.scope):
		return fmt.Errorf("fault %s: no requests are called %q", name, f.scope)
	case f.left == 0 || f.left < -1:
		return fmt.Errorf("fault %s: %d times is not possible", name, f.left)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = append(t.faults, f)
	return nil
}

// ClearFaults takes away the faults of these names, or all of them if none is given.
func (t *Tesla) ClearFaults(names ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = slices.DeleteFunc(t.faults, func(f *fault) bool {
		return len(names) == 0 || slices.Contains(names, f.kind.Name)
	})
}

// Faults lists every fault there is, in a sensible order.
func Faults() []FaultKind { return slices.Clone(faultKinds) }

// takeFault finds the fault for a request and uses it up, nil if there is none.
func (t *Tesla) takeFault(e endpoint) *fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.faults {
		if f.left == 0 || !e.in(f.scope) || f.vin != "" && f.vin != e.vin {
			continue
		}
		if f.left > 0 {
			f.left--
		}
		return f
	}
	return nil
}

// faultKinds is the table of all faults. The texts are those that were recorded.
var faultKinds = []FaultKind{
	{"401", "the access token is not known", "api", says(bearerError("invalid bearer token"))},
	{"401-expired", "the access token has expired", "api", says(bearerError("token expired (401)"))},
	{"402", "a payment is due", "api", says(apiError(402, "payment required"))},
	{"403-forbidden-client", "Tesla dislikes the client that got the token", "api",
		says(apiError(403, "forbidden, see https://developer.tesla.com/docs/fleet-api"))},
	{"403-signing-required", "the car wants signed commands", "command", says(signingRequired())},
	{"403-exceeded-limit", "the bill has reached its limit", "api", says(apiError(403, "account disabled: EXCEEDED_LIMIT"))},
	{"403-missing-scopes", "the token lacks a right", "api", says(apiError(403, "Unauthorized missing scopes"))},
	{"404", "the car is gone from the account", "api", says(apiError(404, "not_found"))},
	{"405-in-service", "the car is in the workshop", "car", says(apiError(405, "vehicle is currently in service"))},
	{"408", "the car is asleep or out of reach", "car",
		says(apiError(408, `vehicle unavailable: {:error=>"vehicle unavailable:"}`))},
	{"412", "the endpoint is for the Fleet API only", "api",
		says(apiError(412, "Endpoint is only available on fleetapi. Visit https://developer.tesla.com/docs for more info"))},
	{"421", "the account lives in another region", "api",
		says(apiError(421, "user out of region, use base URL: https://fleet-api.prd.na.vn.cloud.tesla.com, see https://..."))},
	{"429", "too many calls, with Retry-After 60", "api", says(answer{status: 429,
		header: map[string]string{"Retry-After": "60"}, body: "Retry in 60 seconds"})},
	{"429-bare", "too many calls, and not a word about when", "api", says(answer{status: 429, body: ""})},
	{"500", "Tesla fails", "api", says(apiError(500, "internal server error"))},
	{"502", "the gateway fails, in HTML", "api", says(page(502, "<H1>502 Bad Gateway</H1>"))},
	{"503", "the car is asleep, as commands say it", "api", says(apiError(503, "vehicle is offline or asleep"))},
	{"504", "the gateway waited in vain, in plain text", "api", says(answer{status: 504, body: "upstream request timeout"})},
	{"html", "the firewall says no, 403 in HTML", "api",
		says(page(403, "<H1>Access Denied</H1>\nYou don't have permission to access this resource on this server."))},
	{"html-200", "HTML where JSON should be, with status 200", "api", says(page(200, "<H1>We'll be right back</H1>"))},
	{"truncated", "takes effect, and the answer ends in the middle", "api", (*Tesla).truncate},
	{"endless", "takes effect, and the answer never ends", "api", (*Tesla).flood},
	{"slow", "waits some seconds before anything happens", "api", (*Tesla).dawdle},
	{"hang", "never answers, and nothing happens", "api", (*Tesla).hang},
	{"cut-before", "the connection breaks before anything happens", "api", (*Tesla).drop},
	{"cut-after", "takes effect, and the connection breaks before the answer", "api", (*Tesla).lose},
	{"redirect", "307 to a host that is not Tesla's", "api", (*Tesla).lure},
	{"could_not_wake_buses", "parts of the car still sleep", "command", says(refused("could_not_wake_buses"))},
	{"unsigned_cmds_hardlocked", "the car wants signed commands, the old words", "command",
		says(refused("unsigned_cmds_hardlocked"))},
	{"twice", "a signed command reaches the car twice, and the second answer comes back", "signed_command", (*Tesla).double},
	{"reboot", "the car restarts just before a signed command", "signed_command", (*Tesla).reboot},
	{"login_required", "the refresh token is dead, a person must log in", "token", says(loginRequired("Login required"))},
	{"invalid_grant", "the same in the words of the standard", "token", says(invalidGrant())},
	{"server_error", "the token endpoint fails, 400 but temporary", "token",
		says(tokenError(400, "server_error", "Internal server error"))},
	{"refresh-lost", "new tokens are made, and their answer is lost", "token", (*Tesla).lose},
}
