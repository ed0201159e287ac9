package sim

import (
	"context"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/connector"
)

// Beside is a connection to the car from beside it, which takes no time: what Bluetooth carries, without a radio.
func (h *CarHandle) Beside() connector.Connector {
	return &beside{h, make(chan []byte, 50)} // more than wait at a time
}

type beside struct {
	car *CarHandle
	in  chan []byte
}

func (b *beside) Receive() <-chan []byte                    { return b.in }
func (b *beside) VIN() string                               { return b.car.VIN() }
func (b *beside) Close()                                    {}
func (b *beside) PreferredAuthMethod() connector.AuthMethod { return connector.AuthMethodGCM }
func (b *beside) RetryInterval() time.Duration              { return time.Second }
func (b *beside) AllowedLatency() time.Duration             { return 4 * time.Second }

func (b *beside) Send(_ context.Context, message []byte) error {
	for _, answer := range b.car.Protocol().Receive(message) {
		b.in <- answer
	}
	return nil
}
