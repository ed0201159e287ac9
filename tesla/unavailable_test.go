package tesla_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/hosts"
)

// TestUnavailable: Tesla says 503 of a car that sleeps, and of itself when it is overloaded. Only who asks for a car is told the first.
func TestUnavailable(t *testing.T) {
	const page, asleep, plain = "<html>503</html>", `{"response":null,"error":"vehicle is offline or asleep"}`, "upstream connect error"
	for _, row := range []struct {
		name      string
		body      string
		call      func(*tesla.Client) error
		class     error
		uncertain bool
	}{
		{"command", plain, commands(tesla.ChargeAmps), tesla.ErrAsleep, false},
		{"command, by a firewall", page, commands(tesla.ChargeAmps), tesla.ErrTemporary, true},
		{"wake", asleep, commands(tesla.Wake), tesla.ErrAsleep, false},
		{"read", asleep, reads, tesla.ErrAsleep, false},
		{"read, by somebody else", plain, reads, tesla.ErrTemporary, false},
		{"state", asleep, func(c *tesla.Client) error { _, err := c.State(context.Background(), fleetVIN); return err }, tesla.ErrTemporary, false},
		{"list", asleep, func(c *tesla.Client) error { _, err := c.Vehicles(context.Background()); return err }, tesla.ErrTemporary, false},
		{"fleet_status", plain, func(c *tesla.Client) error {
			_, err := c.FleetStatus(context.Background(), []string{fleetVIN})
			return err
		}, tesla.ErrTemporary, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.call(tesla.NewFleetClient(&http.Client{Transport: tripper(func(*http.Request) (*http.Response, error) {
				return says(503, row.body), nil
			})}, func() string { return hosts.FleetAPI("eu") }))
			if !errors.Is(err, row.class) || tesla.MayHaveSucceeded(err) != row.uncertain {
				t.Errorf("got %v, uncertain %t", err, tesla.MayHaveSucceeded(err))
			}
		})
	}
}

func commands(thing tesla.Thing) func(*tesla.Client) error {
	return func(c *tesla.Client) error {
		return c.Car(tesla.Vehicle{VIN: fleetVIN}).Do(context.Background(), tesla.Command{Thing: thing, Value: 8})
	}
}

func reads(c *tesla.Client) error {
	_, err := c.ChargeState(context.Background(), fleetVIN)
	return err
}
