package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/internal/secret"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/enroll"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/meter"
	"tesla2mqtt/tesla/signed"
	"tesla2mqtt/tesla/sim"
)

// The application that the demo has at the simulated Tesla.
const (
	appDomain   = "demo.example"
	appID       = "demo"
	appSecret   = "demo-secret"
	appRedirect = "https://" + appDomain + "/tesla"
)

// demoBudget is large enough for cars to be read as often as one likes to watch.
const demoBudget = 1000 * meter.Dollar

// theirFleet is Tesla's side of the application, ourFleet ours; nil on another road.
func theirFleet(road string) *sim.Fleet {
	if road != "fleet" {
		return nil
	}
	return &sim.Fleet{ClientID: appID, Secret: appSecret, RedirectURL: appRedirect, Unregistered: true}
}

func ourFleet(road string) *auth.Fleet {
	if road != "fleet" {
		return nil
	}
	return &auth.Fleet{ClientID: appID, Secret: secret.Hide(appSecret), RedirectURL: appRedirect, API: hosts.FleetAPI("eu")}
}

// fleet is the road of the Fleet API: what is billed is metered, and commands are signed.
type fleet struct {
	client *tesla.Client
	meter  *meter.Meter
	key    *signed.Key
	memory signed.Memory
	log    *slog.Logger
	cars   map[string]*signed.Car
}

// openFleet makes a key, registers the application with it, and has the owner put it into the cars: what a person does once with
// tesla2mqtt fleet.
func openFleet(ctx context.Context, dir string, w world, theirs *sim.Tesla, cars ...*sim.CarHandle) (*fleet, error) {
	source := w.source
	file := filepath.Join(dir, "fleet-key.pem")
	if err := enroll.Generate(file); err != nil {
		return nil, err
	}
	key, err := signed.LoadKey(file)
	if err != nil {
		return nil, err
	}
	public, err := key.PublicPEM()
	if err != nil {
		return nil, err
	}
	theirs.Host(appDomain, []byte(public))
	own, err := source.Partner(ctx)
	if err == nil {
		err = tesla.NewPartner(own, source.APIURL()).Register(ctx, appDomain)
	}
	if err != nil {
		return nil, fmt.Errorf("register at the simulated Tesla: %w", err)
	}
	for _, car := range cars {
		car.Approve()
	}
	m, err := meter.Open(dir, meter.Options{Budget: demoBudget, Every: settings("fleet").Default.Poll.Charging, Cars: func() int { return len(cars) }})
	if err != nil {
		return nil, err
	}
	client := tesla.NewFleetClient(source.Client(), source.APIURL)
	client.Meter = m
	return &fleet{client, m, key, w.memory, w.log, map[string]*signed.Car{}}, nil
}

// close is for defer.
func (f *fleet) close(err *error) {
	for _, car := range f.cars {
		car.Close()
	}
	*err = errors.Join(*err, f.meter.Close())
}

// commander signs commands to one car.
func (f *fleet) commander(vin string, unsigned *tesla.Car) bridge.Commander {
	if f.cars[vin] == nil {
		f.cars[vin] = signed.New(signed.Config{
			VIN: vin, Key: f.key, Memory: f.memory,
			Dial: signed.Fleet(vin, f.client, func(ctx context.Context) error {
				return unsigned.Do(ctx, tesla.Command{Thing: tesla.Wake, Value: tesla.On})
			}),
			Trouble: func(err error) { f.log.Warn("signed commands", "car", vin, "err", err) },
		})
	}
	return f.cars[vin]
}

// pace is what the budget asks of the bridge.
func (f *fleet) pace(now time.Time) bridge.Pace {
	read, command := f.meter.Pace(now)
	return bridge.Pace{Read: read, Wait: command}
}

// usage is that part of bridge/health.
func (f *fleet) usage() any {
	return struct {
		tesla.Usage
		Bill meter.Report `json:"bill"`
	}{f.client.Usage(), f.meter.Report()}
}
