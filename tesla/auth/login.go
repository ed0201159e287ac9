package auth

import (
	"cmp"
	"context"
	"net/url"

	"golang.org/x/oauth2"

	"tesla2mqtt/internal/secret"
	"tesla2mqtt/tesla/auth/paste"
	"tesla2mqtt/tesla/hosts"
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
	page, with := hosts.Login, []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(l.verifier.Reveal())}
	if f := l.s.c.Fleet; f != nil {
		page = hosts.LoginFor(f.API) // which asks again for what was not ticked the last time
		with = append(with, oauth2.SetAuthURLParam("prompt_missing_scopes", "true"))
	}
	return l.s.endpoint(cmp.Or(l.s.c.AuthURL, page)+v3).AuthCodeURL(l.state.Reveal(), with...)
}

// Finish says what the pasted text was taken for, trades it for a token, saves and uses that. A pasted refresh token is
// renewed once, and so spent. After an error the old login is as it was; only a token that could not be saved is used.
func (l *Login) Finish(ctx context.Context, text string) (paste.Kind, error) {
	p, err := paste.Parse(text, l.s.redirect())
	if err != nil {
		return p.Kind, refuse(err.Error())
	}
	if p.State.Reveal() != "" && p.State.Reveal() != l.state.Reveal() {
		return p.Kind, refuse("the state does not match: this address belongs to another attempt; open the one printed last")
	}
	issuer, fault := l.s.issuer(p.Issuer)
	if fault == nil {
		if fault = l.s.update(ctx, secret.Text{}, &grant{issuer, p.Refresh, p.Code, l.verifier}); fault == nil {
			return p.Kind, nil
		}
	}
	if fault.LoginRequired() {
		fault.text = "Tesla does not accept this " + string(p.Kind) + ": codes last only minutes and work once, refresh tokens end when used or with a password change; run login again (write refresh_token= before a short refresh token)"
		if l.s.c.Fleet != nil {
			fault.text += "; it must also belong to tesla.client_id, and a code needs the client secret and the same tesla.redirect_url"
		}
	}
	return p.Kind, fault
}

// issuer decides where a login lives. What a pasted text or the file names must be a place where Tesla makes logins: a forged
// address could else send the code to any host that the configuration lists. A Fleet application's place is known, and the
// owner's auth_url wins.
func (s *Source) issuer(named string) (string, *Error) {
	u, err := url.Parse(cmp.Or(named, s.c.AuthURL, hosts.Login))
	if err != nil || !hosts.Issues(u) && (s.c.AuthURL == "" || !under(s.c.AuthURL, u)) {
		return "", refuse("the issuer is no place where Tesla makes logins: never use an address that somebody sent you")
	}
	place := u.Scheme + "://" + u.Host
	if s.c.Fleet != nil {
		place = hosts.FleetTokens(s.c.Fleet.API)
	}
	return cmp.Or(s.c.AuthURL, place) + v3, nil
}

// under tells whether u is on the host of base.
func under(base string, u *url.URL) bool {
	b, err := url.Parse(base)
	return err == nil && u.User == nil && u.Scheme == b.Scheme && u.Host == b.Host
}
