package auth

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/internal/draw"
	"tesla2mqtt/tesla/hosts"
)

// TestMain lets this test binary be the process that is killed.
func TestMain(m *testing.M) {
	if at := os.Getenv("AUTH_TEST_VICTIM"); at != "" {
		if err := victim(at, os.Getenv("AUTH_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// victim renews without end, and reports each generation only after Refresh has returned.
func victim(at, dir string) error {
	for {
		s, err := openAt(at, dir)
		if err != nil {
			return err
		}
		if err := s.Refresh(context.Background()); err != nil {
			return err
		}
		fmt.Println(s.state.Load().tok.Refresh.Reveal())
		if err := s.Close(); err != nil {
			return err
		}
	}
}

func openAt(at, dir string) (*Source, error) {
	h, err := hosts.New(at)
	if err != nil {
		return nil, err
	}
	tr, err := hosts.NewTransport(h, hosts.TLS{})
	if err != nil {
		return nil, err
	}
	return Open(dir, Config{AuthURL: at, Hosts: h, Transport: tr})
}

// A process is killed at random instants after an answer was sent to it. The server takes only the newest refresh token and
// the one before, as Tesla does: so no more than the one answer that was not yet saved may be lost, and nothing that was
// reported. AUTH_TEST_KILLS sets how many times, AUTH_TEST_SEED the instants.
func TestInvariant3KillAtAnyInstant(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no kill -9 here")
	}
	kills := draw.Count(t, "AUTH_TEST_KILLS", 25)
	random := draw.Random(draw.Seed(t, "AUTH_TEST_SEED"), 0)

	dir, tesla := t.TempDir(), newFake()
	tesla.grace = true
	answered := make(chan struct{}, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tesla.ServeHTTP(w, r)
		select {
		case answered <- struct{}{}:
		default:
		}
	}))
	defer server.Close()
	put(t, dir, fmt.Sprintf(`{"version":1,"refresh_token":%q,"issuer":%q}`, refreshName(0), server.URL+v3))

	for i := range kills {
		reported := killOne(t, server.URL, dir, answered, 1+random.IntN(4), time.Duration(random.IntN(4000))*time.Microsecond)
		tesla.mu.Lock()
		gen, tooOld := tesla.gen, tesla.tooOld
		tesla.mu.Unlock()
		saved := onDisk(t, dir)
		if tooOld > 0 || saved < gen-1 || saved < reported {
			t.Fatalf("kill %d: %d saved, %d reported, %d minted, %d dead ones tried", i, saved, reported, gen, tooOld)
		}
		s, err := openAt(server.URL, dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatalf("kill %d: a login is needed: %v", i, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killOne runs a victim, kills it a while after its n-th answer, and returns the last generation it reported.
func killOne(t *testing.T, at, dir string, answered chan struct{}, n int, later time.Duration) int {
	t.Helper()
	for len(answered) > 0 {
		<-answered
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "AUTH_TEST_VICTIM="+at, "AUTH_TEST_DIR="+dir)
	cmd.Stderr = t.Output()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan string, 1)
	go func() {
		out, _ := io.ReadAll(pipe) // ends with the process
		done <- string(out)
	}()
	for range n {
		select {
		case <-answered:
		case <-time.After(30 * time.Second):
			t.Error("the victim does not ask")
		}
	}
	time.Sleep(later) // not synchronisation: the instant of the kill is the point
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	out := <-done
	_ = cmd.Wait() // says that it was killed
	lines := strings.Split(out, "\n")
	gen := 0
	if len(lines) > 1 {
		fmt.Sscanf(lines[len(lines)-2], "EU_refresh%d", &gen)
	}
	return gen
}

// TestInvariant3WholeTemporaryFileIsTakenOver: the process was killed between writing the new token and renaming it. With a
// single-use refresh token, that file is the only login left.
func TestInvariant3WholeTemporaryFileIsTakenOver(t *testing.T) {
	whole := `{"version":1,"issuer":"https://auth.tesla.com/oauth2/v3","obtained_at":"2026-11-01T08:00:00Z","expires_in":28800,"access_token":"a2","refresh_token":"r2"}`
	for _, c := range []struct{ name, left, want string }{
		{"whole and newer", whole, "r2"},
		{"half", whole[:60], "r1"},
		{"older", strings.Replace(whole, "2026-11-01", "2026-10-01", 1), "r1"},
		{"of another place", strings.Replace(whole, "auth.tesla.com", "evil.example", 1), "r1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			old := strings.NewReplacer("a2", "a1", "r2", "r1", "2026-11-01", "2026-10-31").Replace(whole)
			for name, text := range map[string]string{fileName: old, fileName + ".tmp": c.left} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			h, err := hosts.New()
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir, Config{Hosts: h})
			if err != nil {
				t.Fatal(err)
			}
			if got := s.state.Load().tok.Refresh.Reveal(); got != c.want {
				t.Errorf("the login is %s, want %s", got, c.want)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			saved, err := os.ReadFile(filepath.Join(dir, fileName))
			if err != nil || !strings.Contains(string(saved), c.want) {
				t.Errorf("token.json holds another login, %v", err)
			}
		})
	}
}

// TestInvariant3NoAnswerDestroysALogin: whatever Tesla says about a token's life, the token must be readable again.
func TestInvariant3NoAnswerDestroysALogin(t *testing.T) {
	for _, life := range []string{"2000000000", "-5", "0"} {
		dir := t.TempDir()
		h, err := hosts.New()
		if err != nil {
			t.Fatal(err)
		}
		answer := function(func(r *http.Request) (*http.Response, error) {
			body := `{"access_token":"eyJ.a.b","refresh_token":"EU_next","token_type":"Bearer","expires_in":` + life + `}`
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})
		for range 2 {
			s, err := Open(dir, Config{Hosts: h, Transport: answer})
			if err != nil {
				t.Fatal(err)
			}
			if s.Status().State == "not_configured" {
				if _, err := s.StartLogin().Finish(t.Context(), "refresh_token=EU_first"); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.Status(); got.State != "ok" {
				t.Errorf("expires_in %s: %+v", life, got)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
