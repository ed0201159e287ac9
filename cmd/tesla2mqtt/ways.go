package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/meter"
	"tesla2mqtt/tesla/telemetry"
)

// ways reaches each car by the way that the configuration chose for it. It is the bridge's account, and that of the
// subcommands which read or command a car once. One goroutine asks it for cars.
type ways struct {
	c      *Config
	login  *auth.Source // nil, and client too, where no car needs the cloud
	client *tesla.Client
	meter  *meter.Meter // nil where calls cost nothing
	paying atomic.Int32 // cars that share the budget

	signers *signers
	feed    *telemetry.Feed // nil if nothing is streamed
	air     air
}

// openWays opens what the cars of the configuration need. The caller closes it.
func openWays(c *Config, log *slog.Logger) (*ways, error) {
	if !c.cloud() {
		return newWays(c, nil, nil, log), guardState(c.StateDir, log)
	}
	login, client, err := openAccount(c, log)
	if err != nil {
		return nil, err
	}
	w := newWays(c, login, client, log)
	if err := w.openMeter(log); err != nil {
		w.signers.close()
		return nil, errors.Join(err, login.Close())
	}
	return w, nil
}

func newWays(c *Config, login *auth.Source, client *tesla.Client, log *slog.Logger) *ways {
	return &ways{c: c, login: login, client: client, signers: openSigners(c, log), air: newAir(c, log)}
}

// close is for defer, as closeAccount is.
func (w *ways) close(err *error) {
	w.air.close()
	w.signers.close()
	if w.meter != nil {
		*err = errors.Join(*err, w.meter.Close())
	}
	if w.login != nil {
		closeAccount(w.login, err)
	}
}

// Vehicles lists the cars there are, whether the configuration serves them or not. With an error come those that need no
// account.
func (w *ways) Vehicles(ctx context.Context) (cars []tesla.Vehicle, err error) {
	if w.client != nil {
		if cars, err = w.client.Vehicles(ctx); err == nil {
			w.share(cars)
		}
	}
	for _, v := range w.c.unlisted() {
		if !slices.ContainsFunc(cars, func(car tesla.Vehicle) bool { return car.VIN == v.VIN }) {
			cars = append(cars, v)
		}
	}
	return cars, err
}

// find returns the car that a person means; it may be there although the list is not whole.
func (w *ways) find(ctx context.Context, name string) (tesla.Vehicle, error) {
	cars, failed := w.Vehicles(ctx)
	car, err := findCar(w.c, cars, name)
	if err != nil && failed != nil {
		return car, failed
	}
	return car, err
}

// Car returns how to read and to command one of them.
func (w *ways) Car(v tesla.Vehicle) (bridge.Reader, bridge.Commander) {
	settings, _ := w.c.settings(v.VIN)
	var reader bridge.Reader
	var commander bridge.Commander = untold{}
	if settings.clouded() {
		if settings.Write == "rest" {
			v.SignedCommands = false // who signs is at tesla.api_url
		}
		car := w.client.Car(v)
		reader, commander = car, w.commander(v, car)
	}
	if settings.Read == "telemetry" {
		reader = w.streamed(v.VIN, reader)
	}
	if settings.nearby() {
		return w.air.car(v.VIN, settings, reader, commander)
	}
	return reader, commander
}

// status is the login's, or that none is needed.
func (w *ways) status() auth.Status {
	if !w.c.cloud() {
		return auth.Status{State: "not_needed", Message: "no car of the configuration is reached by Tesla's cloud"}
	}
	return w.login.Status()
}
