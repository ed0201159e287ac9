package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla"
)

// pairPatience is how long a person has on the phone, and pairLook how often Tesla is asked meanwhile.
const (
	pairPatience = 10 * time.Minute
	pairLook     = 15 * time.Second
)

// pairing is the way to put the application's key into a car.
type pairing struct {
	Link string         `json:"link"`
	VIN  string         `json:"vin"`           // "": that which is selected in the app
	Key  tesla.KeyState `json:"key,omitempty"` // as seen with -wait
}

const pairText = `Open this address on the phone that has Tesla's app, as the owner of the car, and let the app add the key. It is a key of
your application: with it, commands of this program are signed. The app gives it more than charging, and nobody can choose less;
what your login allows still ends at charging. To take it out again: Controls, Locks, in the car.

`

func (a *app) fleetPair(ctx context.Context, cmd *cli.Command) (err error) {
	c, log, domain, err := a.loadFleet(cmd, 1)
	if err != nil {
		return err
	}
	source, client, err := openAccount(c, log)
	if err != nil {
		return err
	}
	defer closeAccount(source, &err)
	wait := cmd.Bool("wait")
	p := pairing{}
	if p.VIN, err = pairedVIN(ctx, c, client, cmd.Args().First(), wait); err != nil {
		return err
	}
	p.Link = "https://tesla.com/_ak/" + domain
	if p.VIN != "" {
		p.Link += "?vin=" + url.QueryEscape(p.VIN)
	}
	if !cmd.Bool("json") {
		if err := a.showLink(p.Link); err != nil {
			return err
		}
	}
	if wait {
		if err := awaitKey(ctx, client, p.VIN, a.err); err != nil {
			return err
		}
		p.Key = tesla.KeyPaired
	}
	if cmd.Bool("json") {
		return printJSON(a.out, p)
	}
	if wait {
		_, err = fmt.Fprintf(a.out, "%s knows the key\n", p.VIN)
	}
	return err
}

// pairedVIN returns the car that is meant. The account is asked only if the configuration does not tell.
func pairedVIN(ctx context.Context, c *Config, client *tesla.Client, name string, needed bool) (string, error) {
	if v, named := c.settings(name); named {
		return v.VIN, nil
	}
	if vin := strings.ToUpper(name); vinForm.MatchString(vin) {
		return vin, nil
	}
	if name == "" && !needed {
		return "", nil
	}
	cars, err := client.Vehicles(ctx)
	if err != nil {
		return "", err
	}
	if cars := served(c, cars); name == "" && len(cars) == 1 {
		return cars[0].VIN, nil
	} else if name == "" {
		return "", &usageError{"this is for one car, and there are several", "name it: " + listed(c, cars)}
	}
	car, err := findCar(c, cars, name)
	return car.VIN, err
}

// showLink shows the link, and on a terminal also what a phone can take from the screen.
func (a *app) showLink(link string) error {
	fmt.Fprint(a.err, pairText)
	if screen, ok := a.out.(*os.File); ok && isTerminal(screen) {
		code, err := drawQR(link)
		if err != nil {
			return err
		}
		fmt.Fprint(a.out, code, "\n")
	}
	_, err := fmt.Fprintln(a.out, link)
	return err
}

// isTerminal tells whether a person looks at a file.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// asker tells how cars stand with the application's key.
type asker interface {
	FleetStatus(ctx context.Context, vins []string) ([]tesla.FleetStatus, error)
}

// awaitKey returns when the car knows the key, or nil came of it in time. What may pass is asked again.
func awaitKey(ctx context.Context, of asker, vin string, talk io.Writer) error {
	end := time.Now().Add(pairPatience)
	var failed error
	for first := true; ; first = false {
		all, err := of.FleetStatus(ctx, []string{vin})
		switch {
		case err == nil && all[0].Key == tesla.KeyPaired:
			return nil
		case err != nil && !errors.Is(err, tesla.ErrTemporary):
			return err
		}
		if failed = err; first {
			fmt.Fprintf(talk, "Waiting until %s for the car to know the key. Ctrl-C ends this; the address stays good.\n", end.Format(time.TimeOnly))
		}
		if time.Until(end) < pairLook {
			break
		}
		if err := wait(ctx, pairLook); err != nil {
			return err
		}
	}
	return &adviceError{cmp.Or(failed, fmt.Errorf("%s does not know the key yet", vin)),
		"on the phone: is it the owner's app, with this car? Is the public key still on the domain? Then run this again"}
}
