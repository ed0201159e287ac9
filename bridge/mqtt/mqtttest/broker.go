// Package mqtttest is an MQTT broker inside the process, for tests and for the demo. It is reached by Dial, over pipes in
// memory that work in a synctest bubble, and after Listen by TCP on a loopback address, never by another.
package mqtttest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Message is a publish that the broker accepted, wills included. Retain is the flag it was published with.
type Message struct {
	Client  string // the client id; "inline" for the broker's own Publish
	Topic   string
	Payload string
	Retain  bool
	QoS     byte
}

// errStopped is what Dial and Publish answer while the broker is stopped.
var errStopped = errors.New("the test broker is stopped")

// Broker is an embedded MQTT broker that can be stopped and started again, losing what it retained or not.
type Broker struct {
	mu        sync.Mutex // guards what follows
	server    *mochi.Server
	conns     map[net.Conn]chan struct{} // closed when the connection is served to its end
	listener  net.Listener
	address   string // to listen on again after a restart
	retained  []packets.Packet
	published []Message
	watchers  []watcher
	login     func(clientID, username, password string) bool
	access    func(clientID, topic string, write bool) bool
	swallow   bool

	running sync.WaitGroup // the goroutines that serve connections
}

type watcher struct {
	filter string
	f      func(Message)
}

// NewBroker starts a broker that accepts every login. Close ends it.
func NewBroker() (*Broker, error) {
	b := &Broker{conns: map[net.Conn]chan struct{}{}}
	return b, b.Restart(true)
}

// Authenticate makes the broker ask f about each login from now on.
func (b *Broker) Authenticate(f func(clientID, username, password string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.login = f
}

// Authorize makes the broker ask f about each publish (write) and subscription from now on. A client that publishes what it
// may not is disconnected.
func (b *Broker) Authorize(f func(clientID, topic string, write bool) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.access = f
}

// Swallow makes the broker acknowledge what clients publish from now on and pass nothing of it on, as Mosquitto does with what
// its access rules forbid; or ends that.
func (b *Broker) Swallow(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.swallow = on
}

// Listen accepts TCP connections on a loopback address, with port 0 on a free one, and returns the URL for clients.
func (b *Broker) Listen(address string) (string, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("listen on %s: %w", address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", fmt.Errorf("listen on %s: the embedded broker asks for no password and so listens on loopback only", address)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listener != nil {
		return "", fmt.Errorf("listen on %s: already listening on %s", address, b.address)
	}
	if err := b.listen(address); err != nil {
		return "", err
	}
	return "mqtt://" + b.address, nil
}

// listen is called with mu held.
func (b *Broker) listen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	b.listener, b.address = l, l.Addr().String()
	b.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.serve(conn)
		}
	})
	return nil
}

// Dial connects to the broker over memory; it has the form of the client's option of that name.
func (b *Broker) Dial(context.Context, *url.URL) (net.Conn, error) {
	ours, theirs := pipe()
	if !b.serve(ours) {
		theirs.Close()
		return nil, errStopped
	}
	return theirs, nil
}

// serve returns false, with the connection closed, if the broker is stopped.
func (b *Broker) serve(conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server == nil {
		conn.Close()
		return false
	}
	server := b.server
	ended := make(chan struct{})
	b.conns[conn] = ended
	b.running.Go(func() {
		defer close(ended)
		_ = server.EstablishConnection("test", conn) // how a client left is of no interest here
		conn.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.conns, conn)
	})
	return true
}

// evict ends an older connection with the id of a new one and waits until the server has forgotten it. The server itself
// does not wait, and may then forget the new one in its place.
func (b *Broker) evict(clientID string) {
	b.mu.Lock()
	var ended chan struct{}
	if b.server != nil && clientID != mochi.InlineClientId {
		if old, ok := b.server.Clients.Get(clientID); ok {
			ended = b.conns[old.Net.Conn]
			old.Stop(packets.ErrSessionTakenOver)
		}
	}
	b.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// Cut drops every connection without a word, as a failing network does. Wills are published.
func (b *Broker) Cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.conns {
		conn.Close()
	}
}

// Stop ends the broker as a crash does: no will is published. It returns when all its goroutines have ended.
func (b *Broker) Stop() {
	b.mu.Lock()
	server := b.server
	if server == nil {
		b.mu.Unlock()
		return
	}
	b.server = nil
	if b.listener != nil {
		b.listener.Close()
		b.listener = nil
	}
	for conn := range b.conns {
		conn.Close()
	}
	b.mu.Unlock()
	b.running.Wait()
	_ = server.Close() // nothing is left that could fail: it has no listeners and no storage
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retained = b.retained[:0] // taken last: what was acknowledged must not be missing
	for _, pk := range server.Topics.Retained.GetAll() {
		b.retained = append(b.retained, pk)
	}
}

// Restart starts a stopped broker, on the same port if it listened; a running one is stopped first. Without keep it has
// forgotten its retained messages, as one without persistence does.
func (b *Broker) Restart(keep bool) error {
	b.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	capabilities := mochi.NewDefaultServerCapabilities()
	capabilities.MaximumMessageExpiryInterval = 0 // or what is retained would vanish after a day
	server := mochi.New(&mochi.Options{
		Capabilities: capabilities, InlineClient: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err := server.AddHook(&hook{broker: b}, nil); err != nil {
		return err
	}
	if keep {
		for _, pk := range b.retained {
			server.Topics.RetainMessage(pk)
		}
	}
	// The server is not told to Serve: that would add its own timers, five a second, which only expire what we keep for
	// ever, and make a day of fake time slow.
	b.server = server
	if b.address != "" {
		return b.listen(b.address)
	}
	return nil
}

// Close stops the broker for good.
func (b *Broker) Close() error {
	b.Stop()
	return nil
}

// Publish sends a message to all clients, as from another client.
func (b *Broker) Publish(topic, payload string, retain bool) error {
	b.mu.Lock()
	server := b.server
	b.mu.Unlock()
	if server == nil {
		return errStopped
	}
	return server.Publish(topic, []byte(payload), retain, 1)
}

// Subscribe has f called for every publish to a topic of the filter from now on, in the order the broker accepts them, also
// after restarts. It must not block, nor call the broker.
func (b *Broker) Subscribe(filter string, f func(Message)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchers = append(b.watchers, watcher{filter, f})
}

// Forget empties what Published lists, for runs that are long.
func (b *Broker) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.published = nil
}

// Published are all messages since the start or the last Forget, over all restarts, in the order the broker accepted them.
func (b *Broker) Published() []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.published)
}

// Retained is what the broker holds, or held when it was stopped, without its own $SYS topics.
func (b *Broker) Retained() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]string{}
	for _, pk := range b.retained {
		all[pk.TopicName] = string(pk.Payload)
	}
	if b.server != nil {
		clear(all)
		for topic, pk := range b.server.Topics.Retained.GetAll() {
			all[topic] = string(pk.Payload)
		}
	}
	for topic := range all {
		if strings.HasPrefix(topic, "$") {
			delete(all, topic)
		}
	}
	return all
}

// Subscriptions are the filters of a client that is connected, with their QoS.
func (b *Broker) Subscriptions(clientID string) map[string]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]byte{}
	if b.server == nil {
		return all
	}
	if cl, ok := b.server.Clients.Get(clientID); ok {
		for filter, s := range cl.State.Subscriptions.GetAll() {
			all[filter] = s.Qos
		}
	}
	return all
}

// Clients are the ids of the clients that are connected.
func (b *Broker) Clients() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	if b.server != nil {
		for id, cl := range b.server.Clients.GetAll() {
			if id != mochi.InlineClientId && !cl.Closed() {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}
