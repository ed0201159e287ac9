package sim

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxBody bounds what a client may send; the real requests are under 4 KiB.
const maxBody = 64 << 10

// Tesla is one account with its cars, as an http.Handler for both the login host and the API host. The zero value is
// ready. Set the fields before the first request; every method may be called at any time from any goroutine.
type Tesla struct {
	// ExpiresIn is the life of an access token, 0 for 8 h.
	ExpiresIn time.Duration
	// Speed makes charging faster (battery, start, ramp), 0 for 1. Sleep, tokens and schedules keep real time.
	Speed float64
	// Strict makes a refresh token die the moment it was used, without the 24 h of grace.
	Strict bool
	// KeepRefreshToken makes refresh answers carry no refresh token: the old one stays good.
	KeepRefreshToken bool
	// CancelLogin makes the login page answer as if the user had cancelled.
	CancelLogin bool
	// Issuer is what the login page tells as issuer, "" for the host that was asked.
	Issuer string
	// ClientID is the only client that may log in, "" for ownerapi.
	ClientID string
	// Fleet makes it speak the Fleet API, to one application, instead of the Owner API.
	Fleet *Fleet

	mu         sync.Mutex
	seed       string // makes the tokens of two simulators differ
	minted     int
	cars       []*car
	codes      map[string]*code
	logins     map[string]*login // by every refresh token that was ever handed out
	access     map[string]access
	secrets    []string
	reuses     []Reuse
	violations []string
	faults     []*fault
	calls      map[callKey]int
	log        []Call
	hosts      map[string]bool
}

// ServeHTTP answers as Tesla would, or as the first fault that matches demands.
func (t *Tesla) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, err := t.arrive(r)
	if err != nil {
		apiError(http.StatusBadRequest, err.Error()).write(w)
		return
	}
	if f := t.takeFault(q.endpoint); f != nil {
		f.kind.act(t, w, q, f)
		return
	}
	t.answer(q).write(w)
}

// request is one request with its body read. The body is read before anything else, because net/http notices that a
// client went away only after that, and a fault that waits for it would wait forever.
type request struct {
	*http.Request
	endpoint
	body []byte
}

// arrive reads and counts a request, whatever becomes of it.
func (t *Tesla) arrive(r *http.Request) (*request, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	q := &request{Request: r, endpoint: route(r.Method, r.URL.Path), body: body}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ready()
	if c := t.find(q.key); c != nil {
		q.vin = c.cfg.VIN
	}
	t.count(q)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("read request: more than %d bytes", maxBody)
	}
	return q, nil
}

// answer does what the request asks. It has taken effect when it returns, whether or not the answer is ever sent.
func (t *Tesla) answer(q *request) answer {
	if q.name == "signed_command" && q.Host != evilHost {
		return t.signedCommand(q)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case q.Host == evilHost:
		return t.evil(q)
	case q.name == "authorize":
		return t.authorize(q)
	case q.name == "token":
		return t.token(q)
	case q.URL.Path == "/oauth/token":
		return tokenError(http.StatusUnauthorized, "unsupported_grant_type",
			"The authorization grant type is not supported by the authorization server.")
	}
	return t.api(q)
}

// ready makes the zero value usable. The lock is held.
func (t *Tesla) ready() {
	if t.codes != nil {
		return
	}
	t.seed = strings.ToLower(rand.Text())
	t.codes = map[string]*code{}
	t.logins = map[string]*login{}
	t.access = map[string]access{}
	t.calls = map[callKey]int{}
	t.hosts = map[string]bool{}
}

// speed is how many of its seconds a car charges in one of ours.
func (t *Tesla) speed() float64 {
	if t.Speed <= 0 {
		return 1
	}
	return t.Speed
}

// find is the car with this id or VIN, nil if the account has none. Tesla takes no vehicle_id here.
func (t *Tesla) find(key string) *car {
	for _, c := range t.cars {
		if !c.removed && (key == c.cfg.VIN || key == c.id) {
			return c
		}
	}
	return nil
}
