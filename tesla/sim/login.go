package sim

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// registeredRedirect is the only redirect_uri that the login page takes since April 2026 (tesla_auth#98).
	registeredRedirect = "tesla://auth/callback"
	// codeLife is how long an authorization code works; Tesla says only that it is short.
	codeLife = 5 * time.Minute
)

// code is an authorization code on its way from the login page to the token endpoint.
type code struct {
	challenge string
	issuer    string
	scopes    []string
	minted    time.Time
	used      bool
}

// authorize is the login page with a user who agrees at once. The lock is held.
func (t *Tesla) authorize(q *request) answer {
	query := q.URL.Query()
	if text := t.loginFault(query); text != "" {
		t.violate("login page: %s", text)
		return page(http.StatusBadRequest, text)
	}
	back := url.Values{"state": {query.Get("state")}}
	if t.CancelLogin {
		back.Set("error", "login_cancelled")
	} else {
		issuer := t.issuer(q.Request)
		back.Set("code", t.mintCode(query.Get("code_challenge"), issuer, t.granted(query.Get("scope"))))
		back.Set("issuer", issuer)
	}
	location := t.redirect() + "?" + back.Encode()
	return answer{status: http.StatusFound, header: map[string]string{"Location": location}, body: ""}
}

// loginFault is what the login page would complain about, "" if nothing.
func (t *Tesla) loginFault(query url.Values) string {
	challenge, err := base64.RawURLEncoding.DecodeString(query.Get("code_challenge"))
	switch {
	case query.Get("client_id") != t.client():
		return "The 'client_id' supplied is not known."
	case query.Get("redirect_uri") != t.redirect():
		return "The 'redirect_uri' supplied is not registered for this 'client_id'."
	case query.Get("response_type") != "code":
		return "The 'response_type' must be 'code'."
	case query.Get("code_challenge_method") != "S256":
		return "The 'code_challenge_method' must be 'S256'."
	case err != nil || len(challenge) != sha256.Size: // the hex form of some documents ends here
		return "The 'code_challenge' must be the unpadded base64url form of a SHA-256."
	case t.foreignScope(query.Get("scope")) != "":
		return "The 'scope' holds '" + t.foreignScope(query.Get("scope")) + "', which is not known."
	case !hasScopes(query.Get("scope")):
		return "The 'scope' must hold 'openid' and 'offline_access'."
	case query.Get("state") == "":
		return "A 'state' is missing."
	}
	return ""
}

// hasScopes tells whether a login with these scopes yields a refresh token.
func hasScopes(scope string) bool {
	words := " " + scope + " "
	return strings.Contains(words, " openid ") && strings.Contains(words, " offline_access ")
}

// Code mints an authorization code for a PKCE challenge, as the login page would.
func (t *Tesla) Code(challenge string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ready()
	return t.mintCode(challenge, t.issuer(nil), t.allScopes())
}

// Approve plays the user: it opens the URL of the login page and returns the tesla:// URL that the browser is sent to,
// or what the page complains about.
func (t *Tesla) Approve(loginURL string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, loginURL, nil)
	if err != nil {
		return "", fmt.Errorf("open login page: %w", err)
	}
	resp, err := t.RoundTripper().RoundTrip(req)
	if err != nil {
		return "", fmt.Errorf("open login page: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		return "", errors.New("open login page: " + resp.Status)
	}
	return resp.Header.Get("Location"), nil
}

// mintCode makes an authorization code. The lock is held.
func (t *Tesla) mintCode(challenge, issuer string, scopes []string) string {
	text := t.mint(t.region(issuer) + "_")
	t.codes[text] = &code{challenge: challenge, issuer: issuer, scopes: scopes, minted: time.Now()}
	return text
}

// client is the client_id that may log in.
func (t *Tesla) client() string {
	if t.Fleet != nil {
		return t.Fleet.ClientID
	}
	if t.ClientID == "" {
		return "ownerapi"
	}
	return t.ClientID
}

// issuer is who signs: the knob, else the host that was asked (auth.tesla.com or auth.tesla.cn), else auth.tesla.com.
func (t *Tesla) issuer(r *http.Request) string {
	switch {
	case t.Issuer != "":
		return t.Issuer
	case r == nil:
		return "https://auth.tesla.com/oauth2/v3"
	case r.URL.Scheme == "http" || r.URL.Scheme == "" && r.TLS == nil: // only in process is the scheme in the URL
		return "http://" + r.Host + "/oauth2/v3"
	}
	return "https://" + r.Host + "/oauth2/v3"
}

// region is the prefix of tokens and codes, and the ou_code in the claims.
func (t *Tesla) region(issuer string) string {
	if t.Fleet != nil {
		return strings.ToUpper(t.Fleet.region())
	}
	u, err := url.Parse(issuer)
	if err == nil && strings.HasSuffix(u.Hostname(), ".cn") {
		return "CN"
	}
	return "EU"
}
