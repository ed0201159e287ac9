package sim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxLog bounds the log of calls; the older half is dropped beyond it. Counters never forget.
const maxLog = 100_000

type callKey struct{ endpoint, vin string }

// Call is one request that arrived, answered or not.
type Call struct {
	At time.Time
	// Endpoint is authorize, token, products, vehicles, fleet_status, users/region, partner_accounts, vehicle, vehicle_data,
	// wake_up, command/<name> or other.
	Endpoint string
	VIN      string // "" where no car of the account was named
}

// count books a request. The lock is held.
func (t *Tesla) count(q *request) {
	t.calls[callKey{q.name, q.vin}]++
	t.hosts[q.Host] = true
	if len(t.log) >= maxLog {
		t.log = slices.Delete(t.log, 0, maxLog/2)
	}
	t.log = append(t.log, Call{time.Now(), q.name, q.vin})
	if strings.Contains(q.UserAgent(), "Mozilla") {
		t.violate("a User-Agent that plays a browser") // the firewall blocks those
	}
	if strings.Contains(q.URL.RawQuery, ";") {
		t.violate("a raw semicolon in a query (%s)", q.name) // must be %3B
	}
}

// Calls counts the requests so far by endpoint, failed ones and those that met a fault included.
func (t *Tesla) Calls() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	sums := map[string]int{}
	for key, n := range t.calls {
		sums[key.endpoint] += n
	}
	return sums
}

// Count is the number of requests to one endpoint, or to the group "all", "api", "car" or "command", for the car with
// this VIN, "" for any.
func (t *Tesla) Count(name, vin string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := 0
	for key, n := range t.calls {
		if (endpoint{name: key.endpoint}).in(name) && (vin == "" || vin == key.vin) {
			sum += n
		}
	}
	return sum
}

// Log lists the requests in the order of their arrival, the last 50,000 at least.
func (t *Tesla) Log() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.log)
}

// Forget empties what Log, Executed and Secrets list, and drops what is expired, for runs that are long. Counters stay.
func (t *Tesla) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log, t.secrets = nil, nil
	maps.DeleteFunc(t.access, func(_ string, a access) bool { return time.Now().After(a.expires) })
	maps.DeleteFunc(t.logins, func(token string, l *login) bool { return token != l.current && token != l.last })
	for _, c := range t.cars {
		c.history = nil
	}
}

// Hosts lists, sorted, the hosts that requests were addressed to.
func (t *Tesla) Hosts() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.hosts))
}

// Violations lists what no careful client does: dead refresh tokens, bad PKCE, codes used twice, redirects followed,
// malformed commands. It never holds a secret.
func (t *Tesla) Violations() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.violations)
}

// violate books a violation. The lock is held.
func (t *Tesla) violate(format string, args ...any) {
	if len(t.violations) < maxLog {
		t.violations = append(t.violations, fmt.Sprintf(format, args...))
	}
}

// evilHost is where the fault "redirect" points to. In process its requests arrive here as well.
const evilHost = "evil.example"

// evil answers for a host that is not Tesla's. Nobody should ever ask it.
func (t *Tesla) evil(q *request) answer {
	with := "nothing secret"
	if q.Header.Get("Authorization") != "" {
		with = "a bearer token"
	} else if len(q.body) > 0 {
		with = "a body"
	}
	t.violate("a redirect to %s was followed with %s", evilHost, with)
	return answer{status: http.StatusOK, body: map[string]any{}}
}
