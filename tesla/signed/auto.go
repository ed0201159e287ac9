package signed

import (
	"context"
	"errors"
	"sync/atomic"

	"tesla2mqtt/tesla"
)

// Commander gives commands by one way. A Car is one.
type Commander interface {
	Can(thing tesla.Thing) error
	Do(ctx context.Context, c tesla.Command) error
}

// Auto commands a car by signed commands or by unsigned ones, whichever it takes. What it takes is learned and does not change.
type Auto struct {
	signed, unsigned Commander
	wants            atomic.Bool // signed
}

// NewAuto makes an Auto. signs is what is known of the car before it was tried.
func NewAuto(signed, unsigned Commander, signs bool) *Auto {
	a := &Auto{signed: signed, unsigned: unsigned}
	a.wants.Store(signs)
	return a
}

func (a *Auto) way() Commander {
	if a.wants.Load() {
		return a.signed
	}
	return a.unsigned
}

// Can asks the way that the car takes.
func (a *Auto) Can(thing tesla.Thing) error {
	err := a.way().Can(thing)
	if errors.Is(err, tesla.ErrSigningRequired) {
		return a.signed.Can(thing)
	}
	return err
}

// Do gives a command by one way, and by the other if the car does not take the first: it was not carried out then.
func (a *Auto) Do(ctx context.Context, cmd tesla.Command) error {
	err := a.way().Do(ctx, cmd)
	switch {
	case errors.Is(err, tesla.ErrNoProtocol) && a.wants.CompareAndSwap(true, false),
		errors.Is(err, tesla.ErrSigningRequired) && a.wants.CompareAndSwap(false, true):
		return a.way().Do(ctx, cmd)
	}
	return err
}
