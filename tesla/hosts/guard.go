package hosts

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// Guard sends requests to listed hosts only, and refuses all others before anything is sent.
type Guard struct {
	List  List
	Via   http.RoundTripper
	Agent string // the User-Agent
}

type until struct{}

// Until gives the requests made with ctx an end, after which they are refused instead of sent: what waits for a token, or for
// its second try with a new one, may come too late. What was sent before is not cut off.
func Until(ctx context.Context, end time.Time) context.Context {
	return context.WithValue(ctx, until{}, end)
}

// End returns the end that Until has set.
func End(ctx context.Context) (end time.Time, has bool) {
	end, has = ctx.Value(until{}).(time.Time)
	return end, has
}

// Over tells that the end which Until has set has come.
func Over(ctx context.Context) bool {
	end, has := End(ctx)
	return has && passed(time.Now(), end)
}

type leave struct{}

// Leave has may asked before each request made with ctx is sent, its second try with a new token included. With an error, which is
// returned, it is not.
func Leave(ctx context.Context, may func() error) context.Context {
	return context.WithValue(ctx, leave{}, may)
}

// passed asks both clocks: Go's own does not count the time for which the machine was suspended, the one on the wall may be set.
func passed(now, end time.Time) bool {
	return !now.Before(end) || !now.Round(0).Before(end.Round(0))
}

// TooLate is the refusal of a request that came after its end.
const TooLate = Refusal("its time ran out before it could be sent")

// GivenUp is the refusal of a request whose context ended before it could be sent.
const GivenUp = Refusal("it was given up before it could be sent")

// Send is like RoundTrip, but may change r, which must be the caller's own copy. The body is read anew from GetBody if there
// is one, so that a request can be sent again.
func (g Guard) Send(r *http.Request) (*http.Response, error) {
	if !g.List.Allows(r.URL) {
		return nil, Refusal(r.URL.Scheme + "://" + r.URL.Host + " is not on the list of hosts, nothing was sent: see auth_url and api_url")
	}
	if Over(r.Context()) {
		return nil, TooLate
	}
	if r.Context().Err() != nil { // the transport's own error would not tell whether anything was sent
		return nil, GivenUp
	}
	if may, asked := r.Context().Value(leave{}).(func() error); asked {
		if err := may(); err != nil {
			return nil, err
		}
	}
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		r.Body = body
	}
	r.Header.Set("User-Agent", cmp.Or(g.Agent, "tesla2mqtt"))
	return g.Via.RoundTrip(r)
}

// Client makes a client of send. It hands a redirect to its caller as an answer: following it would carry a credential along.
// Each request needs a deadline in its context.
func Client(send func(*http.Request) (*http.Response, error)) *http.Client {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: trip(send), CheckRedirect: stay}
}

type trip func(*http.Request) (*http.Response, error)

// RoundTrip is for http.Client.
func (t trip) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.GetBody != nil {
		defer r.Body.Close() // unread: Send takes a new one
	}
	return t(r)
}

// Cause says why a request failed, as far as that is of our own making: net/http quotes what a broken server sent, which may
// echo a credential.
func Cause(err error) string {
	if own, ok := errors.AsType[Refusal](err); ok {
		return own.Error()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	if what, todo := Misfit(err, time.Now()); what != "" {
		return what + ": " + todo
	}
	return "no answer in time, or not the kind that was expected"
}
