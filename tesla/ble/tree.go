//go:build linux && !nobluetooth

package ble

import (
	"cmp"
	"strings"

	"github.com/godbus/dbus/v5"
)

// The names of BlueZ's D-Bus interface.
const (
	bluez      = "org.bluez"
	ifAdapter  = bluez + ".Adapter1"
	ifDevice   = bluez + ".Device1"
	ifService  = bluez + ".GattService1"
	ifChar     = bluez + ".GattCharacteristic1"
	properties = "org.freedesktop.DBus.Properties"
	manager    = "org.freedesktop.DBus.ObjectManager"

	serviceUUID = "00000211-b2d1-43f0-9b88-960cebf8b91e"
	writeUUID   = "00000212-b2d1-43f0-9b88-960cebf8b91e"
	readUUID    = "00000213-b2d1-43f0-9b88-960cebf8b91e"
)

// tree is what BlueZ has: the properties of each interface of each object. It is kept true by what BlueZ reports.
type tree map[dbus.ObjectPath]map[string]map[string]dbus.Variant

// apply takes one report. What is not of the expected form is left out.
func (t tree) apply(s *dbus.Signal) {
	switch s.Name {
	case manager + ".InterfacesAdded":
		var path dbus.ObjectPath
		var added map[string]map[string]dbus.Variant
		if dbus.Store(s.Body, &path, &added) != nil {
			return
		}
		if t[path] == nil {
			t[path] = map[string]map[string]dbus.Variant{}
		}
		for name, values := range added {
			t[path][name] = values
		}
	case manager + ".InterfacesRemoved":
		var path dbus.ObjectPath
		var gone []string
		if dbus.Store(s.Body, &path, &gone) != nil {
			return
		}
		for _, name := range gone {
			delete(t[path], name)
		}
		if len(t[path]) == 0 {
			delete(t, path)
		}
	case properties + ".PropertiesChanged":
		var name string
		var changed map[string]dbus.Variant
		var unknown []string
		if dbus.Store(s.Body, &name, &changed, &unknown) != nil || t[s.Path][name] == nil {
			return
		}
		for key, value := range changed {
			t[s.Path][name][key] = value
		}
		for _, key := range unknown {
			delete(t[s.Path][name], key)
		}
	}
}

// property returns a value, or the zero value where there is none or one of another type.
func property[T any](t tree, path dbus.ObjectPath, iface, key string) T {
	value, _ := t[path][iface][key].Value().(T)
	return value
}

// adapter finds an adapter by its name, and tells why it cannot be used.
func (t tree) adapter(name string) (dbus.ObjectPath, error) {
	path := dbus.ObjectPath("/org/bluez/" + name)
	var others []string
	for p, has := range t {
		if has[ifAdapter] != nil {
			others = append(others, strings.TrimPrefix(string(p), "/org/bluez/"))
		}
	}
	switch {
	case t[path][ifAdapter] == nil && len(others) == 0:
		return "", &Error{Kind: ErrNoAdapter, Text: name + " is not there, and no other"}
	case t[path][ifAdapter] == nil:
		return "", &Error{Kind: ErrNoAdapter, Text: name + " is not there, but " + sorted(others)}
	case !property[bool](t, path, ifAdapter, "Powered"):
		// Newer BlueZ tells which of the two switches it is.
		if property[string](t, path, ifAdapter, "PowerState") == "off-blocked" {
			return "", &Error{Kind: ErrOff, Text: name + " is blocked by rfkill"}
		}
		return "", &Error{Kind: ErrOff, Text: name}
	}
	return path, nil
}

// heard tells whether a device below adapter was heard in a search that goes on, or is connected, which is as good.
func (t tree) heard(adapter, device dbus.ObjectPath) bool {
	_, rssi := t[device][ifDevice]["RSSI"]
	return property[dbus.ObjectPath](t, device, ifDevice, "Adapter") == adapter &&
		(rssi || property[bool](t, device, ifDevice, "Connected"))
}

// named is the name that a device has on the air. Name is kept from earlier; Alias, which people change, does not count.
func (t tree) named(device dbus.ObjectPath) string {
	return property[string](t, device, ifDevice, "Name")
}

// find returns the device of that name that was heard; of two, which a car with a changed address leaves, the louder one.
func (t tree) find(adapter dbus.ObjectPath, name string) (dbus.ObjectPath, bool) {
	var best dbus.ObjectPath
	for path := range t {
		if !t.heard(adapter, path) || t.named(path) != name {
			continue
		}
		louder := property[int16](t, path, ifDevice, "RSSI") > property[int16](t, best, ifDevice, "RSSI")
		if best == "" || cmp.Or(property[bool](t, path, ifDevice, "Connected"), louder) {
			best = path
		}
	}
	return best, best != ""
}

// characteristics finds the two that a Tesla has.
func (t tree) characteristics(device dbus.ObjectPath) (write, read dbus.ObjectPath, err error) {
	for path, has := range t {
		service := property[dbus.ObjectPath](t, path, ifChar, "Service")
		if has[ifChar] == nil || property[dbus.ObjectPath](t, service, ifService, "Device") != device ||
			!strings.EqualFold(property[string](t, service, ifService, "UUID"), serviceUUID) {
			continue
		}
		switch strings.ToLower(property[string](t, path, ifChar, "UUID")) {
		case writeUUID:
			write = path
		case readUUID:
			read = path
		}
	}
	if write == "" || read == "" {
		return "", "", &Error{Kind: ErrProtocol, Text: "the device has the name of the car, and not its service"}
	}
	return write, read, nil
}
