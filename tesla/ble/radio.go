package ble

import (
	"context"
	"time"
)

// Radio is a Bluetooth adapter, which may come and go.
type Radio struct {
	adapter string
	turn    chan struct{} // full while somebody searches or connects
	limits  limits
}

// limits are the lengths of the waits.
type limits struct {
	search  time.Duration // for a car to be heard; one in range is heard within a second or two
	connect time.Duration
	resolve time.Duration // for BlueZ to learn what the car offers
	write   time.Duration // of one packet
	hangUp  time.Duration
	linger  time.Duration // a connection after its last use: what belongs together follows at once
	age     time.Duration // of a connection that is still used; cars hang up after some 30 s
}

// NewRadio returns the adapter of that name: hci0 and so on. Nothing is asked of it yet.
func NewRadio(adapter string) *Radio {
	return &Radio{adapter: adapter, turn: make(chan struct{}, 1), limits: limits{
		search: 10 * time.Second, connect: 20 * time.Second, resolve: 10 * time.Second, write: 5 * time.Second,
		hangUp: 3 * time.Second, linger: 4 * time.Second, age: 20 * time.Second,
	}}
}

// take waits for the adapter to be free for a search or a connect.
func (r *Radio) take(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Error{Kind: ErrBusy, Text: "another car is being searched for"}
	}
}

func (r *Radio) leave() { <-r.turn }
