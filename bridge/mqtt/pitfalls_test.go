package mqtt

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestCommandsSentWhileAwayAreLost: they would reach the car late. What is sent after the reconnect arrives, once.
func TestCommandsSentWhileAwayAreLost(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		b.after(2 * time.Minute)
		b.broker.Cut()
		if err := b.broker.Publish("t/car/amps/set", "8", false); err != nil {
			t.Fatal(err)
		}
		b.after(time.Minute)
		b.wantState(StateConnected)
		if err := b.broker.Publish("t/car/amps/set", "9", false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(b.got) != 1 || string(b.got[0].Payload) != "9" {
			t.Errorf("the handler got %v, want 9 alone", b.got)
		}
	})
}

// TestRetainedCommandShowsFromTheNextConnectOn: MQTT 3.1.1 hides the flag from who listens already, so the first delivery
// looks like any command. Each later one is marked.
func TestRetainedCommandShowsFromTheNextConnectOn(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		if err := b.broker.Publish("t/car/amps/set", "8", true); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for range 2 {
			b.after(2 * time.Minute)
			b.broker.Cut()
		}
		b.after(time.Minute)
		var flags []bool
		for _, m := range b.got {
			flags = append(flags, m.Retained)
		}
		wantEqual(t, "flags", flags, []bool{false, true, true})
	})
}

// TestAnswersFromTheHandler: a burst of commands, each answered where it is received, stalls nothing.
func TestAnswersFromTheHandler(t *testing.T) {
	const burst = 200
	var client *Client
	answer := func(m Message) { client.Publish("t/car/amps/result", m.Payload, false) }
	inBubble(t, func(o *Options) { o.Handler = answer }, func(t *testing.T, b *bench) {
		client = b.client
		b.start()
		var want []string
		for i := range burst {
			want = append(want, strconv.Itoa(i))
			if err := b.broker.Publish("t/car/amps/set", want[i], false); err != nil {
				t.Fatal(err)
			}
		}
		b.after(time.Second)
		wantEqual(t, "answers", b.said("t/car/amps/result"), want)
	})
}
