package auth

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tesla2mqtt/internal/secret"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
)

// TestFleetPartner: what is asked for and where, that the token goes to listed hosts only, and that the login is left as it is.
func TestFleetPartner(t *testing.T) {
	for region, host := range map[string]string{"eu": "fleet-auth.prd.vn.cloud.tesla.com", "na": "fleet-auth.prd.vn.cloud.tesla.com", "cn": "auth.tesla.cn"} {
		t.Run(region, func(t *testing.T) {
			s := simulated(t, region)
			way := &recorded{to: s.RoundTripper()}
			dir := t.TempDir()
			source := fleetSource(t, dir, application(region), way)
			c, err := source.Partner(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want(t, "token requests", len(way.forms), 1)
			form, err := url.ParseQuery(strings.TrimPrefix(way.forms[0], host+"?"))
			if err != nil {
				t.Fatal(err)
			}
			for key, value := range map[string]string{
				"grant_type": "client_credentials", "client_id": "abc-123", "client_secret": clientSecret, "audience": hosts.FleetAPI(region),
				"scope": "openid vehicle_device_data vehicle_charging_cmds",
			} {
				want(t, key, form.Get(key), value)
			}
			want(t, "of a user's login", fmt.Sprint(form["refresh_token"], form["code"]), "[] []")
			at := hosts.FleetAPI(region) + "/api/1/partner_accounts/public_key?domain=my.example"
			for range 2 {
				answer, err := c.Get(at)
				if err != nil {
					t.Fatal(err)
				}
				want(t, "status", answer.StatusCode, 200)
			}
			want(t, "token requests in the end", s.Count("token", ""), 1)
			if _, err := c.Get("https://evil.example/"); err == nil || !strings.Contains(err.Error(), "not on the list of hosts") {
				t.Errorf("another host: %v", err)
			}
			want(t, "hosts", len(s.Hosts()), 2)
			want(t, "state of the login", source.Status().State, "not_configured")
			if _, err := os.Stat(filepath.Join(dir, fileName)); err == nil {
				t.Error("the application's own token was kept as a login")
			}
		})
	}
}

// TestFleetPartnerRefused: a wrong secret is asked with once, is told in words, and stands in no error; nor does it look like a login that
// has ended.
func TestFleetPartnerRefused(t *testing.T) {
	s := simulated(t, "eu")
	wrong := application("eu")
	wrong.Secret = secret.Hide("hunter2")
	_, err := fleetSource(t, t.TempDir(), wrong, s.RoundTripper()).Partner(t.Context())
	if err == nil || !strings.Contains(err.Error(), "does not accept this client ID with this secret") || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "hunter2") {
		t.Errorf("got %v", err)
	}
	if fault, ok := err.(*Error); !ok || fault.LoginRequired() || fault.Temporary() {
		t.Errorf("got %#v", err)
	}
	want(t, "token requests", s.Count("token", ""), 1)
	if err := s.Fault("504", sim.On("token")); err != nil {
		t.Fatal(err)
	}
	if _, err := fleetSource(t, t.TempDir(), application("eu"), s.RoundTripper()).Partner(t.Context()); err == nil || !err.(*Error).Temporary() {
		t.Errorf("a time-out: %v", err)
	}
	for name, f := range map[string]*Fleet{"the Owner API": nil, "no secret": {ClientID: "abc-123"}} {
		if _, err := fleetSource(t, t.TempDir(), f, s.RoundTripper()).Partner(t.Context()); err == nil || s.Count("token", "") != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
