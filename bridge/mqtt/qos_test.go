package mqtt

import (
	"maps"
	"testing"
	"time"
)

// Whatever is said or heard counts once, so it goes by QoS 1: the will too. Only Home Assistant's birth may be missed.
func TestQualityOfService(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.client.Publish(infoTopic, []byte("ours"), true)
		b.client.Publish("t/car/result", []byte("done"), false)
		b.start()
		b.after(time.Second)
		want := map[string]byte{stateTopic: 1, infoTopic: 1, "t/+/+/set": 1, birthTopic: 0}
		if got := b.broker.Subscriptions("bridge"); !maps.Equal(got, want) {
			t.Errorf("subscribed to %v, want %v", got, want)
		}
		b.broker.Cut() // which publishes the will
		b.after(time.Minute)
		b.stop()
		retained := map[string]bool{stateTopic: true, infoTopic: true, "t/car/result": false}
		seen := map[string]int{}
		for _, m := range b.broker.Published() {
			if seen[m.Topic]++; m.QoS != 1 || m.Retain != retained[m.Topic] {
				t.Errorf("%s %q is published at QoS %d, retained %v", m.Topic, m.Payload, m.QoS, m.Retain)
			}
		}
		wantEqual(t, "state", b.said(stateTopic), []string{online, offline, online, offline})
		if len(seen) != len(retained) {
			t.Errorf("published: %v", seen)
		}
	})
}
