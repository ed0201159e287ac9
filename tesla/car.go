package tesla

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"
)

// Car reads and commands one car through a Client.
type Car struct {
	client  *Client
	key     string // that names it in paths
	signing bool   // says the list
	// refused is when a command was last refused for want of a signature, in nanoseconds of Unix time.
	refused atomic.Int64
}

// refusedFor is how long such a refusal is believed: an update of the car may change it, and no list tells.
const refusedFor = 24 * time.Hour

// Car returns the way to v.
func (c *Client) Car(v Vehicle) *Car {
	car := &Car{client: c, key: strconv.FormatInt(v.ID, 10), signing: v.SignedCommands}
	if c.fleet != nil {
		car.key = v.VIN // an id works as well, but not with tesla-http-proxy
	}
	return car
}

// State is Client.State of this car.
func (c *Car) State(ctx context.Context) (VehicleState, error) { return c.client.State(ctx, c.key) }

// ChargeState is Client.ChargeState of this car.
func (c *Car) ChargeState(ctx context.Context) (ChargeState, error) {
	return c.client.ChargeState(ctx, c.key)
}

// Can returns nil, or ErrSigningRequired for a car that takes signed commands only. Waking needs no signature.
func (c *Car) Can(thing Thing) error {
	at := c.refused.Load()
	refused := at != 0 && time.Since(time.Unix(0, at)) < refusedFor
	if (c.signing || refused) && thing != Wake {
		return c.client.unsigned()
	}
	return nil
}

// unsigned is why a car that wants signed commands is not commanded by this client.
func (c *Client) unsigned() error {
	if c.fleet == nil {
		return &Error{Class: ErrSigningRequired, Text: "the Owner API has none"}
	}
	return ErrSigningRequired
}

// Do is Client.Do for this car. A refusal for want of a signature is remembered for a day.
func (c *Car) Do(ctx context.Context, cmd Command) error {
	err := c.client.Do(ctx, c.key, cmd)
	if errors.Is(err, ErrSigningRequired) {
		c.refused.Store(time.Now().UnixNano())
	}
	return err
}
