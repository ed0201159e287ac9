package bluetest

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/godbus/dbus/v5"
)

// The names of BlueZ's interfaces, written down once more: what tests must not share a mistake with what it tests.
const (
	service     = "org.bluez"
	adapterFace = "org.bluez.Adapter1"
	deviceFace  = "org.bluez.Device1"
	gattService = "org.bluez.GattService1"
	gattChar    = "org.bluez.GattCharacteristic1"
	objectFace  = "org.freedesktop.DBus.ObjectManager"
	propFace    = "org.freedesktop.DBus.Properties"
)

// face is the properties of one interface of an object.
type face = map[string]dbus.Variant

// BlueZ is the service. Its methods may be called at any time, by any goroutine.
type BlueZ struct {
	address string

	mu         sync.Mutex
	conn       *dbus.Conn // nil while it does not run
	objects    map[dbus.ObjectPath]map[string]face
	searches   map[string]string            // the adapter that a client searches with
	notified   map[string][]dbus.ObjectPath // what a client gets notifications of
	cars       []*Car
	adapters   []string // that are plugged in
	off        map[string]string
	violations []string
}

// Start runs BlueZ on a bus, with these adapters, turned on.
func Start(b *Bus, adapters ...string) (*BlueZ, error) {
	z := &BlueZ{address: b.Address, adapters: adapters, off: map[string]string{}}
	return z, z.Run()
}

// Run starts it, or starts it again after Stop: adapters and cars are there, and what was known of the cars is not.
func (z *BlueZ) Run() error {
	conn, err := dbus.Connect(z.address, dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.conn, z.objects = conn, map[dbus.ObjectPath]map[string]face{}
	z.searches, z.notified = map[string]string{}, map[string][]dbus.ObjectPath{}
	gone := make(chan *dbus.Signal, 16)
	conn.Signal(gone)
	if err := conn.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged")); err != nil {
		return err
	}
	go z.watch(gone)
	z.export("/", objectFace, map[string]any{"GetManagedObjects": z.managedObjects})
	for _, name := range z.adapters {
		z.plug(name)
	}
	reply, err := conn.RequestName(service, dbus.NameFlagDoNotQueue)
	if err == nil && reply != dbus.RequestNameReplyPrimaryOwner {
		err = fmt.Errorf("somebody else is %s", service)
	}
	return err
}

// Stop ends it, as systemctl stop bluetooth does: every connection breaks.
func (z *BlueZ) Stop() error {
	z.mu.Lock()
	conn := z.conn
	z.conn = nil
	for _, c := range z.cars {
		c.forget()
	}
	z.mu.Unlock()
	if conn == nil {
		return nil
	}
	return conn.Close()
}

// watch ends the searches and notifications of clients that are gone.
func (z *BlueZ) watch(signals <-chan *dbus.Signal) {
	for s := range signals {
		var name, before, after string
		if dbus.Store(s.Body, &name, &before, &after) == nil && after == "" {
			z.mu.Lock()
			z.endSearch(name)
			delete(z.notified, name)
			z.mu.Unlock()
		}
	}
}

// Searching and Notifying tell how many clients do, for tests that look for what was left behind.
func (z *BlueZ) Searching() int { z.mu.Lock(); defer z.mu.Unlock(); return len(z.searches) }

// Notifying is the number of clients with notifications.
func (z *BlueZ) Notifying() int { z.mu.Lock(); defer z.mu.Unlock(); return len(z.notified) }

// Violations are what no careful client does.
func (z *BlueZ) Violations() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.Clone(z.violations)
}

func (z *BlueZ) complain(format string, args ...any) {
	z.violations = append(z.violations, fmt.Sprintf(format, args...))
}

func (z *BlueZ) export(path dbus.ObjectPath, iface string, methods map[string]any) {
	if err := z.conn.ExportMethodTable(methods, path, iface); err != nil {
		z.complain("%s of %s cannot be exported: %v", iface, path, err)
	}
}

func (z *BlueZ) emit(path dbus.ObjectPath, name string, body ...any) {
	if z.conn != nil {
		if err := z.conn.Emit(path, name, body...); err != nil {
			z.complain("%s: %v", name, err)
		}
	}
}

func (z *BlueZ) managedObjects() (map[dbus.ObjectPath]map[string]face, *dbus.Error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	all := map[dbus.ObjectPath]map[string]face{}
	for path, faces := range z.objects {
		all[path] = map[string]face{}
		for name, values := range faces {
			all[path][name] = maps.Clone(values)
		}
	}
	return all, nil
}

// add makes an object with one interface.
func (z *BlueZ) add(path dbus.ObjectPath, iface string, values map[string]any, methods map[string]any) {
	of := face{}
	for key, value := range values {
		of[key] = dbus.MakeVariant(value)
	}
	z.objects[path] = map[string]face{iface: of}
	z.export(path, iface, methods)
	z.emit("/", objectFace+".InterfacesAdded", path, map[string]face{iface: maps.Clone(of)})
}

// remove takes an object away.
func (z *BlueZ) remove(path dbus.ObjectPath) {
	for iface := range z.objects[path] {
		if z.conn != nil {
			if err := z.conn.Export(nil, path, iface); err != nil {
				z.complain("%s: %v", path, err)
			}
		}
		z.emit("/", objectFace+".InterfacesRemoved", path, []string{iface})
	}
	delete(z.objects, path)
}

// set changes a property; nil takes it away.
func (z *BlueZ) set(path dbus.ObjectPath, iface, key string, value any) {
	of := z.objects[path][iface]
	if of == nil {
		return
	}
	if value == nil {
		delete(of, key)
		z.emit(path, propFace+".PropertiesChanged", iface, face{}, []string{key})
		return
	}
	of[key] = dbus.MakeVariant(value)
	z.emit(path, propFace+".PropertiesChanged", iface, face{key: of[key]}, []string{})
}

func failure(name, text string) *dbus.Error {
	return dbus.NewError(service+".Error."+name, []any{text})
}
