package sim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// access is an access token that was handed out; expired ones are kept, since Tesla words them differently.
type access struct {
	login   *login
	expires time.Time
}

// mint makes a new secret with a prefix. The lock is held.
func (t *Tesla) mint(prefix string) string {
	t.minted++
	text := fmt.Sprintf("%s%s%024x", prefix, t.seed, t.minted)
	t.secrets = append(t.secrets, text)
	return text
}

// newLogin starts a chain of refresh tokens.
func (t *Tesla) newLogin(issuer string, scopes []string) *login {
	l := &login{issuer: issuer, scopes: scopes}
	t.renew(l)
	return l
}

// renew makes the next refresh token of a login the current one.
func (t *Tesla) renew(l *login) {
	l.current = t.mint(t.region(l.issuer) + "_")
	t.logins[l.current] = l
}

// newAccess makes an access token: a JWT in form, with the claims that clients look at and a signature that is none.
func (t *Tesla) newAccess(l *login, expires time.Time) string {
	now := time.Now()
	claims := map[string]any{
		"iss":     l.issuer,
		"azp":     t.client(),
		"sub":     "00000000-0000-4000-8000-000000000000",
		"aud":     append(t.audiences(l.issuer), l.issuer+"/userinfo"),
		"scp":     l.scopes,
		"exp":     expires.Unix(),
		"iat":     now.Unix(),
		"ou_code": t.region(l.issuer),
		"locale":  "en-US",
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("sim: encode claims: %v", err)) // plain values only
	}
	part := base64.RawURLEncoding.EncodeToString
	head := part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part(raw) + "."
	text := t.mint(head)
	t.access[text] = access{login: l, expires: expires}
	return text
}

// audiences are the APIs that go with an issuer. A Fleet token for na or eu names both, and ou_code tells which it is.
func (t *Tesla) audiences(issuer string) []string {
	switch {
	case t.region(issuer) == "CN" && t.Fleet != nil:
		return []string{fleetBases["cn"]}
	case t.Fleet != nil:
		return []string{fleetBases["na"], fleetBases["eu"]}
	case t.region(issuer) == "CN":
		return []string{"https://owner-api.vn.cloud.tesla.cn/"}
	}
	return []string{"https://owner-api.teslamotors.com/"}
}

// bearer checks the access token of a request; nil if it is good.
func (t *Tesla) bearer(r *http.Request) *answer {
	text, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a, known := t.access[text]
	var no answer
	switch {
	case !isBearer || !known || a.login.revoked:
		no = bearerError("invalid bearer token")
	case !time.Now().Before(a.expires):
		no = bearerError("token expired (401)")
	default:
		return nil
	}
	return &no
}

// Login signs in without the login page and returns the tokens.
func (t *Tesla) Login() (accessToken, refreshToken string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ready()
	l := t.newLogin(t.issuer(nil), t.allScopes())
	return t.newAccess(l, time.Now().Add(t.life())), l.current
}

// RevokeLogin is a change of password: every token so far is dead, and only a new login helps.
func (t *Tesla) RevokeLogin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.logins {
		l.revoked = true
	}
}

// Secrets lists every token, code and verifier that was minted or received, so that a test can look for them where they
// must not be.
func (t *Tesla) Secrets() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.secrets)
}
