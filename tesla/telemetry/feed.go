package telemetry

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tesla2mqtt/tesla"
)

// API is another source that can be asked where the stream is silent.
type API interface {
	State(ctx context.Context) (tesla.VehicleState, error)
	ChargeState(ctx context.Context) (tesla.ChargeState, error)
}

// Feed takes what the server publishes and keeps the last of it for each car that is wanted; what is said of others is
// forgotten. So a flood costs time, but no memory. Its methods may be called from any goroutine.
type Feed struct {
	base    string
	cars    map[string]*Car
	signals atomic.Int64
}

// NewFeed is for the cars with these VINs, below the server's topic_base. silentAfter is how long a car may say nothing.
func NewFeed(base string, vins []string, silentAfter time.Duration) *Feed {
	f := &Feed{base: base, cars: map[string]*Car{}}
	for _, vin := range vins {
		f.cars[vin] = &Car{silentAfter: silentAfter, changes: make(chan struct{}, 1)}
	}
	return f
}

// Filters are the MQTT topics whose messages are to be delivered, for all cars below base.
func Filters(base string) []string { return []string{base + "/+/v/+", base + "/+/connectivity"} }

// Deliver takes a message; retained says that the broker had stored it. It never waits. It returns false for a message that
// is none of the server's.
func (f *Feed) Deliver(topic string, payload []byte, retained bool) bool {
	if len(topic) <= len(f.base) || topic[:len(f.base)] != f.base || topic[len(f.base)] != '/' {
		return false
	}
	if _, rest, _ := strings.Cut(topic[len(f.base)+1:], "/"); !retained && strings.HasPrefix(rest, "v/") {
		f.signals.Add(1)
	}
	c, ok := decode(f.base, topic, payload)
	if car := f.cars[c.VIN]; ok && car != nil {
		car.take(func(s state) state { return s.with(c, time.Now(), retained) })
		select {
		case car.changes <- struct{}{}:
		default: // it was told already, and has not looked yet
		}
	}
	return true
}

// Signals is how many values have come since the start, of all cars and fields: Tesla bills each. What the broker had stored has come
// before.
func (f *Feed) Signals() int64 { return f.signals.Load() }

// Car returns the car with this VIN, nil for one that is not wanted. It asks api, whose name is by, where the stream is
// silent; nil if there is none.
func (f *Feed) Car(vin string, api API, by string) *Car {
	c := f.cars[vin]
	if c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.api, c.by = api, by
	}
	return c
}

// Car tells how a car is by what was streamed. It is one of the bridge's readers.
type Car struct {
	silentAfter time.Duration
	changes     chan struct{}

	mu    sync.Mutex // guards what follows
	state state
	api   API
	by    string
}

// Changes delivers when something was streamed; what follows closely comes as one.
func (c *Car) Changes() <-chan struct{} { return c.changes }

func (c *Car) take(next func(state) state) state {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = next(c.state)
	return c.state
}

func (c *Car) look() (state, API, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.api, c.by
}

// Pushed returns what is known by now, and asks nobody.
func (c *Car) Pushed(context.Context) (tesla.VehicleState, tesla.ChargeState, error) {
	s, _, _ := c.look()
	return s.vehicle(time.Now(), c.silentAfter), s.charge(), nil
}

// State says online, asleep or offline. Only the API can tell the last two apart.
func (c *Car) State(ctx context.Context) (tesla.VehicleState, error) {
	now := time.Now()
	s, api, _ := c.look()
	var err error
	if api != nil && s.asksState(now, c.silentAfter) {
		var v tesla.VehicleState
		v, err = api.State(ctx)
		s = c.take(func(s state) state { return s.withVehicle(v, err, now) })
	}
	v := s.vehicle(now, c.silentAfter)
	switch {
	case v != tesla.StateUnknown || !s.first.IsZero():
		return v, nil // while the API is not there, the stream's last word counts
	case err == nil && api == nil:
		err = &tesla.Error{Class: tesla.ErrSilent, Text: "nothing has come yet"}
	}
	return v, err
}

// ChargeState says what was streamed, or reads the API if the stream is silent.
func (c *Car) ChargeState(ctx context.Context) (tesla.ChargeState, error) {
	now := time.Now()
	s, api, by := c.look()
	switch s.teller(now, c.silentAfter, api != nil) {
	case byAPI:
		read, err := api.ChargeState(ctx)
		s = c.take(func(s state) state { return s.withRead(read, err, by, now) })
		if err != nil {
			return tesla.ChargeState{}, err
		}
	case byNobody:
		text := "nothing has come yet"
		if !s.first.IsZero() {
			text = fmt.Sprintf("the car charges, and nothing has come for %s", now.Sub(latest(s.first, s.heard)).Round(time.Second))
		}
		return tesla.ChargeState{}, &tesla.Error{Class: tesla.ErrSilent, Text: text}
	}
	return s.charge(), nil
}
