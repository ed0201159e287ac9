package auth

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"tesla2mqtt/internal/secret"
	"tesla2mqtt/tesla/hosts"
)

// Partner asks for a token of the application itself, with the client secret, and returns a client that adds it to its requests.
// Such a token belongs to no user and reaches no car: it is for the application's own registration. It is kept in memory alone, as
// long as that client is, and never renewed. Of c it needs all but the Log.
func Partner(ctx context.Context, c Config) (*http.Client, error) {
	f, out := c.Fleet, hosts.Guard{List: c.Hosts, Via: c.Transport, Agent: c.UserAgent}
	conf := clientcredentials.Config{
		ClientID: f.ClientID, ClientSecret: f.Secret.Reveal(), AuthStyle: oauth2.AuthStyleInParams,
		TokenURL: cmp.Or(strings.TrimRight(c.AuthURL, "/"), f.Tokens()) + v3 + "/token",
		Scopes:   []string{"openid", "vehicle_device_data", "vehicle_charging_cmds"}, EndpointParams: map[string][]string{"audience": {f.API}},
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	t, err := conf.Token(asking(ctx, out))
	if err != nil {
		fault := explain(err)
		if fault.LoginRequired() { // of the application, which no login of a user mends
			fault = refuse(fmt.Sprintf("Tesla does not take the client ID and the client secret (HTTP %d): copy both anew from developer.tesla.com, without a blank", fault.status))
		}
		return nil, fault
	}
	access := secret.Hide(t.AccessToken)
	return hosts.Client(func(r *http.Request) (*http.Response, error) { return send(out, r, access) }), nil
}
