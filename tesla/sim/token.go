package sim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// grace is how long Tesla takes the most recently used refresh token once more.
const grace = 24 * time.Hour

// login is what one sign-in gave: a chain of refresh tokens of which the last two matter.
type login struct {
	issuer  string
	scopes  []string
	current string    // the newest refresh token
	last    string    // the most recently used one, "" before the first refresh
	usedAt  time.Time // when last was used first
	partner bool      // the application's own
	revoked bool
}

// Reuse is a refresh token that came a second time.
type Reuse struct {
	At time.Time
	// After is the time since its first use, 0 where it had been replaced without ever being used.
	After time.Duration
	// Accepted tells that the grace covered it.
	Accepted bool
}

// token is POST /oauth2/v3/token. The lock is held.
func (t *Tesla) token(q *request) answer {
	form, err := q.form()
	if err != nil {
		t.violate("token request: %v", err)
		return tokenError(http.StatusBadRequest, "invalid_request", err.Error())
	}
	if no := t.fleetTokenFault(q, form); no != nil {
		return *no
	}
	if form.Get("client_id") != t.client() {
		t.violate("token request with a foreign client_id")
		return tokenError(http.StatusUnauthorized, "invalid_client", "unknown client")
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		return t.exchange(form)
	case "client_credentials":
		if t.Fleet != nil {
			return t.partner()
		}
	case "refresh_token":
		return t.rotate(form.Get("refresh_token"))
	}
	return tokenError(http.StatusBadRequest, "unsupported_grant_type", "The grant type is not supported.")
}

// form reads a body of either form that Tesla takes.
func (q *request) form() (url.Values, error) {
	kind, _, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("content type: %w", err)
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		return url.ParseQuery(string(q.body))
	case "application/json":
		var fields map[string]string
		if err := json.Unmarshal(q.body, &fields); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		form := url.Values{}
		for name, value := range fields {
			form.Set(name, value)
		}
		return form, nil
	}
	return nil, fmt.Errorf("content type %q is neither form nor JSON", kind)
}

// exchange trades an authorization code for the first tokens.
func (t *Tesla) exchange(form url.Values) answer {
	verifier := form.Get("code_verifier")
	t.secrets = append(t.secrets, verifier)
	c := t.codes[form.Get("code")]
	switch {
	case c == nil:
		return invalidGrant() // perhaps the user pasted something else
	case c.used:
		t.violate("an authorization code was used twice")
		return invalidGrant()
	}
	c.used = true // a failed try spends it as well
	sum := sha256.Sum256([]byte(verifier))
	switch {
	case form.Get("redirect_uri") != t.redirect():
		t.violate("token request with another redirect_uri than the login page had")
	case len(verifier) < 43 || len(verifier) > 128:
		t.violate("a code_verifier of %d characters", len(verifier))
	case base64.RawURLEncoding.EncodeToString(sum[:]) != c.challenge:
		t.violate("a code_verifier that does not fit its challenge")
	case time.Since(c.minted) > codeLife:
	default:
		l := t.newLogin(c.issuer, c.scopes)
		a := t.grant(l)
		a["state"] = "of the union" // Tesla's own joke
		return answer{status: http.StatusOK, body: a}
	}
	return invalidGrant()
}

// rotate trades a refresh token for the next one, or tells that it is dead.
func (t *Tesla) rotate(token string) answer {
	l := t.logins[token]
	switch {
	case l == nil:
		return loginRequired("The refresh_token is invalid")
	case l.revoked:
		return loginRequired("Login required")
	case token == l.current && t.KeepRefreshToken:
		a := t.grant(l)
		delete(a, "refresh_token")
		return answer{status: http.StatusOK, body: a}
	case token == l.current:
		l.last, l.usedAt = token, time.Now()
	case !t.forgive(l, token):
		return loginRequired("The refresh_token is invalid")
	}
	t.renew(l)
	return answer{status: http.StatusOK, body: t.grant(l)}
}

// forgive books a reuse and tells whether Tesla would still take the token.
func (t *Tesla) forgive(l *login, token string) bool {
	reuse := Reuse{At: time.Now()}
	if token == l.last {
		reuse.After = time.Since(l.usedAt)
		reuse.Accepted = !t.Strict && reuse.After <= grace
	}
	t.reuses = append(t.reuses, reuse)
	if !reuse.Accepted {
		t.violate("a dead refresh token was sent")
	}
	return reuse.Accepted
}

// grant is the answer of the token endpoint, with a new access token.
func (t *Tesla) grant(l *login) map[string]any {
	life := t.life()
	return map[string]any{
		"access_token":  t.newAccess(l, time.Now().Add(life)),
		"refresh_token": l.current,
		"id_token":      "eyJhbGciOiJub25lIn0.e30.",
		"expires_in":    int(life / time.Second),
		"token_type":    "Bearer",
	}
}

// life is how long an access token works.
func (t *Tesla) life() time.Duration {
	if t.ExpiresIn <= 0 {
		return 8 * time.Hour
	}
	return t.ExpiresIn
}

// RefreshReuse lists the refresh tokens that came more than once, forgiven or not.
func (t *Tesla) RefreshReuse() []Reuse {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Reuse(nil), t.reuses...)
}
