package auth

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"tesla2mqtt/internal/atomicfile"
)

// secret is a text that nothing prints: fmt follows unexported fields, but not a pointer inside them.
type secret struct{ v *string }

func hide(s string) secret { return secret{&s} }

// reveal is the only way to the text: its callers are where a secret can go. The zero secret is "".
func (s secret) reveal() string { return *cmp.Or(s.v, new("")) }

func (secret) String() string                  { return "[secret]" }
func (secret) GoString() string                { return "[secret]" }
func (secret) LogValue() slog.Value            { return slog.StringValue("[secret]") }
func (secret) MarshalText() ([]byte, error)    { return []byte("[secret]"), nil }
func (s *secret) UnmarshalText(b []byte) error { *s = hide(string(b)); return nil }

const fileName, lockName = "token.json", "token.lock"

// token is one answer of a token endpoint, with the names it has in the file.
type token struct {
	Version  int       `json:"version"`
	Access   secret    `json:"access_token"`
	Refresh  secret    `json:"refresh_token"`
	Issuer   string    `json:"issuer"`      // where it was made and is renewed: https://auth.tesla.com/oauth2/v3
	Obtained time.Time `json:"obtained_at"` // when it was asked for; monotonic if that was in this process
	Seconds  int64     `json:"expires_in"`
}

func (t token) life() time.Duration { return time.Duration(t.Seconds) * time.Second }

// age is 0 while the clock shows a time before the token was made: such a clock is not believed, a 401 will tell.
func (t token) age() time.Duration { return max(0, time.Since(t.Obtained)) }

// write returns once t is on disk for good; until then the file holds the token before it.
func (s *Source) write(t token) error {
	data, err := json.Marshal(map[string]any{"version": t.Version, "issuer": t.Issuer, "obtained_at": t.Obtained.UTC(),
		"expires_in": t.Seconds, "access_token": t.Access.reveal(), "refresh_token": t.Refresh.reveal()})
	if err != nil {
		return err
	}
	return atomicfile.Write(s.root, fileName, data)
}

// read never repairs or deletes: a file that makes no sense here may still be worth something to its owner.
func (s *Source) read() (t token, fault *Error) {
	data, err := s.root.ReadFile(fileName)
	if errors.Is(err, fs.ErrNotExist) {
		return t, ErrNotConfigured
	} else if err != nil {
		return t, &Error{kind: failing, text: err.Error() + ": see the rights in the state folder"}
	}
	if json.Unmarshal(data, &t) != nil || t.Version != 1 || t.Refresh.reveal() == "" || t.Seconds < 0 || t.Seconds > 1e9 {
		return token{}, &Error{kind: loginRequired, text: s.path + " is damaged or of another version: run the login command, it replaces the file"}
	}
	if at, fault := s.issuer(t.Issuer); fault != nil || at != t.Issuer {
		return token{}, &Error{kind: loginRequired, text: "the login in " + s.path + " was made at another place: run the login command, or correct auth_url"}
	}
	return t, nil
}
