package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ownMounts puts this goroutine, and the processes it starts, into a mount namespace of their own.
func ownMounts(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount what this needs")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and the namespace with it
	if err := syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS); err != nil {
		t.Skipf("no mount namespace is to be had here: %v", err)
	}
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Skipf("mounts cannot be kept apart here: %v", err)
	}
}

// smallDisk mounts one of 128 KiB on dir.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	ownMounts(t)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = syscall.Mount("small", dir, "tmpfs", 0, "size=128k,mode=0700")
	}
	if err != nil {
		t.Skipf("no disk can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// trouble is how a disk fails, and how that ends.
type trouble struct {
	name, says string
	begin, end func(t *testing.T, dir string)
}

func troubles() []trouble {
	filler := func(dir string) string { return filepath.Join(dir, "filler") }
	remount := func(flags uintptr) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []trouble{
		{"full", "no space left on device", func(t *testing.T, dir string) {
			t.Helper()
			err := os.WriteFile(filler(dir), make([]byte, 1<<20), 0o600)
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("filling the disk: %v", err)
			}
		}, func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Remove(filler(dir)); err != nil {
				t.Fatal(err)
			}
		}},
		{"read-only", "read-only file system", remount(syscall.MS_RDONLY), remount(0)},
	}
}

// TestCampaignDisk: the state folder cannot be written while the token is renewed. It stays in memory, nobody else may spend
// the old one, health and log say so; the bridge goes on serving, and saves once it can: then a kill -9 costs nothing.
func TestCampaignDisk(t *testing.T) {
	t.Parallel()
	rounds, long, random := drawn(t, 1)
	for _, d := range troubles() {
		random := rand.New(rand.NewPCG(random.Uint64(), 0))
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			h := newLightHousehold(t)
			h.tesla.Strict = true // the old refresh token is worth nothing then
			h.tesla.ExpiresIn = 8 * time.Second
			r := h.resident(h.settings)
			dir := filepath.Join(filepath.Dir(r.config), "state")
			smallDisk(t, dir)
			r.logIn().start()
			within(t, 20*time.Second, "the bridge is well", h.well)
			for round := range rounds {
				d.begin(t, dir)
				began := time.Now()
				took := within(t, 30*time.Second, "health says it", func() bool { return h.health().Auth.Status == "save_failing" })
				if m := h.health().Auth.Message; !strings.Contains(m, d.says) || !strings.Contains(m, "make the state folder writable") {
					t.Errorf("health says %q", m)
				}
				other := r.command("refresh-token")
				var said bytes.Buffer
				other.Stdout, other.Stderr = &said, &said
				if err := other.Run(); err == nil {
					t.Errorf("another process has spent the old token: %s", said.String())
				}
				h.serves("while it cannot save")
				if long {
					time.Sleep(time.Duration(random.IntN(20)) * time.Second) // some renewals more
				}
				if n, most := strings.Count(r.log.text(), "could not be saved, it is tried again"), h.tesla.Count("token", ""); n > most {
					t.Errorf("%d lines in the log for %d renewals", n, most)
				}
				d.end(t, dir)
				saved := within(t, 30*time.Second, "health says that it is saved", func() bool { return h.health().Auth.Status == "ok" })
				r.end(syscall.SIGKILL)
				r.start()
				within(t, 30*time.Second, "the bridge is well after kill -9", func() bool { return h.since(began, "bridge/state", "online") > 0 && h.well() })
				h.serves("after kill -9")
				t.Logf("round %d: said after %s, saved %s after there was room; the other process said %s", round, took, saved, strings.TrimSpace(said.String()))
			}
			h.checkNeighbours(r)
		})
	}
}

// TestCampaignDiskAtTheStart: with such a folder it does not start: the login could be lost at the first renewal. It says
// what to do, and starts when that is done.
func TestCampaignDiskAtTheStart(t *testing.T) {
	t.Parallel()
	for _, d := range troubles() {
		t.Run(d.name, func(t *testing.T) {
			h := newLightHousehold(t)
			r := h.resident(h.settings)
			dir := filepath.Join(filepath.Dir(r.config), "state")
			smallDisk(t, dir)
			r.logIn()
			d.begin(t, dir)
			cmd := r.command("run")
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
			defer late.Stop()
			if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != exitUsage {
				t.Errorf("it ended with %v", err)
			}
			if !strings.Contains(said.String(), "state_dir") || !strings.Contains(said.String(), d.says) ||
				!strings.Contains(said.String(), "the disk of "+dir) || !strings.Contains(said.String(), "set state_dir to a folder on another one") {
				t.Errorf("it said %s", said.String())
			}
			t.Log(strings.TrimSpace(said.String()))
			d.end(t, dir)
			r.start()
			within(t, 20*time.Second, "it starts", h.well)
			h.checkNeighbours(r)
		})
	}
}
