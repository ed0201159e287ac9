package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofrs/flock"
)

// TestKeygenBesideABridge: a bridge reads its keys when it starts, so whoever makes one beside it is told to restart it; others
// are not.
func TestKeygenBesideABridge(t *testing.T) {
	for _, words := range [][]string{{"fleet", "keygen", "-domain", "my.example"}, {"ble", "keygen"}} {
		for _, state := range []string{"none has run", "none runs", "one runs"} {
			t.Run(words[0]+", "+state, func(t *testing.T) {
				path := writeConfig(t, "tesla: {api: fleet, region: eu, client_id: 0123456789ab-cdef-0123-456789abcdef, redirect_url: 'https://my.example/', key_file: key.pem}\n")
				dir := filepath.Join(filepath.Dir(path), "state")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if state != "none has run" {
					lock := flock.New(filepath.Join(dir, runLock))
					if mine, err := lock.TryLock(); err != nil || !mine {
						t.Fatal(mine, err)
					}
					t.Cleanup(func() { lock.Close() })
					if state == "none runs" {
						if err := lock.Unlock(); err != nil {
							t.Fatal(err)
						}
					}
				}
				var out, said strings.Builder
				if code := run(t.Context(), append([]string{"tesla2mqtt", "-config", path}, words...), strings.NewReader(""), &out, &said); code != exitDone {
					t.Fatalf("exit code %d: %s", code, said.String())
				}
				if told := strings.Contains(said.String(), "restart it"); told != (state == "one runs") {
					t.Errorf("said %s", said.String())
				}
				if files, err := filepath.Glob(filepath.Join(dir, "run*")); err != nil || len(files) > 0 != (state != "none has run") {
					t.Errorf("the look has made %v, %v", files, err)
				}
			})
		}
	}
}
