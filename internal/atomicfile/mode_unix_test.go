//go:build !windows

package atomicfile_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestPrivateWhateverTheUmask: the mode is set before there is any content.
func TestPrivateWhateverTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o277, 0o777} {
		dir := t.TempDir()
		f := open(t, dir)
		was := syscall.Umask(umask)
		err := f.Save("a.json", []byte("secret"))
		syscall.Umask(was)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "a.json"))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("umask %o: mode %v, %v", umask, info.Mode(), err)
		}
	}
}

// TestLeftoverIsNotWrittenInto: somebody else may have it open, or have made it.
func TestLeftoverIsNotWrittenInto(t *testing.T) {
	dir := t.TempDir()
	left, elsewhere := filepath.Join(dir, "a.json.tmp"), filepath.Join(dir, "elsewhere")
	for name, leave := range map[string]func() error{
		"a hard link":     func() error { return os.Link(elsewhere, left) },
		"a symbolic link": func() error { return os.Symlink("elsewhere", left) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(elsewhere, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(left); err != nil {
				t.Fatal(err)
			}
			if err := leave(); err != nil {
				t.Fatal(err)
			}
			reader, err := os.Open(elsewhere)
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			if err := open(t, dir).Save("a.json", []byte("secret")); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(reader); err != nil || len(got) > 0 {
				t.Errorf("through the leftover one reads %q, %v", got, err)
			}
			info, err := os.Lstat(filepath.Join(dir, "a.json"))
			if err != nil || info.Mode() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}
