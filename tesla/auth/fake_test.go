package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tesla2mqtt/internal/secret"
	"tesla2mqtt/tesla/hosts"
)

const home = "https://auth.tesla.com"

// fake is a token endpoint where a refresh token works once, and an API that wants the newest access token.
type fake struct {
	mu        sync.Mutex
	gen       int    // of the token that is good now
	challenge string // of the login under way
	life      int
	answer    func(w http.ResponseWriter) bool // takes a token request over, if it is set and returns true
	api       http.HandlerFunc                 // takes API calls over
	wait      time.Duration

	tokens   int // token requests
	calls    int // API calls
	forms    []url.Values
	hosts    []string
	agents   []string
	bearers  []string
	bodies   []string
	tooOld   int // dead refresh tokens that were tried
	lastPath string
}

func refreshName(gen int) string { return fmt.Sprintf("EU_refresh%054d", gen) }
func accessName(gen int) string  { return fmt.Sprintf("eyJaccess%04d.SECRETSECRET.sig", gen) }

const goodCode = "EU_c0dec0dec0de"

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.wait > 0 {
		time.Sleep(f.wait)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hosts = append(f.hosts, r.URL.Host)
	f.agents = append(f.agents, r.UserAgent())
	f.lastPath = r.URL.Path
	if strings.HasSuffix(r.URL.Path, "/token") {
		f.token(w, r)
		return
	}
	f.calls++
	f.bearers = append(f.bearers, r.Header.Get("Authorization"))
	buf := new(strings.Builder)
	if r.Body != nil {
		if _, err := fmt.Fprint(buf, readAll(r)); err != nil {
			panic(err)
		}
	}
	f.bodies = append(f.bodies, buf.String())
	if f.api != nil {
		f.api(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+accessName(f.gen) {
		http.Error(w, `{"error":"token expired (401)"}`, http.StatusUnauthorized)
		return
	}
	fmt.Fprint(w, "hello")
}

func readAll(r *http.Request) string {
	var b strings.Builder
	buf := make([]byte, 1024)
	for {
		n, err := r.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	f.tokens++
	if err := r.ParseForm(); err != nil {
		panic(err)
	}
	f.forms = append(f.forms, r.PostForm)
	if f.answer != nil && f.answer(w) {
		return
	}
	good := false
	switch r.PostForm.Get("grant_type") {
	case "refresh_token":
		given := r.PostForm.Get("refresh_token")
		good = given == refreshName(f.gen)
		if !good {
			f.tooOld++
		}
	case "authorization_code":
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		good = r.PostForm.Get("code") == goodCode && base64.RawURLEncoding.EncodeToString(sum[:]) == f.challenge
	}
	w.Header().Set("Content-Type", "application/json")
	if !good {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"login_required","error_description":"The refresh_token %s is invalid"}`, r.PostForm.Get("refresh_token"))
		return
	}
	f.gen++
	if err := json.NewEncoder(w).Encode(map[string]any{"access_token": accessName(f.gen), "refresh_token": refreshName(f.gen),
		"id_token": "eyJ0", "expires_in": f.life, "token_type": "Bearer"}); err != nil {
		panic(err)
	}
}

// RoundTrip answers without a socket, so that it works in a bubble of fake time.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	f.ServeHTTP(rec, r)
	return rec.Result(), r.Context().Err()
}

func (f *fake) count() (tokens, calls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens, f.calls
}

func newFake() *fake { return &fake{life: 28800} }

func open(t *testing.T, dir string, rt http.RoundTripper, extra ...string) *Source {
	t.Helper()
	h, err := hosts.New(extra...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, Config{Hosts: h, Transport: rt, UserAgent: "tesla2mqtt/test", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) // a test that closes it itself makes this one fail, which is fine
	return s
}

// login puts the fake's present token into dir, as a login made at this instant.
func login(t *testing.T, dir string, f *fake) {
	t.Helper()
	loginAt(t, dir, f, time.Now())
}

func loginAt(t *testing.T, dir string, f *fake, at time.Time) {
	t.Helper()
	put(t, dir, fmt.Sprintf(`{"version":1,"access_token":%q,"refresh_token":%q,"issuer":%q,"obtained_at":%q,"expires_in":%d}`,
		accessName(f.gen), refreshName(f.gen), home+v3, at.UTC().Format(time.RFC3339Nano), f.life))
}

func put(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// onDisk is the generation of the refresh token in the file, -1 without one.
func onDisk(t *testing.T, dir string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	var tok token
	if err := json.Unmarshal(data, &tok); err != nil {
		t.Fatal(err)
	}
	gen := -1
	fmt.Sscanf(tok.Refresh.Reveal(), "EU_refresh%d", &gen)
	return gen
}

var none secret.Text

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
