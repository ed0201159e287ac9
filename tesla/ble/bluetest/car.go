package bluetest

import (
	"crypto/sha1"
	"fmt"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Peer is what stands behind the radio of a car: it takes a whole message, and returns its answers.
type Peer interface {
	Receive(message []byte) (answers [][]byte)
}

// What can go wrong with a car, for Car.Fault.
const (
	Full         = "full"           // it serves three devices already: the connection fails
	Hangs        = "hangs"          // a connect never ends
	HangsUp      = "hangs up"       // right after the connect
	Mute         = "mute"           // it never says what it offers
	NoService    = "no service"     // it has the name of a car, and is none
	Taken        = "taken"          // another program of this machine has its notifications
	DropsOnWrite = "drops on write" // the connection breaks when the first packet comes
	DropsHalfway = "drops halfway"  // and when the second one does
	LosesPacket  = "loses packet"   // the second packet does not get through, and the connection stands
	DropsAfter   = "drops after"    // when the message is whole, before the answer
	HalfAnswer   = "half answer"    // after the first packet of the answer
	Silent       = "silent"         // it takes everything and answers nothing
	StuckWrite   = "stuck write"    // BlueZ does not come back from a write
)

// Car is a car that may be near an adapter.
type Car struct {
	z             *BlueZ
	name, adapter string
	peer          Peer

	// What follows belongs to whoever holds z.mu.
	near      bool
	mtu       int
	fault     string
	connected bool
	incoming  []byte
	abort     chan struct{} // ends a connect that hangs
	connects  int
	packets   int
}

// Car adds a car that is near an adapter. name is what it calls itself on the air.
func (z *BlueZ) Car(adapter, name string, peer Peer) *Car {
	c := &Car{z: z, name: name, adapter: adapter, peer: peer, near: true, mtu: 247, abort: make(chan struct{})}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.cars = append(z.cars, c)
	c.announce()
	return c
}

// Near brings the car into range, or away, which breaks a connection.
func (c *Car) Near(near bool) {
	c.z.mu.Lock()
	defer c.z.mu.Unlock()
	c.near = near
	if !near {
		c.drop()
	}
	c.announce()
}

// Fault lets something go wrong from now on, "" for nothing.
func (c *Car) Fault(name string) { c.z.mu.Lock(); defer c.z.mu.Unlock(); c.fault = name }

// SetMTU is the size of packets, for connections to come; 0 for a BlueZ that does not tell.
func (c *Car) SetMTU(mtu int) { c.z.mu.Lock(); defer c.z.mu.Unlock(); c.mtu = mtu }

// Drop breaks the connection.
func (c *Car) Drop() { c.z.mu.Lock(); defer c.z.mu.Unlock(); c.drop() }

// Connected tells whether somebody is connected.
func (c *Car) Connected() bool { c.z.mu.Lock(); defer c.z.mu.Unlock(); return c.connected }

// Connects and Packets count what has happened so far.
func (c *Car) Connects() int { c.z.mu.Lock(); defer c.z.mu.Unlock(); return c.connects }

// Packets is the number of writes that arrived.
func (c *Car) Packets() int { c.z.mu.Lock(); defer c.z.mu.Unlock(); return c.packets }

// path is the car's in BlueZ; the address is made of the name.
func (c *Car) path() dbus.ObjectPath {
	return adapterPath(c.adapter) + dbus.ObjectPath("/dev_"+strings.ReplaceAll(c.address(), ":", "_"))
}

func (c *Car) address() string {
	sum := sha1.Sum([]byte(c.name))
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:6]), " ", ":")
}

func (c *Car) servicePath() dbus.ObjectPath { return c.path() + "/service001a" }
func (c *Car) writePath() dbus.ObjectPath   { return c.servicePath() + "/char001b" }
func (c *Car) readPath() dbus.ObjectPath    { return c.servicePath() + "/char001d" }

// announce lets a search hear the car.
func (c *Car) announce() {
	if !c.near || c.connected || c.z.conn == nil || !c.z.searching(c.adapter) {
		return
	}
	const rssi = int16(-61)
	if c.z.objects[c.path()] != nil {
		c.z.set(c.path(), deviceFace, "RSSI", rssi)
		return
	}
	c.z.add(c.path(), deviceFace, map[string]any{
		"Address": c.address(), "Name": c.name, "Alias": c.name, "Adapter": adapterPath(c.adapter), "Paired": false,
		"Connected": false, "ServicesResolved": false, "RSSI": rssi,
	}, map[string]any{"Connect": c.connect, "Disconnect": c.disconnect})
}

func (c *Car) connect() *dbus.Error {
	z := c.z
	z.mu.Lock()
	defer z.mu.Unlock()
	if c.connected {
		return nil
	}
	c.connects++
	if z.searching(c.adapter) {
		z.complain("a connect while the adapter searches")
	}
	if !c.near || c.fault == Hangs {
		abort := c.abort
		z.mu.Unlock()
		<-abort
		z.mu.Lock()
		return failure("Failed", "le-connection-canceled")
	}
	if c.fault == Full {
		return failure("Failed", "le-connection-abort-by-local")
	}
	c.connected = true
	z.set(c.path(), deviceFace, "Connected", true)
	switch c.fault {
	case HangsUp:
		c.drop()
		return nil
	case Mute:
		return nil
	case NoService:
	default:
		c.offer()
	}
	z.set(c.path(), deviceFace, "ServicesResolved", true)
	return nil
}

// offer shows what a Tesla has.
func (c *Car) offer() {
	z := c.z
	z.add(c.servicePath(), gattService, map[string]any{
		"UUID": "00000211-b2d1-43f0-9b88-960cebf8b91e", "Device": c.path(), "Primary": true}, nil)
	write := map[string]any{"UUID": "00000212-b2d1-43f0-9b88-960cebf8b91e", "Service": c.servicePath(), "Flags": []string{"write"}}
	read := map[string]any{"UUID": "00000213-b2d1-43f0-9b88-960cebf8b91e", "Service": c.servicePath(), "Flags": []string{"read", "indicate"}}
	if c.mtu > 0 {
		write["MTU"], read["MTU"] = uint16(c.mtu), uint16(c.mtu)
	}
	z.add(c.writePath(), gattChar, write, map[string]any{"WriteValue": c.writeValue})
	z.add(c.readPath(), gattChar, read, map[string]any{
		"StartNotify": c.startNotify, "StopNotify": func() *dbus.Error { return nil },
	})
}

func (c *Car) disconnect() *dbus.Error {
	c.z.mu.Lock()
	defer c.z.mu.Unlock()
	c.cancel()
	if !c.connected {
		return failure("NotConnected", "Not Connected")
	}
	c.drop()
	return nil
}

// cancel ends connects that hang.
func (c *Car) cancel() {
	close(c.abort)
	c.abort = make(chan struct{})
}

// drop breaks the connection, if there is one.
func (c *Car) drop() {
	c.cancel()
	if !c.connected {
		return
	}
	c.connected, c.incoming = false, nil
	for _, path := range []dbus.ObjectPath{c.writePath(), c.readPath(), c.servicePath()} {
		if c.z.objects[path] != nil {
			c.z.remove(path)
		}
	}
	c.z.set(c.path(), deviceFace, "ServicesResolved", false)
	c.z.set(c.path(), deviceFace, "Connected", false)
	c.announce()
}

// forget is for a BlueZ or an adapter that is gone.
func (c *Car) forget() {
	c.cancel()
	c.connected, c.incoming = false, nil
}

func (c *Car) startNotify(sender dbus.Sender) *dbus.Error {
	c.z.mu.Lock()
	defer c.z.mu.Unlock()
	switch {
	case !c.connected:
		return failure("Failed", "Not connected")
	case c.fault == Taken:
		return failure("NotPermitted", "Notify acquired")
	}
	c.z.notified[string(sender)] = append(c.z.notified[string(sender)], c.readPath())
	return nil
}

func (c *Car) notifies() bool {
	for _, paths := range c.z.notified {
		if slices.Contains(paths, c.readPath()) {
			return true
		}
	}
	return false
}
