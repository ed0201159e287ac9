package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tesla2mqtt/tesla"
)

// telemetryLook is how often Tesla is asked whether a car has its configuration.
const telemetryLook = 10 * time.Second

// telemetryOrder is a configuration for a car, and how long to wait until it has it.
type telemetryOrder struct {
	vin    string
	want   tesla.TelemetryConfig
	wait   time.Duration
	asJSON bool
}

// adoption is what became of a configuration.
type adoption string

const (
	adopted      adoption = "taken"
	adoptLater   adoption = "pending"
	adoptDropped adoption = "dropped"
	adoptSkipped adoption = "skipped"
	adoptNoKey   adoption = "missing_key"
)

// telemetryOutcome is what is said of it as JSON.
type telemetryOutcome struct {
	VIN      string                   `json:"vin"`
	Outcome  adoption                 `json:"outcome"`
	Skipped  string                   `json:"skipped,omitempty"` // Tesla's word
	Standing *tesla.TelemetryStanding `json:"standing"`          // null if it was not asked
}

// skips are Tesla's words for cars that cannot have a configuration, with what to do.
var skips = []struct{ word, why, todo string }{
	{"missing_key", "the car does not know the application's key", "run: tesla2mqtt fleet pair, and open the address that it shows on the phone with Tesla's app; then run this again"},
	{"unsupported_hardware", "the car cannot stream", "no update will change that; read it another way: read: api, or read: ble"},
	{"unsupported_firmware", "the car's software is too old", "update the car: 2024.38 is needed, and 2025.20 for a Model S or X with an Intel Atom; then run this again"},
	{"max_configs", "the car has as many configurations as it takes", dropAdvice},
}

const dropAdvice = "take the access from another application that streams from this car, in your Tesla account or by that application; then run this again"

// applyTelemetry signs a configuration, sends it, and waits for the car.
func (a *app) applyTelemetry(ctx context.Context, c *Config, client *tesla.Client, o telemetryOrder) error {
	key, err := loadKey(c)
	if err != nil {
		return &adviceError{err, "it is the key of your application that signs this; make one with: tesla2mqtt fleet keygen"}
	}
	signed, err := key.SignTelemetry(o.want)
	if err != nil {
		return err
	}
	result := telemetryOutcome{VIN: o.vin, Outcome: adoptSkipped}
	if result.Skipped, err = client.ConfigureTelemetry(ctx, o.vin, signed); err != nil {
		if tesla.MayHaveSucceeded(err) {
			return &adviceError{err, "Tesla may have taken it; look with: tesla2mqtt fleet telemetry " + o.vin + ", or run this again, which is harmless"}
		}
		return err
	}
	var fault error
	if result.Skipped != "" {
		fault = skipFault(o.vin, result.Skipped)
	} else {
		fmt.Fprintf(a.err, "Tesla has taken the configuration. Waiting up to %s for the car to fetch it. Ctrl-C ends the waiting alone.\n", o.wait)
		s, became, err := awaitTelemetry(ctx, client, o)
		if err != nil {
			return &adviceError{fmt.Errorf("the configuration is at Tesla; whether the car has it is not known: %w", err), "look with: tesla2mqtt fleet telemetry " + o.vin}
		}
		result.Outcome, result.Standing = became, &s
		fault = adoptionFault(o, became)
	}
	if o.asJSON {
		err = printJSON(a.out, result)
	} else if fault == nil {
		err = o.took(a.out)
	}
	return errors.Join(err, fault)
}

func (o telemetryOrder) took(out io.Writer) error {
	_, err := fmt.Fprintf(out, "%s has the configuration: it streams %d fields to %s:%d\n", o.vin, len(o.want.Fields), o.want.Hostname, o.want.Port)
	return err
}

// skipFault says why Tesla took no configuration for a car.
func skipFault(vin, word string) error {
	for _, s := range skips {
		if s.word == word {
			return &adviceError{fmt.Errorf("no configuration for %s: %s (%s)", vin, s.why, word), s.todo}
		}
	}
	return &adviceError{fmt.Errorf("no configuration for %s: Tesla says %s", vin, plain(word)), "see what Tesla's documentation says of it"}
}

// adoptionFault says what is wrong with an outcome; nil if nothing is.
func adoptionFault(o telemetryOrder, became adoption) error {
	switch became {
	case adopted:
		return nil
	case adoptNoKey:
		return skipFault(o.vin, "missing_key")
	case adoptDropped:
		return &adviceError{fmt.Errorf("%s dropped the configuration that Tesla took: it has as many as it takes", o.vin), dropAdvice}
	}
	return &adviceError{fmt.Errorf("%s has not fetched the configuration from Tesla within %s; %w", o.vin, o.wait, errUnreachable),
		"nothing needs to be sent again: the car fetches it when it next connects, which may be hours later; look with: tesla2mqtt fleet telemetry " + o.vin}
}

// judgeAdoption tells from what Tesla knows of a car what became of a configuration that was sent.
func judgeAdoption(s tesla.TelemetryStanding, want tesla.TelemetryConfig) adoption {
	is := func(b *bool, v bool) bool { return b != nil && *b == v }
	switch {
	case s.Synced && s.Config != nil && s.Config.Same(want):
		return adopted
	case is(s.KeyPaired, false):
		return adoptNoKey
	case s.Synced && s.Config == nil, is(s.LimitReached, true):
		return adoptDropped
	}
	return adoptLater
}

// streams tells how cars stand with their telemetry configuration.
type streams interface {
	Telemetry(ctx context.Context, vin string) (tesla.TelemetryStanding, error)
}

// awaitTelemetry returns when it is known what became of a configuration, or the time is over. What may pass is asked again, and so is
// a dropped one, once: Tesla may not have written it down yet.
func awaitTelemetry(ctx context.Context, of streams, o telemetryOrder) (s tesla.TelemetryStanding, became adoption, err error) {
	end, drops := time.Now().Add(o.wait), 0
	for {
		now, err := of.Telemetry(ctx, o.vin)
		switch {
		case err == nil:
			s, became = now, judgeAdoption(now, o.want)
			if drops++; became != adoptDropped {
				drops = 0
			}
			if became == adopted || became == adoptNoKey || drops == 2 {
				return s, became, nil
			}
		case !errors.Is(err, tesla.ErrTemporary):
			return s, became, err
		}
		if time.Until(end) < telemetryLook {
			return s, became, err
		}
		if err := wait(ctx, telemetryLook); err != nil {
			return s, became, err
		}
	}
}
