package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestStateFix: the folder is named, and what helps is what the system's answer asks for.
func TestStateFix(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	denied := &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.EACCES}
	for _, row := range []struct {
		name, dir string
		err       error
		fix       string
	}{
		{"a file", file, syscall.ENOTDIR, file + " is a file: name a folder as state_dir"},
		{"full", dir, fmt.Errorf("write: %w", syscall.ENOSPC), "the disk of " + dir + " is full: make room there"},
		{"read-only", dir, fmt.Errorf("write: %w", syscall.EROFS), "the disk of " + dir + " is mounted read-only: mount it writable"},
		{"not there, and may not be made", filepath.Join(dir, "new"), denied, fmt.Sprintf("sudo install -d -m 700 -o %d %s", os.Geteuid(), filepath.Join(dir, "new"))},
		{"ours, without the right", dir, denied, "chmod 700 " + dir},
		{"something else", dir, errors.New("odd"), "set state_dir to a folder that this user may write, instead of " + dir},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := stateFault(row.dir, row.err)
			if !strings.Contains(err.Error(), row.fix) || !errors.Is(err, row.err) || exitCode(err) != exitUsage {
				t.Errorf("got %v, want %q", err, row.fix)
			}
		})
	}
	t.Run("another's", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give a folder away")
		}
		if err := os.Chown(dir, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if fix := stateFix(dir, denied); !strings.Contains(fix, "belongs to user 12345, and this is user 0: run this as that user (sudo -u '#12345' tesla2mqtt ...)") {
			t.Errorf("got %s", fix)
		}
	})
}

// TestOpenStateFolderIsTold: at every start, with the line that mends it.
func TestOpenStateFolderIsTold(t *testing.T) {
	for mode, says := range map[os.FileMode]string{0o700: "", 0o750: "others may look into", 0o755: "others may look into", 0o770: "others may write into"} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		if err := guardState(dir, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		if said := log.String(); !strings.Contains(said, says) || (said == "") != (says == "") || says != "" && !strings.Contains(said, `todo="chmod 700 `+dir) {
			t.Errorf("%o: %s", mode, said)
		}
	}
}
