package mqtt

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/bridge/mqtt/mqtttest"
)

const (
	stateTopic = "t/bridge/state"
	infoTopic  = "t/bridge/info"
	birthTopic = "ha/status"
)

// bench is a broker and a client on it, in one bubble.
type bench struct {
	t      *testing.T
	broker *mqtttest.Broker
	client *Client
	got    []Message // what the handler was given
	stop   func() time.Duration
}

// inBubble runs f with a broker and a client that is not started yet.
func inBubble(t *testing.T, change func(*Options), f func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		broker, err := mqtttest.NewBroker()
		if err != nil {
			t.Fatal(err)
		}
		defer broker.Close()
		b := &bench{t: t, broker: broker}
		o := Options{
			URL: "mqtt://broker", ClientID: "bridge", StateTopic: stateTopic, InfoTopic: infoTopic, BirthTopic: birthTopic,
			Subscribe: []string{"t/+/+/set"}, Dial: broker.Dial,
			Handler: func(m Message) { b.got = append(b.got, m) },
			Foreign: func(p []byte) bool { return string(p) == "newer" },
			Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
		}
		if change != nil {
			change(&o)
		}
		if b.client, err = New(o); err != nil {
			t.Fatal(err)
		}
		b.stop = func() time.Duration { return 0 }
		defer func() { b.stop() }()
		f(t, b)
	})
}

// start runs the client until b.stop, which says how long stopping took.
func (b *bench) start() {
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.client.Run(ctx) }()
	b.stop = func() time.Duration {
		b.stop = func() time.Duration { return 0 }
		began := time.Now()
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("Run returned %v", err)
		}
		return time.Since(began)
	}
	synctest.Wait()
}

// after lets d of the bubble's time pass.
func (b *bench) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// said are the payloads that clients published on a topic, in order.
func (b *bench) said(topic string) []string {
	var all []string
	for _, m := range b.broker.Published() {
		if m.Topic == topic {
			all = append(all, m.Payload)
		}
	}
	return all
}

func (b *bench) topics() []string {
	var all []string
	for _, m := range b.broker.Published() {
		all = append(all, m.Topic)
	}
	return all
}

func wantEqual[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func (b *bench) wantState(want string) {
	b.t.Helper()
	if s := b.client.Stats(); s.State != want {
		b.t.Errorf("state is %q (%s), want %q", s.State, s.Message, want)
	}
}

func TestConnectSaysOnlineThenValuesThenResults(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.client.Publish("t/car/result", []byte("first"), false)
		b.client.Publish("t/car/state", []byte("1"), true)
		b.client.Publish("t/car/level", []byte("2"), true)
		b.client.Publish("t/car/result", []byte("second"), false)
		b.start()
		wantEqual(t, "topics", b.topics(), []string{stateTopic, "t/car/state", "t/car/level", "t/car/result", "t/car/result"})
		wantEqual(t, "results", b.said("t/car/result"), []string{"first", "second"})
		b.wantState(StateConnected)
		if d := b.stop(); d > time.Second {
			t.Errorf("stopping took %v", d)
		}
		wantEqual(t, "state", b.said(stateTopic), []string{"online", "offline"})
		if got := b.broker.Retained()[stateTopic]; got != "offline" {
			t.Errorf("after a regular stop the state reads %q", got)
		}
	})
}

func TestOnlyTheNewestValueReachesTheBroker(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		b.client.Publish("t/car/level", []byte("1"), true)
		b.after(time.Second)
		b.broker.Stop()
		b.after(time.Second)
		for _, v := range []string{"2", "3", "4"} {
			b.client.Publish("t/car/level", []byte(v), true)
		}
		if err := b.broker.Restart(true); err != nil {
			t.Fatal(err)
		}
		b.after(5 * time.Second)
		wantEqual(t, "values", b.said("t/car/level"), []string{"1", "4"})
	})
}

func TestValuesArePublishedWhenChangedAndOnRepublish(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		for _, v := range []string{"1", "1", "2", "", ""} {
			b.client.Publish("t/car/level", []byte(v), true)
			synctest.Wait()
		}
		b.client.Publish("t/car/other", []byte("x"), true)
		b.client.out.republish()
		synctest.Wait()
		wantEqual(t, "values", b.said("t/car/level"), []string{"1", "2", "", ""})
		if _, there := b.broker.Retained()["t/car/level"]; there {
			t.Error("a cleared topic is still on the broker")
		}
	})
}

func TestTombstoneClearsAgainAfterReconnect(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.client.Publish("t/old/level", nil, true)
		b.start()
		if err := b.broker.Publish("t/old/level", "ghost", true); err != nil {
			t.Fatal(err)
		}
		b.broker.Cut()
		b.after(5 * time.Second)
		if v, there := b.broker.Retained()["t/old/level"]; there {
			t.Errorf("a cleared topic reads %q after a reconnect", v)
		}
	})
}

func TestResultsSurviveCutsInOrder(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		var sent []string
		for i := range 300 {
			v := time.Duration(i).String()
			sent = append(sent, v)
			b.client.Publish("t/car/result", []byte(v), false)
			if i%37 == 0 {
				b.broker.Cut() // with a window of them in flight
				b.after(65 * time.Second)
			}
		}
		b.after(time.Minute)
		var seen []string // what came twice is allowed, and counts where it came first
		for _, v := range b.said("t/car/result") {
			if !slices.Contains(seen, v) {
				seen = append(seen, v)
			}
		}
		wantEqual(t, "results", seen, sent)
		if s := b.client.Stats(); s.DroppedResults != 0 {
			t.Errorf("%d results were dropped", s.DroppedResults)
		}
	})
}

func TestResultOverflowDropsTheOldest(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		for i := range maxResults + 3 {
			b.client.Publish("t/car/result", []byte(time.Duration(i).String()), false)
		}
		b.start()
		got := b.said("t/car/result")
		if len(got) != maxResults || got[0] != "3ns" {
			t.Errorf("got %d results from %q on, want %d from 3ns on", len(got), got[0], maxResults)
		}
		if s := b.client.Stats(); s.DroppedResults != 3 {
			t.Errorf("counted %d dropped results, want 3", s.DroppedResults)
		}
	})
}

func TestANewerValueIsSentAfterTheOneInFlight(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		for i := range 500 {
			b.client.Publish("t/car/level", []byte(time.Duration(i).String()), true)
		}
		synctest.Wait()
		if got := b.broker.Retained()["t/car/level"]; got != "499ns" {
			t.Errorf("the broker ended on %q", got)
		}
	})
}

func TestHandlerIsToldWhatIsRetained(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		if err := b.broker.Publish("t/car/amps/set", "16", true); err != nil {
			t.Fatal(err)
		}
		b.start()
		for _, topic := range []string{"t/car/amps/set", "t/car/amps/other", "t/set"} {
			if err := b.broker.Publish(topic, "8", false); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		var got []string
		for _, m := range b.got {
			got = append(got, m.Topic+"="+string(m.Payload)+map[bool]string{true: " retained"}[m.Retained])
		}
		wantEqual(t, "messages", got, []string{"t/car/amps/set=16 retained", "t/car/amps/set=8"})
	})
}

func TestLargeMessagesAreDroppedBeforeTheHandler(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		for _, size := range []int{maxPayload, maxPayload + 1, 3 << 20} {
			if err := b.broker.Publish("t/car/amps/set", string(make([]byte, size)), false); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.broker.Publish("t/car/amps/set", "8", false); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		if len(b.got) != 2 || len(b.got[0].Payload) != maxPayload || string(b.got[1].Payload) != "8" {
			t.Errorf("the handler got %d messages, want the largest allowed and the last", len(b.got))
		}
		if s := b.client.Stats(); s.DroppedLarge != 2 || s.State != StateConnected || s.Reconnects != 0 {
			t.Errorf("stats are %+v, want two dropped on an undisturbed connection", s)
		}
	})
}

func TestBirthRepublishesAfterAShortRandomTime(t *testing.T) {
	rows := []struct {
		name, payload string
		retain        bool
		want          int
	}{
		{"online", "online", false, 2},
		{"offline", "offline", false, 1},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bench) {
				b.client.Publish("t/car/level", []byte("1"), true)
				b.start()
				if err := b.broker.Publish(birthTopic, r.payload, r.retain); err != nil {
					t.Fatal(err)
				}
				b.after(999 * time.Millisecond)
				wantEqual(t, "values in the first second", b.said("t/car/level"), []string{"1"})
				b.after(5 * time.Second)
				if got := len(b.said("t/car/level")); got != r.want {
					t.Errorf("published %d times, want %d", got, r.want)
				}
			})
		})
	}
}

func TestRetainedBirthChangesNothing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		if err := b.broker.Publish(birthTopic, "online", true); err != nil {
			t.Fatal(err)
		}
		b.client.Publish("t/car/level", []byte("1"), true)
		b.start()
		b.after(10 * time.Second)
		wantEqual(t, "values", b.said("t/car/level"), []string{"1"})
	})
}

// An unretained message is on its way as soon as it is handed over: nothing polls, so no time passes in the bubble.
func TestPublishTakesNoTime(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		began := time.Now()
		for i := range 10 {
			b.client.Publish("t/car/result", []byte("x"), false)
			synctest.Wait()
			if n := len(b.said("t/car/result")); n != i+1 {
				t.Fatalf("%d of %d messages arrived at once", n, i+1)
			}
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %v", d)
		}
	})
}

func BenchmarkPublishToBroker(b *testing.B) {
	broker, err := mqtttest.NewBroker()
	if err != nil {
		b.Fatal(err)
	}
	defer broker.Close()
	url, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	c, err := New(Options{URL: url, ClientID: "bridge"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	arrived := make(chan struct{}, 1)
	broker.Subscribe("r", func(mqtttest.Message) { arrived <- struct{}{} })
	for b.Loop() {
		c.Publish("r", []byte("x"), false)
		<-arrived
	}
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
