package bridge

import (
	"context"

	"tesla2mqtt/tesla"
)

// Reader is who can tell how a car is.
type Reader interface {
	// State says online, asleep or offline. It never wakes the car, nor keeps it awake.
	State(ctx context.Context) (tesla.VehicleState, error)
	// ChargeState reads the car itself, which keeps it awake. The error is tesla.ErrAsleep if it sleeps.
	ChargeState(ctx context.Context) (tesla.ChargeState, error)
}

// Watcher is a Reader that is pushed to.
type Watcher interface {
	// Changes says that there is something new. It always returns the same channel.
	Changes() <-chan struct{}
	// Pushed returns what was pushed. It asks nobody, so it touches no car and costs nothing.
	Pushed(ctx context.Context) (tesla.VehicleState, tesla.ChargeState, error)
}

// Commander is who can tell a car what to do.
type Commander interface {
	// Can returns nil, or why this car cannot be told that this way.
	Can(thing tesla.Thing) error
	// Do executes c. tesla.MayHaveSucceeded(err) tells the outcomes that are not certain.
	Do(ctx context.Context, c tesla.Command) error
}

// Publisher takes what is to be said on MQTT. It never blocks. A retained payload replaces what the topic said before,
// and an empty one clears it.
type Publisher interface {
	Publish(topic string, payload []byte, retain bool)
}

// Account knows which cars there are.
type Account interface {
	// Vehicles lists them. With an error come those that are there whatever the rest of the list is.
	Vehicles(ctx context.Context) ([]tesla.Vehicle, error)
	// Car returns how to reach one of them.
	Car(v tesla.Vehicle) (Reader, Commander)
}
