package auth

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tesla2mqtt/internal/atomicfile"
)

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

// TestLoginThatCannotBeRenewed: without a refresh token it would end in hours, so it does not replace one that lives.
func TestLoginThatCannotBeRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		tesla.answer = respond(200, `{"access_token":"eyJaccess9999.SECRETSECRET.sig","expires_in":28800}`)
		if _, err := s.StartLogin().Finish(t.Context(), goodCode); err == nil {
			t.Error("a login without a refresh token was taken")
		}
		want(t, "on disk", onDisk(t, dir), 0)
		mustGet(t, s, 0)
	})
}

// TestDeletedLoginStaysDeleted: who deletes token.json ends the login here, whatever a crash has left beside it.
func TestDeletedLoginStaysDeleted(t *testing.T) {
	bubble(t, func(t *testing.T, dir string, tesla *fake, s *Source) {
		name := filepath.Join(dir, fileName)
		if err := os.Rename(name, name+atomicfile.Suffix); err != nil {
			t.Fatal(err)
		}
		want(t, "state", open(t, dir, tesla).Status().State, "not_configured")
	})
}
