package mqtt

import (
	"bytes"
	"slices"
	"sync"
)

// maxResults is how many unretained messages are kept for a broker that is away.
const maxResults = 256

// outbox is where any goroutine leaves what it has to say and where the one that owns the connection fetches it. A
// retained topic is kept as its latest value for ever, an unretained message until the broker acknowledged it.
type outbox struct {
	wake chan struct{} // holds one token when there may be something to send

	mu      sync.Mutex // guards what follows
	values  map[string]*item
	order   []*item // the retained topics, in the order of their first publish
	results []*item // the unretained messages, oldest first
	queue   []*item // of both, what is to be sent next on this connection
}

type item struct {
	topic   string
	payload []byte
	retain  bool
	queued  bool // in queue
	dropped bool // to be passed over in queue
}

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), values: map[string]*item{}}
}

// put takes a message over and returns how many older ones had to go for it.
func (b *outbox) put(topic string, payload []byte, retain bool) (dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if retain {
		b.set(topic, payload)
	} else {
		it := &item{topic: topic, payload: bytes.Clone(payload)}
		b.results = append(b.results, it)
		b.enqueue(it)
		dropped = b.trim()
	}
	signal(b.wake)
	return dropped
}

// set replaces the value of a topic where it stands in the queue, so that an older one is never sent after it.
func (b *outbox) set(topic string, payload []byte) {
	it, known := b.values[topic]
	if !known {
		it = &item{topic: topic, retain: true}
		b.values[topic] = it
		b.order = append(b.order, it)
	} else if bytes.Equal(it.payload, payload) {
		return
	}
	it.payload = bytes.Clone(payload)
	b.enqueue(it)
}

func (b *outbox) enqueue(it *item) {
	if !it.queued {
		it.queued = true
		b.queue = append(b.queue, it)
	}
}

// trim drops the oldest messages above maxResults. One that is on its way is left alone: it could not be called back.
func (b *outbox) trim() (dropped int) {
	for len(b.results) > maxResults {
		i := slices.IndexFunc(b.results, func(it *item) bool { return it.queued })
		b.results[i].dropped = true
		b.results = slices.Delete(b.results, i, i+1)
		dropped++
	}
	return dropped
}

// next hands out what is to be sent now.
func (b *outbox) next() (job, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) > 0 {
		it := b.queue[0]
		b.queue = b.queue[1:]
		it.queued = false
		if !it.dropped {
			return job{item: it, topic: it.topic, payload: it.payload, retain: it.retain}, true
		}
	}
	return job{}, false
}

// acknowledged forgets a message that the broker has. Of a retained topic the value stays.
func (b *outbox) acknowledged(it *item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.results, it); i >= 0 {
		b.results = slices.Delete(b.results, i, i+1)
	}
}

// restart begins a new connection: the broker may have forgotten everything, and we cannot know what of the last window
// it received. So everything is sent, values first.
func (b *outbox) restart() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = slices.Concat(b.order, b.results)
	for _, it := range b.queue {
		it.queued = true
	}
}

// republish has every retained topic sent again.
func (b *outbox) republish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, it := range b.order {
		b.enqueue(it)
	}
	signal(b.wake)
}

// differs tells whether got is something else than what we last said on a retained topic of ours.
func (b *outbox) differs(topic string, got []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	it := b.values[topic]
	return it != nil && !bytes.Equal(it.payload, got)
}

// value is what we last said on a retained topic of ours, nil for nothing.
func (b *outbox) value(topic string) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if it := b.values[topic]; it != nil {
		return it.payload
	}
	return nil
}

// resend has one retained topic sent again.
func (b *outbox) resend(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if it := b.values[topic]; it != nil {
		b.enqueue(it)
		signal(b.wake)
	}
}

// signal wakes the one goroutine that listens to a channel of size one; a second signal before it looked adds nothing.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
