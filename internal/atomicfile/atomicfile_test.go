package atomicfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"tesla2mqtt/internal/atomicfile"
)

func open(t *testing.T, dir string) *atomicfile.Folder {
	t.Helper()
	f, err := atomicfile.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestSaveReplacesWholeAndPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	f := open(t, dir)
	for _, content := range [][]byte{bytes.Repeat([]byte("long"), 1000), []byte("short")} {
		if err := f.Save("a.json", content); err != nil {
			t.Fatal(err)
		}
		got, err := f.Load("a.json")
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(content))
		}
	}
	for name, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "a.json"): 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v; want only a.json", entries, err)
	}
}

func TestLoadOfNothingIsNil(t *testing.T) {
	got, err := open(t, t.TempDir()).Load("none.json")
	if got != nil || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestLeftoverOfACrashIsNoObstacle(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.json.tmp"), bytes.Repeat([]byte("x"), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, dir)
	if err := f.Save("a.json", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Load("a.json"); string(got) != "new" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	if err := f.Save("a.json", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := f.Save("../escape.json", []byte("x")); err == nil {
		t.Error("a name that leaves the folder was accepted")
	}
	if err := os.MkdirAll(filepath.Join(dir, "b.json.tmp", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Save("b.json", []byte("x")); err == nil {
		t.Error("an unwritable temporary file was not reported")
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 4<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load("big"); err == nil {
		t.Error("a file without bound was read")
	}
	if got, err := f.Load("a.json"); string(got) != "old" || err != nil {
		t.Errorf("the old file became %q, %v", got, err)
	}
}
