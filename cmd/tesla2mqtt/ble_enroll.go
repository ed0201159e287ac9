package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/ble"
	"tesla2mqtt/tesla/enroll"
	"tesla2mqtt/tesla/signed"
)

const (
	// cardPatience is how long the person has for the card, askAgain after how long the car is asked once more, and cardLook
	// how often it is looked whether the car has taken the key.
	cardPatience = 2 * time.Minute
	askAgain     = 25 * time.Second
	cardLook     = 2 * time.Second
)

// enrollText comes before the car is asked. The argument is the car.
const enrollText = `%s does not know this key yet. It is being asked to take it as a charging manager's, which may read the car and command its
charging, and can neither open nor drive it. You decide that at the car, and can take the key out there again (Controls, Locks).

Sit in the car, within 2 minutes:
1. Hold a key card to the reader, behind the cup holders or on the left of the phone charger.
2. If the screen asks, confirm the new key.
Nothing shows on the screen before the card. Waiting ...
`

func (a *app) bleEnroll(ctx context.Context, cmd *cli.Command) error {
	if err := takes(cmd, 1, 1); err != nil {
		return err
	}
	c, _, err := a.load(cmd, "warn")
	if err != nil {
		return err
	}
	vin, name, err := nearVIN(c, cmd.Args().First())
	if err != nil {
		return err
	}
	key, err := signed.LoadKey(c.bleKeyFile())
	if err != nil {
		return &adviceError{fmt.Errorf("%s: %w", c.bleKeyFile(), err), "make the key with: tesla2mqtt ble keygen"}
	}
	link := ble.NewRadio(c.BLE.Adapter).Link(vin)
	defer link.Close()
	e := enrolment{link, key.Public(), name, a.err}
	already, err := e.run(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if already {
		_, err = fmt.Fprintf(a.out, "%s: the car knows this key already\n", name)
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s: the car has taken the key\n", name)
	return err
}

// enrolment is the asking of one car.
type enrolment struct {
	link   *ble.Link
	public []byte
	name   string
	talk   io.Writer
}

// run asks, and waits until the car knows the key. already tells that it knew it before.
func (e enrolment) run(ctx context.Context) (already bool, err error) {
	known, err := e.known(ctx)
	if err != nil || known {
		return known, err
	}
	fmt.Fprintf(e.talk, enrollText, e.name)
	var asked time.Time
	for began := time.Now(); time.Since(began) < cardPatience; {
		if time.Since(asked) >= askAgain {
			if err = e.ask(ctx); err == nil {
				asked = time.Now()
			}
		}
		if err := wait(ctx, cardLook); err != nil {
			return false, err
		}
		if known, err = e.known(ctx); known {
			return false, nil
		}
	}
	if err != nil {
		return false, err
	}
	return false, &adviceError{errors.New("no key card was held to the reader in time, so the car has not taken the key"), "run this again, with the card at hand"}
}

func (e enrolment) known(ctx context.Context) (known bool, err error) {
	err = e.over(ctx, func(ctx context.Context) error {
		known, err = enroll.Known(ctx, lasting{e.link}, e.public)
		return err
	})
	return known, err
}

func (e enrolment) ask(ctx context.Context) error {
	return e.over(ctx, func(ctx context.Context) error { return enroll.Ask(ctx, lasting{e.link}, e.public) })
}

// over does something while there is a connection.
func (e enrolment) over(ctx context.Context, do func(context.Context) error) error {
	using, done, err := e.link.Use(ctx)
	if err != nil {
		return radioError(err, false)
	}
	defer done()
	err = do(using)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, enroll.ErrNoAnswer):
		return &tesla.Error{Class: tesla.ErrNoLink, Text: err.Error()}
	}
	if _, ok := errors.AsType[*ble.Error](err); ok {
		return radioError(err, false)
	}
	return err
}
