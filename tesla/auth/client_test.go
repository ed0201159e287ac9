package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla/hosts"
)

const products = "https://owner-api.teslamotors.com/api/1/products"

func TestRefused401IsRenewedOnceAndSentOnceMore(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		tesla.api = func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer "+accessName(0) {
				w.WriteHeader(401)
			}
		}
		answer, err := s.Client().Post(products, "application/json", strings.NewReader(`{"charging_amps":16}`))
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("got %v, %v", answer, err)
		}
		tokensAre(t, tesla, 1)
		want(t, "bodies", strings.Join(tesla.bodies, "|"), `{"charging_amps":16}|{"charging_amps":16}`)
		want(t, "bearers", strings.Join(tesla.bearers, "|"), "Bearer "+accessName(0)+"|Bearer "+accessName(1))
		want(t, "user agent", tesla.agents[0], "tesla2mqtt/test")
	})
}

func TestABodyThatCannotBeSentAgainIsNot(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		tesla.gen = 9
		answer, err := s.Client().Post(products, "text/plain", io.MultiReader(strings.NewReader("x")))
		if err != nil || answer.StatusCode != 401 {
			t.Fatalf("got %v, %v", answer, err)
		}
		tokensAre(t, tesla, 0)
	})
}

func TestLasting401DoesNotBurnRefreshTokens(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		tesla.api = func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) }
		answer, err := s.Client().Get(products)
		if err != nil || answer.StatusCode != 401 {
			t.Fatalf("got %v, %v", answer, err)
		}
		tokensAre(t, tesla, 1)
		for range 290 {
			_, err := s.Client().Get(products)
			var fault *Error
			if !errors.As(err, &fault) || !fault.Temporary() {
				t.Fatalf("got %v", err)
			}
			time.Sleep(time.Second)
		}
		tokensAre(t, tesla, 1)
		time.Sleep(10 * time.Second)
		if _, err := s.Client().Get(products); err != nil {
			t.Fatal(err)
		}
		tokensAre(t, tesla, 2)
	})
}

func TestOtherStatusesNeverRenew(t *testing.T) {
	for _, status := range []int{302, 402, 403, 408, 412, 421, 429, 500, 503} {
		bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
			tesla.api = func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }
			answer, err := s.Client().Get(products)
			if err != nil || answer.StatusCode != status {
				t.Fatalf("got %v, %v", answer, err)
			}
			tokensAre(t, tesla, 0)
		})
	}
}

func TestNoLoginYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tesla := newFake()
		s := open(t, filepath.Join(t.TempDir(), "new", "state"), tesla)
		_, err := s.Client().Get(products)
		var dead interface{ LoginRequired() bool }
		if !errors.Is(err, ErrNotConfigured) || !errors.As(err, &dead) || !dead.LoginRequired() {
			t.Fatalf("got %v", err)
		}
		want(t, "hosts spoken to", len(tesla.hosts), 0)
	})
}

func TestInvariant5OnlyListedHosts(t *testing.T) {
	for _, url := range []string{
		"https://evil.example/", "http://owner-api.teslamotors.com/", "https://owner-api.teslamotors.com:444/",
		"https://owner-api.teslamotors.com.evil.example/", "https://x@owner-api.teslamotors.com/",
		"https://owner-api.teslamotors.com./", "https://auth.tesla.com@evil.example/", "http://127.0.0.1:1/",
	} {
		bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
			_, err := s.Client().Get(url)
			var no hosts.Refusal
			if !errors.As(err, &no) {
				t.Errorf("%s: got %v", url, err)
			}
			want(t, url+": sent", len(tesla.hosts), 0)
		})
	}
}

func TestInvariant5NoRedirectIsFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
			away := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "https://auth.tesla.cn/elsewhere") // even to a listed host
				w.WriteHeader(status)
			}
			tesla.api = away
			answer, err := s.Client().Get(products)
			if err != nil || answer.StatusCode != status {
				t.Fatalf("got %v, %v", answer, err)
			}
			tesla.answer = func(w http.ResponseWriter) bool { away(w, nil); return true }
			if err := s.Refresh(t.Context()); err == nil {
				t.Fatal("a redirect is not a token")
			}
			want(t, "hosts", strings.Join(tesla.hosts, " "), "owner-api.teslamotors.com auth.tesla.com")
		})
	}
}

// function hides the fake, which remembers secrets, from the prints.
type function func(*http.Request) (*http.Response, error)

func (f function) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestInvariant4NoSecretInAnyOutput(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, quiet *Source) {
		var out bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		s, err := Open(dir, Config{Hosts: quiet.c.Hosts, Transport: function(tesla.RoundTrip), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		show := func(things ...any) {
			for _, v := range things {
				fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
				log.Info("x", "v", v)
				if data, err := json.Marshal(v); err == nil {
					out.Write(data)
				}
			}
		}
		l := s.StartLogin()
		echo := func(status int) func(http.ResponseWriter) bool {
			return func(w http.ResponseWriter) bool {
				return respond(status, `{"error":"`+refreshName(0)+`","error_description":"`+refreshName(0)+accessName(0)+goodCode+`"}`)(w)
			}
		}
		for _, answer := range []func(http.ResponseWriter) bool{echo(400), echo(401), echo(500), echo(200), respond(200, refreshName(0)), respond(200, `{"access_token":["`+accessName(0)+`"]}`)} {
			tesla.answer = answer
			time.Sleep(time.Hour)
			_, err := l.Finish(t.Context(), goodCode)
			_, err2 := l.Finish(t.Context(), "refresh_token="+refreshName(0))
			_, err3 := s.Client().Get(products)
			show(err, err2, err3, s.Refresh(t.Context()), s.Status())
		}
		tesla.answer = nil
		unwritable(t, dir)
		time.Sleep(time.Hour)
		show(s.Refresh(t.Context()), s.Status(), s, s.c, *l, l, *s.state.Load(), s.state.Load().tok, grant{refresh: s.state.Load().tok.Refresh})
		for _, bad := range []string{goodCode + " x", refreshName(0) + "?", "tesla://auth/callback?code=" + goodCode + "&state=wrong", jwt(`{"scp":1}`)} {
			_, err := l.Finish(t.Context(), bad)
			show(err)
		}
		for _, secret := range []string{"EU_", "SECRETSECRET", goodCode, l.state.Reveal(), l.verifier.Reveal(), jwt(`{"scp":1}`)} {
			if i := strings.Index(out.String(), secret); i >= 0 {
				t.Errorf("%q is shown: %s", secret, out.String()[max(0, i-200):i+50])
			}
		}
		want(t, "something was shown", out.Len() > 5000, true)
	})
}

func TestOpenProtectsTheFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such rights here")
	}
	parent, tesla := t.TempDir(), newFake()
	dir := filepath.Join(parent, "state")
	open(t, dir, tesla)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	login(t, dir, tesla)
	name := filepath.Join(dir, fileName)
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, tesla)
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	want(t, "state", s.Status().State, "ok")
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 || left[0].Name() != fileName || left[1].Name() != lockName {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

func TestOpenFailsEarly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if _, err := Open(dir, Config{Transport: newFake()}); err == nil || !strings.Contains(err.Error(), "state folder") {
			t.Errorf("%s: got %v", dir, err)
		}
	}
}

func jwt(claims string) string {
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
}
