//go:build linux && !nobluetooth

package ble

import (
	"errors"
	"testing"

	"github.com/godbus/dbus/v5"
)

// TestOnlyBlueZIsHeard: whoever is on the same bus can send us a report that looks like one of the car's.
func TestOnlyBlueZIsHeard(t *testing.T) {
	c := &connection{bus: &bus{owner: ":1.5"}, read: "/org/bluez/hci0/dev/read"}
	report := func(sender string, path dbus.ObjectPath) *dbus.Signal {
		return &dbus.Signal{Sender: sender, Path: path, Name: properties + ".PropertiesChanged",
			Body: []any{ifChar, map[string]dbus.Variant{"Value": dbus.MakeVariant([]byte{1})}}}
	}
	if got := c.fragment(report(":1.5", c.read)); len(got) != 1 {
		t.Errorf("the car is not heard: %v", got)
	}
	for name, s := range map[string]*dbus.Signal{"another program": report(":1.9", c.read), "another object": report(":1.5", c.read+"2")} {
		if got := c.fragment(s); got != nil {
			t.Errorf("%s is heard: %v", name, got)
		}
	}
}

// TestNothingIsSentAfterABreak: half of a message may be over there, so nothing may follow it.
func TestNothingIsSentAfterABreak(t *testing.T) {
	c := &connection{writing: make(chan struct{}, 1), lost: make(chan struct{}), chunk: leastChunk}
	close(c.lost)
	err := c.send(t.Context(), []byte{1})
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != ErrDropped || e.Sent {
		t.Errorf("got %v", err)
	}
}
