package mqtt

import (
	"sync"
	"time"
)

// The states of a connection, as Stats says them.
const (
	StateConnecting = "connecting"       // not connected: trying, or waiting to try again
	StateConnected  = "connected"        // the broker accepted us
	StateRefused    = "refused"          // the broker is there and does not accept us: user, password, client id
	StateInUse      = "client_id_in_use" // another program seems to use our client id; we stepped back for a minute
)

// Stats is how the connection is and what went over it since the start. Message is empty, or says in one sentence what
// is wrong and what to do about it; it holds no secret.
type Stats struct {
	State          string    `json:"state"`
	Message        string    `json:"message,omitempty"`
	ConnectedSince time.Time `json:"connected_since,omitzero"`
	Reconnects     uint64    `json:"reconnects"`
	Published      uint64    `json:"published"`      // acknowledged by the broker
	PublishErrors  uint64    `json:"publish_errors"` // given up on a connection, and sent again on the next
	Received       uint64    `json:"received"`
	DroppedLarge   uint64    `json:"dropped_large"`   // received with more than 64 KiB
	DroppedResults uint64    `json:"dropped_results"` // unretained messages pushed out while the broker was away
}

// gauge is a Stats that several goroutines read and write.
type gauge struct {
	changed chan struct{} // holds one token when State or Message is new

	mu       sync.Mutex
	s        Stats
	connects uint64
}

func newGauge() *gauge {
	return &gauge{changed: make(chan struct{}, 1), s: Stats{State: StateConnecting}}
}

func (g *gauge) read() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.s
}

func (g *gauge) update(f func(*Stats)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	state, message := g.s.State, g.s.Message
	f(&g.s)
	if g.s.State != state || g.s.Message != message {
		signal(g.changed)
	}
}

func (g *gauge) connected(now time.Time) {
	g.update(func(s *Stats) {
		s.State, s.Message, s.ConnectedSince = StateConnected, "", now
		if g.connects > 0 {
			s.Reconnects++
		}
		g.connects++
	})
}

func (g *gauge) disconnected(state, message string) {
	g.update(func(s *Stats) { s.State, s.Message, s.ConnectedSince = state, message, time.Time{} })
}
