package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/meter"
	"tesla2mqtt/tesla/telemetry"
)

// ways reaches each car by the way that the configuration chose for it. It is the bridge's account, and that of the
// subcommands which read or command a car once.
type ways struct {
	c      *Config
	login  *auth.Source
	client *tesla.Client
	meter  *meter.Meter // nil where calls cost nothing
	paying atomic.Int32 // cars that share the budget

	signers *signers
	feed    *telemetry.Feed // nil if nothing is streamed
}

// openWays opens what the cars of the configuration need. The caller closes it.
func openWays(c *Config, log *slog.Logger) (*ways, error) {
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
	return &ways{c: c, login: login, client: client, signers: openSigners(c, log)}
}

// close is for defer, as closeAccount is.
func (w *ways) close(err *error) {
	w.signers.close()
	if w.meter != nil {
		*err = errors.Join(*err, w.meter.Close())
	}
	closeAccount(w.login, err)
}

// Vehicles lists the cars there are, whether the configuration serves them or not.
func (w *ways) Vehicles(ctx context.Context) ([]tesla.Vehicle, error) {
	if !w.c.cloud() {
		return w.c.listed(), nil
	}
	cars, err := w.client.Vehicles(ctx)
	if err == nil {
		w.share(cars)
	}
	return cars, err
}

// Car returns how to read and to command one of them.
func (w *ways) Car(v tesla.Vehicle) (bridge.Reader, bridge.Commander) {
	if !w.c.cloud() {
		return w.streamed(v.VIN, nil), untold{}
	}
	settings, _ := w.c.settings(v.VIN)
	if settings.Write == "rest" {
		v.SignedCommands = false // who signs is at tesla.api_url
	}
	car := w.client.Car(v)
	if settings.Read == "telemetry" {
		return w.streamed(v.VIN, car), w.commander(v, car)
	}
	return car, w.commander(v, car)
}

// status is the login's, or that none is needed.
func (w *ways) status() auth.Status {
	if !w.c.cloud() {
		return auth.Status{State: "not_needed", Message: "no car of the configuration is reached by Tesla's cloud"}
	}
	return w.login.Status()
}
