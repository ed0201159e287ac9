package signed

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/connector"
	"github.com/teslamotors/vehicle-command/pkg/protocol"

	"tesla2mqtt/tesla"
)

// Carrier takes messages to a car by Tesla's servers: a tesla.Client, which has the login, the deadlines and the counters.
type Carrier interface {
	Signed(ctx context.Context, vin string, message []byte) ([]byte, error)
}

// fleet is a connector over Fleet API: each message is one request, whose answer is the car's.
type fleet struct {
	vin  string
	by   Carrier
	wake func(context.Context) error

	in   chan []byte
	once sync.Once
	done chan struct{}
}

// Fleet returns a way to connect to a car over Fleet API, for Config.Dial; nothing is sent by that. wake asks Tesla to wake the
// car.
func Fleet(vin string, by Carrier, wake func(context.Context) error) func(context.Context) (connector.Connector, error) {
	return func(context.Context) (connector.Connector, error) {
		return &fleet{vin: vin, by: by, wake: wake, in: make(chan []byte, connector.BufferSize), done: make(chan struct{})}, nil
	}
}

// Receive gives the answers.
func (f *fleet) Receive() <-chan []byte { return f.in }

// Send makes one request, and is back when it was answered.
func (f *fleet) Send(ctx context.Context, message []byte) error {
	answer, err := f.by.Signed(ctx, f.vin, message)
	if errors.Is(err, tesla.ErrNoProtocol) {
		return protocol.ErrProtocolNotSupported
	}
	if err != nil {
		return err // a *tesla.Error, which the library does not try again
	}
	select {
	case f.in <- answer:
		return nil
	case <-f.done:
		return protocol.ErrNotConnected
	case <-ctx.Done():
		return ctx.Err()
	}
}

// VIN names the car.
func (f *fleet) VIN() string { return f.vin }

// Close ends waiting.
func (f *fleet) Close() { f.once.Do(func() { close(f.done) }) }

// PreferredAuthMethod is in plain, with a tag: Tesla wants to see which right of the login a command needs.
func (f *fleet) PreferredAuthMethod() connector.AuthMethod { return connector.AuthMethodHMAC }

// RetryInterval is how long the library waits before it sends again what the car has refused unread.
func (f *fleet) RetryInterval() time.Duration { return time.Second }

// AllowedLatency is for how long the car's clock is believed after it was asked.
func (f *fleet) AllowedLatency() time.Duration { return lifetime }

// SendFleetAPICommand is for commands that end at Tesla's servers. None of ours does.
func (f *fleet) SendFleetAPICommand(context.Context, string, interface{}) ([]byte, error) {
	return nil, errors.New("not a command to the car")
}

// Wakeup returns when Tesla has taken the request; the car needs 10 to 60 s more.
func (f *fleet) Wakeup(ctx context.Context) error { return f.wake(ctx) }
