//go:build linux && !nobluetooth

package ble

import (
	"os"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// Another user of the bus may send us what looks like BlueZ's report; it is not believed.
func TestReportsOfOthersAreNotBelieved(t *testing.T) {
	r := newRig(t)
	l, ctx := r.link(), within(t, 10*time.Second)
	using, done, err := l.Use(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	liar, err := dbus.Connect(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"))
	if err != nil {
		t.Fatal(err)
	}
	defer liar.Close()
	conn := l.now.Load()
	body := []any{ifDevice, map[string]dbus.Variant{"Connected": dbus.MakeVariant(false)}, []string{}}
	call := liar.Send(&dbus.Message{Type: dbus.TypeSignal, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant(conn.bus.conn.Names()[0]), dbus.FieldPath: dbus.MakeVariant(conn.device),
		dbus.FieldInterface: dbus.MakeVariant(properties), dbus.FieldMember: dbus.MakeVariant("PropertiesChanged"),
		dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(body...)),
	}, Body: body}, nil)
	if call.Err != nil {
		t.Fatal(call.Err)
	}
	// What is sent afterwards arrives afterwards.
	if err := liar.Object("org.freedesktop.DBus", "/").CallWithContext(ctx, "org.freedesktop.DBus.GetId", 0).Err; err != nil {
		t.Fatal(err)
	}
	message := []byte{1}
	if err := l.Send(using, message); err != nil {
		t.Fatalf("%v", err)
	}
	select {
	case <-l.Receive():
	case <-using.Done():
		t.Error("the connection was taken for broken")
	}
}
