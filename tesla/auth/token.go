package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/oauth2"

	"tesla2mqtt/internal/atomicfile"
	"tesla2mqtt/internal/secret"
	"tesla2mqtt/tesla/hosts"
)

const fileName, lockName, v3 = "token.json", "token.lock", "/oauth2/v3"

// token is one answer of a token endpoint, with the names it has in the file.
type token struct {
	Version  int         `json:"version"`
	Access   secret.Text `json:"access_token"`
	Refresh  secret.Text `json:"refresh_token"`
	Issuer   string      `json:"issuer"`      // where it was made and is renewed: https://auth.tesla.com/oauth2/v3
	Obtained time.Time   `json:"obtained_at"` // when it was asked for; monotonic if that was in this process
	Seconds  int64       `json:"expires_in"`
	Client   string      `json:"client_id"` // of a Fleet application; "", as in files from before there were any, for the Owner API
	Replaces string      `json:"replaces"`  // see mark: the file in whose place this one was to be
}

func (t token) life() time.Duration { return time.Duration(t.Seconds) * time.Second }

// age is 0 while the clock shows a time before the token was made: such a clock is not believed, a 401 will tell.
func (t token) age() time.Duration { return max(0, time.Since(t.Obtained)) }

// write returns once t is on disk for good; until then the file holds the token before it.
func (s *Source) write(t token) error {
	fields := map[string]any{"version": t.Version, "issuer": t.Issuer, "obtained_at": t.Obtained.UTC(),
		"expires_in": t.Seconds, "access_token": t.Access.Reveal(), "refresh_token": t.Refresh.Reveal(), "replaces": s.mark()}
	if t.Client != "" {
		fields["client_id"] = t.Client
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return atomicfile.Write(s.root, fileName, data)
}

// mark tells one content of the file from another, without a clock.
func (s *Source) mark() string {
	data, err := s.root.ReadFile(fileName)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// salvage, under the lock, takes over a token that was written whole when a process was killed, but had not got its name
// yet: it may be the only one that is good. It does not if the owner has put another file there, or deleted it; then, as what
// was not written whole, it is a secret that nobody needs.
func (s *Source) salvage() {
	const left = fileName + atomicfile.Suffix
	t, fault := s.read(left)
	switch {
	case fault == nil && t.Replaces == s.mark():
		_ = s.root.Rename(left, fileName) // if that fails, the next time tries again
	case fault == nil || fault.damaged:
		_ = s.root.Remove(left)
	}
}

// read never repairs or deletes: a file that makes no sense here may still be worth something to its owner.
func (s *Source) read(name string) (t token, fault *Error) {
	data, err := s.root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return t, ErrNotConfigured
	} else if err != nil {
		return t, &Error{kind: failing, text: s.path + " cannot be read (" + err.Error() + "): give it to the user who runs this program"}
	}
	if json.Unmarshal(data, &t) != nil || t.Version != 1 || t.Refresh.Reveal() == "" || t.Seconds < 0 || t.Seconds > 1e9 {
		return token{}, &Error{kind: loginRequired, damaged: true, text: s.path + " is damaged or of another version: run the login command, it replaces the file"}
	}
	if t.Client != s.client() {
		return token{}, &Error{kind: loginRequired, text: "the login in " + s.path + " is that of another application (the Owner API, or a Fleet client_id), so it is not sent: run the login command, or correct tesla.api and tesla.client_id"}
	}
	if at, fault := s.issuer(t.Issuer); fault != nil || at != t.Issuer {
		return token{}, &Error{kind: loginRequired, text: "the login in " + s.path + " was made at another place: run the login command, or correct auth_url"}
	}
	return t, nil
}

// state is what is known about the login at one instant.
type state struct {
	tok      token
	fault    *Error    // why there is no token, or no new one
	unsaved  *Error    // why tok is only in memory; while it is, the lock file stays ours
	failures int       // token requests failed in a row
	next     time.Time // no token request before
	looked   time.Time // when the file was last read, or its write last tried
}

func (st *state) dead() bool { return st.fault != nil && st.fault.LoginRequired() }

// usable tells whether there is an access token that lives and is not the refused one ("" for none).
func (st *state) usable(refused secret.Text) bool {
	access := st.tok.Access.Reveal()
	return access != "" && access != refused.Reveal() && !st.dead() && st.tok.age() < st.tok.life()
}

// due tells whether to ask Tesla now. Not before 75 % of the life: a renewed token may be worse than one that works.
func (st *state) due(refused secret.Text) bool {
	young := st.usable(refused) && st.tok.age() < st.tok.life()*3/4
	return !young && !st.dead() && st.tok.Issuer != "" && !time.Now().Before(st.next)
}

// gap between token requests; shorter only for the short-lived tokens of a simulator.
func (st *state) gap() time.Duration { return min(5*time.Minute, st.tok.life()/4) }

// failed notes a token request without success. What was answered with a 4xx is never quickly asked again.
func (st *state) failed(refused secret.Text, err *Error) {
	wait := st.gap()
	if st.usable(refused) {
		wait = min(wait, st.tok.life()-st.tok.age())
	} else if err.status/100 != 4 {
		wait = min(wait, 30*time.Second<<min(st.failures, 4))
	}
	st.fault, st.failures, st.next = err, st.failures+1, time.Now().Add(wait)
}

// get returns an access token that is not the refused one.
func (s *Source) get(ctx context.Context, refused secret.Text) (secret.Text, error) {
	st := s.state.Load()
	since := time.Since(st.looked)
	stale := since >= 30*time.Second || st.unsaved != nil && since >= 5*time.Second
	busy := len(s.turn) > 0 && st.usable(refused) // somebody is at it, and this caller need not wait
	var fault *Error
	if (stale || st.due(refused)) && !busy {
		fault = s.update(ctx, refused, nil)
		st = s.state.Load()
	}
	if st.usable(refused) {
		return st.tok.Access, nil
	}
	return secret.Text{}, cmp.Or(st.fault, fault, &Error{kind: failing, text: "the token was renewed only just now: it is tried again within minutes"})
}

// update brings memory, file and, if need be, Tesla together: for a new login with its grant, else with the refresh token
// if one is due and no other process has just spent it.
func (s *Source) update(ctx context.Context, refused secret.Text, login *grant) *Error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return &Error{kind: failing, text: "gave up waiting for the token: " + ctx.Err().Error()}
	}
	st := s.look(*s.state.Load())
	defer func() { s.put(st) }()
	if login == nil && !st.due(refused) {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, 35*time.Second) // a little longer than another process may need
	defer cancel()
	var t token
	var fault *Error
	if _, err := s.lock.TryLockContext(wait, 100*time.Millisecond); err != nil {
		fault = &Error{kind: failing, text: "no lock on " + lockName + " (" + err.Error() + "): another process holds it, see its log"}
	} else {
		s.salvage()
		if st = s.look(st); login == nil && !st.due(refused) {
			return nil // another process has done it
		}
		t, fault = s.request(*cmp.Or(login, &grant{issuer: st.tok.Issuer, refresh: st.tok.Refresh}))
	}
	if fault == nil {
		if st = (state{tok: t}); refused.Reveal() != "" {
			st.next = time.Now().Add(st.gap()) // if Tesla refuses that one too, its age is not the reason
		}
		st = s.save(st)
		return st.unsaved
	}
	if login == nil {
		st.failed(refused, fault)
		s.c.Log.Warn("the token was not renewed", "err", fault, "failures", st.failures)
	}
	return fault
}

// put is how state changes. The lock is given up unless a token is not saved: then nobody must spend the old one.
func (s *Source) put(st state) {
	if s.state.Store(&st); st.unsaved == nil {
		_ = s.lock.Unlock() // should that fail, others say so, and the end of this process frees it
	}
}

// look saves what is not saved, or else takes over what another process may have written.
func (s *Source) look(st state) state {
	if st.unsaved != nil {
		return s.save(st)
	}
	t, err := s.read(fileName)
	st.looked = time.Now()
	switch {
	case err != nil && err.kind == failing && st.tok.Issuer != "":
		s.c.Log.Warn("token.json cannot be read, the token in memory is used", "err", err)
	case err != nil:
		return state{fault: err, looked: st.looked}
	case t.Access.Reveal() != st.tok.Access.Reveal() || t.Refresh.Reveal() != st.tok.Refresh.Reveal():
		return state{tok: t, looked: st.looked}
	}
	return st
}

func (s *Source) save(st state) state {
	err := s.write(st.tok)
	if err != nil && st.unsaved == nil { // once: the log may be on the same full disk
		s.c.Log.Error("the new token could not be saved, it is tried again", "err", err)
	}
	if st.looked, st.unsaved = time.Now(), nil; err != nil {
		st.unsaved = &Error{kind: saveFailing, text: "the new token is only in memory (" + err.Error() + "): make the state folder writable (" + filepath.Dir(s.path) + ") before this program ends, or a new login is needed"}
	}
	return st
}

type grant struct {
	issuer                  string
	refresh, code, verifier secret.Text
}

// request asks exactly once. It does not end with its caller: the answer may hold the only good refresh token.
func (s *Source) request(g grant) (token, *Error) {
	ctx, cancel := s.asking(context.Background())
	defer cancel()
	conf := s.endpoint(g.issuer)
	ask := conf.TokenSource(ctx, &oauth2.Token{RefreshToken: g.refresh.Reveal()}).Token
	if g.code.Reveal() != "" {
		ask = func() (*oauth2.Token, error) { return s.exchange(ctx, *conf, g) }
	}
	asked := time.Now()
	t, err := ask()
	if err != nil || t.RefreshToken == "" {
		return token{}, explain(err)
	}
	return token{1, secret.Hide(t.AccessToken), secret.Hide(t.RefreshToken), g.issuer, asked, cmp.Or(min(max(0, t.ExpiresIn), 1e9), 8*3600), s.client(), ""}, nil
}

// asking is the way of a token request, and its deadline.
func (s *Source) asking(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	return context.WithValue(ctx, oauth2.HTTPClient, hosts.Client(func(r *http.Request) (*http.Response, error) {
		answer, err := s.out.Send(r.Clone(r.Context()))
		if err == nil { // oauth2 reads text/plain as a form, and would lose the token in it
			answer.Header.Set("Content-Type", "application/json")
		}
		return answer, err
	})), cancel
}

// endpoint asks as Tesla's own app does, or as the application that the owner has registered. With any other AuthStyle the
// library sends a refused request a second time.
func (s *Source) endpoint(issuer string) *oauth2.Config {
	conf := &oauth2.Config{ClientID: "ownerapi", RedirectURL: "tesla://auth/callback", Scopes: []string{"openid", "email", "offline_access"},
		Endpoint: oauth2.Endpoint{AuthURL: issuer + "/authorize", TokenURL: issuer + "/token", AuthStyle: oauth2.AuthStyleInParams}}
	if f := s.c.Fleet; f != nil {
		conf.ClientID, conf.RedirectURL, conf.Scopes = f.ClientID, f.RedirectURL, Scopes()
	}
	return conf
}
