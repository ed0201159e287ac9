package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/meter"
)

// standing is how the set-up stands, for people and as JSON.
type standing struct {
	Key          keyStanding   `json:"key"`
	Registration registration  `json:"registration"`
	Cars         []carStanding `json:"cars"`     // null if Tesla could not be asked
	Bill         meter.Report  `json:"bill"`     // of this month, as counted here
	Problems     []string      `json:"problems"` // why something could not be told
}

type keyStanding struct {
	File   string `json:"file"`
	Public string `json:"public"` // PEM; "" if there is none
}

// carStanding is a car of the account. What is null or "" was not told.
type carStanding struct {
	VIN            string         `json:"vin"`
	Name           string         `json:"name"`
	Key            tesla.KeyState `json:"key"`
	SignedCommands *bool          `json:"signed_commands"`
	Firmware       string         `json:"firmware"`
	Telemetry      string         `json:"telemetry"`
	Keys           *int           `json:"keys"`
}

func (a *app) fleetStatus(ctx context.Context, cmd *cli.Command) (err error) {
	c, log, domain, err := a.loadFleet(cmd, 0)
	if err != nil {
		return err
	}
	source, client, err := openAccount(c, log) // whatever way the cars go: a streaming one needs all of it too
	if err != nil {
		return err
	}
	defer closeAccount(source, &err)
	s := standing{Key: keyStanding{File: c.Tesla.KeyFile}, Registration: registration{Domain: domain, Region: c.Tesla.Region, Key: keyUnknown}, Problems: []string{}}
	var faults []error
	trouble := func(err error) {
		faults = append(faults, err)
		s.Problems = append(s.Problems, err.Error())
	}
	cars, unlisted := client.Vehicles(ctx)
	if key, err := loadKey(c); err == nil {
		s.Key.Public, err = key.PublicPEM()
		if err != nil {
			trouble(err)
		}
	} else if c.Tesla.KeyFile != "" || c.wantsKey(cars) {
		trouble(err)
	}
	if s.Bill, err = c.bill(c.paying(cars)); err != nil {
		trouble(err)
	}
	partner, err := openPartner(ctx, c, source)
	if err == nil {
		s.Registration = registered(ctx, c, partner, domain)
		err = s.Registration.err
	}
	if errors.Is(err, errNoSecret) { // it may have been moved away, as only a login and a registration need it
		s.Registration.err = err
	} else if err != nil {
		trouble(err)
	}
	if unlisted != nil {
		trouble(unlisted)
	} else {
		s.Cars = carStandings(cars, client)
	}
	if cmd.Bool("json") {
		err = printJSON(a.out, s)
	} else {
		err = s.print(a.out)
	}
	if err != nil || len(faults) == 0 {
		return err
	}
	last := len(faults) - 1 // which is that of the login, if there is one
	for _, fault := range faults[:last] {
		complain(a.err, fault)
	}
	return faults[last]
}

// wantsKey tells that commands to one of the cars have to be signed by this program.
func (c *Config) wantsKey(cars []tesla.Vehicle) bool {
	return slices.ContainsFunc(cars, func(car tesla.Vehicle) bool {
		v, named := c.settings(car.VIN)
		return (named || len(c.Vehicles) == 0) && v.Write == "auto" && car.SignedCommands
	})
}

// bill is what the month has cost, by the count that all processes share, for so many cars.
func (c *Config) bill(cars int) (meter.Report, error) {
	m, err := c.meter(func() int { return cars })
	if err != nil {
		return meter.Report{}, stateFault(c.StateDir, err)
	}
	return m.Report(), m.Close()
}

// carStandings is what the list and the question about all its cars have told. No car was asked.
func carStandings(cars []tesla.Vehicle, client *tesla.Client) []carStanding {
	list := []carStanding{}
	for _, car := range cars {
		s, _ := client.Known(car.VIN)
		list = append(list, carStanding{VIN: car.VIN, Name: car.Name, Key: s.Key, SignedCommands: s.SignedCommands,
			Firmware: s.Firmware, Telemetry: s.Telemetry, Keys: s.Keys})
	}
	return list
}

func (s standing) print(out io.Writer) error {
	there := "there is none"
	if s.Key.Public != "" {
		there = s.Key.File
	}
	registration := s.Registration.words()
	if errors.Is(s.Registration.err, errNoSecret) {
		registration = "not asked: that takes the client secret"
	}
	fmt.Fprintf(out, "key           %s\nregistration  %s\n", there, registration)
	for _, f := range judgeBudget(s.Bill) {
		fmt.Fprintf(out, "this month    %s\n", f.Message)
	}
	if s.Cars == nil {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VIN\tNAME\tKEY\tCOMMANDS\tFIRMWARE\tTELEMETRY\tKEYS")
	for _, car := range s.Cars {
		commands, keys := "-", "-"
		if car.SignedCommands != nil {
			commands = map[bool]string{true: "signed", false: "unsigned"}[*car.SignedCommands]
		}
		if car.Keys != nil {
			keys = fmt.Sprint(*car.Keys)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", car.VIN, dash(car.Name), dash(string(car.Key)), commands, dash(car.Firmware), dash(car.Telemetry), keys)
	}
	return w.Flush()
}
