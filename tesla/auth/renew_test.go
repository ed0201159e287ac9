package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla/hosts"
)

// bubble runs f in fake time with a login of this instant, a fake Tesla and a source.
func bubble(t *testing.T, f func(t *testing.T, dir string, tesla *fake, s *Source)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		dir, tesla := t.TempDir(), newFake()
		login(t, dir, tesla)
		f(t, dir, tesla, open(t, dir, tesla))
	})
}

func mustGet(t *testing.T, s *Source, gen int) {
	t.Helper()
	got, err := s.get(t.Context(), none)
	if err != nil || got.Reveal() != accessName(gen) {
		t.Errorf("got token %q and error %v, want generation %d", got.Reveal(), err, gen)
	}
}

func tokensAre(t *testing.T, tesla *fake, n int) {
	t.Helper()
	if got, _ := tesla.count(); got != n {
		t.Fatalf("%d token requests, want %d", got, n)
	}
}

func TestRenewsAtThreeQuartersOfLife(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		time.Sleep(6*time.Hour - time.Second)
		mustGet(t, s, 0)
		tokensAre(t, tesla, 0)
		time.Sleep(time.Second)
		mustGet(t, s, 1)
		tokensAre(t, tesla, 1)
		want(t, "on disk", onDisk(t, dir), 1)
		want(t, "path", tesla.lastPath, "/oauth2/v3/token")
		want(t, "user agent", tesla.agents[0], "tesla2mqtt/test")
		want(t, "client", tesla.forms[0].Get("client_id"), "ownerapi")
		want(t, "state", s.Status().State, "ok")
		time.Sleep(6 * time.Hour)
		mustGet(t, s, 2)
		want(t, "last refresh", s.Status().LastRefresh.Equal(time.Now()), true)
		want(t, "expires", s.Status().AccessExpires.Equal(time.Now().Add(8*time.Hour)), true)
	})
}

func TestOneRefreshForManyCallers(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		tesla.wait = 3 * time.Second
		time.Sleep(9 * time.Hour)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { mustGet(t, s, 1) })
		}
		wg.Wait()
		tokensAre(t, tesla, 1)
	})
}

func TestOthersDoNotWaitWhileTheTokenIsGood(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		tesla.wait = 20 * time.Second
		time.Sleep(7 * time.Hour)
		go s.get(t.Context(), none)
		synctest.Wait()
		start := time.Now()
		mustGet(t, s, 0)
		want(t, "waited", time.Since(start), time.Duration(0))
		time.Sleep(time.Minute)
		mustGet(t, s, 1)
	})
}

func respond(status int, body string) func(w http.ResponseWriter) bool {
	return func(w http.ResponseWriter) bool {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return true
	}
}

func TestTemporaryFailureKeepsTheRefreshToken(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter) bool
	}{
		{"server_error with 400", respond(400, `{"error":"server_error"}`)},
		{"Akamai", respond(403, "<HTML><TITLE>Access Denied</TITLE></HTML>")},
		{"HTML with 200", respond(200, "<html>")},
		{"too many", respond(429, "")},
		{"bad gateway", respond(502, "upstream")},
		{"redirect", func(w http.ResponseWriter) bool { w.Header().Set("Location", home); w.WriteHeader(307); return true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
				tesla.answer = tt.answer
				time.Sleep(6 * time.Hour)
				for range 299 { // seconds: the token is good, so the pause is 5 min
					mustGet(t, s, 0)
					time.Sleep(time.Second)
				}
				tokensAre(t, tesla, 1)
				want(t, "state", s.Status().State, "refresh_failing")
				want(t, "failures", s.Status().Failures, 1)
				time.Sleep(time.Second)
				mustGet(t, s, 0)
				tokensAre(t, tesla, 2)
				tesla.answer = nil
				time.Sleep(5 * time.Minute)
				mustGet(t, s, 1)
				want(t, "refresh token", tesla.forms[2].Get("refresh_token"), refreshName(0))
				want(t, "state", s.Status().State, "ok")
			})
		})
	}
}

// A wrong certificate is not the login's fault; which one it was goes on to whoever gives the advice.
func TestMisfitKeepsTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, tesla := t.TempDir(), newFake()
		loginAt(t, dir, tesla, time.Now().Add(-9*time.Hour))
		misfit := &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Cert: &x509.Certificate{NotBefore: time.Now().Add(time.Hour)}, Reason: x509.Expired}}
		s := open(t, dir, function(func(*http.Request) (*http.Response, error) { return nil, misfit }))
		_, err := s.get(t.Context(), none)
		if what, _ := hosts.Misfit(err, time.Now()); what == "" {
			t.Errorf("got %v", err)
		}
		want(t, "state", s.Status().State, "refresh_failing")
		if said := s.Status().Message; !strings.Contains(said, "set the clock") {
			t.Errorf("said %s", said)
		}
	})
}

func TestBackoffOnceExpired(t *testing.T) {
	for _, tt := range []struct {
		status int
		pauses []time.Duration
	}{
		{503, []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute}},
		{429, []time.Duration{5 * time.Minute, 5 * time.Minute}},
	} {
		bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
			tesla.answer = respond(tt.status, "")
			time.Sleep(9 * time.Hour)
			for i, pause := range tt.pauses {
				_, err := s.get(t.Context(), none)
				var fault *Error
				if !errors.As(err, &fault) || !fault.Temporary() || fault.LoginRequired() {
					t.Fatalf("got %v", err)
				}
				tokensAre(t, tesla, i+1)
				time.Sleep(pause - time.Second)
				s.get(t.Context(), none)
				tokensAre(t, tesla, i+1)
				time.Sleep(time.Second)
			}
		})
	}
}

func TestDeadLoginStopsUntilTheFileChanges(t *testing.T) {
	for _, code := range deadCodes {
		bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
			tesla.answer = respond(401, `{"error":"`+code+`","error_description":"x"}`)
			time.Sleep(6 * time.Hour)
			for range 3600 {
				_, err := s.Client().Get("https://owner-api.teslamotors.com/api/1/products")
				var dead interface{ LoginRequired() bool }
				if !errors.As(err, &dead) || !dead.LoginRequired() {
					t.Fatalf("got %v", err)
				}
				time.Sleep(time.Second)
			}
			tokensAre(t, tesla, 1)
			want(t, "state", s.Status().State, "login_required")
			if _, calls := tesla.count(); calls != 0 {
				t.Errorf("%d API calls with a dead login", calls)
			}
			tesla.answer, tesla.gen = nil, 7
			login(t, dir, tesla)
			time.Sleep(30 * time.Second)
			mustGet(t, s, 7)
			want(t, "state", s.Status().State, "ok")
		})
	}
}

func TestNewLoginIsNoticedWhileTheOldIsGood(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		mustGet(t, s, 0)
		tesla.gen = 5
		login(t, dir, tesla)
		time.Sleep(30 * time.Second)
		mustGet(t, s, 5)
		tokensAre(t, tesla, 0)
	})
}

func TestLogoutByDeletingTheFile(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		if err := os.Remove(filepath.Join(dir, fileName)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if _, err := s.get(t.Context(), none); !errors.Is(err, ErrNotConfigured) {
			t.Fatalf("got %v", err)
		}
		want(t, "state", s.Status().State, "not_configured")
	})
}

func TestBadFileIsNamedAndKept(t *testing.T) {
	for name, text := range map[string]string{
		"empty":         "",
		"not JSON":      "EU_secret{",
		"other version": `{"version":2,"refresh_token":"EU_secret"}`,
		"no token":      `{"version":1,"issuer":"` + home + v3 + `"}`,
		"absurd life":   `{"version":1,"refresh_token":"EU_secret","expires_in":1e12,"issuer":"` + home + v3 + `"}`,
		"other place":   `{"version":1,"refresh_token":"EU_secret","expires_in":1,"issuer":"https://evil.example/oauth2/v3"}`,
		"other path":    `{"version":1,"refresh_token":"EU_secret","expires_in":1,"issuer":"https://auth.tesla.com/elsewhere"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, tesla := t.TempDir(), newFake()
				put(t, dir, text)
				s := open(t, dir, tesla)
				st := s.Status()
				want(t, "state", st.State, "login_required")
				if !strings.Contains(st.Message, fileName) || strings.Contains(st.Message, "EU_secret") {
					t.Errorf("message %q", st.Message)
				}
				if err := s.Refresh(t.Context()); err == nil {
					t.Error("renewed")
				}
				tokensAre(t, tesla, 0)
				if got, err := os.ReadFile(filepath.Join(dir, fileName)); err != nil || string(got) != text {
					t.Errorf("the file is now %q, %v", got, err)
				}
				login(t, dir, tesla)
				time.Sleep(30 * time.Second)
				mustGet(t, s, 0)
			})
		})
	}
}

func TestAnswerWithoutRefreshTokenKeepsTheOld(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		tesla.answer = respond(200, `{"access_token":"eyJnew","expires_in":28800,"token_type":"Bearer"}`)
		time.Sleep(6 * time.Hour)
		got, err := s.get(t.Context(), none)
		if err != nil || got.Reveal() != "eyJnew" {
			t.Fatalf("got %q, %v", got.Reveal(), err)
		}
		want(t, "on disk", onDisk(t, dir), 0)
	})
}

func TestImpatientCallerLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		tesla.wait = 10 * time.Second
		time.Sleep(9 * time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.get(ctx, none); err != nil {
			t.Fatal(err)
		}
		want(t, "on disk", onDisk(t, dir), 1)
		mustGet(t, s, 1)
	})
}

func TestClockInThePastUsesTheTokenUntil401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, tesla := t.TempDir(), newFake()
		loginAt(t, dir, tesla, time.Now().Add(26*365*24*time.Hour))
		s := open(t, dir, tesla)
		time.Sleep(48 * time.Hour)
		mustGet(t, s, 0)
		tokensAre(t, tesla, 0)
		tesla.api = func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer "+accessName(0) {
				w.WriteHeader(401)
			}
		}
		answer, err := s.Client().Get("https://owner-api.teslamotors.com/x")
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("got %v, %v", answer, err)
		}
		tokensAre(t, tesla, 1)
	})
}

func TestShortLivedTokensOfASimulator(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		tesla.life = 80
		time.Sleep(6 * time.Hour)
		mustGet(t, s, 1)
		for i := range 10 {
			time.Sleep(60 * time.Second)
			mustGet(t, s, i+2)
		}
		tesla.answer = respond(503, "")
		time.Sleep(60 * time.Second)
		mustGet(t, s, 11)
		tesla.answer = nil
		time.Sleep(20 * time.Second)
		mustGet(t, s, 12)
	})
}

// unwritable makes the next saves fail, whoever runs the test: a folder is in the way of the temporary file.
func unwritable(t *testing.T, dir string) (undo func()) {
	t.Helper()
	block := filepath.Join(dir, fileName+".tmp")
	if err := os.MkdirAll(filepath.Join(block, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.RemoveAll(block); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInvariant3SaveFails(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		other := open(t, dir, tesla)
		undo := unwritable(t, dir)
		time.Sleep(6 * time.Hour)
		mustGet(t, s, 1) // from memory
		st := s.Status()
		want(t, "state", st.State, "save_failing")
		want(t, "on disk", onDisk(t, dir), 0)

		// Nobody else may spend the old refresh token meanwhile.
		mustGet(t, other, 0) // is still good, and the lock is waited for in vain
		tokensAre(t, tesla, 1)
		want(t, "state of the other", other.Status().State, "refresh_failing")

		// And we never go back to it, even over the next renewal.
		time.Sleep(6 * time.Hour)
		mustGet(t, s, 2)
		want(t, "spent", tesla.forms[1].Get("refresh_token"), refreshName(1))
		want(t, "state", s.Status().State, "save_failing")

		undo()
		time.Sleep(5 * time.Second)
		mustGet(t, s, 2)
		want(t, "on disk", onDisk(t, dir), 2)
		want(t, "state", s.Status().State, "ok")
		time.Sleep(30 * time.Second)
		mustGet(t, other, 2)
		want(t, "dead tokens tried", tesla.tooOld, 0)
	})
}

func TestInvariant3SavedAtClose(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		undo := unwritable(t, dir)
		var lost *Error
		if err := s.Refresh(t.Context()); !errors.As(err, &lost) || lost.kind != saveFailing {
			t.Fatalf("got %v", err)
		}
		undo()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		want(t, "on disk", onDisk(t, dir), 1)
	})
}

// The new token must be on disk before anybody can use it: the first API call with it looks.
func TestInvariant3OnDiskBeforeFirstUse(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		seen := 0
		tesla.api = func(w http.ResponseWriter, r *http.Request) {
			seen++
			if r.Header.Get("Authorization") != "Bearer "+accessName(onDisk(t, dir)) {
				t.Error("a token is used that is not on disk")
			}
		}
		for range 5 {
			if _, err := s.Client().Get("https://owner-api.teslamotors.com/x"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Hour)
		}
		want(t, "calls", seen, 5)
	})
}

func TestTwoProcessesOneRefresh(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, a *Source) {
		b := open(t, dir, tesla)
		tesla.wait = 3 * time.Second
		for gen := range 5 {
			time.Sleep(8 * time.Hour)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { mustGet(t, a, gen+1) })
				wg.Go(func() { mustGet(t, b, gen+1) })
			}
			wg.Wait()
			tokensAre(t, tesla, gen+1)
		}
		want(t, "dead tokens tried", tesla.tooOld, 0)
	})
}

func TestRefreshOfTheCommandLineBesideADaemon(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, daemon *Source) {
		cli := open(t, dir, tesla)
		if err := cli.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, "on disk", onDisk(t, dir), 1)
		answer, err := daemon.Client().Get("https://owner-api.teslamotors.com/x") // with the old one: 401
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("got %v, %v", answer, err)
		}
		tokensAre(t, tesla, 1)
	})
}

// Real time, real locks: nothing in this test waits for a clock.
func TestTwoProcessesRaceInRealTime(t *testing.T) {
	dir, tesla := t.TempDir(), newFake()
	loginAt(t, dir, tesla, time.Now().Add(-7*time.Hour))
	a, b := open(t, dir, tesla), open(t, dir, tesla)
	var wg sync.WaitGroup
	for range 100 {
		for _, s := range []*Source{a, b} {
			wg.Go(func() {
				if _, err := s.get(t.Context(), none); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if err := errors.Join(a.Refresh(t.Context()), b.Refresh(t.Context())); err != nil {
		t.Fatal(err)
	}
	want(t, "dead tokens tried", tesla.tooOld, 0)
	tokensAre(t, tesla, tesla.gen)
}
