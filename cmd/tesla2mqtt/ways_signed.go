package main

import (
	"context"
	"fmt"
	"log/slog"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/signed"
)

// signers are the cars that are commanded by signed commands, with the key that signs. Like the bridge's account, they are used
// by one goroutine.
type signers struct {
	key    *signed.Key
	err    error         // why there is none
	memory signed.Memory // nil but for the one process that keeps the sessions
	log    *slog.Logger
	cars   map[string]*signed.Car // by VIN: a session is the car's, however often it is met
}

// openSigners loads the key. One that cannot be used is told by the cars that would need it; reading goes on.
func openSigners(c *Config, log *slog.Logger) *signers {
	key, err := loadKey(c)
	return &signers{key: key, err: err, log: log, cars: map[string]*signed.Car{}}
}

func loadKey(c *Config) (*signed.Key, error) {
	if c.Tesla.KeyFile == "" {
		return nil, &tesla.Error{Class: tesla.ErrNoKey, Text: "tesla.key_file is empty"}
	}
	key, err := signed.LoadKey(c.Tesla.KeyFile)
	if err != nil {
		return nil, &tesla.Error{Class: tesla.ErrNoKey, Text: fmt.Sprintf("tesla.key_file: %v", err)}
	}
	return key, nil
}

// close lets go of the cars.
func (s *signers) close() {
	for _, car := range s.cars {
		car.Close()
	}
}

// remember is for the one process of this state folder that keeps the sessions with the cars.
func (w *ways) remember(memory signed.Memory) {
	w.signers.memory, w.air.memory = memory, memory
}

// car returns the commander of one car over the Fleet API.
func (s *signers) car(vin string, client *tesla.Client) bridge.Commander {
	if s.key == nil {
		return unable{s.err}
	}
	if car := s.cars[vin]; car != nil {
		return car
	}
	wake := client.Car(tesla.Vehicle{VIN: vin})
	car := signed.New(signed.Config{
		VIN: vin, Key: s.key, Memory: s.memory,
		Dial: signed.Fleet(vin, client, func(ctx context.Context) error {
			return wake.Do(ctx, tesla.Command{Thing: tesla.Wake, Value: tesla.On})
		}),
		Trouble: func(err error) { s.log.Warn("signed commands", "car", vin, "err", err) }, Suspended: suspended,
	})
	s.cars[vin] = car
	return car
}

// commander chooses how a car is commanded. unsigned is how it would be without a key.
func (w *ways) commander(v tesla.Vehicle, unsigned bridge.Commander) bridge.Commander {
	settings, _ := w.c.settings(v.VIN)
	switch {
	case settings.Write == "api":
		return w.signers.car(v.VIN, w.client)
	case settings.Write != "auto" || w.c.Tesla.KeyFile == "":
		return unsigned
	}
	plain := w.client.Car(tesla.Vehicle{ID: v.ID, VIN: v.VIN}) // which finds out by itself what the car takes
	return signed.NewAuto(w.signers.car(v.VIN, w.client), plain, v.SignedCommands)
}

// unable commands nothing, not even waking, and says why.
type unable struct{ why error }

func (u unable) Can(tesla.Thing) error { return u.why }

func (u unable) Do(context.Context, tesla.Command) error { return u.why }
