package mqtt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

func TestMatches(t *testing.T) {
	rows := []struct {
		filter, topic string
		want          bool
	}{
		{"a/+/set", "a/b/set", true},
		{"a/+/set", "a//set", true},
		{"a/+/set", "a/b/c/set", false},
		{"a/+/set", "a/b", false},
		{"a/+/set", "a/b/set/x", false},
		{"a/#", "a", true},
		{"a/#", "a/b/c", true},
		{"a/#", "b", false},
		{"#", "a/b", true},
		{"#", "$SYS/x", false},
		{"+/x", "$SYS/x", false},
		{"$SYS/#", "$SYS/x", true},
		{"a", "a", true},
		{"a", "a/", false},
		{"a/+", "a/", true},
		{"+", "", true},
	}
	for _, r := range rows {
		t.Run(r.filter+" "+r.topic, func(t *testing.T) {
			if got := matches(r.filter, r.topic); got != r.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// paho would ask the environment, and so tell a proxy where the broker is, and without TLS the password.
func TestWebsocketsGoThroughNoProxy(t *testing.T) {
	o := websocket()
	if o.Proxy == nil {
		t.Fatal("the environment decides")
	}
	if proxy, err := o.Proxy(nil); proxy != nil || err != nil {
		t.Errorf("got %v, %v", proxy, err)
	}
}

func FuzzMatches(f *testing.F) {
	f.Add("a/+/#", "a/b/c")
	f.Fuzz(func(t *testing.T, filter, topic string) {
		matches(filter, topic)
		if !strings.ContainsAny(topic, "+#") && !matches(topic, topic) {
			t.Errorf("%q does not match itself", topic)
		}
		if !strings.HasPrefix(topic, "$") && !matches("#", topic) {
			t.Errorf("# does not match %q", topic)
		}
	})
}

// script is a connection that delivers given bytes.
type script struct {
	net.Conn
	io.Reader
}

func (s script) Read(p []byte) (int, error) { return s.Reader.Read(p) }

func publishPacket(t testing.TB, topic string, size int) []byte {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Qos, p.MessageID, p.Payload = topic, 1, 7, bytes.Repeat([]byte("x"), size)
	var buf bytes.Buffer
	if err := p.Write(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestFramesCutLargePublishes(t *testing.T) {
	longest := strings.Repeat("t", 65535)
	stream := slices.Concat(publishPacket(t, "a", 3), publishPacket(t, longest, 5<<20), publishPacket(t, "b", maxPayload), publishPacket(t, "c", 0))
	in := bounded(script{Reader: bytes.NewReader(stream)})
	for _, want := range []struct {
		topic string
		size  func(int) bool
	}{
		{"a", func(n int) bool { return n == 3 }},
		{longest, func(n int) bool { return n > maxPayload && n < maxFrame }},
		{"b", func(n int) bool { return n == maxPayload }},
		{"c", func(n int) bool { return n == 0 }},
	} {
		p, err := packets.ReadPacket(in)
		if err != nil {
			t.Fatal(err)
		}
		m := p.(*packets.PublishPacket)
		if m.TopicName != want.topic || !want.size(len(m.Payload)) || m.MessageID != 7 {
			t.Errorf("got topic %.10q with %d bytes, want %.10q", m.TopicName, len(m.Payload), want.topic)
		}
	}
	if _, err := packets.ReadPacket(in); !errors.Is(err, io.EOF) {
		t.Errorf("after the last packet: %v", err)
	}
}

func TestFramesRefuseNonsense(t *testing.T) {
	rows := []struct {
		name string
		in   []byte
		want string
	}{
		{"huge packet of another type", []byte{0x90, 0xff, 0xff, 0x7f}, "type 9"},
		{"malformed length", []byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x01}, "malformed length"},
		{"ends in the length", []byte{0x30, 0xff}, "EOF"},
		{"ends while skipping", publishPacket(t, "a", 1<<20)[:maxFrame+100], "EOF"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			_, err := io.Copy(io.Discard, onlyReader{bounded(script{Reader: bytes.NewReader(r.in)})})
			if r.want == "EOF" && err == nil {
				return
			}
			if err == nil || !strings.Contains(err.Error(), r.want) {
				t.Errorf("error is %v, want one with %q", err, r.want)
			}
		})
	}
}

type onlyReader struct{ io.Reader }

func FuzzFrames(f *testing.F) {
	f.Add(publishPacket(f, "a", 10), 3)
	f.Add(publishPacket(f, "a", 1<<20)[:maxFrame+10], 4096)
	f.Add([]byte("0\x85\x800"), 4180) // a length of three bytes that is cut to another of three
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		r := bounded(script{Reader: bytes.NewReader(in)})
		buf := make([]byte, 1+step&0xfff)
		var out []byte
		for {
			n, err := r.Read(buf)
			out = append(out, buf[:n]...)
			if err != nil {
				break
			}
		}
		for len(out) > 1 {
			length, n := binary.Uvarint(out[1:])
			if n <= 0 || length > maxFrame {
				t.Fatalf("%.20x was delivered with a packet of %d bytes", in, length)
			}
			out = out[min(len(out), 1+n+int(length)):]
		}
	})
}

func TestPacer(t *testing.T) {
	lost := &lostError{io.EOF}
	type end struct {
		err    error
		lasted time.Duration
		gap    time.Duration // since the end before
	}
	rows := []struct {
		name  string
		ends  []end
		state string // after the last
		low   time.Duration
		high  time.Duration
		says  string
	}{
		{"first loss", []end{{lost, time.Hour, 0}}, StateConnecting, 500 * time.Millisecond, 1500 * time.Millisecond, "connection lost"},
		{"third loss in a minute", []end{{lost, 1, 0}, {lost, 1, 20e9}, {lost, 1, 20e9}}, StateInUse, inUsePause, inUsePause, `"bridge"`},
		{"third loss in two minutes", []end{{lost, 1, 0}, {lost, 1, 50e9}, {lost, 1, 50e9}}, StateConnecting, 2 * time.Second, 6 * time.Second, "lost"},
		{"counted anew after stepping back", []end{{lost, 1, 0}, {lost, 1, 1}, {lost, 1, 1}, {lost, 1, 1}}, StateConnecting, 0, time.Minute, "lost"},
		{"given up is not lost", []end{{errNoAck, 1, 0}, {errNoAck, 1, 1}, {errNoAck, 1, 1}}, StateConnecting, 0, time.Minute, "acknowledge"},
		{"newer instance", []end{{errForeign, 1, 0}}, StateInUse, inUsePause, inUsePause, "mqtt.base_topic"},
		{"the newer one takes its place back", []end{{errForeign, 1, 0}, {lost, 1e9, 61e9}}, StateInUse, inUsePause, inUsePause, "mqtt.base_topic"},
		{"lost long after stepping back", []end{{errForeign, 1, 0}, {lost, time.Hour, time.Hour}}, StateConnecting, 0, 1500 * time.Millisecond, "lost"},
		{"bad password", []end{{&RefusedError{packets.ErrRefusedBadUsernameOrPassword}, 0, 0}}, StateRefused, 0, 2e9, "mqtt.password_file"},
		{"not authorised", []end{{&RefusedError{packets.ErrRefusedNotAuthorised}, 0, 0}}, StateRefused, 0, 2e9, "access rules"},
		{"client id", []end{{&RefusedError{packets.ErrRefusedIDRejected}, 0, 0}}, StateRefused, 0, 2e9, "mqtt.client_id"},
		{"version", []end{{&RefusedError{packets.ErrRefusedBadProtocolVersion}, 0, 0}}, StateRefused, 0, 2e9, "3.1.1"},
		{"pause starts anew", append(slices.Repeat([]end{{io.EOF, 0, 1e9}}, 20), end{lost, time.Hour, 1e9}), StateConnecting, 0, 1500 * time.Millisecond, "lost"},
		{"long absence", slices.Repeat([]end{{io.EOF, 0, 1e9}}, 20), StateConnecting, 20 * time.Second, time.Minute, "EOF"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			p, now := newPacer(), time.Unix(0, 0)
			var v verdict
			for _, e := range r.ends {
				now = now.Add(e.gap)
				v = p.after(e.err, e.lasted, now, "bridge")
			}
			if v.state != r.state || v.wait < r.low || v.wait > r.high || !strings.Contains(v.message, r.says) {
				t.Errorf("got %+v, want %s, %v to %v, a message with %q", v, r.state, r.low, r.high, r.says)
			}
		})
	}
}

func TestPauseNeverPassesAMinute(t *testing.T) {
	p := newPacer()
	for range 10000 {
		if v := p.after(io.EOF, 0, time.Unix(0, 0), ""); v.wait > time.Minute {
			t.Fatalf("a pause of %v", v.wait)
		}
	}
}

func TestOutboxDoesNotShareTheCallersBytes(t *testing.T) {
	b := newOutbox()
	buf := []byte("one")
	b.put("a", buf, true)
	b.put("r", buf, false)
	copy(buf, "two")
	for range 2 {
		if j, ok := b.next(); !ok || string(j.payload) != "one" {
			t.Errorf("got %q", j.payload)
		}
	}
}

func TestOutboxSaysNothingTwice(t *testing.T) {
	b := newOutbox()
	for i, row := range []struct {
		payload string
		sent    bool
	}{{"on", true}, {"on", false}, {"off", true}, {"off", false}, {"on", true}, {"", true}, {"", false}} {
		b.put("t", []byte(row.payload), true)
		if _, sent := b.next(); sent != row.sent {
			t.Errorf("message %d, %q: sent %v", i, row.payload, sent)
		}
	}
}

func TestOutboxLeavesWhatIsOnItsWay(t *testing.T) {
	b := newOutbox()
	b.put("r", []byte("first"), false)
	first, _ := b.next()
	for range maxResults {
		b.put("r", []byte("later"), false)
	}
	b.restart()
	if again, ok := b.next(); !ok || again.item != first.item {
		t.Error("a message in flight was dropped instead of the oldest waiting one")
	}
	b.acknowledged(first.item)
	n := 0
	for _, ok := b.next(); ok; _, ok = b.next() {
		n++
	}
	if n != maxResults-1 {
		t.Errorf("%d messages are left, want %d", n, maxResults-1)
	}
}

// A twin that stepped back looks in each minute, which ends the session of the one that serves. That one must be back at
// once each time: while it waits, commands reach nobody.
func TestPaceOfATwinThatServes(t *testing.T) {
	p, now := newPacer(), time.Now()
	for i := range 10 {
		now = now.Add(inUsePause)
		v := p.after(&lostError{io.EOF}, inUsePause-2*time.Second, now, "bridge")
		if v.state != StateConnecting || v.wait > 2*firstPause {
			t.Errorf("loss %d: %+v", i, v)
		}
	}
}

// A broker that crashes again and again also loses us three times a minute, but between the crashes it does not answer. Nobody
// else is to blame for that, and we must not stay away for a minute.
func TestPaceOfABrokerThatCrashes(t *testing.T) {
	p, now := newPacer(), time.Now()
	for i := range 10 {
		now = now.Add(5 * time.Second)
		if v := p.after(&lostError{io.EOF}, 4*time.Second, now, "bridge"); v.state != StateConnecting {
			t.Fatalf("loss %d: %+v", i, v)
		}
		p.after(errors.New("connection refused"), 0, now, "bridge")
	}
}
