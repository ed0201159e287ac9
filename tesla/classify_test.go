package tesla

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestClassOf(t *testing.T) {
	for _, c := range []struct {
		status int
		text   string
		want   error
	}{
		{401, "token expired (401)", ErrUnauthorized},
		{402, "", ErrPayment},
		{403, "forbidden, see https://developer.tesla.com/docs/fleet-api", ErrForbidden},
		{403, "Tesla Vehicle Command Protocol required, please refer to the documentation here: https://developer.tesla.com/docs/fleet-api", ErrSigningRequired},
		{403, "account disabled: EXCEEDED_LIMIT", ErrBudget},
		{403, "Unauthorized missing scopes", ErrMissingScopes},
		{403, "something new", ErrRefused},
		{404, "not_found", ErrNotFound},
		{405, "vehicle is currently in service", ErrInService},
		{408, "vehicle unavailable: vehicle is offline or asleep", ErrAsleep},
		{412, "Endpoint is only available on fleetapi", ErrWrongEndpoint},
		{421, "user out of region", ErrWrongRegion},
		{423, "locked", ErrRefused},
		{429, "", ErrRateLimited},
		{451, "", ErrRefused},
		{499, "", ErrTemporary},
		{500, "", ErrTemporary},
		{540, "", ErrTemporary},
		{302, "", ErrTemporary},
		{204, "", ErrTemporary},
	} {
		if got := classOf(c.status, c.text); got != c.want {
			t.Errorf("%d %q is %v, want %v", c.status, c.text, got, c.want)
		}
	}
}

func TestTransportErrors(t *testing.T) {
	wrap := func(err error) error {
		return &url.Error{Op: "Post", URL: "https://owner-api.teslamotors.com/x", Err: err}
	}
	for _, c := range []struct {
		name      string
		err       error
		uncertain bool
	}{
		{"refused", wrap(&net.OpError{Op: "dial", Err: errors.New("connection refused")}), false},
		{"no such host", wrap(&net.DNSError{Err: "no such host", Name: "owner-api.teslamotors.com"}), false},
		{"reset while reading", wrap(&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}), true},
		{"cut", wrap(errors.New("unexpected EOF")), true},
		{"too late", wrap(context.DeadlineExceeded), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := transportError(c.err, true); got.Uncertain != c.uncertain || !errors.Is(got, ErrTemporary) {
				t.Errorf("got %+v", got)
			}
			if transportError(c.err, false).Uncertain {
				t.Error("a read cannot have changed anything")
			}
		})
	}
}

func TestCleanIsShortAndPlain(t *testing.T) {
	got := clean("a\x1b[31m\r\n" + strings.Repeat("ü", 500) + "\xff")
	if strings.ContainsAny(got, "\x1b\r\n") || len([]rune(got)) > maxText+1 {
		t.Errorf("%d characters: %q", len([]rune(got)), got)
	}
}

func TestErrorSaysWhatMatters(t *testing.T) {
	cause := errors.New("cause")
	e := fmt.Errorf("read the charging: %w", &Error{Class: ErrRateLimited, Status: 429, Text: "slow down", RetryAfter: time.Minute, cause: cause})
	if got, want := e.Error(), "read the charging: too many requests (HTTP 429): slow down; not again for 1m0s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(e, cause) || !errors.Is(e, ErrRateLimited) || RetryAfter(e) != time.Minute || MayHaveSucceeded(e) {
		t.Error("the chain is broken")
	}
	if RetryAfter(cause) != 0 || MayHaveSucceeded(cause) || Advice(cause) != "" {
		t.Error("a stranger's error is taken for ours")
	}
	for _, a := range advice {
		if Advice(&Error{Class: a.class}) != a.words || a.words == "" {
			t.Errorf("no advice for %v", a.class)
		}
	}
}

func TestHoldIsNeverShortened(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var h hold
	h.note(&Error{Class: ErrRateLimited, RetryAfter: 16 * time.Hour}, now)
	h.note(&Error{Class: ErrRateLimited, RetryAfter: 5 * time.Second}, now)
	if err := h.check(now.Add(15*time.Hour), nil); RetryAfter(err) != time.Hour {
		t.Errorf("after 15 of 16 hours: %v", err)
	}
	if err := h.check(now.Add(16*time.Hour), nil); err != nil {
		t.Errorf("after 16 hours: %v", err)
	}
}

func TestHoldFor(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want time.Duration
	}{
		{&Error{Class: ErrRateLimited}, holdRateLimited},
		{&Error{Class: ErrRateLimited, RetryAfter: time.Second}, time.Second},
		{&Error{Class: ErrBudget}, holdBudget},
		{&Error{Class: ErrPayment}, holdBudget},
		{&Error{Class: ErrForbidden}, holdForbidden},
		{&Error{Class: ErrForbidden, RetryAfter: 3 * time.Hour}, 3 * time.Hour},
		{&Error{Class: ErrTemporary, RetryAfter: time.Hour}, 0},
		{&Error{Class: ErrAsleep}, 0},
		{&Error{Class: ErrSigningRequired}, 0},
	} {
		if got := holdFor(c.err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}

func TestEpoch(t *testing.T) {
	l := loose{"ms": []byte("1788552190085"), "s": []byte("1788552190"), "text": []byte(`"1788552190"`), "zero": []byte("0"), "null": []byte("null"), "far": []byte("1e18")}
	if got := l.epoch("ms", time.Millisecond); got.Year() != 2026 || got.Nanosecond() != 85e6 {
		t.Errorf("ms: %s", got)
	}
	if got := l.epoch("s", time.Second); got.Unix() != 1788552190 {
		t.Errorf("s: %s", got)
	}
	if got := l.epoch("text", time.Second); got.Unix() != 1788552190 {
		t.Errorf("text: %s", got)
	}
	for _, name := range []string{"zero", "null", "far", "missing"} {
		if got := l.epoch(name, time.Second); !got.IsZero() {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestInvariant4EchoedTokenIsLeftOut: a server, or something in front of it, may send back what we sent.
func TestInvariant4EchoedTokenIsLeftOut(t *testing.T) {
	token := "eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("c2VjcmV0", 20) + ".c2lnbmF0dXJl"
	body := []byte(`{"error":"no route for Bearer ` + token + `"}`)
	plain, _ := words([]byte("Bearer " + token))
	fromJSON, _ := words(body)
	broken := transportError(fmt.Errorf("malformed HTTP response %q", "Authorization: Bearer "+token), true)
	for _, text := range []string{plain, fromJSON, broken.Error(), clean(token + " " + token)} {
		if strings.Contains(text, "eyJ") || strings.Contains(text, "c2Vj") {
			t.Errorf("it says %s", text)
		}
	}
	if got := clean("vehicle unavailable: see https://developer.tesla.com/docs/fleet-api"); !strings.HasSuffix(got, "fleet-api") {
		t.Errorf("ordinary words became %q", got)
	}
}
