package tesla

import (
	"context"
	"errors"
	"sync/atomic"
)

// Car reads and commands one car through a Client.
type Car struct {
	client *Client
	id     int64
	// signing is true once the list of products or a refusal has told that unsigned commands are useless.
	signing atomic.Bool
}

// Car returns the way to v.
func (c *Client) Car(v Vehicle) *Car {
	car := &Car{client: c, id: v.ID}
	car.signing.Store(v.SignedCommands)
	return car
}

// State is Client.State of this car.
func (c *Car) State(ctx context.Context) (VehicleState, error) { return c.client.State(ctx, c.id) }

// ChargeState is Client.ChargeState of this car.
func (c *Car) ChargeState(ctx context.Context) (ChargeState, error) {
	return c.client.ChargeState(ctx, c.id)
}

// Can returns nil, or ErrSigningRequired for a car that takes signed commands only. Waking needs no signature.
func (c *Car) Can(thing Thing) error {
	if c.signing.Load() && thing != Wake {
		return ErrSigningRequired
	}
	return nil
}

// Do is Client.Do for this car. A refusal for want of a signature is remembered: it does not change.
func (c *Car) Do(ctx context.Context, cmd Command) error {
	err := c.client.Do(ctx, c.id, cmd)
	if errors.Is(err, ErrSigningRequired) {
		c.signing.Store(true)
	}
	return err
}
