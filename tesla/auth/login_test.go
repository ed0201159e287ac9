package auth

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla/hosts"
)

// begin opens an empty state folder and starts a login there.
func begin(t *testing.T, tesla *fake, authURL string) (dir string, s *Source, l *Login, asked url.Values) {
	t.Helper()
	dir = t.TempDir()
	h, err := hosts.New(authURL)
	if err != nil {
		t.Fatal(err)
	}
	s, err = Open(dir, Config{AuthURL: authURL, Hosts: h, Transport: tesla})
	if err != nil {
		t.Fatal(err)
	}
	l = s.StartLogin()
	u, err := url.Parse(l.URL())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "address", u.Scheme+"://"+u.Host+u.Path, map[bool]string{true: home, false: authURL}[authURL == ""]+"/oauth2/v3/authorize")
	tesla.challenge = u.Query().Get("code_challenge")
	return dir, s, l, u.Query()
}

func callbackURL(state, issuer string) string {
	return "tesla://auth/callback?" + url.Values{"code": {goodCode}, "state": {state}, "issuer": {issuer}}.Encode()
}

func TestLoginByCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tesla := newFake()
		dir, s, l, asked := begin(t, tesla, "")
		want(t, "client", asked.Get("client_id"), "ownerapi")
		want(t, "redirect", asked.Get("redirect_uri"), "tesla://auth/callback")
		want(t, "scope", asked.Get("scope"), "openid email offline_access")
		want(t, "method", asked.Get("code_challenge_method"), "S256")
		want(t, "type", asked.Get("response_type"), "code")
		want(t, "length of the state", len(asked.Get("state")), 43)

		kind, err := l.Finish(t.Context(), callbackURL(asked.Get("state"), home+v3))
		if err != nil || kind != CallbackURL {
			t.Fatalf("got %v, %v", kind, err)
		}
		want(t, "grant", tesla.forms[0].Get("grant_type"), "authorization_code")
		want(t, "redirect", tesla.forms[0].Get("redirect_uri"), "tesla://auth/callback")
		want(t, "on disk", onDisk(t, dir), 1)
		want(t, "state", s.Status().State, "ok")
		mustGet(t, s, 1)
		tokensAre(t, tesla, 1)
		if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("rights of the file: %v, %v", info, err)
		}
		time.Sleep(time.Hour) // the file is read again and is the same login
		mustGet(t, s, 1)
	})
}

func TestLoginElsewhere(t *testing.T) {
	for _, tt := range []struct {
		name, authURL, text, host, api string
		kind                           Recognised
	}{
		{"China by callback", "", callbackURL("", "https://auth.tesla.cn/oauth2/v3"), "auth.tesla.cn", "https://owner-api.vn.cloud.tesla.cn", CallbackURL},
		{"bare code", "", goodCode, "auth.tesla.com", "https://owner-api.teslamotors.com", AuthorizationCode},
		{"refresh token", "", "refresh_token=" + refreshName(0), "auth.tesla.com", "https://owner-api.teslamotors.com", RefreshToken},
		{"simulator", "http://127.0.0.1:4711", callbackURL("", "http://127.0.0.1:4711/oauth2/v3"), "127.0.0.1:4711", "https://owner-api.teslamotors.com", CallbackURL},
		{"proxy that shows Tesla's issuer", "https://proxy.example/t", callbackURL("", home+v3), "proxy.example", "https://owner-api.teslamotors.com", CallbackURL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tesla := newFake()
				_, s, l, _ := begin(t, tesla, tt.authURL)
				kind, err := l.Finish(t.Context(), tt.text)
				if err != nil || kind != tt.kind {
					t.Fatalf("got %v, %v", kind, err)
				}
				time.Sleep(7 * time.Hour)
				mustGet(t, s, 2)
				want(t, "hosts", strings.Join(tesla.hosts, " "), tt.host+" "+tt.host)
				want(t, "API", s.APIURL(), tt.api)
			})
		})
	}
}

func TestALoginStaysWhereItWasMade(t *testing.T) {
	dir, tesla := t.TempDir(), newFake()
	login(t, dir, tesla)
	h, err := hosts.New("http://127.0.0.1:4711")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, Config{AuthURL: "http://127.0.0.1:4711/", Hosts: h, Transport: tesla})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "state", s.Status().State, "login_required")
	if err := s.Refresh(t.Context()); err == nil || len(tesla.hosts) != 0 {
		t.Errorf("Tesla's refresh token went to a simulator: %v %v", err, tesla.hosts)
	}
}

func TestInvariant9BadPasteChangesNothing(t *testing.T) {
	for _, tt := range []struct {
		name, text, says string
		sent             int
	}{
		{"wrong state", callbackURL("other", home+v3), "state does not match", 0},
		{"unlisted issuer", callbackURL("", "https://evil.example/oauth2/v3"), "issuer", 0},
		{"plain http issuer", callbackURL("", "http://auth.tesla.com/oauth2/v3"), "issuer", 0},
		{"user in the issuer", callbackURL("", "https://auth.tesla.com:x@evil.example/oauth2/v3"), "issuer", 0},
		{"cancelled", "tesla://auth/callback?error=login_cancelled", "login_cancelled", 0},
		{"a password", "hunter2hunter2", "nobody was sent it", 0},
		{"a code from the phone", "123456", "nobody was sent it", 0},
		{"used code", "EU_0ldc0de0ldc0de", "codes last only minutes and work once", 1},
		{"dead refresh token", "refresh_token=EU_dead00000000", "refresh tokens end when used", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
				before, err := os.ReadFile(filepath.Join(dir, fileName))
				if err != nil {
					t.Fatal(err)
				}
				_, err = s.StartLogin().Finish(t.Context(), tt.text)
				var fault *Error
				if !errors.As(err, &fault) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v", err)
				}
				want(t, "says login again (exit code)", fault.LoginRequired(), tt.sent == 1)
				tokensAre(t, tesla, tt.sent)
				after, err := os.ReadFile(filepath.Join(dir, fileName))
				want(t, "the file is as before", err == nil && string(after) == string(before), true)
				mustGet(t, s, 0)
				want(t, "state", s.Status().State, "ok")
			})
		})
	}
}

func TestLoginRevivesADeadSource(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		tesla.answer = respond(401, `{"error":"login_required"}`)
		if err := s.Refresh(t.Context()); err == nil {
			t.Fatal("not dead")
		}
		tesla.answer = nil
		if _, err := s.StartLogin().Finish(t.Context(), "refresh_token="+refreshName(0)); err != nil {
			t.Fatal(err)
		}
		mustGet(t, s, 1)
		want(t, "state", s.Status().State, "ok")
	})
}

// A login must not fall between another process's reading of the old token and its writing of the renewed one.
func TestLoginWaitsForARenewalElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, daemon *Source) {
		cli := open(t, dir, tesla)
		time.Sleep(7 * time.Hour)
		tesla.wait = 10 * time.Second
		tesla.answer = func(w http.ResponseWriter) bool {
			if len(tesla.forms) == 2 {
				tesla.gen = 100 // the new login is of another line
			}
			return false
		}
		go daemon.get(t.Context(), none)
		synctest.Wait()
		start := time.Now()
		_, err := cli.StartLogin().Finish(t.Context(), "refresh_token="+refreshName(100))
		if err != nil {
			t.Fatal(err)
		}
		want(t, "waited for the lock and for Tesla", time.Since(start) >= 20*time.Second, true)
		want(t, "on disk", onDisk(t, dir), 101)
		time.Sleep(30 * time.Second)
		tesla.wait = 0
		mustGet(t, daemon, 101)
	})
}
