package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
)

func (a *app) status(ctx context.Context, cmd *cli.Command) (err error) {
	if err := takes(cmd, 0, 1); err != nil {
		return err
	}
	c, log, err := a.load(cmd, "warn")
	if err != nil {
		return err
	}
	w, err := openWays(c, log)
	if err != nil {
		return err
	}
	defer w.close(&err)
	cars, failed := wanted(ctx, w, cmd.Args().First())
	if len(cars) == 0 {
		return failed
	}
	if failed != nil {
		fmt.Fprintln(a.err, failed)
	}
	var all []reading // of several failures the last one decides the exit code
	for _, car := range cars {
		r, err := look(ctx, w, car)
		if err != nil {
			failed = fmt.Errorf("%s: %w", title(car), err)
			fmt.Fprintln(a.err, failed)
		}
		all = append(all, r)
	}
	if cmd.Bool("json") {
		return errors.Join(printJSON(a.out, all), quietly(failed))
	}
	return errors.Join(printReadings(a.out, all), quietly(failed))
}

// wanted returns the car that was named, or all that are served. With an error come those that are there all the same.
func wanted(ctx context.Context, w *ways, name string) ([]tesla.Vehicle, error) {
	if name != "" {
		car, err := w.find(ctx, name)
		if err != nil {
			return nil, err
		}
		return []tesla.Vehicle{car}, nil
	}
	cars, err := w.Vehicles(ctx)
	if cars = served(w.c, cars); len(cars) == 0 && err == nil {
		return nil, errors.New("the account has no car, or none of those in the configuration")
	}
	return cars, err
}

// look reads a car as far as that is possible without waking it.
func look(ctx context.Context, w *ways, car tesla.Vehicle) (reading, error) {
	r := reading{VIN: car.VIN, Name: car.Name}
	reader, _ := w.Car(car)
	settings, _ := w.c.settings(car.VIN)
	source := w.c.source(settings)
	state, err := reader.State(ctx)
	r.Document = bridge.NewDocument(state, nil, source, time.Now())
	if err != nil {
		return r, err
	}
	if state == tesla.StateAsleep || state == tesla.StateOffline {
		return r, unreachable(state)
	}
	if state == tesla.StateUnknown && settings.Read == "ble" {
		return r, &tesla.Error{Class: tesla.ErrOutOfRange} // a second search would not find it either
	}
	charge, err := reader.ChargeState(ctx)
	if err == nil {
		r.Document = bridge.NewDocument(state, &charge, cmp.Or(charge.Source, source), time.Now())
	}
	return r, err
}

// reading is what was learned of a car, with the keys and units of the state topic.
type reading struct {
	VIN  string `json:"vin"`
	Name string `json:"name"` // that the car shows, "" if Tesla does not say
	bridge.Document
}

// units are those of the keys that have one.
var units = map[string]string{
	"battery_level": "%", "usable_battery_level": "%", "charge_limit": "%", "battery_range": "km",
	"charge_amps": "A", "charge_amps_max": "A", "charger_actual_current": "A", "charger_voltage": "V",
	"charger_power": "kW", "charge_energy_added": "kWh", "charge_energy_total": "kWh", "time_to_full": "min",
}

func printReadings(out io.Writer, all []reading) error {
	for i, r := range all {
		if i > 0 {
			fmt.Fprintln(out)
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "vin\t%s\nname\t%s\n", r.VIN, dash(r.Name))
		for _, s := range r.Scalars() {
			if s.Value != "null" {
				fmt.Fprintf(w, "%s\t%s\n", s.Key, strings.TrimSpace(display(s.Value)+" "+units[s.Key]))
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// display returns what a value is to people, whose clocks show local time.
func display(value string) string {
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return t.Local().Format(time.DateTime)
	}
	return value
}
