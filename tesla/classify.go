package tesla

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"tesla2mqtt/tesla/hosts"
)

// maxText bounds what of Tesla's words gets into an error.
const maxText = 200

// classOf maps a status and Tesla's words to a class; the table of statuses is the one that TeslaMate and Tesla's own
// library agree on. A refusal's words decide only where one status has several meanings.
func classOf(status int, text string) error {
	has := func(words string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(words)) }
	switch status {
	case http.StatusUnauthorized:
		return ErrUnauthorized
	case http.StatusPaymentRequired:
		return ErrPayment
	case http.StatusForbidden:
		switch {
		case has("vehicle command protocol required"):
			return ErrSigningRequired
		case has("EXCEEDED_LIMIT"):
			return ErrBudget
		case has("missing scopes"):
			return ErrMissingScopes
		case has("forbidden"), has("fleet-api"):
			return ErrForbidden
		}
		return ErrRefused
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusMethodNotAllowed:
		return ErrInService
	case http.StatusRequestTimeout:
		return ErrAsleep
	case http.StatusPreconditionFailed:
		return ErrWrongEndpoint
	case http.StatusMisdirectedRequest:
		return ErrWrongRegion
	case http.StatusTooManyRequests:
		return ErrRateLimited
	}
	if status >= 500 || status == 499 || status < 400 {
		return ErrTemporary
	}
	return ErrRefused
}

// asleep tells that 503 means so: always to a command, as in Tesla's own library, and to a read if it says so. What is asked of Tesla
// alone gets it when Tesla is overloaded.
func (c class) asleep(text string) bool {
	return c == classCommand || c == classWake || c == classData && strings.Contains(text, "asleep")
}

// statusError makes the error of an answer that is not 200. post tells that the request may have changed something.
func statusError(resp *http.Response, body []byte, class class, post bool) *Error {
	text, html := words(body)
	e := &Error{Class: classOf(resp.StatusCode, text), Status: resp.StatusCode, Text: text}
	switch {
	case html && resp.StatusCode == http.StatusForbidden:
		// A page of the firewall in front of Tesla: it passes, and says nothing about the login.
		e.Class = ErrTemporary
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		e.Text = "it redirects elsewhere, which is not followed"
	case resp.StatusCode == http.StatusServiceUnavailable && !html && class.asleep(text):
		e.Class = ErrAsleep
	case resp.StatusCode >= 500 || resp.StatusCode == 499 || resp.StatusCode < 300:
		e.Uncertain = post
	}
	e.RetryAfter = retryAfter(resp.Header, text)
	return e
}

// words returns what a failed answer says for people, and whether it was a page rather than an API's answer.
func words(body []byte) (text string, html bool) {
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &answer) == nil {
		return clean(strings.TrimSpace(answer.Error + " " + answer.Description)), false
	}
	plain := strings.TrimSpace(string(body))
	if strings.HasPrefix(plain, "<") {
		return "an HTML page instead of JSON", true
	}
	return clean(plain), false
}

// tokenLike is what a server could echo of our Authorization header. No word of Tesla's is that long.
var tokenLike = regexp.MustCompile(`[A-Za-z0-9_.~+=-]{40,}`)

// clean cuts text to maxText printable characters, without anything that could be a token: these texts are logged and
// published.
func clean(text string) string {
	text = tokenLike.ReplaceAllString(strings.ToValidUTF8(text, "?"), "[left out]")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return text
}

var retryIn = regexp.MustCompile(`(?i)retry in (\d{1,9}) seconds`)

// maxRetryAfter bounds what we believe: 16.8 hours have been seen (TeslaMate#3957), a week has not.
const maxRetryAfter = 7 * 24 * time.Hour

// retryAfter takes the largest of what the headers and the body ask for; they have been seen to disagree
// (fleet-telemetry#184).
func retryAfter(h http.Header, text string) time.Duration {
	asked := []string{h.Get("Retry-After")}
	if h.Get("RateLimit-Remaining") == "0" {
		asked = append(asked, h.Get("RateLimit-Reset"))
	}
	if m := retryIn.FindStringSubmatch(text); m != nil {
		asked = append(asked, m[1])
	}
	now, err := http.ParseTime(h.Get("Date")) // by the clock that a time in the headers was read from
	if err != nil {
		now = time.Now()
	}
	var longest time.Duration
	for _, s := range asked {
		longest = max(longest, waitUntil(strings.TrimSpace(s), now))
	}
	return min(longest, maxRetryAfter)
}

// epoch is from when on a number of seconds, 31 years of them, is a time and not a wait: RateLimit-Reset has been used for both.
const epoch = 1e9

// waitUntil returns how long a header asks to wait, which it may say in seconds, in seconds since 1970 or as a date; 0 if it does not.
func waitUntil(s string, now time.Time) time.Duration {
	if at, err := http.ParseTime(s); err == nil {
		return at.Sub(now)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil || n < 0 || n >= 10*epoch:
		return 0
	case n >= epoch:
		return time.Unix(n, 0).Sub(now)
	}
	return min(time.Duration(n)*time.Second, maxRetryAfter)
}

// transportError makes the error of a call that got no answer, or only part of one. Unless it is certain that nothing
// was sent, a command may have been carried out.
func transportError(err error, post bool) *Error {
	var login interface{ LoginRequired() bool }
	if call, ok := errors.AsType[*url.Error](err); ok {
		err = call.Err // method and address say nothing to a person; a name that is not found is in the cause
	}
	if what, todo := hosts.Misfit(err, time.Now()); what != "" {
		return &Error{Class: ErrTemporary, Text: what, Todo: todo, unsent: true, cause: err}
	}
	if errors.As(err, &login) {
		// The token was not to be had, so the request was never sent.
		if login.LoginRequired() {
			return &Error{Class: ErrLoginRequired, Text: clean(err.Error()), unsent: true, cause: err}
		}
		return &Error{Class: ErrTemporary, Text: clean(err.Error()), unsent: true, cause: err}
	}
	if errors.Is(err, hosts.TooLate) {
		return &Error{Class: ErrTooLate, unsent: true, cause: err}
	}
	if own, ok := errors.AsType[hosts.Refusal](err); ok {
		return &Error{Class: ErrTemporary, Text: clean(own.Error()), unsent: true, cause: err}
	}
	text := clean(err.Error())
	if errors.Is(err, context.DeadlineExceeded) {
		text = "no answer in time"
	}
	unsent := notSent(err)
	return &Error{Class: ErrTemporary, Text: text, Uncertain: post && !unsent, unsent: unsent, cause: err}
}

// notSent tells that no connection came about.
func notSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, dns := errors.AsType[*net.DNSError](err)
	return dns
}
