package auth

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestInvariant3NotUsedWhileItIsSaved: while a new token is on its way to the disk, who else needs one is given the old one. The new
// one is long, so that its way takes some time.
func TestInvariant3NotUsedWhileItIsSaved(t *testing.T) {
	dir, tesla := t.TempDir(), newFake()
	loginAt(t, dir, tesla, time.Now().Add(-7*time.Hour))
	s := open(t, dir, tesla)
	long := strings.Repeat("n", 16<<10)
	asked, answer := make(chan struct{}), respond(200, fmt.Sprintf(`{"access_token":%q,"refresh_token":%q,"expires_in":28800}`, long, refreshName(1)))
	tesla.answer = func(w http.ResponseWriter) bool { close(asked); return answer(w) }
	renewed := make(chan error, 1)
	go func() {
		_, err := s.get(t.Context(), none)
		renewed <- err
	}()
	<-asked
	for deadline := time.Now().Add(time.Minute); ; {
		got, err := s.get(t.Context(), none)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d characters, %v", len(got.Reveal()), err)
		}
		if got.Reveal() == accessName(0) {
			continue
		}
		saved, err := os.ReadFile(filepath.Join(dir, fileName))
		if err != nil || !strings.Contains(string(saved), long) {
			t.Errorf("a token was used before it was on the disk (%v)", err)
		}
		break
	}
	if err := <-renewed; err != nil {
		t.Error(err)
	}
	tokensAre(t, tesla, 1)
}
