package main

import (
	"context"
	"log/slog"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
)

// ways reaches each car by the way that the configuration chose for it. It is the bridge's account, and that of the
// subcommands which read or command a car once.
type ways struct {
	c      *Config
	login  *auth.Source
	client *tesla.Client

	signers *signers
}

// openWays opens what the cars of the configuration need. The caller closes it.
func openWays(c *Config, log *slog.Logger) (*ways, error) {
	login, client, err := openAccount(c, log)
	if err != nil {
		return nil, err
	}
	return newWays(c, login, client, log), nil
}

func newWays(c *Config, login *auth.Source, client *tesla.Client, log *slog.Logger) *ways {
	return &ways{c, login, client, openSigners(c, log)}
}

// close is for defer, as closeAccount is.
func (w *ways) close(err *error) {
	w.signers.close()
	closeAccount(w.login, err)
}

// Vehicles lists the cars there are, whether the configuration serves them or not.
func (w *ways) Vehicles(ctx context.Context) ([]tesla.Vehicle, error) { return w.client.Vehicles(ctx) }

// Car returns how to read and to command one of them.
func (w *ways) Car(v tesla.Vehicle) (bridge.Reader, bridge.Commander) {
	if settings, _ := w.c.settings(v.VIN); settings.Write == "rest" {
		v.SignedCommands = false // who signs is at tesla.api_url
	}
	car := w.client.Car(v)
	return car, w.commander(v, car)
}
