package sim

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var testVerifier = strings.Repeat("v", 43) // as short as PKCE allows

// loginQuery is a good query of the login page.
func loginQuery() url.Values {
	return url.Values{
		"client_id": {"ownerapi"}, "redirect_uri": {"tesla://auth/callback"}, "response_type": {"code"},
		"scope": {"openid email offline_access"}, "state": {"xyz"}, "code_challenge_method": {"S256"},
		"code_challenge": {challenge(testVerifier)},
	}
}

func (b *bench) openLogin(query url.Values) (*http.Response, doc) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, authURL+"/authorize?"+query.Encode(), nil)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := b.tesla.RoundTripper().RoundTrip(req)
	if err != nil {
		b.Fatal(err)
	}
	return resp, b.decode(resp)
}

func TestLoginPageRefuses(t *testing.T) {
	tests := []struct {
		name, key, value, want string
	}{
		{"a foreign client", "client_id", "other", "'client_id'"},
		{"the old redirect", "redirect_uri", "https://auth.tesla.com/void/callback",
			"The 'redirect_uri' supplied is not registered for this 'client_id'."},
		{"another response type", "response_type", "token", "'response_type'"},
		{"plain PKCE", "code_challenge_method", "plain", "'code_challenge_method'"},
		{"the hex form of the challenge", "code_challenge", strings.Repeat("ab", 32), "'code_challenge'"},
		{"no challenge", "code_challenge", "", "'code_challenge'"},
		{"no offline access", "scope", "openid email", "'scope'"},
		{"no state", "state", "", "'state'"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, new(Tesla))
			query := loginQuery()
			query.Set(test.key, test.value)
			resp, d := b.openLogin(query)
			equal(t, "status", resp.StatusCode, http.StatusBadRequest)
			equal(t, "type", resp.Header.Get("Content-Type"), "text/html; charset=utf-8")
			if text, _ := d["text"].(string); !strings.Contains(text, test.want) {
				t.Errorf("page %q does not say %q", text, test.want)
			}
			equal(t, "violations", len(b.tesla.Violations()), 1)
		})
	}
}

func TestLoginPageSendsBack(t *testing.T) {
	tests := []struct {
		name   string
		tesla  *Tesla
		host   string
		issuer string
		prefix string // of the code, "" if the login is cancelled
	}{
		{"the world", new(Tesla), "https://auth.tesla.com", "https://auth.tesla.com/oauth2/v3", "EU_"},
		{"China", new(Tesla), "https://auth.tesla.cn", "https://auth.tesla.cn/oauth2/v3", "CN_"},
		{"a plain server", new(Tesla), "http://127.0.0.1:8080", "http://127.0.0.1:8080/oauth2/v3", "EU_"},
		{"an issuer of our own", &Tesla{Issuer: "https://auth.evil.example/oauth2/v3"}, "https://auth.tesla.com",
			"https://auth.evil.example/oauth2/v3", "EU_"},
		{"cancelled", &Tesla{CancelLogin: true}, "https://auth.tesla.com", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			location, err := test.tesla.Approve(test.host + "/oauth2/v3/authorize?" + loginQuery().Encode())
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(location)
			if err != nil || u.Scheme != "tesla" || u.Host != "auth" || u.Path != "/callback" {
				t.Fatalf("sent back to %q, %v", location, err)
			}
			q := u.Query()
			equal(t, "state", q.Get("state"), "xyz")
			equal(t, "issuer", q.Get("issuer"), test.issuer)
			if test.prefix == "" {
				equal(t, "error", q.Get("error"), "login_cancelled")
				equal(t, "code", q.Get("code"), "")
			} else if !strings.HasPrefix(q.Get("code"), test.prefix) {
				t.Errorf("code %q does not begin with %s", q.Get("code"), test.prefix)
			}
			equal(t, "violations", len(test.tesla.Violations()), 0)
		})
	}
}

func TestApproveReportsTheRefusal(t *testing.T) {
	tesla := new(Tesla)
	for _, bad := range []string{"https://auth.tesla.com/oauth2/v3/authorize", "::"} {
		if location, err := tesla.Approve(bad); err == nil {
			t.Errorf("%q was sent back to %q", bad, location)
		}
	}
}

func TestExchange(t *testing.T) {
	tests := []struct {
		name       string
		change     func(form url.Values)
		wait       time.Duration
		wantStatus int
		wantError  string
		violations int
	}{
		{"good", func(url.Values) {}, 0, 200, "", 0},
		{"good after four minutes", func(url.Values) {}, 4 * minute, 200, "", 0},
		{"late", func(url.Values) {}, 6 * minute, 401, "invalid_grant", 0},
		{"wrong verifier", func(f url.Values) { f.Set("code_verifier", strings.Repeat("w", 43)) }, 0, 401, "invalid_grant", 1},
		{"no verifier", func(f url.Values) { f.Del("code_verifier") }, 0, 401, "invalid_grant", 1},
		{"other redirect", func(f url.Values) { f.Set("redirect_uri", "https://x") }, 0, 401, "invalid_grant", 1},
		{"unknown code", func(f url.Values) { f.Set("code", "EU_nonsense") }, 0, 401, "invalid_grant", 0},
		{"foreign client", func(f url.Values) { f.Set("client_id", "x") }, 0, 401, "invalid_client", 1},
		{"unknown grant", func(f url.Values) { f.Set("grant_type", "password") }, 0, 400, "unsupported_grant_type", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, new(Tesla))
				form := url.Values{
					"grant_type": {"authorization_code"}, "client_id": {"ownerapi"}, "code_verifier": {testVerifier},
					"redirect_uri": {"tesla://auth/callback"}, "code": {b.tesla.Code(challenge(testVerifier))},
				}
				test.change(form)
				time.Sleep(test.wait)
				status, d := b.token(form)
				equal(t, "status", status, test.wantStatus)
				got, _ := d["error"].(string)
				equal(t, "error", got, test.wantError)
				equal(t, "violations", len(b.tesla.Violations()), test.violations)
			})
		})
	}
}

func TestCodeWorksOnce(t *testing.T) {
	b := newBench(t, new(Tesla))
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"ownerapi"}, "code_verifier": {testVerifier},
		"redirect_uri": {"tesla://auth/callback"}, "code": {b.tesla.Code(challenge(testVerifier))},
	}
	status, d := b.token(form)
	equal(t, "first status", status, 200)
	equal(t, "state", d["state"], any("of the union"))
	b.access, _ = d["access_token"].(string)
	b.get("/api/1/products")
	status, _ = b.token(form)
	equal(t, "second status", status, 401)
	equal(t, "violations", len(b.tesla.Violations()), 1)
}
