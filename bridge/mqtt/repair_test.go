package mqtt

import (
	"slices"
	"testing"
	"time"
)

// A late will, or somebody's hand, is overwritten at once and not with the minute; but not more than once in a second.
func TestStateIsRepairedAtOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		for range 20 {
			if err := b.broker.Publish(stateTopic, "offline", true); err != nil {
				t.Fatal(err)
			}
			b.after(100 * time.Millisecond)
		}
		b.after(repairPause)
		b.wantTruth(map[string]string{stateTopic: "online"})
		if n := len(slices.DeleteFunc(b.said(stateTopic), func(v string) bool { return v != online })); n < 2 || n > 5 {
			t.Errorf("said online %d times within 3 s", n)
		}
	})
}

func TestOlderInstanceIsAnswered(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.client.Publish(infoTopic, []byte("ours"), true)
		b.start()
		for range 10 {
			if err := b.broker.Publish(infoTopic, "older", true); err != nil {
				t.Fatal(err)
			}
		}
		b.after(3 * time.Second)
		b.wantTruth(map[string]string{infoTopic: "ours"})
		b.wantState(StateConnected)
		if n := len(slices.DeleteFunc(b.said(infoTopic), func(v string) bool { return v != "ours" })); n > 4 {
			t.Errorf("answered %d times within 3 s", n)
		}
	})
}
