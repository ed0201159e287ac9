package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"syscall"
)

// This file is what is said of the state folder: each text names the folder, and what to do.

// guardState looks at the folder before something is kept there. Root is refused, and one that others may use is told.
func guardState(dir string, log *slog.Logger) error {
	if err := refuseRoot(dir); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return nil // it will be made, or whoever opens it says what is wrong
	}
	if open := openToOthers(dir, info); open != "" {
		log.Warn("the state folder holds the login: "+open, "todo", "chmod 700 "+shellWord(dir))
	}
	return nil
}

// refuseRoot keeps sudo from turning a service's login into a file that the service cannot read: even status may renew it.
func refuseRoot(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return nil // what is not there yet will be ours
	}
	owner, known := ownerOf(info)
	if !known || owner == 0 || os.Geteuid() != 0 {
		return nil
	}
	return &configError{fmt.Errorf("state_dir: %s belongs to user %d, whose bridge could not read the login after root has renewed it (run this as that user: sudo -u '#%d' tesla2mqtt ...)", dir, owner, owner)}
}

// openToOthers says what others may do with the folder, "" for nothing.
func openToOthers(dir string, info fs.FileInfo) string {
	mode := info.Mode().Perm()
	switch {
	case runtime.GOOS == "windows":
		return "" // file modes mean little there
	case writableByOthers(info):
		return fmt.Sprintf("others may write into %s (mode %04o), and so replace the login", dir, mode)
	case mode&0o077 != 0:
		return fmt.Sprintf("others may look into %s (mode %04o)", dir, mode)
	}
	return ""
}

func writableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }

// stateFault is for a folder that cannot be made, opened or written, with err that says which.
func stateFault(dir string, err error) error {
	return &configError{fmt.Errorf("state_dir: %w (%s)", err, stateFix(dir, err))}
}

// stateFix is what to do about it. What the system answers decides, and for rights, to whom the folder belongs.
func stateFix(dir string, err error) string {
	info, missing := os.Stat(dir)
	owner, known := 0, false
	if missing == nil {
		owner, known = ownerOf(info)
	}
	me := os.Geteuid()
	switch {
	case missing == nil && !info.IsDir():
		return dir + " is a file: name a folder as state_dir, or move the file away"
	case errors.Is(err, syscall.ENOSPC):
		return "the disk of " + dir + " is full: make room there, or set state_dir to a folder on another one; a login that cannot be saved is lost"
	case errors.Is(err, syscall.EROFS):
		return "the disk of " + dir + " is mounted read-only: mount it writable, or set state_dir to a folder on another one"
	case !errors.Is(err, fs.ErrPermission):
		return "set state_dir to a folder that this user may write, instead of " + dir
	case errors.Is(missing, fs.ErrPermission):
		return "this user may not enter a folder above " + dir + ": let him (chmod +x there), or set state_dir to another place"
	case missing != nil && me >= 0:
		return fmt.Sprintf("make it for this user: sudo install -d -m 700 -o %d %s; or set state_dir to a folder that he has", me, shellWord(dir))
	case known && owner == 0 && me != 0:
		return fmt.Sprintf("%s belongs to root, and this is user %d: sudo chown -R %[2]d %[3]s", dir, me, shellWord(dir))
	case known && owner != me:
		return fmt.Sprintf("%s belongs to user %d, and this is user %d: run this as that user (sudo -u '#%d' tesla2mqtt ...), or give it to this one: sudo chown -R %d %s", dir, owner, me, owner, me, shellWord(dir))
	case known:
		return "chmod 700 " + shellWord(dir) + ", and see that all in it belongs to this user"
	}
	return "let this user write " + dir
}
