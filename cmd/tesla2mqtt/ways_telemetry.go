package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/telemetry"
)

// listen makes the feed of the cars that are read by telemetry, for a bridge that runs. It returns the topics to subscribe to.
func (w *ways) listen() (filters []string) {
	vins := w.c.streamed()
	if len(vins) == 0 {
		return nil
	}
	t := w.c.Telemetry
	w.feed = telemetry.NewFeed(t.BaseTopic, vins, t.SilentAfter)
	return telemetry.Filters(t.BaseTopic)
}

// hear takes what came by MQTT, and tells whether it was telemetry.
func (w *ways) hear(topic string, payload []byte, retained bool) bool {
	return w.feed != nil && w.feed.Deliver(topic, payload, retained)
}

// tallyEvery is how often is written down what has streamed: so much a crash loses of a figure that holds nothing back.
const tallyEvery = 5 * time.Minute

// tally counts the signals that come until ctx ends, where what Tesla bills is counted.
func (w *ways) tally(ctx context.Context) {
	if w.feed == nil || w.meter == nil {
		return
	}
	ticker, counted := time.NewTicker(tallyEvery), int64(0)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
		if came := w.feed.Signals(); came > counted {
			// An error is that of a file, which the meter reports itself, and makes up for.
			_ = w.meter.Stream(context.WithoutCancel(ctx), came-counted)
			counted = came
		}
	}
}

// streamed is the reader of a car that is read by telemetry. api is asked where the stream is silent; nil if there is none.
// Subcommands that look at a car once have no feed, so they ask the API too.
func (w *ways) streamed(vin string, api bridge.Reader) bridge.Reader {
	switch {
	case w.feed != nil && api != nil:
		return w.feed.Car(vin, api, w.c.Tesla.API)
	case w.feed != nil:
		return w.feed.Car(vin, nil, "")
	case api != nil:
		return named{api, w.c.Tesla.API}
	}
	settings, _ := w.c.settings(vin)
	return deaf{w.c.MQTT.BaseTopic + "/" + cmp.Or(settings.Name, vin) + "/state"}
}

// named is a reader that names itself as the source, where the configuration names another.
type named struct {
	bridge.Reader
	source string
}

func (n named) ChargeState(ctx context.Context) (tesla.ChargeState, error) {
	c, err := n.Reader.ChargeState(ctx)
	c.Source = n.source
	return c, err
}

// deaf is a car that only a running bridge hears of, which publishes it on topic.
type deaf struct{ topic string }

var errDeaf = errors.New("it is read by telemetry alone, which only a running bridge hears")

func (d deaf) why() error {
	return &adviceError{errDeaf, "look at what the bridge publishes: mosquitto_sub -h BROKER -C 1 -t " + d.topic}
}

func (d deaf) State(context.Context) (tesla.VehicleState, error) { return tesla.StateUnknown, d.why() }
func (d deaf) ChargeState(context.Context) (tesla.ChargeState, error) {
	return tesla.ChargeState{}, d.why()
}

// untold is the commander of a car without a way to command it: write is none.
type untold struct{}

func (untold) Can(tesla.Thing) error                   { return errUntold }
func (untold) Do(context.Context, tesla.Command) error { return errUntold }

var errUntold = errors.New("this car is not commanded from here (write: none)")
