package sim

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const euURL = "https://fleet-api.prd.eu.vn.cloud.tesla.com"

func fleetBench(t *testing.T, f Fleet) *bench {
	t.Helper()
	f.ClientID, f.Secret, f.RedirectURL = "abc-123", "hunter2", "https://my.example/tesla"
	return newBench(t, &Tesla{Fleet: &f})
}

// at is do with a host and a content type.
func (b *bench) at(base, kind, method, path, body string) (int, doc) {
	b.Helper()
	req := b.request(method, path, body)
	u, err := url.Parse(base + path)
	if err != nil {
		b.Fatal(err)
	}
	req.URL, req.Host = u, u.Host
	req.Header.Set("Content-Type", kind)
	resp, err := b.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	return resp.StatusCode, b.decode(resp)
}

// TestFleetAnswersAsRecorded: status, words and shapes.
func TestFleetAnswersAsRecorded(t *testing.T) {
	for _, row := range []struct {
		file, base, method, path, body string
		fleet                          Fleet
	}{
		{"vehicles_list_fleet.json", euURL, "GET", "/api/1/vehicles", "", Fleet{}},
		{"fleet_status.json", euURL, "POST", "/api/1/vehicles/fleet_status", `{"vins":["5YJ30123456789ABC"]}`, Fleet{}},
		{"users_region.json", fleetBases["na"], "GET", "/api/1/users/region", "", Fleet{}},
		{"err_421_region.json", euURL, "GET", "/api/1/vehicles/5YJ30123456789ABC/vehicle_data", "", Fleet{Region: "na"}},
		{"err_412_not_registered.json", euURL, "GET", "/api/1/vehicles/5YJ30123456789ABC/vehicle_data", "", Fleet{Unregistered: true}},
		{"err_408_fleet.json", euURL, "GET", "/api/1/vehicles/5YJ30123456789ABC/vehicle_data", "", Fleet{}},
		{"err_403_vcp_required.json", euURL, "POST", "/api/1/vehicles/5YJ30123456789ABC/command/set_charging_amps", `{"charging_amps":8}`, Fleet{}},
	} {
		t.Run(row.file, func(t *testing.T) {
			wantStatus, want := sample(t, row.file)
			b := fleetBench(t, row.fleet)
			b.tesla.Add(Car{VIN: "5YJ30123456789ABC", SignedCommands: true, Asleep: true})
			status, got := b.at(row.base, "application/json", row.method, row.path, row.body)
			equal(t, "status", status, wantStatus)
			for _, fault := range sameShape("body", map[string]any(got), want) {
				t.Error(fault)
			}
			if text, _ := want.(map[string]any)["error"].(string); text != "" {
				equal(t, "error", got["error"], any(text))
			}
		})
	}
}

// TestFleetRefuses: what is missing, wrong or not granted.
func TestFleetRefuses(t *testing.T) {
	commands := "/api/1/vehicles/5YJ30123456789ABC/command/charge_stop"
	for _, row := range []struct {
		name, kind, method, path string
		status                   int
	}{
		{"a command that is no JSON", "text/plain", "POST", commands, http.StatusNotAcceptable},
		{"a command by a login that may only read", "application/json", "POST", commands, http.StatusForbidden},
		{"the same login reads", "application/json", "GET", "/api/1/vehicles/5YJ30123456789ABC", http.StatusOK},
		{"registering in a person's name", "application/json", "POST", "/api/1/partner_accounts", http.StatusForbidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := fleetBench(t, Fleet{Unticked: []string{"vehicle_charging_cmds"}})
			b.tesla.Add(Car{VIN: "5YJ30123456789ABC"})
			b.logInBy("openid offline_access vehicle_device_data vehicle_charging_cmds")
			status, d := b.at(euURL, row.kind, row.method, row.path, "{}")
			if status != row.status {
				t.Errorf("%d %v, want %d", status, d, row.status)
			}
		})
	}
	b := fleetBench(t, Fleet{})
	if status, _ := b.at(apiURL, "application/json", "GET", "/api/1/products", ""); status != http.StatusUnauthorized || len(b.tesla.Violations()) != 1 {
		t.Errorf("the Owner API takes the login of an application: %d, %v", status, b.tesla.Violations())
	}
}

// logInBy gets a token with what the person grants of these scopes.
func (b *bench) logInBy(scope string) {
	b.Helper()
	back, err := b.tesla.Approve(authURL + "/authorize?" + fleetQuery(scope).Encode())
	if err != nil {
		b.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil || !strings.HasPrefix(back, "https://my.example/tesla?code=EU_") {
		b.Fatal(back, err)
	}
	status, d := b.fleetToken(url.Values{"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "client_secret": {"hunter2"},
		"audience": {euURL}, "redirect_uri": {"https://my.example/tesla"}, "code_verifier": {testVerifier}})
	if status != http.StatusOK {
		b.Fatal(status, d)
	}
	b.access = d["access_token"].(string)
}

func fleetQuery(scope string) url.Values {
	q := loginQuery()
	q.Set("client_id", "abc-123")
	q.Set("redirect_uri", "https://my.example/tesla")
	q.Set("scope", scope)
	return q
}

func (b *bench) fleetToken(form url.Values) (int, doc) {
	b.Helper()
	form.Set("client_id", "abc-123")
	resp, err := b.client.PostForm("https://fleet-auth.prd.vn.cloud.tesla.com/oauth2/v3/token", form)
	if err != nil {
		b.Fatal(err)
	}
	return resp.StatusCode, b.decode(resp)
}

// TestFleetTokenRequests: a wrong secret is a person's mistake, a careless client is complained about.
func TestFleetTokenRequests(t *testing.T) {
	for _, row := range []struct {
		name       string
		form       url.Values
		status     int
		violations int
	}{
		{"wrong secret", url.Values{"grant_type": {"authorization_code"}, "client_secret": {"x"}, "audience": {euURL}}, 401, 0},
		{"no audience", url.Values{"grant_type": {"authorization_code"}, "client_secret": {"hunter2"}}, 400, 1},
		{"the secret with a renewal", url.Values{"grant_type": {"refresh_token"}, "client_secret": {"hunter2"}}, 400, 1},
		{"in its own name", url.Values{"grant_type": {"client_credentials"}, "client_secret": {"hunter2"}, "audience": {euURL}}, 200, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := fleetBench(t, Fleet{})
			status, d := b.fleetToken(row.form)
			if status != row.status || len(b.tesla.Violations()) != row.violations {
				t.Errorf("%d %v, complaints %v", status, d["error"], b.tesla.Violations())
			}
		})
	}
	b := fleetBench(t, Fleet{})
	_, refresh := b.tesla.Login()
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"abc-123"}, "refresh_token": {refresh}}
	if status, _ := b.token(form); status != http.StatusBadRequest || len(b.tesla.Violations()) != 1 {
		t.Errorf("a renewal at the old host: %d, %v", status, b.tesla.Violations())
	}
	if status, d := b.fleetToken(form); status != http.StatusOK || d["refresh_token"] == refresh {
		t.Errorf("a renewal: %d", status)
	}
	resp, _ := b.openLogin(fleetQuery("openid offline_access everything"))
	equal(t, "a scope that there is not", resp.StatusCode, http.StatusBadRequest)
}
