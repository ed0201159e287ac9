package mqtttest_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/bridge/mqtt/mqtttest"
)

func newBroker(t *testing.T) *mqtttest.Broker {
	t.Helper()
	b, err := mqtttest.NewBroker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func publish(t *testing.T, b *mqtttest.Broker, topic, payload string, retain bool) {
	t.Helper()
	if err := b.Publish(topic, payload, retain); err != nil {
		t.Fatal(err)
	}
}

func TestListenRefusesOtherThanLoopback(t *testing.T) {
	rows := []struct{ address, fault string }{
		{"127.0.0.1:0", ""},
		{"localhost:0", ""},
		{":0", "loopback only"},
		{"0.0.0.0:0", "loopback only"},
		{"192.0.2.1:0", "loopback only"},
		{"broker.example:0", "loopback only"},
		{"127.0.0.1", "missing port"},
	}
	for _, r := range rows {
		t.Run(r.address, func(t *testing.T) {
			b := newBroker(t)
			url, err := b.Listen(r.address)
			if r.fault != "" {
				if err == nil || !strings.Contains(err.Error(), r.fault) {
					t.Errorf("error is %v, want one with %q", err, r.fault)
				}
				return
			}
			if err != nil || !strings.HasPrefix(url, "mqtt://") {
				t.Fatalf("got %q, %v", url, err)
			}
			if _, err := b.Listen(r.address); err == nil {
				t.Error("it listens twice")
			}
		})
	}
}

func TestTCPClientsSurviveARestartOnTheSamePort(t *testing.T) {
	b := newBroker(t)
	url, err := b.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, "a", "1", true)
	for _, keep := range []bool{true, false} {
		if err := b.Restart(keep); err != nil {
			t.Fatal(err)
		}
		got, err := mqtt.Fetch(t.Context(), mqtt.Options{URL: url, ClientID: "x"}, "a")
		if keep && (err != nil || string(got) != "1") || !keep && err == nil {
			t.Errorf("keep %v: got %q, %v", keep, got, err)
		}
	}
}

func TestBrokerRemembersAndTells(t *testing.T) {
	b := newBroker(t)
	var told []string
	b.Subscribe("cars/+/level", func(m mqtttest.Message) { told = append(told, m.Payload) })
	publish(t, b, "cars/a/level", "1", true)
	publish(t, b, "cars/a/other", "x", false)
	if err := b.Restart(true); err != nil {
		t.Fatal(err)
	}
	publish(t, b, "cars/b/level", "2", false)
	if !slices.Equal(told, []string{"1", "2"}) {
		t.Errorf("told %q", told)
	}
	if r := b.Retained(); len(r) != 1 || r["cars/a/level"] != "1" {
		t.Errorf("retained %v", r)
	}
	if n := len(b.Published()); n != 3 {
		t.Errorf("%d messages published, want 3", n)
	}
	b.Stop()
	if r := b.Retained(); r["cars/a/level"] != "1" {
		t.Errorf("stopped, it says %v", r)
	}
	if b.Publish("a", "b", false) == nil {
		t.Error("a stopped broker takes messages")
	}
	if _, err := b.Dial(t.Context(), nil); err == nil {
		t.Error("a stopped broker takes connections")
	}
}

// Retained messages last, and a client stays connected, through more than a day of fake time.
func TestADayInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := mqtttest.NewBroker()
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		c, err := mqtt.New(mqtt.Options{URL: "mqtt://x", ClientID: "c", StateTopic: "state", Dial: b.Dial})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(26 * time.Hour)
		synctest.Wait()
		if s := c.Stats(); s.State != mqtt.StateConnected || s.Reconnects != 0 {
			t.Errorf("stats are %+v", s)
		}
		if r := b.Retained(); r["state"] != "online" {
			t.Errorf("retained %v", r)
		}
		if ids := b.Clients(); !slices.Equal(ids, []string{"c"}) {
			t.Errorf("clients are %q", ids)
		}
		b.Cut()
		synctest.Wait()
		if r := b.Retained(); r["state"] != "offline" {
			t.Errorf("after a cut, retained %v", r)
		}
		b.Stop() // a crash publishes no will
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
