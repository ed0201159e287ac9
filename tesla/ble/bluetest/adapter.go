package bluetest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

func adapterPath(name string) dbus.ObjectPath { return dbus.ObjectPath("/org/bluez/" + name) }

// Plug puts an adapter in, turned on.
func (z *BlueZ) Plug(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.adapters = append(z.adapters, name)
	z.plug(name)
}

func (z *BlueZ) plug(name string) {
	state := z.off[name]
	z.add(adapterPath(name), adapterFace, map[string]any{
		"Address": "00:1A:7D:DA:71:13", "Name": "host", "Powered": state == "", "PowerState": cmp.Or(state, "on"), "Discovering": false,
	}, map[string]any{
		"SetDiscoveryFilter": z.setFilter,
		"StartDiscovery":     func(sender dbus.Sender) *dbus.Error { return z.startDiscovery(name, string(sender)) },
		"StopDiscovery":      func(sender dbus.Sender) *dbus.Error { return z.stopDiscovery(string(sender)) },
	})
}

// Unplug takes an adapter out: everything below it is gone.
func (z *BlueZ) Unplug(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.adapters = slices.DeleteFunc(z.adapters, func(n string) bool { return n == name })
	for _, c := range z.cars {
		c.forget()
	}
	below := string(adapterPath(name))
	for path := range z.objects {
		if strings.HasPrefix(string(path), below+"/") {
			z.remove(path)
		}
	}
	z.remove(adapterPath(name))
}

// Power turns an adapter on ("") or off: "off" by software, "off-blocked" by rfkill.
func (z *BlueZ) Power(name, state string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.off[name] = state
	if state != "" {
		for _, c := range z.cars {
			c.drop()
		}
	}
	z.set(adapterPath(name), adapterFace, "PowerState", cmp.Or(state, "on"))
	z.set(adapterPath(name), adapterFace, "Powered", state == "")
}

func (z *BlueZ) setFilter(filter map[string]dbus.Variant) *dbus.Error {
	for key := range filter {
		if !slices.Contains([]string{"UUIDs", "RSSI", "Pathloss", "Transport", "DuplicateData", "Discoverable", "Pattern"}, key) {
			return failure("InvalidArguments", "Invalid arguments in method call")
		}
	}
	return nil
}

func (z *BlueZ) startDiscovery(adapter, client string) *dbus.Error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.off[adapter] != "" {
		return failure("NotReady", "Resource Not Ready")
	}
	if z.searches[client] != "" {
		return failure("InProgress", "Operation already in progress")
	}
	z.searches[client] = adapter
	z.set(adapterPath(adapter), adapterFace, "Discovering", true)
	for _, c := range z.cars {
		c.announce()
	}
	return nil
}

func (z *BlueZ) stopDiscovery(client string) *dbus.Error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.searches[client] == "" {
		return failure("Failed", "No discovery started")
	}
	z.endSearch(client)
	return nil
}

// endSearch: with the last search of an adapter, BlueZ forgets how loud the devices were.
func (z *BlueZ) endSearch(client string) {
	adapter := z.searches[client]
	delete(z.searches, client)
	if adapter == "" || z.searching(adapter) {
		return
	}
	z.set(adapterPath(adapter), adapterFace, "Discovering", false)
	for path, faces := range z.objects {
		if _, loud := faces[deviceFace]["RSSI"]; loud {
			z.set(path, deviceFace, "RSSI", nil)
		}
	}
}

func (z *BlueZ) searching(adapter string) bool {
	for _, other := range z.searches {
		if other == adapter {
			return true
		}
	}
	return false
}
