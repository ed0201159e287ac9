package auth

import (
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"golang.org/x/oauth2"

	"tesla2mqtt/tesla/hosts"
)

// Error is a fault of the login, for errors.As. Its text says what happened and what to do, and holds no secret.
type Error struct {
	kind    kind
	text    string
	status  int  // of the token endpoint's answer, 0 for none
	damaged bool // the file holds no token
	cause   error
}

type kind string // also the word for it in Status

const (
	refused       kind = "refused" // by us: nothing was sent; or an application, which no login mends
	notConfigured kind = "not_configured"
	loginRequired kind = "login_required"
	failing       kind = "refresh_failing"
	saveFailing   kind = "save_failing"
)

// ErrNotConfigured is how it is before the first login.
var ErrNotConfigured = &Error{kind: notConfigured, text: "there is no Tesla login yet: run the login command"}

func (e *Error) Error() string { return e.text }

// Unwrap leads to a certificate that was not accepted, see hosts.Misfit, and to nothing else: causes may quote a secret.
func (e *Error) Unwrap() error { return e.cause }

// LoginRequired tells that only a person can help: there is no login yet, or it is dead.
func (e *Error) LoginRequired() bool { return e.kind == notConfigured || e.kind == loginRequired }

// Temporary tells that it may pass without anybody doing anything.
func (e *Error) Temporary() bool { return e.kind == failing || e.kind == saveFailing }

func refuse(text string) *Error { return &Error{kind: refused, text: text} }

var (
	deadCodes = []string{"login_required", "invalid_grant", "unauthorized_client", "invalid_client"}
	plainCode = regexp.MustCompile(`^[a-z_]{1,40}$`) // no token looks like this
)

// explain says why a token request failed. Of an answer it repeats only status and error code: the rest may echo our token.
func explain(err error) *Error {
	e := &Error{kind: failing, text: "token request: " + hosts.Cause(err)}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.cause = cert
	}
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		e.status = answer.Response.StatusCode
		e.text = fmt.Sprintf("token request: HTTP %d %s", e.status, plainCode.FindString(answer.ErrorCode))
		if slices.Contains(deadCodes, answer.ErrorCode) {
			e.kind, e.text = loginRequired, "Tesla no longer accepts this login ("+answer.ErrorCode+"; a password change ends it): run the login command"
		}
	}
	return e
}
