package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/internal/atomicfile"
)

// leave puts down what a process leaves that was killed between writing a token of that generation and naming it.
func leave(t *testing.T, dir string, gen int, at time.Time, replaces string) (name string) {
	t.Helper()
	name = filepath.Join(dir, fileName+atomicfile.Suffix)
	text := fmt.Sprintf(`{"version":1,"access_token":%q,"refresh_token":%q,"issuer":%q,"obtained_at":%q,"expires_in":28800,"replaces":%q}`,
		accessName(gen), refreshName(gen), home+v3, at.UTC().Format(time.RFC3339Nano), replaces)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func markOf(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func gone(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there, %v", filepath.Base(name), err)
	}
}

// TestInvariant3WholeTemporaryFileIsTakenOver: with a single-use refresh token that file is the only login left, whatever the
// clock did meanwhile.
func TestInvariant3WholeTemporaryFileIsTakenOver(t *testing.T) {
	now := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	for name, row := range map[string]struct {
		at       time.Time
		replaces string // "" for the file that is there
		edit     func(text string) string
		want     int
	}{
		"whole":                     {at: now.Add(6 * time.Hour), want: 1},
		"the clock was set back":    {at: now.Add(-26 * 365 * 24 * time.Hour), want: 1},
		"half":                      {at: now.Add(6 * time.Hour), edit: func(text string) string { return text[:len(text)/2] }},
		"empty":                     {at: now, edit: func(string) string { return "" }},
		"another file is there now": {at: now.Add(6 * time.Hour), replaces: "e3b0c442"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, tesla := t.TempDir(), newFake()
			loginAt(t, dir, tesla, now)
			if row.replaces == "" {
				row.replaces = markOf(t, dir)
			}
			left := leave(t, dir, 1, row.at, row.replaces)
			if row.edit != nil {
				text, err := os.ReadFile(left)
				if err = errors.Join(err, os.WriteFile(left, []byte(row.edit(string(text))), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			s := open(t, dir, tesla)
			want(t, "in use", s.state.Load().tok.Refresh.Reveal(), refreshName(row.want))
			want(t, "on disk", onDisk(t, dir), row.want)
			gone(t, left)
		})
	}
}

// What a program of another configuration left is its own: it is neither used nor removed.
func TestTemporaryFileOfAnotherPlaceIsLeftAlone(t *testing.T) {
	dir, tesla := t.TempDir(), newFake()
	login(t, dir, tesla)
	left := leave(t, dir, 1, time.Now(), markOf(t, dir))
	text, err := os.ReadFile(left)
	if err = errors.Join(err, os.WriteFile(left, []byte(strings.Replace(string(text), "auth.tesla.com", "proxy.example", 1)), 0o600)); err != nil {
		t.Fatal(err)
	}
	open(t, dir, tesla)
	want(t, "on disk", onDisk(t, dir), 0)
	if _, err := os.Stat(left); err != nil {
		t.Error(err)
	}
}

// The first login is no less worth than a renewal; but a file that the owner has deleted does not come back.
func TestTemporaryFileWithoutAToken(t *testing.T) {
	dir, tesla := t.TempDir(), newFake()
	left := leave(t, dir, 0, time.Now(), "")
	s := open(t, dir, tesla)
	want(t, "state", s.Status().State, "ok")
	gone(t, left)

	left = leave(t, dir, 1, time.Now(), markOf(t, dir))
	if err := errors.Join(s.Close(), os.Remove(filepath.Join(dir, fileName))); err != nil {
		t.Fatal(err)
	}
	want(t, "state", open(t, dir, tesla).Status().State, "not_configured")
	gone(t, left)
}

// TestInvariant3AnotherProcessWasKilled: who lives on must not spend the token before, which is dead where Tesla is strict.
func TestInvariant3AnotherProcessWasKilled(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		time.Sleep(7 * time.Hour)
		tesla.gen = 1
		leave(t, dir, 1, time.Now(), markOf(t, dir))
		mustGet(t, s, 1)
		tokensAre(t, tesla, 0)
		want(t, "on disk", onDisk(t, dir), 1)
		before := markOf(t, dir)
		time.Sleep(7 * time.Hour)
		mustGet(t, s, 2)
		kept, fault := s.read(fileName)
		want(t, "kept with the new token", kept.Replaces, before)
		want(t, "fault", fault, (*Error)(nil))
	})
}
