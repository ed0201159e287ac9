package mqtttest

import (
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is how the server asks and tells the Broker.
type hook struct {
	mochi.HookBase
	broker *Broker
}

func (h *hook) ID() string { return "mqtttest" }

func (h *hook) Provides(event byte) bool {
	switch event {
	case mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish, mochi.OnWill:
		return true
	}
	return false
}

func (h *hook) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	h.broker.mu.Lock()
	f := h.broker.login
	h.broker.mu.Unlock()
	if f != nil && !f(cl.ID, string(pk.Connect.Username), string(pk.Connect.Password)) {
		return false
	}
	h.broker.evict(cl.ID)
	return true
}

func (h *hook) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	h.broker.mu.Lock()
	f := h.broker.access
	h.broker.mu.Unlock()
	return f == nil || f(cl.ID, topic, write)
}

func (h *hook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	h.broker.mu.Lock()
	swallow := h.broker.swallow && !cl.Net.Inline
	h.broker.mu.Unlock()
	if swallow {
		return pk, packets.CodeSuccessIgnore
	}
	h.broker.record(Message{cl.ID, pk.TopicName, string(pk.Payload), pk.FixedHeader.Retain, pk.FixedHeader.Qos})
	return pk, nil
}

// OnWill comes from a connection that ended without goodbye. A broker that crashed publishes no will, so while it stops
// the will goes where nobody looks.
func (h *hook) OnWill(cl *mochi.Client, will mochi.Will) (mochi.Will, error) {
	h.broker.mu.Lock()
	stopping := h.broker.server == nil
	h.broker.mu.Unlock()
	if stopping {
		return mochi.Will{TopicName: "$SYS/will"}, nil
	}
	h.broker.record(Message{cl.ID, will.TopicName, string(will.Payload), will.Retain, will.Qos})
	return will, nil
}

func (b *Broker) record(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.published = append(b.published, m)
	for _, w := range b.watchers {
		if matches(w.filter, m.Topic) {
			w.f(m)
		}
	}
}

// matches compares level by level. It is written apart from the client's own, so that the two cannot share a mistake.
func matches(filter, topic string) bool {
	want, have := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, level := range want {
		switch {
		case level == "#":
			return true
		case i >= len(have) || level != "+" && level != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}
