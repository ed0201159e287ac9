//go:build linux && !nobluetooth

package ble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla/ble/bluetest"
)

const vin = "5YJ3E1EA7KF317000"

// echo is a car that sends back what it gets.
type echo struct{}

func (echo) Receive(message []byte) [][]byte { return [][]byte{message} }

// rig is a radio, and what it talks to.
type rig struct {
	t     *testing.T
	bluez *bluetest.BlueZ
	car   *bluetest.Car
	radio *Radio
}

// startBus makes the bus of this test the system's.
func startBus(t *testing.T, rule string) *bluetest.Bus {
	t.Helper()
	bus, err := bluetest.StartBus(rule)
	if errors.Is(err, bluetest.ErrNoDaemon) && os.Getenv("DBUS_REQUIRED") == "" {
		t.Skip("needs dbus-daemon (Debian: the package dbus)")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)
	return bus
}

// newRig is a car in range. When the test ends nothing may be left of us: no goroutine, no search, no connection.
func newRig(t *testing.T) *rig {
	t.Helper()
	bus := startBus(t, "")
	z, err := bluetest.Start(bus, "hci0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := z.Stop(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t, z, z.Car("hci0", LocalName(vin), echo{}), NewRadio("hci0")}
	r.radio.limits = limits{
		search: 2 * time.Second, connect: 2 * time.Second, resolve: 2 * time.Second, write: 2 * time.Second,
		hangUp: time.Second, linger: time.Minute, age: time.Minute,
	}
	t.Cleanup(func() { r.nothingLeft() })
	return r
}

func (r *rig) link() *Link {
	r.t.Helper()
	l := r.radio.Link(vin)
	r.t.Cleanup(l.Close)
	return l
}

// nothingLeft runs after the links were closed.
func (r *rig) nothingLeft() {
	r.t.Helper()
	for _, v := range r.bluez.Violations() {
		r.t.Errorf("BlueZ complains: %s", v)
	}
	r.eventually("nothing is left at BlueZ", func() bool {
		return r.bluez.Searching() == 0 && r.bluez.Notifying() == 0 && !r.car.Connected()
	})
	r.eventually("no goroutine of ours is left", func() bool { return ourGoroutine() == "" })
	if stack := ourGoroutine(); stack != "" {
		r.t.Log(stack)
	}
}

// ourGoroutine returns the stack of one that runs the code of this package, but not that of its tests, or "".
func ourGoroutine() string {
	stacks := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, "tesla/ble.(") && !strings.Contains(stack, "_test.go") {
			return stack
		}
	}
	return ""
}

// eventually polls for what other goroutines bring about.
func (r *rig) eventually(what string, so func() bool) {
	r.t.Helper()
	for end := time.Now().Add(5 * time.Second); !so(); {
		if time.Now().After(end) {
			r.t.Errorf("it never came about that %s", what)
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// within bounds a test, and what it waits for.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// exchange sends a message over a use of its own and waits for its echo.
func exchange(ctx context.Context, l *Link, message []byte) error {
	using, done, err := l.Use(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := l.Send(using, message); err != nil {
		return err
	}
	select {
	case got := <-l.Receive():
		if !bytes.Equal(got, message) {
			return fmt.Errorf("%d bytes came back of %d, or others", len(got), len(message))
		}
		return nil
	case <-using.Done():
		return context.Cause(using)
	}
}

func wantKind(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got %v, want %v", err, kind)
	}
	if Advice(err) == "" {
		t.Errorf("no advice about %v", err)
	}
}
