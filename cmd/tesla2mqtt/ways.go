package main

import (
	"context"
	"log/slog"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/telemetry"
)

// ways reaches each car by the way that the configuration chose for it. It is the bridge's account, and that of the
// subcommands which read or command a car once.
type ways struct {
	c      *Config
	login  *auth.Source
	client *tesla.Client
	feed   *telemetry.Feed // nil if nothing is streamed
}

// openWays opens what the cars of the configuration need. The caller closes it.
func openWays(c *Config, log *slog.Logger) (*ways, error) {
	login, client, err := openAccount(c, log)
	if err != nil {
		return nil, err
	}
	return &ways{c: c, login: login, client: client}, nil
}

// close is for defer, as closeAccount is.
func (w *ways) close(err *error) { closeAccount(w.login, err) }

// Vehicles lists the cars there are, whether the configuration serves them or not.
func (w *ways) Vehicles(ctx context.Context) ([]tesla.Vehicle, error) {
	if !w.c.cloud() {
		return w.c.listed(), nil
	}
	return w.client.Vehicles(ctx)
}

// Car returns how to read and to command one of them.
func (w *ways) Car(v tesla.Vehicle) (bridge.Reader, bridge.Commander) {
	settings, _ := w.c.settings(v.VIN)
	switch {
	case !w.c.cloud():
		return w.streamed(v.VIN, nil), untold{}
	case settings.Read == "telemetry":
		car := w.client.Car(v)
		return w.streamed(v.VIN, car), car
	}
	car := w.client.Car(v)
	return car, car
}

// status is the login's, or that none is needed.
func (w *ways) status() auth.Status {
	if !w.c.cloud() {
		return auth.Status{State: "not_needed", Message: "no car of the configuration is reached by Tesla's cloud"}
	}
	return w.login.Status()
}
