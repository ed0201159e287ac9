package auth

import (
	"cmp"
	"context"
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/oauth2"

	"tesla2mqtt/internal/secret"
)

// Login is one attempt of a person to log in with a browser.
type Login struct {
	s               *Source
	state, verifier secret.Text
}

// StartLogin makes a PKCE verifier and a state for one attempt. It sends nothing.
func (s *Source) StartLogin() *Login {
	return &Login{s, secret.Hide(oauth2.GenerateVerifier()), secret.Hide(oauth2.GenerateVerifier())}
}

// URL is the address for the person's browser.
func (l *Login) URL() string {
	page, with := "https://auth.tesla.com", []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(l.verifier.Reveal())}
	if f := l.s.c.Fleet; f != nil {
		page = f.Page() // which asks again for what was not ticked the last time
		with = append(with, oauth2.SetAuthURLParam("prompt_missing_scopes", "true"))
	}
	return l.s.endpoint(cmp.Or(l.s.c.AuthURL, page)+v3).AuthCodeURL(l.state.Reveal(), with...)
}

// Finish says what the pasted text was taken for, trades it for a token, saves and uses that. A pasted refresh token is
// renewed once, and so spent. After an error the old login is as it was; only a token that could not be saved is used.
func (l *Login) Finish(ctx context.Context, text string) (Recognised, error) {
	p, fault := parse(text, l.s.redirect())
	if fault == nil && p.state.Reveal() != "" && p.state.Reveal() != l.state.Reveal() {
		fault = refuse("the state does not match, nothing was sent: this address belongs to another attempt; open the one printed last")
	}
	if fault == nil {
		p.issuer, fault = l.s.issuer(p.issuer)
	}
	if fault == nil {
		p.verifier = l.verifier
		if fault = l.s.update(ctx, secret.Text{}, &p.grant); fault == nil {
			return p.kind, nil
		}
	}
	if fault.LoginRequired() {
		fault.text = "Tesla does not accept this " + string(p.kind) + ": codes last only minutes and work once, refresh tokens end when used or with a password change; run login again (write refresh_token= before a short refresh token)"
		if l.s.c.Fleet != nil {
			fault.text += "; it must also belong to tesla.client_id, and a code needs the client secret and the same tesla.redirect_url"
		}
	}
	return p.kind, fault
}

// issuer decides where a login lives. What a pasted text or the file names must be listed; a Fleet application's is known,
// and the owner's auth_url wins.
func (s *Source) issuer(named string) (string, *Error) {
	u, err := url.Parse(cmp.Or(named, s.c.AuthURL, "https://auth.tesla.com"))
	if err != nil || !s.c.Hosts.Allows(u) {
		return "", refuse("the issuer is not a listed host of Tesla's, nothing was sent: never use an address that somebody sent you")
	}
	place := u.Scheme + "://" + u.Host
	if s.c.Fleet != nil {
		place = s.c.Fleet.Tokens()
	}
	return cmp.Or(s.c.AuthURL, place) + v3, nil
}

// Recognised is what a pasted text was taken for, to be told to the person.
type Recognised string

// What a person may paste.
const (
	CallbackURL       Recognised = "callback URL"
	OldCallbackURL    Recognised = "old callback URL"
	AuthorizationCode Recognised = "authorization code"
	RefreshToken      Recognised = "refresh token"
)

type pasted struct {
	grant
	kind  Recognised
	state secret.Text
}

var (
	callback = regexp.MustCompile(`(tesla|https)://(?:auth/callback|auth\.tesla\.(?:com|cn)/void/callback)\?([^\s'"<>]*)`)
	named    = regexp.MustCompile(`^"?refresh_token"?\s*[=:]\s*"?`)
	opaque   = regexp.MustCompile(`^[A-Za-z0-9._~+/=-]{8,}$`)
	teslas   = regexp.MustCompile(`^(EU_|NA_|CN_|eyJ)`) // what else stands alone may be a password, and goes nowhere
	newline  = regexp.MustCompile(`\s*[\r\n]\s*`)
	accesses = regexp.MustCompile(`"(aud|scp)"`)
)

// parse is pure. redirect is that of a Fleet application, "" for the Owner API. Codes and refresh tokens look alike (EU_ and
// hexadecimal digits): codes of 63 characters have been seen and refresh tokens of 67, so up to 64 it is a code. A refresh token
// that is a JWT has the token endpoint as its audience.
func parse(text, redirect string) (pasted, *Error) {
	begin := cmp.Or(redirect, "tesla://auth/callback") + "?code="
	text = strings.Trim(text, " \t\r\n'\"`<>,;")
	word := strings.Trim(newline.ReplaceAllString(text, ""), `'"`) // a terminal breaks it into lines
	if strings.HasPrefix(text, "tesla:") || strings.HasPrefix(text, "https:") {
		text = strings.Join(strings.Fields(word), "") // inside other text an address ends at the first blank
	}
	m := callback.FindStringSubmatch(text)
	answer, ours := answered(redirect, text)
	bare := named.ReplaceAllString(word, "")
	switch {
	case len(text) > 16<<10:
		return pasted{}, refuse("that is longer than 16 KiB: paste only the address that begins with " + begin)
	case ours:
		return query(CallbackURL, answer)
	case m != nil && redirect == "":
		return query(map[string]Recognised{"tesla": CallbackURL, "https": OldCallbackURL}[m[1]], m[2])
	case strings.HasPrefix(word, "code="):
		return query(AuthorizationCode, word)
	case !opaque.MatchString(bare), bare == word && !teslas.MatchString(bare):
		return pasted{}, refuse("that does not look like what Tesla's page ends on, so nobody was sent it: paste the address that begins with " + begin +
			" (if you do have a code or a refresh token alone, write code= or refresh_token= before it). A password, or a code from your phone, belongs on Tesla's page and never here")
	}
	// Claims of what is no JWT, or a damaged one, are empty; Tesla will say what it thinks of it.
	claims, _ := base64.RawURLEncoding.DecodeString(strings.Split(bare+".", ".")[1])
	if accesses.Match(claims) && !strings.Contains(string(claims), v3+`/token"`) {
		return pasted{}, refuse("this is an access token, which lasts 8 hours at most: paste the refresh token that came with it")
	}
	p := pasted{kind: AuthorizationCode, grant: grant{code: secret.Hide(bare)}}
	if len(bare) > 64 || bare != word {
		p = pasted{kind: RefreshToken, grant: grant{refresh: secret.Hide(bare)}}
	}
	if strings.HasPrefix(bare, "CN_") || strings.Contains(string(claims), `"https://auth.tesla.cn/`) {
		p.issuer = "https://auth.tesla.cn"
	}
	return p, nil
}

func query(kind Recognised, text string) (pasted, *Error) {
	v, err := url.ParseQuery(text)
	p := pasted{grant{issuer: v.Get("issuer"), code: secret.Hide(v.Get("code"))}, kind, secret.Hide(v.Get("state"))}
	switch e := v.Get("error"); {
	case err != nil:
		return p, refuse("the address is damaged: copy it whole and paste it again")
	case plainCode.MatchString(e):
		return p, refuse("the login was cancelled, or Tesla refused it (" + e + "): run login again")
	case !opaque.MatchString(v.Get("code")):
		return p, refuse("there is no code in this address: copy the one that Tesla sends the browser to after the login")
	}
	return p, nil
}
