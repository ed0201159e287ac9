package mqtt

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The MQTT part of: after any disconnect, broker restart (with or without persistence) or restart of the bridge, the
// retained topics say what is true, and the state is never "offline" while connected.
func TestInvariant6RetainedTopicsAreTrueAfterEveryInterruption(t *testing.T) {
	rows := []struct {
		name      string
		interrupt func(b *bench)
	}{
		{"cut", func(b *bench) { b.broker.Cut() }},
		{"restart with persistence", func(b *bench) { b.restartBroker(true, time.Second) }},
		{"restart without persistence", func(b *bench) { b.restartBroker(false, time.Second) }},
		{"long absence", func(b *bench) { b.restartBroker(false, 3*time.Hour) }},
		{"two in a row", func(b *bench) { b.broker.Cut(); b.after(3 * time.Second); b.broker.Cut() }},
		{"late will of an old session", func(b *bench) {
			if err := b.broker.Publish(stateTopic, "offline", true); err != nil {
				b.t.Fatal(err)
			}
		}},
		{"state cleared by hand", func(b *bench) {
			if err := b.broker.Publish(stateTopic, "", true); err != nil {
				b.t.Fatal(err)
			}
		}},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bench) {
				b.start()
				b.client.Publish("t/car/level", []byte("50"), true)
				b.client.Publish("t/car/state", []byte("asleep"), true)
				b.after(time.Minute)
				r.interrupt(b)
				b.client.Publish("t/car/level", []byte("51"), true)
				b.after(61 * time.Second)
				b.wantTruth(map[string]string{stateTopic: "online", "t/car/level": "51", "t/car/state": "asleep"})
				b.wantState(StateConnected)
			})
		})
	}
}

func (b *bench) restartBroker(keep bool, absent time.Duration) {
	b.t.Helper()
	b.broker.Stop()
	b.after(absent)
	if err := b.broker.Restart(keep); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) wantTruth(want map[string]string) {
	b.t.Helper()
	got := b.broker.Retained()
	for topic, v := range want {
		if got[topic] != v {
			b.t.Errorf("%s reads %q, want %q", topic, got[topic], v)
		}
	}
}

// An hour with the connection cut at odd times, a value a second: no older one ever follows a newer one.
func TestInvariant6AnHourOfCuts(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		for second := 1; second <= 3600; second++ {
			b.client.Publish("t/car/clock", []byte(time.Duration(second).String()), true)
			if second%97 == 0 {
				b.broker.Cut()
			}
			if second%1009 == 0 {
				b.restartBroker(second%2 == 0, 0)
			}
			b.after(time.Second)
		}
		b.after(time.Minute)
		b.wantTruth(map[string]string{stateTopic: "online", "t/car/clock": "3.6µs"})
		var last time.Duration
		for _, v := range b.said("t/car/clock") {
			d, err := time.ParseDuration(v)
			if err != nil || d < last {
				t.Fatalf("the broker got %q after %v", v, last)
			}
			last = d
		}
		if s := b.client.Stats(); s.Reconnects < 30 || s.PublishErrors > 500 {
			t.Errorf("stats after the hour: %+v", s)
		}
	})
}

func TestAbsentBrokerIsTriedForEver(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.broker.Stop()
		b.start()
		b.wantState(StateConnecting)
		b.after(5 * time.Hour)
		if m := b.client.Stats().Message; !strings.Contains(m, "cannot connect to the broker") {
			t.Errorf("message is %q", m)
		}
		if err := b.broker.Restart(false); err != nil {
			t.Fatal(err)
		}
		b.after(61 * time.Second) // the longest pause is 60 s
		b.wantState(StateConnected)
		if s := b.client.Stats(); s.Message != "" || s.Reconnects != 0 || s.ConnectedSince.IsZero() {
			t.Errorf("stats are %+v", s)
		}
		if d := b.stop(); d > time.Second {
			t.Errorf("stopping took %v", d)
		}
	})
}

func TestStopWhileTheBrokerIsAway(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.broker.Stop()
		b.start()
		b.after(10 * time.Minute)
		if d := b.stop(); d > 0 {
			t.Errorf("stopping took %v", d)
		}
		b.wantParting("there was no connection")
	})
}

// wantParting looks at what is said after a stop.
func (b *bench) wantParting(begin string) {
	b.t.Helper()
	if m := b.client.Stats().Message; !strings.HasPrefix(m, begin) {
		b.t.Errorf("after the stop it says %q, want %q", m, begin)
	}
}

// valve is a network that can stop delivering without closing.
type valve struct {
	net.Conn
	shut *atomic.Bool
	done chan struct{}
}

func (v *valve) Read(p []byte) (int, error) {
	for {
		n, err := v.Conn.Read(p)
		if err != nil || !v.shut.Load() {
			return n, err
		}
	}
}

func (v *valve) Write(p []byte) (int, error) {
	if v.shut.Load() {
		<-v.done
		return 0, net.ErrClosed
	}
	return v.Conn.Write(p)
}

func (v *valve) Close() error {
	select {
	case <-v.done:
	default:
		close(v.done)
	}
	return v.Conn.Close()
}

// withValve puts a valve into each connection of the client.
func withValve(shut *atomic.Bool) func(*Options) {
	return func(o *Options) {
		dial := o.Dial
		o.Dial = func(ctx context.Context, u *url.URL) (net.Conn, error) {
			conn, err := dial(ctx, u)
			if err != nil {
				return nil, err
			}
			return &valve{conn, shut, make(chan struct{})}, nil
		}
	}
}

func TestHangingBrokerIsGivenUp(t *testing.T) {
	var shut atomic.Bool
	inBubble(t, withValve(&shut), func(t *testing.T, b *bench) {
		b.start()
		shut.Store(true)
		b.client.Publish("t/car/level", []byte("1"), true)
		b.client.Publish("t/car/result", []byte("done"), false)
		b.after(11 * time.Second)
		b.wantState(StateConnecting)
		shut.Store(false)
		b.after(30 * time.Second)
		b.wantState(StateConnected)
		b.wantTruth(map[string]string{stateTopic: "online", "t/car/level": "1"})
		wantEqual(t, "results", b.said("t/car/result"), []string{"done"})
	})
}

func TestSilentBrokerIsNoticedByPings(t *testing.T) {
	var shut atomic.Bool
	inBubble(t, withValve(&shut), func(t *testing.T, b *bench) {
		b.start()
		b.after(time.Second)
		shut.Store(true)
		b.after(keepAlive + pingTimeout + 30*time.Second)
		b.wantState(StateConnecting)
	})
}

func TestStoppingIsBoundedWhenTheBrokerHangs(t *testing.T) {
	var shut atomic.Bool
	inBubble(t, withValve(&shut), func(t *testing.T, b *bench) {
		b.start()
		shut.Store(true)
		for i := range 50 {
			b.client.Publish("t/car/result", []byte(time.Duration(i).String()), false)
		}
		b.after(time.Second)
		if d := b.stop(); d > 5*time.Second {
			t.Errorf("stopping took %v", d)
		}
		synctest.Wait()
		b.wantParting("the broker did not confirm it; it says offline on " + stateTopic + " by itself")
		b.wantTruth(map[string]string{stateTopic: "offline"}) // by the will, since "offline" could not be said
		b.after(time.Minute)                                  // for paho's own wait for a connection that takes nothing
	})
}

func TestStopSendsWhatIsWaiting(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		for i := range 100 {
			b.client.Publish("t/car/result", []byte(time.Duration(i).String()), false)
		}
		b.client.Publish("t/car/level", []byte("7"), true)
		b.stop()
		if n := len(b.said("t/car/result")); n != 100 {
			t.Errorf("%d of 100 results were sent", n)
		}
		b.wantTruth(map[string]string{stateTopic: "offline", "t/car/level": "7"})
		wantEqual(t, "state", b.said(stateTopic), []string{"online", "offline"})
	})
}

func TestRefusedLogin(t *testing.T) {
	const password = "not-to-be-seen"
	var allow atomic.Bool
	inBubble(t, func(o *Options) { o.Username, o.Password = "user", password }, func(t *testing.T, b *bench) {
		b.broker.Authenticate(func(_, _, p string) bool { return allow.Load() && p == password })
		b.start()
		b.wantState(StateRefused)
		if m := b.client.Stats().Message; !strings.Contains(m, "mqtt.password_file") || strings.Contains(m, password) {
			t.Errorf("message is %q", m)
		}
		b.after(time.Hour)
		allow.Store(true)
		b.after(61 * time.Second)
		b.wantState(StateConnected)
	})
}

func TestRefusedSubscriptionIsSaid(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.broker.Authorize(func(_, topic string, write bool) bool { return write || !strings.HasSuffix(topic, "/set") })
		b.start()
		b.wantState(StateConnected)
		if m := b.client.Stats().Message; !strings.Contains(m, `"t/+/+/set"`) || !strings.Contains(m, "access rules") {
			t.Errorf("message is %q", m)
		}
	})
}

// Where the access rules let us only write our state, a late will is not seen; it is overwritten all the same.
func TestInvariant6StateThatCannotBeRead(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.broker.Authorize(func(_, topic string, write bool) bool { return write || topic != stateTopic })
		b.start()
		if err := b.broker.Publish(stateTopic, "offline", true); err != nil {
			t.Fatal(err)
		}
		b.after(61 * time.Second)
		b.wantTruth(map[string]string{stateTopic: "online"})
	})
}

func TestNewerInstanceMakesUsStepBack(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.client.Publish(infoTopic, []byte("ours"), true)
		b.start()
		if err := b.broker.Publish(infoTopic, "newer", true); err != nil {
			t.Fatal(err)
		}
		b.after(time.Second)
		b.wantState(StateInUse)
		if m := b.client.Stats().Message; !strings.Contains(m, "mqtt.client_id") {
			t.Errorf("message is %q", m)
		}
		b.after(58 * time.Second)
		b.wantState(StateInUse)
		if ids := b.broker.Clients(); len(ids) != 0 {
			t.Errorf("still connected as %q", ids)
		}
		wantEqual(t, "state", b.said(stateTopic), []string{"online"}) // no will, no "offline" over the other's "online"

		b.after(3 * time.Second) // what is left on the broker is now taken for a dead one's
		b.wantState(StateConnected)
		b.wantTruth(map[string]string{infoTopic: "ours", stateTopic: "online"})

		if err := b.broker.Publish(infoTopic, "newer", true); err != nil { // it is alive after all
			t.Fatal(err)
		}
		b.after(time.Second)
		b.wantState(StateInUse)
	})
}

func TestThreeLossesAreTakenForASharedClientID(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		b.start()
		for range 2 {
			b.broker.Cut()
			b.after(5 * time.Second)
			b.wantState(StateConnected)
		}
		b.broker.Cut()
		b.after(time.Second)
		b.wantState(StateInUse)
		if m := b.client.Stats().Message; !strings.Contains(m, `"bridge"`) || !strings.Contains(m, "mqtt.client_id") {
			t.Errorf("message is %q", m)
		}
		b.after(58 * time.Second)
		b.wantState(StateInUse)
		b.after(3 * time.Second)
		b.wantState(StateConnected)
	})
}

// Two bridges with one client id: the broker ends one as the other comes. They must not do so ten times a second.
func TestTwoInstancesDoNotFightForLong(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bench) {
		other, err := New(b.client.o)
		if err != nil {
			t.Fatal(err)
		}
		b.start()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- other.Run(ctx) }()
		b.after(time.Hour)
		cancel()
		<-ended
		losses := b.client.Stats().Reconnects + other.Stats().Reconnects
		t.Logf("%d reconnects within an hour", losses)
		if losses == 0 || losses > 60*8 {
			t.Errorf("%d reconnects within an hour", losses)
		}
		b.after(3 * time.Minute)
		wantEqual(t, "clients", b.broker.Clients(), []string{"bridge"})
		b.wantState(StateConnected)
		b.wantTruth(map[string]string{stateTopic: "online"})
	})
}
