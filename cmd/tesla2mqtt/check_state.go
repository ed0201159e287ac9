package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/gofrs/flock"
)

// leastSpace is room for the few files that are kept, each written anew beside the old one.
const leastSpace = 10 << 20

// runLock is held by a running bridge, in its state folder.
const runLock = "run.lock"

// stateFolder tells whether the folder can be used. It makes nothing: whoever runs the bridge has to be its owner.
func (k *checkup) stateFolder() (usable bool) {
	k.begin("state folder")
	dir := k.config.StateDir
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.warn("folder", dir+" is not there yet", "tesla2mqtt login makes it; run that as the user who will run the bridge")
		return false
	case err != nil:
		k.fail("folder", err.Error(), stateFix(dir, err))
		return false
	case !info.IsDir():
		k.fail("folder", dir+" is not a folder", stateFix(dir, nil))
		return false
	}
	if owner, known := ownerOf(info); known && owner != os.Geteuid() {
		// As another user even a renewal of the login would leave files that the bridge may not touch.
		k.fail("owner", fmt.Sprintf("%s belongs to user %d, and this is user %d", dir, owner, os.Geteuid()),
			fmt.Sprintf("run the check as its owner: sudo -u '#%d' tesla2mqtt check; or give it to this user: chown -R %d %s", owner, os.Geteuid(), shellWord(dir)))
		return false
	}
	k.ok("folder", dir+" is there and belongs to this user")
	k.folderMode(dir, info)
	usable = k.writable(dir)
	k.space(dir)
	k.tokenMode(filepath.Join(dir, "token.json"))
	k.running(dir)
	return usable
}

func (k *checkup) folderMode(dir string, info fs.FileInfo) {
	open := openToOthers(dir, info)
	switch {
	case runtime.GOOS == "windows":
		k.ok("mode", "not looked at on Windows")
	case open == "":
		k.ok("mode", fmt.Sprintf("nobody else can look into it (mode %04o)", info.Mode().Perm()))
	case writableByOthers(info):
		k.fail("mode", open, "chmod 700 "+shellWord(dir))
	default:
		k.warn("mode", open, "chmod 700 "+shellWord(dir))
	}
}

func (k *checkup) writable(dir string) bool {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		k.fail("writable", "a renewed login could not be kept: "+err.Error(), stateFix(dir, err))
		return false
	}
	k.ok("writable", "a file can be written there")
	return true
}

func (k *checkup) space(dir string) {
	free, err := freeSpace(dir)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		k.ok("space", "not looked at on this system")
	case err != nil:
		k.warn("space", err.Error(), "")
	case free < leastSpace:
		k.warn("space", fmt.Sprintf("only %d kB are free on its disk", free>>10), "make room: a login that cannot be saved is lost at the next restart")
	default:
		k.ok("space", fmt.Sprintf("%d MB are free on its disk", free>>20))
	}
}

// tokenMode looks before the login is opened, which takes others' rights away.
func (k *checkup) tokenMode(file string) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Whether there is a login is looked at below.
	case err != nil:
		k.fail("token.json", err.Error(), "make it readable for this user")
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		k.warn("token.json", fmt.Sprintf("others could read the login (mode %04o); now they cannot", info.Mode().Perm()),
			"if others use this machine, change your Tesla password, which ends this login, and log in anew")
	default:
		k.ok("token.json", "nobody else can read the login")
	}
}

func (k *checkup) running(dir string) {
	switch runs, err := bridgeRuns(dir); {
	case errors.Is(err, fs.ErrNotExist):
		k.ok("run", "no bridge has run with this folder yet")
	case err != nil:
		k.fail("run", err.Error(), "give the file to this user, or delete it while no bridge runs")
	case runs:
		k.ok("run", "a bridge runs with this folder now")
	default:
		k.ok("run", "no bridge runs with this folder now")
	}
}

// bridgeRuns tells whether a bridge runs with this state folder now. fs.ErrNotExist: none ever has.
func bridgeRuns(dir string) (bool, error) {
	file := filepath.Join(dir, runLock)
	if _, err := os.Stat(file); err != nil { // or the look would make it
		return false, err
	}
	lock := flock.New(file)
	defer lock.Close() // it was only looked at
	free, err := lock.TryRLock()
	return err == nil && !free, err
}

// restartFor tells who has made a key what a bridge that runs now needs to use it; "" if none does.
func restartFor(dir string) string {
	if runs, err := bridgeRuns(dir); err != nil || !runs {
		return ""
	}
	return " A bridge runs now, and reads its keys at its start: restart it, or it goes on without this one."
}
