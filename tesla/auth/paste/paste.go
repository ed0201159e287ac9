// Package paste finds the code or the refresh token in what a person pasted to log in. It is pure: nothing is sent here, and no
// error repeats what was found.
package paste

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"

	"tesla2mqtt/internal/secret"
)

// Kind is what a pasted text was taken for, to be told to the person.
type Kind string

// What a person may paste.
const (
	CallbackURL       Kind = "callback URL"
	OldCallbackURL    Kind = "old callback URL"
	AuthorizationCode Kind = "authorization code"
	RefreshToken      Kind = "refresh token"
)

// Pasted is what was found in a text: a code, or a refresh token.
type Pasted struct {
	Kind    Kind
	Code    secret.Text
	Refresh secret.Text
	State   secret.Text // of the attempt that it says to belong to; "" if it does not say
	Issuer  string      // where it says to have been made, not judged here; "" if it does not say
}

// Refusal is the error for a text that is of no use. It says what to do instead.
type Refusal string

func (r Refusal) Error() string { return string(r) }

var (
	callback = regexp.MustCompile(`(tesla|https)://(?:auth/callback|auth\.tesla\.(?:com|cn)/void/callback)\?([^\s'"<>]*)`)
	named    = regexp.MustCompile(`^"?refresh_token"?\s*[=:]\s*"?`)
	opaque   = regexp.MustCompile(`^[A-Za-z0-9._~+/=-]{8,}$`)
	teslas   = regexp.MustCompile(`^(EU_|NA_|CN_|eyJ)`) // what else stands alone may be a password, and goes nowhere
	newline  = regexp.MustCompile(`\s*[\r\n]\s*`)
	plain    = regexp.MustCompile(`^[a-z_]{1,40}$`) // no code and no token looks like this
	accesses = regexp.MustCompile(`"(aud|scp)"`)
)

// Parse finds what a person pasted. redirect is that of a Fleet application, "" for the Owner API. Codes and refresh tokens look
// alike (EU_ and hexadecimal digits): codes of 63 characters have been seen and refresh tokens of 67, so up to 64 it is a code. A
// refresh token that is a JWT has the token endpoint as its audience.
func Parse(text, redirect string) (Pasted, error) {
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
		return Pasted{}, Refusal("that is longer than 16 KiB: paste only the address that begins with " + begin)
	case ours:
		return query(CallbackURL, answer)
	case m != nil && redirect == "":
		return query(map[string]Kind{"tesla": CallbackURL, "https": OldCallbackURL}[m[1]], m[2])
	case strings.HasPrefix(word, "code="):
		return query(AuthorizationCode, word)
	case !opaque.MatchString(bare), bare == word && !teslas.MatchString(bare):
		return Pasted{}, Refusal("that does not look like what Tesla's page ends on, so nobody was sent it: paste the address that begins with " + begin +
			" (if you do have a code or a refresh token alone, write code= or refresh_token= before it). A password, or a code from your phone, belongs on Tesla's page and never here")
	}
	// Claims of what is no JWT, or a damaged one, are empty; Tesla will say what it thinks of it.
	claims, _ := base64.RawURLEncoding.DecodeString(strings.Split(bare+".", ".")[1])
	if accesses.Match(claims) && !strings.Contains(string(claims), `/oauth2/v3/token"`) {
		return Pasted{}, Refusal("this is an access token, which lasts 8 hours at most: paste the refresh token that came with it")
	}
	p := Pasted{Kind: AuthorizationCode, Code: secret.Hide(bare)}
	if len(bare) > 64 || bare != word {
		p = Pasted{Kind: RefreshToken, Refresh: secret.Hide(bare)}
	}
	if strings.HasPrefix(bare, "CN_") || strings.Contains(string(claims), `"https://auth.tesla.cn/`) {
		p.Issuer = "https://auth.tesla.cn"
	}
	return p, nil
}

// query reads what follows the question mark of an address.
func query(kind Kind, text string) (Pasted, error) {
	v, err := url.ParseQuery(text)
	p := Pasted{Kind: kind, Code: secret.Hide(v.Get("code")), State: secret.Hide(v.Get("state")), Issuer: v.Get("issuer")}
	switch e := v.Get("error"); {
	case err != nil:
		return p, Refusal("the address is damaged: copy it whole and paste it again")
	case plain.MatchString(e):
		return p, Refusal("the login was cancelled, or Tesla refused it (" + e + "): run login again")
	case !opaque.MatchString(v.Get("code")):
		return p, Refusal("there is no code in this address: copy the one that Tesla sends the browser to after the login")
	}
	return p, nil
}

// answered finds what follows the redirect URL in a text that was pasted. Byte for byte, as Tesla compares it, but for the
// slash that browsers put after a bare host.
func answered(redirect, text string) (query string, found bool) {
	_, after, found := strings.Cut(text, redirect)
	if redirect == "" || !found {
		return "", false
	}
	if strings.Count(redirect, "/") == 2 {
		after = strings.TrimPrefix(after, "/")
	}
	after, found = strings.CutPrefix(after, "?")
	if end := strings.IndexAny(after, " \t\r\n'\"<>"); end >= 0 {
		after = after[:end]
	}
	return after, found
}
