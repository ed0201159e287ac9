// Package bluetest is BlueZ for tests: it plays org.bluez on a private D-Bus (a real dbus-daemon), with adapters that come
// and go and cars that are heard, connected to and written to. Behind each car stands a Peer, which gets whole messages.
//
// What it shows: that package ble calls BlueZ as its documentation says, in an order that works, with nothing left behind.
// What it cannot show: that a real BlueZ, a real radio and a real car behave like this.
package bluetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoDaemon means that there is no dbus-daemon on this machine (Debian: the package dbus).
var ErrNoDaemon = errors.New("dbus-daemon is not installed")

// Bus is a D-Bus of our own.
type Bus struct {
	Address string // for DBUS_SYSTEM_BUS_ADDRESS
	daemon  *exec.Cmd
	dir     string
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
    %s
  </policy>
</busconfig>
`

// Deny is for StartBus: nobody may call BlueZ, as for a user who is not in the group bluetooth.
const Deny = `<deny send_destination="org.bluez"/>`

// StartBus starts a dbus-daemon with a rule more in its policy, "" for none. The caller stops it.
func StartBus(rule string) (*Bus, error) {
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		return nil, ErrNoDaemon
	}
	dir, err := os.MkdirTemp("", "bus") // a socket's path must be short
	if err != nil {
		return nil, err
	}
	b := &Bus{dir: dir}
	file := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, busConfig, filepath.Join(dir, "socket"), rule), 0o600); err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	b.daemon = exec.Command(program, "--config-file="+file, "--nofork", "--nopidfile", "--print-address=1")
	var said bytes.Buffer // of interest only if it does not start
	b.daemon.Stderr = &said
	out, err := b.daemon.StdoutPipe()
	if err == nil {
		err = b.daemon.Start()
	}
	if err != nil {
		b.daemon = nil
		return nil, errors.Join(err, b.Stop())
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		err = errors.Join(err, b.Stop())
		return nil, fmt.Errorf("dbus-daemon did not start: %w: %s", err, &said)
	}
	b.Address = strings.TrimSpace(line)
	return b, nil
}

// Stop ends the daemon.
func (b *Bus) Stop() error {
	if b.daemon != nil {
		if err := b.daemon.Process.Kill(); err != nil {
			return err
		}
		_ = b.daemon.Wait() // it was killed, which is what this says
		b.daemon = nil
	}
	return os.RemoveAll(b.dir)
}
