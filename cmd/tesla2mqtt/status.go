package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v3"

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
	source, client, err := openAccount(c, log)
	if err != nil {
		return err
	}
	defer closeAccount(source, &err)
	cars, err := wanted(ctx, c, client, cmd.Args().First())
	if err != nil {
		return err
	}
	var all []reading
	var failed error // of several cars the last that failed decides the exit code
	for _, car := range cars {
		r, err := look(ctx, client, car)
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

// wanted returns the car that was named, or all that are served.
func wanted(ctx context.Context, c *Config, client *tesla.Client, name string) ([]tesla.Vehicle, error) {
	cars, err := client.Vehicles(ctx)
	if err != nil {
		return nil, err
	}
	if name != "" {
		car, err := findCar(c, cars, name)
		return []tesla.Vehicle{car}, err
	}
	cars = served(c, cars)
	if len(cars) == 0 {
		return nil, errors.New("the account has no car, or none of those in the configuration")
	}
	return cars, nil
}

// look reads a car as far as that is possible without waking it.
func look(ctx context.Context, client *tesla.Client, car tesla.Vehicle) (reading, error) {
	r := reading{car: car, state: tesla.StateUnknown}
	state, err := client.State(ctx, car.ID)
	if err != nil {
		return r, err
	}
	r.state = state
	if state == tesla.StateAsleep || state == tesla.StateOffline {
		return r, unreachable(state)
	}
	r.charge, err = client.ChargeState(ctx, car.ID)
	return r, err
}

// reading is what was learned of a car. Keys that also stand in the state topic have the same value and unit there.
type reading struct {
	car    tesla.Vehicle
	state  tesla.VehicleState
	charge tesla.ChargeState
}

// row is one key; the value is a pointer, nil if the car did not tell, or a text.
type row struct {
	key   string
	value any
	unit  string
}

const kmPerMile = 1.609344

func (r reading) rows() []row {
	c := r.charge
	return []row{
		{"vin", r.car.VIN, ""}, {"name", r.car.Name, ""}, {"vehicle_state", string(r.state), ""},
		{"charging_state", words(c.ChargingState), ""},
		{"battery_level", c.BatteryLevel, "%"}, {"usable_battery_level", c.UsableBatteryLevel, "%"},
		{"battery_range", km(c.BatteryRange), "km"}, {"charge_limit", c.ChargeLimitSOC, "%"},
		{"charge_amps", c.ChargeAmps, "A"}, {"charge_amps_max", c.ChargeCurrentRequestMax, "A"},
		{"charger_actual_current", c.ChargerActualCurrent, "A"}, {"charger_voltage", c.ChargerVoltage, "V"},
		{"tesla_charger_power", c.ChargerPower, "kW, cut to a whole number by Tesla"},
		{"charge_energy_added", c.ChargeEnergyAdded, "kWh"}, {"time_to_full", c.MinutesToFullCharge, "min"},
		{"fast_charger", c.FastChargerPresent, ""}, {"scheduled_start", c.ScheduledChargingStartTime, ""},
		{"last_update", timestamp(c.Timestamp), ""},
	}
}

// MarshalJSON keeps the order of the rows and has every key.
func (r reading) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, row := range r.rows() {
		b.WriteByte("{,"[min(i, 1)])
		value, err := json.Marshal(row.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", row.key, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func printReadings(out io.Writer, all []reading) error {
	for i, r := range all {
		if i > 0 {
			fmt.Fprintln(out)
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, row := range r.rows() {
			if text := display(row.value); text != "" {
				fmt.Fprintf(w, "%s\t%s\n", row.key, joinUnit(text, row.unit))
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// display returns what a value is to people, "" for one that was not told.
func display(v any) string {
	value := reflect.ValueOf(v)
	if value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return ""
		}
		v = value.Elem().Interface()
	}
	if t, ok := v.(time.Time); ok {
		return t.Local().Format(time.DateTime)
	}
	return fmt.Sprint(v)
}

func joinUnit(text, unit string) string {
	if unit == "" {
		return text
	}
	return text + " " + unit
}

// words turns Tesla's CamelCase into the words of the state topic.
func words(camel string) *string {
	if camel == "" {
		return nil
	}
	var out []rune
	for i, r := range camel {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				out = append(out, '_')
			}
			r += 'a' - 'A'
		}
		out = append(out, r)
	}
	return new(string(out))
}

func km(miles *float64) *float64 {
	if miles == nil {
		return nil
	}
	return new(math.Round(*miles*kmPerMile*10) / 10)
}

func timestamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC().Truncate(time.Second))
}
