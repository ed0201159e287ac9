package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla/ble"
	"tesla2mqtt/tesla/enroll"
)

// bleCommand is the subcommand for Bluetooth, which has subcommands of its own.
func (a *app) bleCommand() *cli.Command {
	c := &cli.Command{Name: "ble", Action: bleWhat, HideHelpCommand: true, Commands: []*cli.Command{
		{Name: "keygen", Action: a.bleKeygen},
		{Name: "scan", Action: a.bleScan, Flags: jsonFlag()},
		{Name: "enroll", Action: a.bleEnroll},
	}}
	for _, sub := range c.Commands {
		sub.CustomHelpTemplate, sub.OnUsageError, sub.HideHelpCommand = usageOf(c.Name), wrongUsage, true
		sub.Hidden = true // or the library would show a help of its own
	}
	c.ShellComplete = func(context.Context, *cli.Command) { fmt.Fprintln(a.out, "keygen\nscan\nenroll") }
	return c
}

// bleWhat is what runs without one of them.
func bleWhat(_ context.Context, c *cli.Command) error {
	message := "ble: no subcommand was given"
	if name := c.Args().First(); name != "" {
		message = "ble: there is no subcommand " + plain(name)
	}
	return &usageError{message, "it is one of keygen, scan, enroll; see: tesla2mqtt ble -help"}
}

// bleKeygen makes the key. It never replaces one: cars know the old one.
func (a *app) bleKeygen(_ context.Context, cmd *cli.Command) error {
	if err := takes(cmd, 0, 0); err != nil {
		return err
	}
	c, _, err := a.load(cmd, "warn")
	if err != nil {
		return err
	}
	if err := refuseRoot(c.StateDir); err != nil {
		return err
	}
	path := c.bleKeyFile()
	err = enroll.Generate(path)
	if errors.Is(err, fs.ErrExist) {
		return &adviceError{fmt.Errorf("there is a key already, %s, and it was left alone", path),
			"use it; or, if it is to be worth nothing any more, take it out of the cars (Controls, Locks) and delete the file"}
	}
	if err != nil {
		return fmt.Errorf("make the key: %w", err)
	}
	fmt.Fprintf(a.err, "A new private key, which only you can read (mode 0600).%s Next: tesla2mqtt ble enroll CAR\n", restartFor(c.StateDir))
	_, err = fmt.Fprintln(a.out, path)
	return err
}

// sighted is a car in the list of a scan, for people and as JSON.
type sighted struct {
	VIN     string `json:"vin"`   // "" for a car that the configuration does not name
	Alias   string `json:"alias"` // of the configuration, "" if it has none
	Name    string `json:"name"`  // on the air
	Address string `json:"address"`
	RSSI    *int   `json:"rssi"` // dBm; null for a car that was not heard
}

func (a *app) bleScan(ctx context.Context, cmd *cli.Command) error {
	if err := takes(cmd, 0, 0); err != nil {
		return err
	}
	c, _, err := a.load(cmd, "warn")
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "Listening by %s for 10 seconds ...\n", c.BLE.Adapter)
	found, err := ble.NewRadio(c.BLE.Adapter).Scan(ctx)
	if err != nil {
		return radioError(err, false)
	}
	list := heardCars(c, found)
	if cmd.Bool("json") {
		return printJSON(a.out, list)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VIN\tALIAS\tNAME\tSIGNAL")
	for _, h := range list {
		signal := "not heard"
		if h.RSSI != nil {
			signal = fmt.Sprintf("%d dBm", *h.RSSI)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", dash(h.VIN), dash(h.Alias), h.Name, signal)
	}
	return w.Flush()
}

// heardCars puts together what was heard and what the configuration names. Nobody can tell a VIN from a name on the air, only
// the other way round.
func heardCars(c *Config, found []ble.Sighting) []sighted {
	list := []sighted{}
	for _, v := range c.Vehicles {
		h := sighted{VIN: v.VIN, Alias: v.Name, Name: ble.LocalName(v.VIN)}
		if i := slices.IndexFunc(found, func(s ble.Sighting) bool { return s.Name == h.Name }); i >= 0 {
			h.Address, h.RSSI = found[i].Address, new(found[i].RSSI)
			found = slices.Delete(slices.Clone(found), i, i+1)
		}
		list = append(list, h)
	}
	for _, s := range found {
		list = append(list, sighted{Name: s.Name, Address: s.Address, RSSI: new(s.RSSI)})
	}
	return list
}

// nearVIN returns the VIN that a person means by a VIN or a name of the configuration, and what to call the car.
func nearVIN(c *Config, name string) (vin, title string, err error) {
	if v, named := c.settings(name); named {
		return v.VIN, cmp.Or(v.Name, v.VIN), nil
	}
	if vin := strings.ToUpper(name); vinForm.MatchString(vin) {
		return vin, vin, nil
	}
	return "", "", &usageError{"no car of the configuration is called " + plain(name), "name it by its VIN, or add it under vehicles"}
}
