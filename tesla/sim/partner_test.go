package sim

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// asked sends one request to the Fleet API, or without a token to the token host, and returns status and body.
func asked(t *testing.T, s *Tesla, method, path, token, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, fleetBases["eu"]+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	if token == "" {
		r.Host = "fleet-auth.prd.vn.cloud.tesla.com"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, r)
	return answer.Code, answer.Body.String()
}

// ownToken is a token of the application itself.
func ownToken(t *testing.T, s *Tesla) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"a"}, "client_secret": {"s3cret"}, "scope": {"openid"}, "audience": {fleetBases["eu"]}}
	status, body := asked(t, s, "POST", "/oauth2/v3/token", "", form.Encode())
	_, rest, _ := strings.Cut(body, `"access_token":"`)
	own, _, _ := strings.Cut(rest, `"`)
	if status != 200 || own == "" || strings.Contains(body, "refresh_token") {
		t.Fatal(status, body)
	}
	return own
}

// TestPartnerAccount: an application registers the key that its domain shows, with its own token, and a car takes that.
func TestPartnerAccount(t *testing.T) {
	s := &Tesla{Fleet: &Fleet{ClientID: "a", Secret: "s3cret", RedirectURL: "https://my.example/x", Unregistered: true}}
	car := s.Add(Car{SignedCommands: true, Unpaired: true})
	user, _ := s.Login()
	own := ownToken(t, s)
	const accounts, key, domain = "/api/1/partner_accounts", "/api/1/partner_accounts/public_key?domain=my.example", `{"domain":"my.example"}`
	for i, row := range []struct {
		method, path, token, body string
		status                    int
		says                      string
	}{
		{"GET", key, own, "", 412, "must be registered"},
		{"GET", "/api/1/vehicles", user, "", 412, "must be registered"},
		{"POST", accounts, own, domain, 424, "error: not found"},
		{"POST", accounts, own, `{"domain":"https://my.example"}`, 400, "Invalid domain"},
		{"POST", accounts, own, `{"domain":"other.example"}`, 412, "allowed origin"},
		{"POST", accounts, user, domain, 403, "scopes"},
		{"GET", "/api/1/vehicles", own, "", 403, "scopes"},
		{"POST", accounts, own, domain, 200, "pay_as_you_go"},
		{"GET", key, own, "", 200, `"public_key":"04`},
		{"GET", "/api/1/partner_accounts/public_key?domain=other.example", own, "", 404, "not_found"},
		{"GET", "/api/1/vehicles", user, "", 200, car.VIN()},
	} {
		if row.status == 200 && i == 7 {
			if car.Approve() {
				t.Error("a car took a key that is not registered")
			}
			s.Host("my.example", []byte(aPublicKey))
		}
		if status, body := asked(t, s, row.method, row.path, row.token, row.body); status != row.status || !strings.Contains(body, row.says) {
			t.Errorf("%s %s %s: %d %s", row.method, row.path, row.body, status, body)
		}
	}
	vins := fmt.Sprintf(`{"vins":[%q]}`, car.VIN())
	_, before := asked(t, s, "POST", "/api/1/vehicles/fleet_status", user, vins)
	if !car.Approve() || car.Protocol().Role(s.RegisteredKey()).String() != "ROLE_FM" {
		t.Error("the car did not take the key")
	}
	_, after := asked(t, s, "POST", "/api/1/vehicles/fleet_status", user, vins)
	if !strings.Contains(before, `"key_paired_vins":[]`) || !strings.Contains(after, `"unpaired_vins":[]`) {
		t.Errorf("fleet_status:\n%s\n%s", before, after)
	}
	if v := s.Violations(); len(v) != 2 {
		t.Errorf("violations: %q", v)
	}
}

const aPublicKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVyhyDORwcbauJjjd32OA+tCsiYIs
4fh4IqbRFu6Bo97FfPq5T49vNqmASrDoffyFOHG6Fs3uQdAaCXJusVwIag==
-----END PUBLIC KEY-----
`
