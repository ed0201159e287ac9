package sim

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Each step refreshes with a token that was got before: 0 is the first one, n that of step n.
func TestRefreshRotation(t *testing.T) {
	type step struct {
		after  time.Duration
		use    int
		status int
	}
	tests := []struct {
		name       string
		strict     bool
		steps      []step
		reuses     int
		violations int
	}{
		{"a chain", false, []step{{0, 0, 200}, {time.Hour, 1, 200}, {time.Hour, 2, 200}}, 0, 0},
		{"a chain, strictly", true, []step{{0, 0, 200}, {time.Hour, 1, 200}, {time.Hour, 2, 200}}, 0, 0},
		{"the last one again", false, []step{{0, 0, 200}, {23 * time.Hour, 0, 200}, {0, 2, 200}}, 1, 0},
		{"the last one again, strictly", true, []step{{0, 0, 200}, {time.Second, 0, 401}, {0, 1, 200}}, 1, 1},
		{"the last one too late", false, []step{{0, 0, 200}, {25 * time.Hour, 0, 401}}, 1, 1},
		{"grace counts from the first use", false, []step{{0, 0, 200}, {20 * time.Hour, 0, 200}, {5 * time.Hour, 0, 401}}, 2, 1},
		{"an older one", false, []step{{0, 0, 200}, {0, 1, 200}, {time.Second, 0, 401}, {0, 2, 200}}, 1, 1},
		{"one that was replaced unused", false, []step{{0, 0, 200}, {0, 0, 200}, {0, 1, 401}, {0, 2, 200}}, 2, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, &Tesla{Strict: test.strict})
				_, first := b.tesla.Login()
				got := []string{first}
				for i, step := range test.steps {
					time.Sleep(step.after)
					status, next := b.refresh(got[step.use])
					if status != step.status || status == 401 && next != "login_required" {
						t.Errorf("step %d: %d %q, want %d", i+1, status, next, step.status)
					}
					got = append(got, next)
				}
				reuses := b.tesla.RefreshReuse()
				equal(t, "reuses", len(reuses), test.reuses)
				equal(t, "violations", len(b.tesla.Violations()), test.violations)
				refused := slices.DeleteFunc(reuses, func(r Reuse) bool { return r.Accepted })
				equal(t, "refused reuses", len(refused), test.violations)
			})
		})
	}
}

func TestRefreshWithoutRotation(t *testing.T) {
	b := newBench(t, &Tesla{KeepRefreshToken: true})
	_, token := b.tesla.Login()
	for range 3 {
		status, next := b.refresh(token)
		equal(t, "status", status, 200)
		equal(t, "refresh token in the answer", next, "")
	}
	equal(t, "reuses", len(b.tesla.RefreshReuse()), 0)
}

func TestUnknownRefreshTokenIsNoViolation(t *testing.T) {
	b := newBench(t, new(Tesla))
	status, word := b.refresh("EU_pasted_from_elsewhere")
	equal(t, "status", status, 401)
	equal(t, "error", word, "login_required")
	equal(t, "violations", len(b.tesla.Violations()), 0)
}

func TestRevokeLogin(t *testing.T) {
	b := newBench(t, new(Tesla))
	_, token := b.tesla.Login()
	b.tesla.RevokeLogin()
	status, d := b.do("GET", "/api/1/products", "")
	equal(t, "status", status, 401)
	equal(t, "error", d["error"], any("invalid bearer token"))
	status, word := b.refresh(token)
	equal(t, "refresh", status, 401)
	equal(t, "refresh", word, "login_required")
	b.access, _ = b.tesla.Login()
	b.get("/api/1/products")
	equal(t, "violations", len(b.tesla.Violations()), 0) // nobody could know
}

func TestAccessTokenLife(t *testing.T) {
	tests := []struct {
		name    string
		expires time.Duration
		want    time.Duration
	}{
		{"as usual", 0, 8 * time.Hour},
		{"shorter", 90 * time.Second, 90 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, &Tesla{ExpiresIn: test.expires})
				time.Sleep(test.want - time.Second)
				b.get("/api/1/products")
				time.Sleep(time.Second)
				status, d := b.do("GET", "/api/1/products", "")
				equal(t, "status", status, 401)
				equal(t, "error", d["error"], any("token expired (401)"))
			})
		})
	}
}

func TestBearer(t *testing.T) {
	tests := []struct{ name, header string }{
		{"none", ""},
		{"unknown", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.x"},
		{"empty", "Bearer "},
		{"another scheme", "Basic abc"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, new(Tesla))
			req := b.request("GET", "/api/1/products", "")
			req.Header.Del("Authorization")
			if test.header != "" {
				req.Header.Set("Authorization", test.header)
			}
			resp, err := b.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "status", resp.StatusCode, 401)
			equal(t, "error", b.decode(resp)["error"], any("invalid bearer token"))
		})
	}
}

func TestAccessTokenLooksLikeTeslas(t *testing.T) {
	tesla := new(Tesla)
	access, refresh := tesla.Login()
	if !strings.HasPrefix(access, "eyJ") || !strings.HasPrefix(refresh, "EU_") {
		t.Errorf("tokens begin with %.4s and %.4s", access, refresh)
	}
	parts := strings.Split(access, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	raw := make([][]byte, 3)
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
	}
	var claims struct {
		Iss, Azp string
		OUCode   string `json:"ou_code"`
		Aud, Scp []string
		Exp      int64
	}
	if err := json.Unmarshal(raw[1], &claims); err != nil {
		t.Fatal(err)
	}
	equal(t, "iss", claims.Iss, "https://auth.tesla.com/oauth2/v3")
	equal(t, "azp", claims.Azp, "ownerapi")
	equal(t, "ou_code", claims.OUCode, "EU")
	equal(t, "first aud", claims.Aud[0], "https://owner-api.teslamotors.com/")
	equal(t, "third scp", claims.Scp[2], "offline_access")
	near(t, "exp", float64(claims.Exp), float64(time.Now().Add(8*time.Hour).Unix()), 5)
}

func TestTokenBodies(t *testing.T) {
	tests := []struct {
		name, contentType, body string
		want                    int
	}{
		{"JSON", "application/json", `{"grant_type":"refresh_token","client_id":"ownerapi","refresh_token":"TOKEN"}`, 200},
		{"JSON with a charset", "application/json; charset=utf-8",
			`{"grant_type":"refresh_token","client_id":"ownerapi","refresh_token":"TOKEN","scope":"openid"}`, 200},
		{"form", "application/x-www-form-urlencoded", "grant_type=refresh_token&client_id=ownerapi&refresh_token=TOKEN", 200},
		{"no type", "", "grant_type=refresh_token&client_id=ownerapi&refresh_token=TOKEN", 400},
		{"text", "text/plain", "grant_type=refresh_token", 400},
		{"broken JSON", "application/json", `{"grant_type":`, 400},
		{"too long", "application/json", strings.Repeat(" ", maxBody+1), 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, new(Tesla))
			_, token := b.tesla.Login()
			body := strings.ReplaceAll(test.body, "TOKEN", token)
			req, err := http.NewRequestWithContext(t.Context(), "POST", authURL+"/token", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if test.contentType != "" {
				req.Header.Set("Content-Type", test.contentType)
			}
			resp, err := b.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "status", resp.StatusCode, test.want)
			b.decode(resp)
		})
	}
}

func TestOldTokenSwapIsGone(t *testing.T) {
	b := newBench(t, new(Tesla))
	status, d := b.do("POST", "/oauth/token", "")
	equal(t, "status", status, 401)
	equal(t, "error", d["error"], any("unsupported_grant_type"))
}

func TestThousandsOfRefreshes(t *testing.T) {
	b := newBench(t, new(Tesla))
	_, token := b.tesla.Login()
	for range 3000 {
		status, next := b.refresh(token)
		if status != 200 {
			t.Fatal(status, next)
		}
		token = next
	}
	equal(t, "violations", len(b.tesla.Violations()), 0)
	equal(t, "token calls", b.tesla.Calls()["token"], 3000)
}

func TestSecretsAreNeverInViolations(t *testing.T) {
	b := newBench(t, &Tesla{Strict: true})
	_, token := b.tesla.Login()
	b.refresh(token)
	b.refresh(token)
	b.token(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"ownerapi"}, "code_verifier": {testVerifier + "x"},
		"redirect_uri": {"tesla://auth/callback"}, "code": {b.tesla.Code(challenge(testVerifier))},
	})
	secrets := b.tesla.Secrets()
	if !slices.Contains(secrets, token) || !slices.Contains(secrets, b.access) || !slices.Contains(secrets, testVerifier+"x") {
		t.Error("the list of secrets misses some")
	}
	text := strings.Join(b.tesla.Violations(), "\n")
	equal(t, "violations", len(b.tesla.Violations()), 2)
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("a secret stands in the violations: %s", text)
		}
	}
}

func TestClientIDOfOnesOwn(t *testing.T) {
	tests := []struct {
		name, knows, sends string
		want               int
	}{
		{"as usual", "", "ownerapi", 200},
		{"an app of one's own", "abc-123", "abc-123", 200},
		{"the usual one where another is known", "abc-123", "ownerapi", 401},
		{"none", "", "", 401},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, &Tesla{ClientID: test.knows})
			_, token := b.tesla.Login()
			status, _ := b.token(url.Values{
				"grant_type": {"refresh_token"}, "client_id": {test.sends}, "refresh_token": {token},
			})
			equal(t, "status", status, test.want)
		})
	}
}

// Two sign-ins live side by side: using one says nothing about the other.
func TestLoginsAreIndependent(t *testing.T) {
	b := newBench(t, &Tesla{Strict: true})
	_, one := b.tesla.Login()
	_, two := b.tesla.Login()
	for range 3 {
		for _, token := range []*string{&one, &two} {
			status, next := b.refresh(*token)
			equal(t, "status", status, 200)
			*token = next
		}
	}
	equal(t, "reuses", len(b.tesla.RefreshReuse()), 0)
}

// An access token outlives the refresh that replaced it.
func TestOldAccessTokenStaysGood(t *testing.T) {
	b := newBench(t, new(Tesla))
	access, token := b.tesla.Login()
	b.refresh(token)
	b.access = access
	b.get("/api/1/products")
}

// No body brings the token endpoint down, and none that was not minted gets a token.
func FuzzTokenBody(f *testing.F) {
	f.Add("application/json", `{"grant_type":"refresh_token","client_id":"ownerapi","refresh_token":"EU_x"}`)
	f.Add("application/x-www-form-urlencoded", "grant_type=authorization_code&client_id=ownerapi&code=%zz")
	f.Add("text/html; a", "")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		tesla := new(Tesla)
		tesla.Login()
		r := &http.Request{Header: http.Header{"Content-Type": {contentType}}}
		if a := tesla.token(&request{Request: r, body: []byte(body)}); a.status == 200 {
			t.Errorf("%q as %q got a token", body, contentType)
		}
	})
}
