package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tesla2mqtt/internal/draw"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
)

// TestMain lets this test binary be the process that is killed.
func TestMain(m *testing.M) {
	if at := os.Getenv("AUTH_TEST_VICTIM"); at != "" {
		if err := victim(at, os.Getenv("AUTH_TEST_DIR"), os.Getenv("AUTH_TEST_ONCE") != ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// victim renews once and then waits for its end, or renews without end. It reports a token only after Refresh has returned.
func victim(at, dir string, once bool) error {
	for {
		s, err := openAt(at, dir)
		if err != nil {
			return err
		}
		if err := s.Refresh(context.Background()); err != nil {
			return err
		}
		fmt.Println(s.state.Load().tok.Refresh.Reveal())
		if once {
			time.Sleep(time.Hour)
		}
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
	return Open(dir, Config{AuthURL: at, Fleet: ofVictim(), Hosts: h, Transport: tr})
}

// rotation is a simulated Tesla behind a socket, which tells when a token request arrives and when the last byte of its
// answer is written.
type rotation struct {
	t        *testing.T
	tesla    *sim.Tesla
	url, dir string
	arrived  chan struct{}
	ended    chan time.Time
	open     atomic.Int64 // connections

	slow bool // pauses before the answer and in its middle

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	minted []string // the refresh tokens in the order of their answers
}

func newRotation(t *testing.T, tesla *sim.Tesla, slow bool) *rotation {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no kill -9 here")
	}
	r := &rotation{t: t, tesla: tesla, slow: slow, dir: t.TempDir(), arrived: make(chan struct{}, 1), ended: make(chan time.Time, 1)}
	r.random = draw.Random(draw.Seed(t, "AUTH_TEST_SEED"), 0)
	server := httptest.NewUnstartedServer(r)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			r.open.Add(1)
		case http.StateClosed:
			r.open.Add(-1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	r.url = server.URL
	r.logIn()
	return r
}

// logIn is a new login of the same person.
func (r *rotation) logIn() {
	r.t.Helper()
	_, refresh := r.tesla.Login()
	r.mu.Lock()
	r.minted = append(r.minted, refresh)
	r.mu.Unlock()
	put(r.t, r.dir, fmt.Sprintf(`{"version":1,"refresh_token":%q,"issuer":%q,"client_id":%q}`, refresh, r.url+v3, os.Getenv("AUTH_TEST_CLIENT")))
}

func (r *rotation) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	offer(r.arrived, struct{}{})
	r.mu.Lock()
	pause := func() time.Duration { return time.Duration(r.random.IntN(2000)) * time.Microsecond }
	before, between := pause(), pause()
	r.mu.Unlock()
	rec := httptest.NewRecorder()
	if r.tesla.ServeHTTP(rec, req); r.slow {
		time.Sleep(before) // what a network does
	}
	var answer struct {
		Refresh string `json:"refresh_token"`
	}
	if json.Unmarshal(rec.Body.Bytes(), &answer) == nil && answer.Refresh != "" {
		r.mu.Lock()
		r.minted = append(r.minted, answer.Refresh)
		r.mu.Unlock()
	}
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
	w.Header().Set("Content-Length", strconv.Itoa(rec.Body.Len()))
	w.WriteHeader(rec.Code)
	if r.slow {
		_, _ = w.Write(rec.Body.Next(rec.Body.Len() / 2)) // the client may be dead
		_ = http.NewResponseController(w).Flush()
		time.Sleep(between)
	}
	_, _ = w.Write(rec.Body.Bytes())
	_ = http.NewResponseController(w).Flush()
	offer(r.ended, time.Now())
}

// offer leaves v for whoever wants it, in the place of what nobody wanted.
func offer[T any](c chan T, v T) {
	select {
	case <-c:
	default:
	}
	c <- v
}

// generation is the place of a refresh token in the order of the answers, -1 for none of them.
func (r *rotation) generation(refresh string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Index(r.minted, refresh)
}

// saved is the generation of the token in the file, beside the newest there is.
func (r *rotation) saved() (gen, newest int) {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, fileName))
	if err != nil {
		r.t.Fatal(err)
	}
	var tok token
	if err := json.Unmarshal(data, &tok); err != nil {
		r.t.Fatal(err)
	}
	gen = r.generation(tok.Refresh.Reveal())
	r.mu.Lock()
	defer r.mu.Unlock()
	return gen, len(r.minted) - 1
}

// start runs a victim. What it returns kills it, and tells the last token that it reported, "" for none.
func (r *rotation) start(env ...string) (kill func() string) {
	r.t.Helper()
	for len(r.arrived) > 0 || len(r.ended) > 0 {
		select {
		case <-r.arrived:
		case <-r.ended:
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "AUTH_TEST_VICTIM="+r.url, "AUTH_TEST_DIR="+r.dir), env...)
	cmd.Stderr = r.t.Output()
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	return func() string {
		if err := cmd.Process.Kill(); err != nil {
			r.t.Fatal(err)
		}
		_ = cmd.Wait() // says that it was killed
		r.quiet()
		lines := strings.Split(out.String(), "\n")
		return lines[max(0, len(lines)-2)]
	}
}

// quiet waits until Tesla has dealt with what a dead process had sent. A next start whose request overtakes it would get a
// token that is not the newest; no program can prevent that.
func (r *rotation) quiet() {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); r.open.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%d connections of a dead process are open", r.open.Load())
		}
	}
}

// await receives what a victim's request brings.
func await[T any](t *testing.T, c chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(30 * time.Second):
		t.Fatal("the victim does not ask")
	}
	return v
}

// renew is the next start of the program. It returns whether the login still works.
func (r *rotation) renew() bool {
	r.t.Helper()
	s, err := openAt(r.url, r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	err = s.Refresh(r.t.Context())
	if st := s.Status(); err != nil && st.State != "login_required" {
		r.t.Fatalf("%v: %+v", err, st)
	}
	return err == nil
}

// A process is killed at any instant of its renewals: before an answer, in its midst, while it is saved, after that. The
// simulator takes the newest refresh token and the one used last, as Tesla does, and complains about all others. So no
// kill may cost the login, nor anything that was reported. AUTH_TEST_KILLS sets how many, AUTH_TEST_SEED the instants.
func TestInvariant3KillAtAnyInstant(t *testing.T) { killAtAnyInstant(t, &sim.Tesla{}) }

func killAtAnyInstant(t *testing.T, tesla *sim.Tesla) {
	r := newRotation(t, tesla, true)
	kills := draw.Count(t, "AUTH_TEST_KILLS", 25)
	spent, tokens := 0, 0
	for i := range kills {
		kill := r.start()
		await(t, r.arrived)
		r.mu.Lock()
		instant := time.Duration(r.random.IntN(20_000)) * time.Microsecond
		r.mu.Unlock()
		time.Sleep(instant) // not synchronisation: the instant of the kill is the point
		reported := kill()
		saved, newest := r.saved()
		if gen := r.generation(reported); gen > saved {
			t.Fatalf("kill %d: token %d was reported, and %d is on disk", i, gen, saved)
		}
		if tokens = newest + 1; saved < newest {
			spent++
		}
		if !r.renew() || len(r.tesla.Violations()) > 0 {
			t.Fatalf("kill %d: a login is needed: %v", i, r.tesla.Violations())
		}
	}
	t.Logf("summary: %d kills, %d tokens; %d times the newest was not on disk yet, and the one before was accepted; no login lost", kills, tokens, spent)
}

// A Tesla that forgives nothing: an answer is lost if the process dies before its bytes are in the file. How long is that?
// The process is killed 0 to 20 ms after the last byte was written to it.
func TestKillAfterAStrictAnswer(t *testing.T) {
	r := newRotation(t, &sim.Tesla{Strict: true}, false)
	kills := draw.Count(t, "AUTH_TEST_KILLS", 25)
	var lost, kept []time.Duration
	for i := range kills {
		kill := r.start("AUTH_TEST_ONCE=1")
		r.mu.Lock()
		instant := time.Duration(r.random.IntN(20_000)) * time.Microsecond
		r.mu.Unlock()
		ended := await(t, r.ended)
		after := time.Since(ended)
		for after < instant { // a sleep is too coarse by up to a millisecond
			after = time.Since(ended)
		}
		reported := kill()
		if r.renew() {
			kept = append(kept, after)
			continue
		}
		lost = append(lost, after)
		if reported != "" {
			t.Errorf("kill %d: a token that was reported is lost", i)
		}
		r.logIn()
	}
	slices.Sort(lost)
	slices.Sort(kept)
	if len(kept) == 0 {
		t.Fatal("every kill cost the login; nothing was measured")
	}
	if len(lost) == 0 {
		lost = []time.Duration{0}
	}
	t.Logf("summary: %d kills within 20 ms after the last byte, %d logins lost; half of these up to %s after it, all up to %s; the first kept at %s",
		kills, kills-len(kept), lost[len(lost)/2].Round(time.Microsecond), lost[len(lost)-1].Round(time.Microsecond), kept[0].Round(time.Microsecond))
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
