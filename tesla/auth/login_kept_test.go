package auth

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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

// TestFileThatCannotBeRead: a file that is not to be read just now says nothing about the login that is in memory.
func TestFileThatCannotBeRead(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		name := filepath.Join(dir, fileName)
		if err := os.Rename(name, name+".kept"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		mustGet(t, s, 0)
		want(t, "state", s.Status().State, "ok")
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".kept", name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Hour)
		mustGet(t, s, 1)
		tokensAre(t, tesla, 1)
	})
}
