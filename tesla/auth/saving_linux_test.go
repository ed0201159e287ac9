package auth

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/internal/atomicfile"
)

// TestInvariant3NotUsedWhileItIsSaved: while a new token is on its way to the disk, who else needs one is given the old one. The
// disk is a pipe that nobody empties, so that the instant lasts.
func TestInvariant3NotUsedWhileItIsSaved(t *testing.T) {
	dir, tesla := t.TempDir(), newFake()
	loginAt(t, dir, tesla, time.Now().Add(-7*time.Hour))
	s := open(t, dir, tesla)
	disk := filepath.Join(dir, fileName+atomicfile.Suffix)
	if err := syscall.Mkfifo(disk, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	long := strings.Repeat("n", 256<<10) // more than a pipe holds
	tesla.answer = respond(200, fmt.Sprintf(`{"access_token":%q,"refresh_token":%q,"expires_in":28800}`, long, refreshName(1)))
	renewed := make(chan error, 1)
	go func() {
		_, err := s.get(t.Context(), none)
		renewed <- err
	}()
	if _, err := io.ReadFull(pipe, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.get(t.Context(), none); err != nil || got.Reveal() != accessName(0) {
		t.Errorf("a token of %d characters, %v; want the old one", len(got.Reveal()), err)
	}
	go func() { _, _ = io.Copy(io.Discard, pipe) }()
	if err := <-renewed; err != nil {
		t.Error(err)
	}
	tokensAre(t, tesla, 1)
}
