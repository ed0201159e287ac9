package auth

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"tesla2mqtt/internal/secret"
	"tesla2mqtt/tesla/hosts"
)

// Fleet is an application registered at developer.tesla.com. With it a login is for the Fleet API instead of the Owner API:
// it allows no more than Scopes, and can be revoked by itself.
type Fleet struct {
	ClientID    string
	Secret      secret.Text // goes to the token endpoint, and never with a renewal; "" if it has none
	RedirectURL string      // as registered; no page has to be there
	API         string      // base URL of the region, which is the audience as well
}

// Scopes is all that a Fleet login asks for: to read the car, to wake it, and to command its charging.
func Scopes() []string {
	return []string{"openid", "offline_access", "vehicle_device_data", "vehicle_charging_cmds"}
}

// exchange trades a code. Here and in Partner the client secret leaves this program: renewals go without.
func (s *Source) exchange(ctx context.Context, conf oauth2.Config, g grant) (*oauth2.Token, error) {
	with := []oauth2.AuthCodeOption{oauth2.VerifierOption(g.verifier.Reveal())}
	if f := s.c.Fleet; f != nil {
		conf.ClientSecret = f.Secret.Reveal()
		with = append(with, oauth2.SetAuthURLParam("audience", f.API))
	}
	return conf.Exchange(ctx, g.code.Reveal(), with...)
}

// Partner returns a client that speaks as the application itself, in no account's name: good for registering it, and for no car.
// Its token lasts as long as it does. Each request needs a deadline.
func (s *Source) Partner(ctx context.Context) (*http.Client, error) {
	f := s.c.Fleet
	if f == nil || f.Secret.Reveal() == "" {
		return nil, refuse("an application speaks for itself with its client secret, and there is none")
	}
	ctx, cancel := s.asking(ctx)
	defer cancel()
	conf := clientcredentials.Config{ClientID: f.ClientID, ClientSecret: f.Secret.Reveal(), TokenURL: cmp.Or(s.c.AuthURL, hosts.FleetTokens(f.API)) + v3 + "/token",
		Scopes: slices.DeleteFunc(Scopes(), func(s string) bool { return s == "offline_access" }), EndpointParams: url.Values{"audience": {f.API}}, AuthStyle: oauth2.AuthStyleInParams}
	t, err := conf.Token(ctx)
	if err != nil {
		fault := explain(err)
		if fault.LoginRequired() {
			fault = refuse("Tesla does not accept this client ID with this secret: compare both with what developer.tesla.com shows")
		}
		return nil, fault
	}
	access := secret.Hide(t.AccessToken)
	return hosts.Client(func(r *http.Request) (*http.Response, error) { return s.send(r, access) }), nil
}

// client is whose login may be used: "" for that of the Owner API. A token of one application is never sent as another's.
func (s *Source) client() string {
	if s.c.Fleet == nil {
		return ""
	}
	return s.c.Fleet.ClientID
}

// redirect is the address that the browser ends up at, as far as it is known here: "" for the Owner API.
func (s *Source) redirect() string {
	if s.c.Fleet == nil {
		return ""
	}
	return s.c.Fleet.RedirectURL
}

// Grant is what an access token says that it is good for.
type Grant struct{ Audience, Scopes []string }

var plainURL = regexp.MustCompile(`^https://[a-z0-9./-]{1,100}$`)

// Grant reads the claims of the access token that is in use. They are told by Tesla and not verified: a hint for people.
func (s *Source) Grant() (g Grant) {
	var claims struct {
		Audience json.RawMessage `json:"aud"`
		Scopes   []string        `json:"scp"`
	}
	part := strings.Split(s.state.Load().tok.Access.Reveal()+"..", ".")[1]
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return Grant{} // opaque tokens are allowed to be
	}
	var one string
	if json.Unmarshal(claims.Audience, &g.Audience) != nil && json.Unmarshal(claims.Audience, &one) == nil {
		g.Audience = []string{one}
	}
	g.Audience = slices.DeleteFunc(g.Audience, func(at string) bool { return !plainURL.MatchString(at) })
	g.Scopes = slices.DeleteFunc(claims.Scopes, func(word string) bool { return !plainCode.MatchString(word) })
	return g
}
