package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tesla2mqtt/bridge"
)

// witness is another client of the broker: it sees what is said under our topics over all lives of the broker, and sends
// commands. It speaks MQTT by itself, at QoS 0, and reads to the last byte: a library may drop what it has read when the
// connection breaks, and then a result would seem to be lost that the broker has delivered.
type witness struct {
	conn net.Conn
	gone chan struct{} // closed when all that this life of the broker said is read

	mu      sync.Mutex
	here    bool                // subscribed to this life of the broker
	says    map[string]string   // what the topics say in this life
	results map[string][]string // the different payloads that came, by id
	offline int                 // how often the bridge was said to be offline
}

// attend connects to a broker that was just started, and returns when nothing can be missed any more.
func (w *witness) attend(t *testing.T, broker *mosquitto) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", broker.addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	w.conn, w.gone, w.here, w.says = conn, make(chan struct{}), false, map[string]string{}
	go w.read()
	w.write(0x10, text16("MQTT"), []byte{4, 2, 0, 0}, text16("witness")) // CONNECT: 3.1.1, clean session, no keep-alive
	w.write(0x82, []byte{0, 1}, text16("tesla2mqtt/#"), []byte{0})       // SUBSCRIBE
	eventually(t, "the witness is there", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.here })
}

// leave waits for the end of a broker that was killed, with a limit for one that was not.
func (w *witness) leave() {
	select {
	case <-w.gone:
	case <-time.After(5 * time.Second):
	}
	w.conn.Close()
	<-w.gone
}

// publish sends a command. What goes wrong shows as a command that nobody accepted.
func (w *witness) publish(topic, payload string, retain bool) {
	kind := byte(0x30)
	if retain {
		kind |= 1
	}
	w.write(kind, text16(topic), []byte(payload))
}

func text16(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

func (w *witness) write(kind byte, parts ...[]byte) {
	body := slices.Concat(parts...)
	_, _ = w.conn.Write(append(binary.AppendUvarint([]byte{kind}, uint64(len(body))), body...))
}

func (w *witness) read() {
	defer close(w.gone)
	in := bufio.NewReader(w.conn)
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return
		}
		length, err := binary.ReadUvarint(in)
		if err != nil {
			return
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		switch kind >> 4 {
		case 3: // PUBLISH
			n := 2 + int(binary.BigEndian.Uint16(body))
			w.take(strings.TrimPrefix(string(body[2:n]), "tesla2mqtt/"), string(body[n:]))
		case 9: // SUBACK
			w.mu.Lock()
			w.here = true
			w.mu.Unlock()
		}
	}
}

func (w *witness) take(topic, payload string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.says[topic] = payload
	if topic == "bridge/state" && payload == "offline" {
		w.offline++
	}
	if !strings.HasSuffix(topic, "/result") {
		return
	}
	var r bridge.Result
	if json.Unmarshal([]byte(payload), &r) == nil && !slices.Contains(w.results[r.ID], payload) {
		w.results[r.ID] = append(w.results[r.ID], payload)
	}
}

func (w *witness) topic(name string) string { w.mu.Lock(); defer w.mu.Unlock(); return w.says[name] }
