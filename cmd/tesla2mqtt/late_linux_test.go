package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBrokerNameComesLate: the name of the broker is not known at first, as on a machine that starts before its router.
func TestBrokerNameComesLate(t *testing.T) {
	hostsFile := ownHosts(t)
	l := newLateHousehold(t)
	l.teslaUp()
	l.brokerUp()
	_, port, _ := strings.Cut(strings.TrimPrefix(l.brokerURL, "mqtt://"), ":")
	r := l.resident(fmt.Sprintf(`url: "mqtt://broker.invalid:%s"`, port)).logIn()
	r.start()
	within(t, 30*time.Second, "the log says what to do", func() bool { return r.says(`\"broker.invalid\" was not found; check mqtt.url`) })
	if err := os.WriteFile(hostsFile, []byte("127.0.0.1 localhost broker.invalid\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	took := within(t, 2*time.Minute, "the bridge is well", l.well)
	t.Logf("well %s after the name came", took)
	r.end(syscall.SIGTERM)
	l.checkNeighbours(r)
}

// ownHosts gives this goroutine, and the processes it starts, a file of host names of their own, and returns its path.
func ownHosts(t *testing.T) string {
	t.Helper()
	own := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(own, []byte("127.0.0.1 localhost\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ownMounts(t)
	if err := syscall.Mount(own, "/etc/hosts", "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("no file of host names can be had here: %v", err)
	}
	return own
}
