package auth

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

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
