package bluetest

import "github.com/godbus/dbus/v5"

// packet is what fits into one.
func (c *Car) packet() int { return max(c.mtu-3, 20) }

// writeValue takes one packet, and answers when a message is whole.
func (c *Car) writeValue(value []byte, options map[string]dbus.Variant) *dbus.Error {
	c.z.mu.Lock()
	defer c.z.mu.Unlock()
	if !c.connected {
		return failure("Failed", "Not connected")
	}
	if kind, _ := options["type"].Value().(string); kind != "request" {
		c.z.complain("a write of type %q to what only takes requests", kind)
	}
	if len(value) > c.packet() {
		c.z.complain("a write of %d bytes in packets of %d", len(value), c.packet())
	}
	if !c.notifies() {
		c.z.complain("a write before anybody listens for the answer")
	}
	c.packets++
	switch {
	case c.fault == DropsOnWrite, c.fault == DropsHalfway && len(c.incoming) > 0:
		c.drop()
		return failure("Failed", "Operation failed with ATT error: 0x0e")
	case c.fault == LosesPacket && len(c.incoming) > 0:
		return failure("Failed", "Operation failed with ATT error: 0x11")
	case c.fault == StuckWrite:
		abort := c.abort
		c.z.mu.Unlock()
		<-abort
		c.z.mu.Lock()
		return failure("Failed", "Operation failed with ATT error: 0x0e")
	}
	c.incoming = append(c.incoming, value...)
	c.deliver()
	return nil
}

// deliver hands a whole message to the peer.
func (c *Car) deliver() {
	if len(c.incoming) < 2 {
		return
	}
	length := int(c.incoming[0])<<8 + int(c.incoming[1])
	if len(c.incoming) < 2+length {
		return
	}
	message := c.incoming[2 : 2+length]
	c.incoming = c.incoming[2+length:]
	answers := c.peer.Receive(message)
	switch c.fault {
	case Silent:
		return
	case DropsAfter:
		c.drop()
		return
	}
	for _, answer := range answers {
		c.notify(append([]byte{byte(len(answer) >> 8), byte(len(answer))}, answer...))
	}
}

// Push sends bytes as they are: what no car would.
func (c *Car) Push(raw []byte) { c.z.mu.Lock(); defer c.z.mu.Unlock(); c.notify(raw) }

// notify sends in packets.
func (c *Car) notify(data []byte) {
	for len(data) > 0 && c.connected {
		n := min(c.packet(), len(data))
		if c.notifies() {
			c.z.set(c.readPath(), gattChar, "Value", data[:n])
		}
		data = data[n:]
		if c.fault == HalfAnswer {
			c.drop()
			return
		}
	}
}
