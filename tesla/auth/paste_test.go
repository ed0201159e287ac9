package auth

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func jwt(claims string) string {
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
}

func TestParse(t *testing.T) {
	code, long := "EU_0123456789abcdef", "EU_"+strings.Repeat("0123456789abcdef", 4)
	full := "tesla://auth/callback?code=" + code + "&state=abc&issuer=https%3A%2F%2Fauth.tesla.com%2Foauth2%2Fv3"
	refreshJWT := jwt(`{"iss":"https://auth.tesla.cn/oauth2/v3","scp":["openid"],"aud":"https://auth.tesla.cn/oauth2/v3/token"}`)
	const issuer = "https://auth.tesla.com/oauth2/v3"
	for _, tt := range []struct {
		name, text               string
		kind                     Recognised
		value, state, from, fail string
	}{
		{"callback", full, CallbackURL, code, "abc", issuer, ""},
		{"blanks and newline around", " \r\n" + full + "\n", CallbackURL, code, "abc", issuer, ""},
		{"quoted", `"` + full + `"`, CallbackURL, code, "abc", issuer, ""},
		{"broken into lines", full[:40] + "\n" + full[40:70] + "\r\n  " + full[70:], CallbackURL, code, "abc", issuer, ""},
		{"header line", "Location: " + full, CallbackURL, code, "abc", issuer, ""},
		{"header lines", "HTTP/2 302\nlocation: " + full + "\nserver: x", CallbackURL, code, "abc", issuer, ""},
		{"console of Chrome", "Failed to launch '" + full + "' because the scheme does not have a registered handler.", CallbackURL, code, "abc", issuer, ""},
		{"old callback", "https://auth.tesla.com/void/callback?code=" + code + "&state=abc", OldCallbackURL, code, "abc", "", ""},
		{"only the query", "code=" + code + "&state=abc", AuthorizationCode, code, "abc", "", ""},
		{"bare code", code + "\n", AuthorizationCode, code, "", "", ""},
		{"bare code of 63 characters", long[:63], AuthorizationCode, long[:63], "", "", ""},
		{"bare Chinese code", "CN_0123456789abcdef", AuthorizationCode, "CN_0123456789abcdef", "", "https://auth.tesla.cn", ""},
		{"refresh token", long, RefreshToken, long, "", "", ""},
		{"refresh token in two lines", long[:30] + "\n" + long[30:], RefreshToken, long, "", "", ""},
		{"short refresh token, named", "refresh_token=" + code, RefreshToken, code, "", "", ""},
		{"refresh token out of JSON", `"refresh_token": "` + code + `",`, RefreshToken, code, "", "", ""},
		{"refresh token, JWT of China", refreshJWT, RefreshToken, refreshJWT, "", "https://auth.tesla.cn", ""},
		{"refresh token, encrypted JWT", jwt("\x01\x02")[:20] + strings.Repeat(".AAAA", 20), RefreshToken, jwt("\x01\x02")[:20] + strings.Repeat(".AAAA", 20), "", "", ""},

		{"access token", jwt(`{"aud":["https://owner-api.teslamotors.com/"],"scp":["openid"]}`), "", "", "", "", "access token"},
		{"cancelled", "tesla://auth/callback?error=login_cancelled&state=abc", CallbackURL, "", "abc", "", "login_cancelled"},
		{"strange error", "tesla://auth/callback?error=%1b[31mEU_X&state=abc", CallbackURL, "", "abc", "", "no code"},
		{"no code", "tesla://auth/callback?state=abc", CallbackURL, "", "abc", "", "no code"},
		{"damaged", "tesla://auth/callback?code=%zz", CallbackURL, "", "", "", "damaged"},
		{"the address to open", "https://auth.tesla.com/oauth2/v3/authorize?client_id=ownerapi", "", "", "", "", "tesla://"},
		{"nothing", " \n", "", "", "", "", "tesla://"},
		{"prose", "The 'redirect_uri' supplied is not registered for this 'client_id'.", "", "", "", "", "tesla://"},
		{"a password", "hunter2hunter2", "", "", "", "", "belongs on Tesla's page"},
		{"a password of a code's length", strings.Repeat("hunter2-", 8)[:63], "", "", "", "", "belongs on Tesla's page"},
		{"a password of a token's length", strings.Repeat("hunter2.", 12), "", "", "", "", "belongs on Tesla's page"},
		{"a password with marks", "Hunter2!?%&", "", "", "", "", "belongs on Tesla's page"},
		{"a code from the phone", "123456", "", "", "", "", "belongs on Tesla's page"},
		{"a code from the phone, in groups", "1234 5678", "", "", "", "", "belongs on Tesla's page"},
		{"a passphrase", "correct horse battery staple", "", "", "", "", "belongs on Tesla's page"},
		{"a code and something behind it", code + " hunter2", "", "", "", "", "belongs on Tesla's page"},
		{"an e-mail address", "me@example.com", "", "", "", "", "belongs on Tesla's page"},
		{"the prefix in lower case", strings.ToLower(code), "", "", "", "", "belongs on Tesla's page"},
		{"a JWT", jwt(`{}`), AuthorizationCode, jwt(`{}`), "", "", ""},
		{"a code of another form, named", "code=0123456789abcdef", AuthorizationCode, "0123456789abcdef", "", "", ""},
		{"too long", strings.Repeat("a", 16<<10+1), "", "", "", "", "16 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, fault := parse(tt.text, "")
			if fault != nil || tt.fail != "" {
				if fault == nil || tt.fail == "" || !strings.Contains(fault.Error(), tt.fail) {
					t.Fatalf("got error %v, want one with %q", fault, tt.fail)
				}
				want(t, "kind", p.kind, tt.kind)
				if said := fault.Error(); strings.Contains(strings.ToLower(said), "hunter2") || strings.Contains(said, "123456") || strings.Contains(said, "horse") {
					t.Errorf("the error repeats what was pasted: %s", said)
				}
				return
			}
			want(t, "kind", p.kind, tt.kind)
			value := p.code.Reveal()
			if tt.kind == RefreshToken {
				want(t, "code", value, "")
				value = p.refresh.Reveal()
			}
			want(t, "value", value, tt.value)
			want(t, "state", p.state.Reveal(), tt.state)
			want(t, "issuer", p.issuer, tt.from)
		})
	}
}

func TestParseRecordedCallbacks(t *testing.T) {
	data, err := os.ReadFile("../../../shared/samples/tesla/authorize_callbacks.json")
	if err != nil {
		t.Skip("no recorded answers here")
	}
	var sample struct{ Body map[string]string }
	if err := json.Unmarshal(data, &sample); err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]Recognised{"new_ok": CallbackURL, "new_cn": CallbackURL, "old_ok_until_2026_04": OldCallbackURL} {
		p, fault := parse(sample.Body[name], "")
		if fault != nil || p.kind != kind || !strings.HasSuffix(p.code.Reveal(), "_0123456789abcdef") || p.state.Reveal() != "abc" {
			t.Errorf("%s: got %v %v", name, p.kind, fault)
		}
	}
	if _, fault := parse(sample.Body["cancelled"], ""); fault == nil || !strings.Contains(fault.Error(), "cancelled") {
		t.Errorf("cancelled: %v", fault)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("tesla://auth/callback?code=EU_0123456789abcdef&state=abc&issuer=https%3A%2F%2Fauth.tesla.com%2Foauth2%2Fv3")
	f.Add("refresh_token: " + jwt(`{"aud":"https://auth.tesla.com/oauth2/v3/token"}`))
	f.Add("code=EU_0123456789abcdef&error=login_cancelled")
	f.Add("Failed to launch 'https://auth.tesla.cn/void/callback?code=CN_0123456789abcdef'")
	f.Fuzz(func(t *testing.T, text string) {
		p, fault := parse(text, "")
		code, refresh := p.code.Reveal(), p.refresh.Reveal()
		if fault != nil {
			if fault.kind != refused || strings.Contains(fault.Error(), "EU_0123456789abcdef") {
				t.Errorf("%q: %v", text, fault)
			}
			return
		}
		if (code == "") == (refresh == "") {
			t.Errorf("%q: not exactly one of code and refresh token", text)
		}
		if !opaque.MatchString(code+refresh) || len(code+refresh) > 16<<10 {
			t.Errorf("%q: taken out %q", text, code+refresh)
		}
		if again, fault := parse(text+"\n", ""); fault != nil || again.code.Reveal() != code || again.refresh.Reveal() != refresh {
			t.Errorf("%q: a newline changes the result", text)
		}
	})
}
