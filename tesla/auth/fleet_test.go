package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tesla2mqtt/internal/secret"
	"tesla2mqtt/tesla/auth/paste"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
)

const clientSecret = "ta-secret.hunter2"

func application(region string) *Fleet {
	return &Fleet{ClientID: "abc-123", Secret: secret.Hide(clientSecret), RedirectURL: "https://my.example/tesla", API: hosts.FleetAPI(region)}
}

// fleetSource opens dir for an application, with a simulated Tesla that knows it. f nil is a login of the Owner API.
func fleetSource(t *testing.T, dir string, f *Fleet, s http.RoundTripper) *Source {
	t.Helper()
	h, err := hosts.New()
	if err != nil {
		t.Fatal(err)
	}
	source, err := Open(dir, Config{Fleet: f, Hosts: h, Transport: s, UserAgent: "tesla2mqtt/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() }) // a test that closes it itself makes this one fail, which is fine
	return source
}

func simulated(t *testing.T, region string) *sim.Tesla {
	s := &sim.Tesla{Strict: true, Fleet: &sim.Fleet{ClientID: "abc-123", Secret: clientSecret, RedirectURL: "https://my.example/tesla", Region: region}}
	t.Cleanup(func() {
		for _, v := range s.Violations() {
			t.Error("the simulator complains:", v)
		}
	})
	return s
}

// recorded passes requests on and keeps their forms.
type recorded struct {
	to    http.RoundTripper
	forms []string
}

func (r *recorded) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		r.forms = append(r.forms, req.URL.Host+"?"+readAll(req))
		req.Body, _ = req.GetBody()
	}
	return r.to.RoundTrip(req)
}

// TestFleetLogin: what is asked for, where, and that the secret goes with the code alone.
func TestFleetLogin(t *testing.T) {
	for region, place := range map[string][2]string{
		"eu": {"auth.tesla.com", "fleet-auth.prd.vn.cloud.tesla.com"}, "na": {"auth.tesla.com", "fleet-auth.prd.vn.cloud.tesla.com"},
		"cn": {"auth.tesla.cn", "auth.tesla.cn"},
	} {
		t.Run(region, func(t *testing.T) {
			s := simulated(t, region)
			way := &recorded{to: s.RoundTripper()}
			source := fleetSource(t, t.TempDir(), application(region), way)
			l := source.StartLogin()
			asked, err := url.Parse(l.URL())
			if err != nil {
				t.Fatal(err)
			}
			want(t, "page", asked.Host, place[0])
			want(t, "scope", asked.Query().Get("scope"), "openid offline_access vehicle_device_data vehicle_charging_cmds")
			want(t, "redirect", asked.Query().Get("redirect_uri"), "https://my.example/tesla")
			want(t, "PKCE", asked.Query().Get("code_challenge_method"), "S256")
			want(t, "asks again for what was not ticked", asked.Query().Get("prompt_missing_scopes"), "true")
			want(t, "the secret is in the address", strings.Contains(l.URL(), "hunter2"), false)
			address, err := s.Approve(l.URL())
			if err != nil || !strings.HasPrefix(address, "https://my.example/tesla?") {
				t.Fatal(address, err)
			}
			if kind, err := l.Finish(t.Context(), address); err != nil || kind != paste.CallbackURL {
				t.Fatal(kind, err)
			}
			if err := source.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			want(t, "token requests", len(way.forms), 2)
			for i, form := range way.forms {
				want(t, "host", strings.HasPrefix(form, place[1]+"?"), true)
				want(t, "secret", strings.Contains(form, "client_secret="), i == 0)
				want(t, "audience", strings.Contains(form, "audience="+url.QueryEscape(hosts.FleetAPI(region))), i == 0)
			}
			want(t, "API", source.APIURL(), hosts.FleetAPI(region))
			g := source.Grant()
			want(t, "audience", slices.Contains(g.Audience, hosts.FleetAPI(region)), true)
			want(t, "scopes", strings.Join(g.Scopes, " "), strings.Join(Scopes(), " "))
		})
	}
}

// TestFleetAndOwnerDoNotMix: one API's login is never sent to the other, nor one application's to another; each file stays.
func TestFleetAndOwnerDoNotMix(t *testing.T) {
	other := application("eu")
	other.ClientID = "xyz-789"
	for _, tt := range []struct {
		name         string
		made, opened *Fleet
		works        bool
	}{
		{"the same", application("eu"), application("eu"), true}, {"another region of it", application("eu"), application("na"), true},
		{"owner, then fleet", nil, application("eu"), false}, {"fleet, then owner", application("eu"), nil, false},
		{"another application", application("eu"), other, false}, {"from the world to China", application("eu"), application("cn"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, silent := t.TempDir(), function(func(*http.Request) (*http.Response, error) { return nil, errors.New("not to be asked") })
			client, place := "", home
			if tt.made != nil {
				client, place = tt.made.ClientID, hosts.FleetTokens(tt.made.API)
			}
			text := fmt.Sprintf(`{"version":1,"access_token":"a1","refresh_token":"EU_r1","issuer":%q,"obtained_at":"2099-01-01T00:00:00Z","expires_in":28800,"client_id":%q}`, place+v3, client)
			put(t, dir, text)
			source := fleetSource(t, dir, tt.opened, silent)
			want(t, "works", source.Status().State == "ok", tt.works)
			if !tt.works {
				want(t, "says what to do", strings.Contains(source.Status().Message, "run the login command"), true)
				if err := source.Refresh(t.Context()); err == nil || strings.Contains(err.Error(), "not to be asked") {
					t.Errorf("renewed with another's token: %v", err)
				}
			}
			after, err := os.ReadFile(filepath.Join(dir, fileName))
			want(t, "the file is as before", err == nil && string(after) == text, true)
		})
	}
}

// TestFleetRefused: what Tesla says to a wrong secret names what to look at, and not the secret.
func TestFleetRefused(t *testing.T) {
	s := simulated(t, "eu")
	wrong := application("eu")
	wrong.Secret = secret.Hide("wrong-hunter2")
	source := fleetSource(t, t.TempDir(), wrong, s.RoundTripper())
	l := source.StartLogin()
	address, err := s.Approve(l.URL())
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Finish(t.Context(), address)
	if err == nil || !strings.Contains(err.Error(), "the client secret") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", *wrong, *wrong, *wrong), fmt.Sprintf("%+v", source.c)} {
		want(t, "prints the secret", strings.Contains(text, "hunter2"), false)
	}
}

// ofVictim is the application whose login a process renews that is to be killed, nil for the Owner API.
func ofVictim() *Fleet {
	if os.Getenv("AUTH_TEST_CLIENT") == "" {
		return nil
	}
	return application("eu")
}

// TestInvariant3KillAtAnyInstantInFleet is the same for the login of an application.
func TestInvariant3KillAtAnyInstantInFleet(t *testing.T) {
	t.Setenv("AUTH_TEST_CLIENT", "abc-123") // for the victims too
	killAtAnyInstant(t, &sim.Tesla{Fleet: &sim.Fleet{ClientID: "abc-123", Secret: clientSecret}})
}
