// Package auth holds everything about the Tesla login: how it is made, kept, renewed and sent. No other part of this program
// sees a token. Package hosts knows who may be talked to, package secret the text that does not print.
//
// Secrets: the refresh token is the whole Tesla account (locate, unlock, drive) for months, the access token the same for
// 8 hours; an authorization code with its PKCE verifier becomes both. Those of a [Fleet] login are good for its [Scopes] only;
// its client secret is needed for the code, and to register the application. No password passes through here.
//
// Kept: in memory, and in plain text in token.json (0600) in the state folder. Whoever reads that file has the login. To end
// a login for good revoke it in the Tesla account; to make this program forget it delete the file.
//
// Sent: refresh token and code to the token endpoint of the place where the login was made (see request); the access token
// with requests of [Source.Client] (see send). Nowhere else, and only to the listed hosts.
//
// What stops what:
//   - The host list, asked for each request and again when dialling: a wrong address, a hostile issuer, a proxy in the way.
//   - No redirect is followed: an answer cannot carry a credential to another host.
//   - PKCE, and a state compared before anything is sent: somebody else's authorization code, or ours in their hands.
//   - A lock file, and token.json read again under it: two processes spending one single-use refresh token.
//   - A new token is on disk before its first use, the old one until then; a request outlives its caller: a lost login. If
//     saving fails the token stays in memory, the lock stays taken, and the save is tried again.
//   - A dead login stops token requests until token.json changes: hammering Tesla, and being locked out for it.
//   - Errors repeat nothing a server sent but a status and a plain code; secrets do not print: tokens in logs.
//
// Not stopped: root, a debugger, a compromised Tesla, a proxy that you put in the configuration yourself.
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

	"tesla2mqtt/internal/secret"
	"tesla2mqtt/tesla/hosts"
)

// Config says where a login is made and used.
type Config struct {
	AuthURL   string            // base of a simulator or a proxy; "" is https://auth.tesla.com
	APIURL    string            // "" is the API that belongs to the login
	Fleet     *Fleet            // nil for a login of the Owner API
	Hosts     hosts.List        // with AuthURL and APIURL in it
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
	out   hosts.Guard           // every request goes through it
	turn  chan struct{}         // full while a goroutine may change file and state
	state atomic.Pointer[state] // replaced as a whole, so that no reader waits
}

// Status is the login's health, without a secret in it.
type Status struct {
	State         string    `json:"status"`  // ok, refresh_failing, login_required, not_configured, save_failing
	Message       string    `json:"message"` // what happened and what to do
	AccessExpires time.Time `json:"access_expires_at,omitzero"`
	LastRefresh   time.Time `json:"last_refresh,omitzero"`
	Failures      int       `json:"refresh_failures"` // since the last good one
}

// LoginRequired tells that there is no login that could be used.
func (s Status) LoginRequired() bool {
	return s.State == string(notConfigured) || s.State == string(loginRequired)
}

// Open prepares dir and reads token.json there. No login, or a dead one, is no error (see Status); a folder that cannot be
// written is, now rather than at the first renewal.
func Open(dir string, c Config) (*Source, error) {
	c.AuthURL, c.APIURL = strings.TrimRight(c.AuthURL, "/"), strings.TrimRight(c.APIURL, "/")
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	made := os.MkdirAll(dir, 0o700)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the state folder: %w", cmp.Or(made, err))
	}
	s := &Source{c: c, path: filepath.Join(dir, fileName), root: root, turn: make(chan struct{}, 1)}
	s.lock, s.out = flock.New(filepath.Join(dir, lockName)), hosts.Guard{List: c.Hosts, Via: c.Transport, Agent: c.UserAgent}
	probe := ".probe-" + rand.Text()
	err = cmp.Or(root.WriteFile(probe, make([]byte, 8<<10), 0o600), root.Remove(probe)) // as much as a token: the disk may be full
	if info, missing := root.Stat(fileName); missing == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		c.Log.Warn("others could read token.json, now only you can; if others use this machine, change your Tesla password, which ends this login, and log in anew", "mode", info.Mode())
		err = cmp.Or(err, root.Chmod(fileName, 0o600))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the state folder %s must be writable: %w", dir, err), root.Close())
	}
	if mine, err := s.lock.TryLock(); err == nil && mine { // else somebody is writing just now
		s.salvage()
	}
	s.put(s.look(state{})) // which gives the lock up
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
	out.AccessExpires = out.LastRefresh.Add(st.tok.life())
	if e := cmp.Or(st.unsaved, st.fault); e != nil {
		out.State, out.Message = string(e.kind), e.text
	}
	return out
}

// APIURL is the base of the API for this login, without a slash at the end.
func (s *Source) APIURL() string {
	if s.c.Fleet != nil {
		return cmp.Or(s.c.APIURL, s.c.Fleet.API)
	}
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
// renews the token and sends the request once more (a body needs GetBody). Give each request a deadline. Errors wrap [Error].
func (s *Source) Client() *http.Client {
	return hosts.Client(func(r *http.Request) (*http.Response, error) {
		first, err := s.get(r.Context(), secret.Text{})
		if err != nil {
			return nil, err
		}
		answer, err := s.send(r, first)
		if err != nil || answer.StatusCode != http.StatusUnauthorized || (r.Body != nil && r.GetBody == nil) {
			return answer, err
		}
		second, err := s.get(r.Context(), first)
		if err = cmp.Or(err, answer.Body.Close()); err != nil {
			return nil, err
		}
		return s.send(r, second)
	})
}

// send is the one place where an access token leaves this program.
func (s *Source) send(r *http.Request, access secret.Text) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+access.Reveal())
	return s.out.Send(r)
}
