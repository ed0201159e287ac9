package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
)

// Config says where a login is made and used.
type Config struct {
	AuthURL   string            // base of a simulator or a proxy; "" is https://auth.tesla.com
	APIURL    string            // "" is the Owner API that belongs to the login
	Hosts     Hosts             // with AuthURL and APIURL in it
	Transport http.RoundTripper // for token requests and API calls; needed
	UserAgent string
	Log       *slog.Logger // nil discards; it is never given a secret
}

// Source keeps one login. It has no goroutine of its own: whoever needs a token renews it.
type Source struct {
	c     Config
	path  string
	root  *os.Root
	lock  *flock.Flock
	turn  chan struct{}         // full while a goroutine may change file and state
	state atomic.Pointer[state] // replaced as a whole, so that no reader waits
}

// Status is the login's health, without a secret in it.
type Status struct {
	State         string    `json:"state"`   // ok, refresh_failing, login_required, not_configured, save_failing
	Message       string    `json:"message"` // what happened and what to do
	AccessExpires time.Time `json:"access_expires_at,omitzero"`
	LastRefresh   time.Time `json:"last_refresh,omitzero"`
	Failures      int       `json:"refresh_failures"` // since the last good one
}

// Open prepares dir and reads token.json there. No login, or a dead one, is no error (see Status); a folder that cannot be
// written is, now rather than at the first renewal.
func Open(dir string, c Config) (*Source, error) {
	c.AuthURL, c.APIURL = strings.TrimRight(c.AuthURL, "/"), strings.TrimRight(c.APIURL, "/")
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	made := os.MkdirAll(dir, 0o700)
	root, err := os.OpenRoot(dir)
	if err = cmp.Or(made, err); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	s := &Source{c: c, path: filepath.Join(dir, fileName), root: root, turn: make(chan struct{}, 1)}
	s.lock = flock.New(filepath.Join(dir, lockName))
	probe := ".probe-" + rand.Text()
	err = cmp.Or(root.WriteFile(probe, nil, 0o600), root.Remove(probe))
	if info, missing := root.Stat(fileName); missing == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		c.Log.Warn("others could read token.json, now only you can; if others use this machine, log in anew", "mode", info.Mode())
		err = cmp.Or(err, root.Chmod(fileName, 0o600))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the state folder must be writable: %w", err), root.Close())
	}
	s.put(s.look(state{}))
	return s, nil
}

// Close waits for a renewal under way (about a minute at most), tries once more to save what is not, and frees the lock.
func (s *Source) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	var err error
	if st := *s.state.Load(); st.unsaved != nil {
		err = s.write(st.tok)
	}
	return errors.Join(err, s.lock.Close(), s.root.Close())
}

// Status never waits and sends nothing.
func (s *Source) Status() Status {
	st := s.state.Load()
	out := Status{State: "ok", Failures: st.failures, LastRefresh: st.tok.Obtained.Round(0)}
	if !out.LastRefresh.IsZero() {
		out.AccessExpires = out.LastRefresh.Add(st.tok.life())
	}
	if e := cmp.Or(st.unsaved, st.fault); e != nil {
		out.State, out.Message = string(e.kind), e.text
	}
	return out
}

// APIURL is the base of the API for this login, without a slash at the end.
func (s *Source) APIURL() string {
	if s.c.APIURL == "" && strings.HasSuffix(s.state.Load().tok.Issuer, ".cn"+v3) {
		return "https://owner-api.vn.cloud.tesla.cn"
	}
	return cmp.Or(s.c.APIURL, "https://owner-api.teslamotors.com")
}

// Refresh renews the token now, whatever its age, unless another process has just done so.
func (s *Source) Refresh(ctx context.Context) error {
	_, err := s.get(ctx, s.state.Load().tok.Access)
	if lost := s.state.Load().unsaved; err == nil && lost != nil {
		return lost
	}
	return err
}

// Client adds the access token to requests for listed hosts and refuses all others. It follows no redirect. After a 401 it
// renews the token and sends the request once more (for that a body needs GetBody). Errors keep an [Error] in the chain.
func (s *Source) Client() *http.Client {
	return &http.Client{Transport: via(s.bearer), CheckRedirect: stay, Timeout: 2 * time.Minute}
}

// stay hands a redirect to the caller as an answer: following it would carry the credential along.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

type via func(*http.Request) (*http.Response, error)

func (v via) RoundTrip(r *http.Request) (*http.Response, error) { return v(r) }

func (s *Source) bearer(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close() // send reads a copy if there is GetBody; else the transport has closed it by now
	}
	first, err := s.get(r.Context(), secret{})
	if err != nil {
		return nil, err
	}
	answer, err := s.send(r, first)
	if err != nil || answer.StatusCode != http.StatusUnauthorized || (r.ContentLength != 0 && r.GetBody == nil) {
		return answer, err
	}
	second, err := s.get(r.Context(), first)
	if err = cmp.Or(err, answer.Body.Close()); err != nil {
		return nil, err
	}
	return s.send(r, second)
}

// send is the one place where requests leave this package. Without an access token it is a token request.
func (s *Source) send(r *http.Request, access secret) (answer *http.Response, err error) {
	if !s.c.Hosts.Allows(r.URL) {
		return nil, refuse(r.URL.Scheme + "://" + r.URL.Host + " is not on the list of hosts, nothing was sent: see auth_url and api_url")
	}
	r = r.Clone(r.Context())
	if r.GetBody != nil {
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	r.Header.Set("User-Agent", cmp.Or(s.c.UserAgent, "tesla2mqtt"))
	if access.reveal() != "" {
		r.Header.Set("Authorization", "Bearer "+access.reveal())
	}
	answer, err = s.c.Transport.RoundTrip(r)
	if err == nil && access.reveal() == "" { // oauth2 reads text/plain as a form, and would lose the token in it
		answer.Header.Set("Content-Type", "application/json")
	}
	return answer, err
}
