package mqtt

import (
	"strings"
	"testing"
	"time"
)

// While a newer instance lives, the older one takes no command and overwrites nothing when it looks in each minute. When
// the newer one is gone, it works.
func TestInvariant2TheOlderOfTwoTakesNothing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		publish := func(topic, payload string, retain bool) {
			t.Helper()
			if err := b.broker.Publish(topic, payload, retain); err != nil {
				t.Fatal(err)
			}
		}
		b.client.Publish(infoTopic, []byte("older"), true)
		b.client.Publish("t/car/level", []byte("50"), true)
		publish(infoTopic, "newer", true)
		b.start()
		b.after(time.Second)
		b.wantState(StateInUse)
		publish("t/car/level", "60", true)
		publish(stateTopic, "online", true)
		b.got = nil
		for range 3 {
			b.after(inUsePause) // it looks in
			publish("t/car/charging/set", "ON", false)
			b.after(time.Millisecond)
			publish(infoTopic, "newer", true) // the newer one answers
			b.after(time.Second)
			b.wantState(StateInUse)
			b.wantTruth(map[string]string{stateTopic: "online", "t/car/level": "60"})
		}
		if len(b.got) > 0 {
			t.Errorf("it took %v", b.got)
		}
		publish(stateTopic, "offline", true) // the newer one's last word
		b.after(inUsePause + probation)
		b.wantState(StateConnected)
		b.wantTruth(map[string]string{stateTopic: "online", "t/car/level": "50", infoTopic: "older"})
		publish("t/car/charging/set", "ON", false)
		b.after(time.Second)
		if len(b.got) != 1 {
			t.Errorf("alone, it took %v", b.got)
		}
	})
}

// An instance that is stopped while it steps back, or only looks in, does not say "offline" for the one that serves.
func TestStopWhileAnotherServes(t *testing.T) {
	for name, pause := range map[string]time.Duration{"stepped back": 0, "looking in": inUsePause} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bench) {
				b.client.Publish(infoTopic, []byte("older"), true)
				if err := b.broker.Publish(infoTopic, "newer", true); err != nil {
					t.Fatal(err)
				}
				b.start()
				b.after(time.Second)
				if err := b.broker.Publish(stateTopic, "online", true); err != nil {
					t.Fatal(err)
				}
				b.after(pause)
				b.stop()
				b.wantParting("another bridge may be in our place")
				b.wantTruth(map[string]string{stateTopic: "online"})
			})
		})
	}
}

// A broker whose access rules swallow what we publish says nothing; health has to.
func TestNothingComesBack(t *testing.T) {
	inBubble(t, func(o *Options) { o.Username = "bridge" }, func(t *testing.T, b *bench) {
		b.broker.Swallow(true)
		b.client.Publish(infoTopic, []byte("us"), true)
		b.start()
		b.after(echoTimeout + time.Second)
		if m := b.client.Stats().Message; !strings.Contains(m, "access rules") || !strings.Contains(m, `"bridge"`) {
			t.Errorf("it says %q", m)
		}
		b.broker.Swallow(false)
		b.after(repeatPause + time.Second)
		if m := b.client.Stats().Message; m != "" {
			t.Errorf("after the rules were mended it says %q", m)
		}
		b.wantTruth(map[string]string{infoTopic: "us", stateTopic: "online"})
	})
}
