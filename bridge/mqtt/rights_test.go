package mqtt

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/bridge/mqtt/mqtttest"
)

// ours is a bridge's list of topics, with more than one batch.
func ours() (writes, reads []string) {
	writes = []string{"t/bridge/state", "t/bridge/info", "t/bridge/health", "ha/device/x/config"}
	for _, name := range strings.Fields("a b c d e f g h i j k l m n o p q r s t u v w x y") {
		writes = append(writes, "t/car/"+name)
	}
	return writes, []string{"t/bridge/state", "t/bridge/info", "t/+/+/set", "ha/status"}
}

// guarded starts a broker with the users bridge, tester and watcher (their passwords are their names) and these rules.
func guarded(t *testing.T, rules string) *mosquitto {
	t.Helper()
	return newMosquitto(t, "allow_anonymous false\npassword_file %DIR%/users\nacl_file %DIR%/rules\n", func(m *mosquitto) {
		m.file("rules", rules)
		users := m.file("users", "")
		for _, name := range []string{"bridge", "tester", "watcher"} {
			if out, err := exec.Command("mosquitto_passwd", "-b", users, name, name).CombinedOutput(); err != nil {
				t.Fatalf("mosquitto_passwd: %v %s", err, out)
			}
		}
	})
}

func (m *mosquitto) as(user string) Options {
	o := m.options()
	o.ClientID, o.Username, o.Password = user, user, user
	return o
}

func TestRightsOnMosquitto(t *testing.T) {
	writes, reads := ours()
	for _, row := range []struct {
		name, acl  string
		unwritable []string
		readable   []string
		open       bool
		why        string
	}{
		{"everything", "topic readwrite #\n", nil, []string{"t/bridge/info", "t/bridge/state"}, true, ""},
		{"all that is ours", "topic readwrite t/#\ntopic read ha/status\ntopic write ha/device/x/config\n", nil, []string{"t/bridge/info", "t/bridge/state"}, false, ""},
		{"write only", "topic write t/#\ntopic write ha/#\n", nil, nil, false, ""},
		{"as narrow as can be", "topic write t/#\ntopic readwrite t/bridge/state\ntopic read t/+/+/set\ntopic write ha/device/x/config\n", nil, []string{"t/bridge/state"}, false, ""},
		{"discovery forgotten", "topic readwrite t/#\n", []string{"ha/device/x/config"}, []string{"t/bridge/info", "t/bridge/state"}, false, ""},
		{"one key forgotten", "topic readwrite #\ntopic deny t/car/y\n", []string{"t/car/y"}, []string{"t/bridge/info", "t/bridge/state"}, true, ""},
		{"nothing", "topic read t/#\n", []string{"t/bridge/state"}, []string{"t/bridge/info", "t/bridge/state"}, false, "may not even write t/bridge/state"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := guarded(t, "user bridge\ntopic readwrite #\nuser tester\n"+row.acl)
			c, _ := run(t, m.as("bridge"))
			c.Publish(infoTopic, []byte("me"), true)
			waitFor(t, c, func(s Stats) bool { return s.Published >= 2 })

			got, err := FindRights(t.Context(), m.as("tester"), writes, reads)
			if err != nil {
				t.Fatal(err)
			}
			for _, list := range [][]string{got.Readable, got.Unwritable} {
				slices.Sort(list)
			}
			if !slices.Equal(got.Unwritable, row.unwritable) || !slices.Equal(got.Readable, row.readable) || got.Open != row.open || !strings.Contains(got.Why, row.why) || (row.why == "") != (got.Why == "") {
				t.Errorf("got %+v", got)
			}
			if n := len(got.Writable) + len(got.Unwritable) + len(got.Untried); n != len(writes) {
				t.Errorf("%d of %d topics are told of", n, len(writes))
			}
		})
	}
}

// TestRightsLeaveNoTrace: beside a running bridge, and seen by somebody who sees everything.
func TestRightsLeaveNoTrace(t *testing.T) {
	writes, reads := ours()
	m := guarded(t, "user watcher\ntopic readwrite #\nuser bridge\ntopic readwrite t/#\ntopic write ha/device/x/config\n")
	o := m.as("bridge")
	commands := make(chan Message, 100)
	running := o
	running.Subscribe, running.Handler = []string{"t/+/+/set"}, func(m Message) { commands <- m }
	c, _ := run(t, running)
	for _, topic := range writes[1:] {
		c.Publish(topic, []byte("value of "+topic), true)
	}
	waitFor(t, c, func(s Stats) bool { return s.Published >= uint64(len(writes)) })
	see := m.as("watcher")
	see.StateTopic, see.InfoTopic = "", ""
	seen := make(chan Message, 1000)
	see.Subscribe, see.Handler = []string{"#"}, func(m Message) { seen <- m }
	w, _ := run(t, see)
	waitFor(t, w, func(s Stats) bool { return s.Received >= uint64(len(writes)) })
	before := drainMessages(seen)

	got, err := FindRights(t.Context(), o, writes, reads)
	if err != nil || len(got.Writable) != len(writes) {
		t.Errorf("got %+v, %v", got, err)
	}
	// What comes after it in the broker's order shows that nothing came before.
	c.Publish("t/end", []byte("end"), false)
	waitFor(t, w, func(s Stats) bool { return s.Received >= uint64(len(before)+1) })
	if after := drainMessages(seen); len(after) != 1 || after[0].Topic != "t/end" {
		t.Errorf("somebody saw %+v", after)
	}
	if len(commands) != 0 || c.Stats().State != StateConnected || c.Stats().Received != 2 {
		t.Errorf("the bridge noticed: %+v, %d commands", c.Stats(), len(commands))
	}
	again := see
	again.ClientID = "again"
	second := make(chan Message, 1000)
	again.Handler = func(m Message) { second <- m }
	a, _ := run(t, again)
	waitFor(t, a, func(s Stats) bool { return s.Received >= uint64(len(writes)) })
	values := map[string]string{}
	for _, m := range before {
		values[m.Topic] = string(m.Payload)
	}
	for _, m := range drainMessages(second) {
		if values[m.Topic] != string(m.Payload) {
			t.Errorf("%s was %q and is %q", m.Topic, values[m.Topic], m.Payload)
		}
	}
}

func drainMessages(c chan Message) (all []Message) {
	for len(c) > 0 {
		all = append(all, <-c)
	}
	return all
}

// A broker that hands an unreleased message on at once is not tried further.
func TestRightsWhereTryingWouldBeSeen(t *testing.T) {
	writes, reads := ours()
	for _, row := range []struct {
		name   string
		access func(client, topic string, write bool) bool
		open   bool
		seen   []string
		why    string
	}{
		{"no rules", func(string, string, bool) bool { return true }, true, nil, "hands a message on"},
		{"rules", func(_, topic string, _ bool) bool { return strings.HasPrefix(topic, "t/") }, false, []string{"t/bridge/state"}, "hands a message on"},
		{"may not read its state", func(_, topic string, write bool) bool { return write && strings.HasPrefix(topic, "t/") }, false, nil, "may not read t/bridge/state"},
		{"may not write", func(_, topic string, write bool) bool { return !write }, false, nil, "may not even write t/bridge/state"},
	} {
		t.Run(row.name, func(t *testing.T) {
			broker, err := mqtttest.NewBroker()
			if err != nil {
				t.Fatal(err)
			}
			defer broker.Close()
			for _, topic := range writes {
				if err := broker.Publish(topic, "value of "+topic, true); err != nil {
					t.Fatal(err)
				}
			}
			before := broker.Retained()
			published := len(broker.Published())
			broker.Authorize(func(client, topic string, write bool) bool {
				return client == "inline" || row.access(client, topic, write)
			})
			got, err := FindRights(t.Context(), Options{URL: "mqtt://broker", ClientID: "bridge", Dial: broker.Dial}, writes, reads)
			if err != nil || got.Open != row.open || !strings.Contains(got.Why, row.why) || len(got.Untried) < len(writes)-1 {
				t.Errorf("got %+v, %v", got, err)
			}
			var seen []string
			for _, m := range broker.Published()[published:] {
				if strings.HasPrefix(m.Topic, "bridge-") {
					continue // our own
				}
				if seen = append(seen, m.Topic); m.Payload != before[m.Topic] || m.Retain {
					t.Errorf("%+v was published", m)
				}
			}
			if !slices.Equal(seen, row.seen) {
				t.Errorf("published on %v", seen)
			}
			if after := broker.Retained(); len(after) != len(before) || after[writes[0]] != before[writes[0]] {
				t.Errorf("retained %v", after)
			}
		})
	}
}

func TestRightsEndWithTheirContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	writes, reads := ours()
	began := time.Now()
	_, err = FindRights(ctx, Options{URL: "mqtt://" + l.Addr().String(), ClientID: "x"}, writes, reads)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}
