package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/bridge/mqtt/mqtttest"
	"tesla2mqtt/internal/atomicfile"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
	"tesla2mqtt/tesla/telemetry"
)

const (
	// clientID is the bridge's id at the embedded broker.
	clientID    = "tesla2mqtt"
	chargingVIN = "5YJ3E1EA7KF000001"
	sleepingVIN = "5YJ3E1EA7KF000002"
)

// show runs the demo until ctx ends.
func show(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: o.level}))
	dir, err := os.MkdirTemp("", "tesla2mqtt-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	broker, err := mqtttest.NewBroker()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	url, err := broker.Listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(o.port)))
	if err != nil {
		return fmt.Errorf("%w (choose another port with -port)", err)
	}
	print := newPrinter(stdout, url)
	defer print.close()
	broker.Subscribe("#", print.message)

	cars, charging, sleeping := simulated(o)
	source, err := logIn(ctx, cars, dir, ourFleet(o.road), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	memory, err := atomicfile.OpenFolder(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, memory.Close()) }()
	misbehave := sync.OnceFunc(func() {
		for _, name := range o.faults {
			if err := cars.Fault(name); err != nil {
				log.Error("the fault could not be set", "err", err)
			}
		}
	})
	w := world{url: url, road: o.road, source: source, memory: memory, listed: misbehave, log: log}
	switch o.road {
	case "fleet":
		if w.fleet, err = openFleet(ctx, dir, w, cars, charging, sleeping); err != nil {
			return err
		}
		defer w.fleet.close(&err)
	case "ble":
		if w.near, err = openNear(dir, log, charging, sleeping); err != nil {
			return err
		}
		defer w.near.close()
	case "telemetry":
		w.feed = telemetry.NewFeed(telemetryTopic, []string{chargingVIN, sleepingVIN}, time.Minute)
		done := make(chan struct{})
		go func() { defer close(done); stream(ctx, broker, log, charging, sleeping) }()
		defer func() { <-done }()
	}
	return serve(ctx, w)
}

// simulated is the account with its two cars, as the road needs them.
func simulated(o options) (cars *sim.Tesla, charging, sleeping *sim.CarHandle) {
	cars = &sim.Tesla{Speed: o.speed, ExpiresIn: tokenLife(o.faults), Fleet: theirFleet(o.road)}
	young := o.road == "fleet" // and so in need of signed commands
	charging = cars.Add(sim.Car{VIN: chargingVIN, Name: "Charging car", Level: 42, PluggedIn: true, Phases: 3, MaxAmps: 16, Amps: 13,
		SignedCommands: young, Unpaired: young})
	sleeping = cars.Add(sim.Car{VIN: sleepingVIN, Name: "Sleeping car", Level: 70, PluggedIn: true, Stopped: true, Asleep: true,
		SignedCommands: young, Unpaired: young})
	return cars, charging, sleeping
}

// tokenLife is short if a fault of the token's renewal is to be seen.
func tokenLife(faults []string) time.Duration {
	for _, k := range sim.Faults() {
		if k.Scope == "token" && slices.Contains(faults, k.Name) {
			return 20 * time.Second
		}
	}
	return 8 * time.Hour
}

// logIn goes through the whole login, with the simulator in the part of the person and the browser.
func logIn(ctx context.Context, cars *sim.Tesla, dir string, app *auth.Fleet, log *slog.Logger) (*auth.Source, error) {
	allowed, err := hosts.New()
	if err != nil {
		return nil, err
	}
	source, err := auth.Open(dir, auth.Config{Fleet: app, Hosts: allowed, Transport: cars.RoundTripper(), UserAgent: "tesla2mqtt/demo", Log: log})
	if err != nil {
		return nil, err
	}
	login := source.StartLogin()
	callback, err := cars.Approve(login.URL())
	if err == nil {
		_, err = login.Finish(ctx, callback)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("log in at the simulated Tesla: %w", err), source.Close())
	}
	return source, nil
}

// world is what a bridge is joined to.
type world struct {
	url    string // of the broker
	road   string
	source *auth.Source
	fleet  *fleet          // nil on another road
	near   *near           // nil on another road
	feed   *telemetry.Feed // nil if nothing is streamed
	memory bridge.Memory
	listed func() // called when the cars are known
	log    *slog.Logger
}

// serve joins the parts as the product does.
func serve(ctx context.Context, w world) error {
	source, log := w.source, w.log
	client := tesla.NewClient(source.Client(), source.APIURL)
	if w.fleet != nil {
		client = w.fleet.client
	}
	cfg := settings(w.road)
	filters := []string{bridge.SetFilter(cfg.BaseTopic)}
	if w.feed != nil {
		filters = append(filters, telemetry.Filters(telemetryTopic)...)
	}
	var b *bridge.Bridge
	broker, err := mqtt.New(mqtt.Options{
		URL: w.url, ClientID: clientID, Log: log,
		StateTopic: bridge.StateTopic(cfg.BaseTopic), InfoTopic: bridge.InfoTopic(cfg.BaseTopic),
		BirthTopic: bridge.BirthTopic(cfg.DiscoveryPrefix), Subscribe: filters,
		Handler: func(m mqtt.Message) {
			if w.feed == nil || !w.feed.Deliver(m.Topic, m.Payload, m.Retained) {
				b.Deliver(m.Topic, m.Payload, m.Retained)
			}
		},
		Foreign: func(payload []byte) bool { return b.Foreign(payload) },
	})
	if err != nil {
		return err
	}
	deps := bridge.Deps{
		Account: account{client, w.fleet, w.feed, w.listed}, Publisher: broker, Memory: w.memory, Log: log,
		Changes: broker.Changes(),
		Online:  func() bool { return broker.Stats().State == mqtt.StateConnected },
		Auth:    func() (string, any) { s := source.Status(); return s.State, s },
		MQTT:    func() any { return broker.Stats() },
		Usage:   func() any { return client.Usage() },
	}
	if w.fleet != nil {
		deps.Usage, deps.Pace = w.fleet.usage, w.fleet.pace
	}
	if w.near != nil {
		deps.Account = w.near
		deps.Auth = func() (string, any) { s := auth.Status{State: "not_needed"}; return s.State, s }
	}
	b = bridge.New(cfg, deps)
	online, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	done := make(chan error, 1)
	go func() { done <- broker.Run(online) }()
	b.Run(ctx)
	hangUp()
	return <-done
}

// settings are the product's defaults with shorter intervals, so that there is something to see.
func settings(road string) bridge.Config {
	api := "owner" // which also commands what streams
	switch road {
	case "fleet":
		api = road
	case "ble":
		api = bridge.NoAPI
	}
	car := bridge.CarConfig{
		Source: road, Billed: api == "fleet",
		Poll: bridge.Poll{State: 10 * time.Second, Online: 10 * time.Second, Charging: 5 * time.Second, IdleAfter: 15 * time.Minute, Suspend: 21 * time.Minute},
		Commands: bridge.Commands{
			Enabled: true, Wake: true, TTL: time.Minute, ChargePort: true,
			Amps: bridge.Amps{Min: 1, Max: 48, Settle: 2 * time.Second, RaiseGap: 15 * time.Second, LowerGap: 5 * time.Second},
		},
	}
	charging, sleeping := car, car
	charging.Name, sleeping.Name = "charging_car", "sleeping_car"
	return bridge.Config{
		BaseTopic: "tesla2mqtt", ClientID: clientID, Scalars: true, Discovery: true, DiscoveryPrefix: "homeassistant",
		API: api, Budget: api == "fleet", Version: "demo", Default: car,
		Cars: map[string]bridge.CarConfig{chargingVIN: charging, sleepingVIN: sleeping},
	}
}

// account gives the bridge the simulated cars. The faults begin once they are known, so that there is something to see.
type account struct {
	client *tesla.Client
	fleet  *fleet
	feed   *telemetry.Feed
	listed func()
}

func (a account) Vehicles(ctx context.Context) ([]tesla.Vehicle, error) {
	cars, err := a.client.Vehicles(ctx)
	if err == nil {
		a.listed()
	}
	return cars, err
}

func (a account) Car(v tesla.Vehicle) (bridge.Reader, bridge.Commander) {
	car := a.client.Car(v)
	switch {
	case a.fleet != nil:
		return car, a.fleet.commander(v.VIN, car)
	case a.feed != nil:
		return a.feed.Car(v.VIN, car, "owner"), car
	}
	return car, car
}
