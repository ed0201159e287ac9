package tesla

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
)

// Car reads and commands one car through a Client.
type Car struct {
	client *Client
	key    string // that names it in paths
	// signing is true once a list or a refusal has told that unsigned commands are useless.
	signing atomic.Bool
}

// Car returns the way to v.
func (c *Client) Car(v Vehicle) *Car {
	car := &Car{client: c, key: strconv.FormatInt(v.ID, 10)}
	if c.fleet != nil {
		car.key = v.VIN // an id works as well, but not with tesla-http-proxy
	}
	car.signing.Store(v.SignedCommands)
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
	if c.signing.Load() && thing != Wake {
		return ErrSigningRequired
	}
	return nil
}

// Do is Client.Do for this car. A refusal for want of a signature is remembered: it does not change.
func (c *Car) Do(ctx context.Context, cmd Command) error {
	err := c.client.Do(ctx, c.key, cmd)
	if errors.Is(err, ErrSigningRequired) {
		c.signing.Store(true)
	}
	return err
}
