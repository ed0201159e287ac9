//go:build linux && !nobluetooth

package ble

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	theBus    = "org.freedesktop.DBus"
	systemBus = "unix:path=/run/dbus/system_bus_socket"
	// busTimeout is for what the bus and BlueZ answer by themselves, without the radio.
	busTimeout = 5 * time.Second
)

// bus is a connection to the system's D-Bus, and what BlueZ has there.
type bus struct {
	conn    *dbus.Conn
	owner   string            // BlueZ's own name there: what others report in its name is not believed
	signals chan *dbus.Signal // closed when the connection ends
	tree    tree
	adapter dbus.ObjectPath
}

// openBus connects, and looks for the adapter.
func openBus(ctx context.Context, adapter string) (*bus, error) {
	address := cmp.Or(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"), systemBus)
	if !strings.HasPrefix(address, "unix:") {
		return nil, &Error{Kind: ErrNoBus, Text: "DBUS_SYSTEM_BUS_ADDRESS must begin with unix:"}
	}
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	conn, err := connect(ctx, address)
	if err != nil {
		return nil, err
	}
	b := &bus{conn: conn, signals: make(chan *dbus.Signal, 64)}
	conn.Signal(b.signals)
	if err = b.look(ctx); err == nil {
		b.adapter, err = b.tree.adapter(adapter)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// connect makes a connection that outlives ctx, which bounds the making alone.
func connect(ctx context.Context, address string) (*dbus.Conn, error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, end)
	conn, err := dbus.Connect(address, dbus.WithContext(life), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if !stop() && err == nil {
		err = errors.Join(context.Cause(ctx), conn.Close())
	}
	switch {
	case err == nil:
		context.AfterFunc(conn.Context(), end)
		return conn, nil
	case errors.Is(err, fs.ErrPermission):
		err = &Error{Kind: ErrDenied, Text: "the system's D-Bus refuses the connection"}
	case ctx.Err() != nil:
		err = &Error{Kind: ErrNoBus, Text: "no answer in time"}
	default:
		err = &Error{Kind: ErrNoBus, Text: err.Error()}
	}
	end()
	return nil, err
}

// look asks for reports, and then for everything there is, so that nothing falls between.
func (b *bus) look(ctx context.Context) error {
	for _, rule := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(bluez)},
		{dbus.WithMatchSender(theBus), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, bluez)},
	} {
		if err := b.conn.AddMatchSignalContext(ctx, rule...); err != nil {
			return fault(ctx, err)
		}
	}
	call := b.conn.Object(bluez, "/").CallWithContext(ctx, manager+".GetManagedObjects", 0)
	if call.Err != nil {
		return fault(ctx, call.Err)
	}
	if err := call.Store(&b.tree); err != nil {
		return &Error{Kind: ErrNoBlueZ, Text: "what answers in its place is something else"}
	}
	err := b.conn.BusObject().CallWithContext(ctx, theBus+".GetNameOwner", 0, bluez).Store(&b.owner)
	return fault(ctx, err)
}

// close ends the connection, and with it whatever BlueZ did on its behalf.
func (b *bus) close() {
	// Nothing is left to be said, so what goes wrong here changes nothing.
	_ = b.conn.Close()
}

// call asks BlueZ for one thing, and waits for its answer for so long.
func (b *bus) call(ctx context.Context, timeout time.Duration, path dbus.ObjectPath, method string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	call := b.conn.Object(bluez, path).CallWithContext(ctx, method, 0, args...)
	return fault(ctx, call.Err)
}

// await keeps the tree true until done says so. Whatever makes the waiting vain ends it: BlueZ or the adapter gone.
func (b *bus) await(ctx context.Context, done func() (bool, error)) error {
	for {
		if _, err := b.tree.adapter(b.name()); err != nil {
			return err
		}
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case s, open := <-b.signals:
			if err := b.take(s, open); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take applies one report.
func (b *bus) take(s *dbus.Signal, open bool) error {
	if !open {
		return &Error{Kind: ErrNoBus, Text: "the connection to it ended"}
	}
	var name, before, now string
	switch {
	case s.Sender == b.owner:
		b.tree.apply(s)
	case s.Sender == theBus && s.Name == theBus+".NameOwnerChanged" && dbus.Store(s.Body, &name, &before, &now) == nil && before != "":
		return &Error{Kind: ErrNoBlueZ, Text: "it ended or was started anew just now"}
	}
	return nil
}

func (b *bus) name() string { return strings.TrimPrefix(string(b.adapter), "/org/bluez/") }

// faults says what the names of D-Bus errors mean. Of BlueZ's own only these can be told apart; the rest is told by its text.
var faults = []struct {
	prefix string
	kind   error
}{
	{"org.freedesktop.DBus.Error.ServiceUnknown", ErrNoBlueZ},
	{"org.freedesktop.DBus.Error.NameHasNoOwner", ErrNoBlueZ},
	{"org.freedesktop.DBus.Error.Spawn.", ErrNoBlueZ}, // it is installed, and could not be started
	{"org.freedesktop.DBus.Error.TimedOut", ErrNoBlueZ},
	{"org.freedesktop.systemd1.", ErrNoBlueZ},
	{"org.freedesktop.DBus.Error.NoReply", ErrNoBlueZ},
	{"org.freedesktop.DBus.Error.AccessDenied", ErrDenied},
	{"org.freedesktop.DBus.Error.UnknownObject", ErrDropped},
	{"org.freedesktop.DBus.Error.UnknownMethod", ErrDropped}, // what BlueZ says of an object that is gone
	{"org.bluez.Error.NotReady", ErrOff},
	{"org.bluez.Error.InProgress", ErrBusy},
	{"org.bluez.Error.NotPermitted", ErrBusy}, // the notifications belong to another program
	{"org.bluez.Error.NotConnected", ErrDropped},
}

// fault makes an Error of what a call came back with. What failed for another reason broke the connection to the car, and
// may have been carried out.
func fault(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	said, ok := errors.AsType[dbus.Error](err)
	broke, lost := errors.AsType[*Error](context.Cause(ctx))
	switch {
	case ok:
	case lost:
		return &Error{Kind: broke.Kind, Text: broke.Text, Sent: true}
	case errors.Is(err, dbus.ErrClosed), ctx.Err() == nil:
		return &Error{Kind: ErrNoBus, Text: "the connection to it ended", Sent: true}
	default:
		return &Error{Kind: ErrDropped, Text: "no answer in time", Sent: true}
	}
	i := slices.IndexFunc(faults, func(f struct {
		prefix string
		kind   error
	}) bool {
		return strings.HasPrefix(said.Name, f.prefix)
	})
	if i < 0 {
		return &Error{Kind: ErrDropped, Text: clean(said.Error()), Sent: true}
	}
	return &Error{Kind: faults[i].kind, Text: clean(said.Error())}
}

// clean bounds a text of the system's and keeps it on one line.
func clean(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	return text[:min(len(text), 200)]
}

func sorted(names []string) string {
	slices.Sort(names)
	return strings.Join(names, ", ")
}
