package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla"
)

// carLine is a car in the list, for people and as JSON.
type carLine struct {
	VIN      string `json:"vin"`
	Name     string `json:"name"`  // that the car shows, "" if Tesla does not say
	Alias    string `json:"alias"` // of the configuration, "" if it has none
	Served   bool   `json:"served"`
	Commands string `json:"commands"` // possible, signed (by us), signed only, by Bluetooth, off
	// Key tells whether the car knows the key of the Fleet application: paired, missing, or left out where nobody knows.
	Key    tesla.KeyState `json:"key,omitempty"`
	Signer bool           `json:"-"` // its commands are signed with that key, by us or by a proxy
}

func (a *app) vehicles(ctx context.Context, cmd *cli.Command) (err error) {
	if err := takes(cmd, 0, 0); err != nil {
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
	cars, err := w.Vehicles(ctx)
	if err != nil {
		return err
	}
	lines := carLines(c, cars)
	if cmd.Bool("json") {
		return printJSON(a.out, lines)
	}
	return printCars(a.out, lines)
}

func carLines(c *Config, cars []tesla.Vehicle) []carLine {
	lines := []carLine{} // an empty list in JSON, not null
	for _, car := range cars {
		v, named := c.settings(car.VIN)
		line := carLine{VIN: car.VIN, Name: car.Name, Alias: v.Name, Served: named || len(c.Vehicles) == 0, Commands: "possible",
			Key: car.Key, Signer: v.Write == "rest" && c.Tesla.APIURL != "" || signs(c, v, car)}
		switch {
		case v.Write == "none", !c.Commands.Enabled:
			line.Commands = "off"
		case v.toldByRadio():
			line.Commands = "by Bluetooth"
		case signs(c, v, car):
			line.Commands = "signed"
		case car.SignedCommands && v.Write != "rest":
			line.Commands = "signed only"
		}
		lines = append(lines, line)
	}
	return lines
}

func printCars(out io.Writer, lines []carLine) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VIN\tNAME\tALIAS\tSERVED\tCOMMANDS")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.VIN, dash(l.Name), dash(l.Alias), map[bool]string{true: "yes", false: "no"}[l.Served], l.Commands)
	}
	return w.Flush()
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
