package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla"
)

// The keys that may be registered.
const (
	keyOurs    = "ours"
	keyAnother = "another"
	keyNone    = "none"
	keySome    = "some" // tesla.key_file is empty, so there is none to compare it with
	keyUnknown = "unknown"
)

// registration is how an application stands with a region of the Fleet API.
type registration struct {
	Domain string `json:"domain"`
	Region string `json:"region"`
	Key    string `json:"key"` // that is registered: ours, another, none, some, unknown
	err    error  // why it is unknown
}

func (a *app) fleetRegister(ctx context.Context, cmd *cli.Command) (err error) {
	c, log, domain, err := a.loadFleet(cmd, 0)
	if err != nil {
		return err
	}
	if c.Tesla.KeyFile != "" { // a key that cannot be used is better known before than after
		if _, err := loadKey(c); err != nil {
			return &adviceError{err, "make one with: tesla2mqtt fleet keygen"}
		}
	}
	source, _, err := openAccount(c, log)
	if err != nil {
		return err
	}
	defer closeAccount(source, &err)
	partner, err := openPartner(ctx, c, source)
	if err != nil {
		return err
	}
	fault := partner.Register(ctx, domain)
	if fault != nil && !errors.Is(fault, tesla.ErrKeyTaken) { // which is also said where it is registered for this very application
		return hostedAdvice(fault, domain)
	}
	r := registered(ctx, c, partner, domain)
	switch {
	case fault != nil && r.Key != keyOurs:
		return fault
	case r.Key == keyAnother:
		return &adviceError{fmt.Errorf("%s is registered in %s with another key than that of tesla.key_file", domain, r.Region),
			"put the one that tesla2mqtt fleet keygen shows on your domain, and run this again; what is there: curl -fsS https://" + domain + hostedAt}
	case r.Key == keyNone:
		return fmt.Errorf("the registration was taken, and now Tesla says that there is none for %s", domain)
	case r.err != nil:
		fmt.Fprintf(a.err, "Tesla took the registration; with which key could not be asked: %v\n", r.err)
	}
	if cmd.Bool("json") {
		return printJSON(a.out, r)
	}
	fmt.Fprintf(a.err, "Next: tesla2mqtt login\n")
	_, err = fmt.Fprintln(a.out, r.words())
	return err
}

// registered asks how it stands.
func registered(ctx context.Context, c *Config, partner *tesla.Partner, domain string) registration {
	r := registration{Domain: domain, Region: c.Tesla.Region, Key: keyUnknown}
	point, err := partner.PublicKey(ctx, domain)
	if err != nil {
		r.err = err
		return r
	}
	ours, err := loadKey(c)
	switch {
	case point == nil:
		r.Key = keyNone
	case c.Tesla.KeyFile == "":
		r.Key = keySome
	case err != nil:
		r.err = err
	case bytes.Equal(point, ours.Public()):
		r.Key = keyOurs
	default:
		r.Key = keyAnother
	}
	return r
}

// words is a registration for people.
func (r registration) words() string {
	text := fmt.Sprintf("%s is registered in %s, ", r.Domain, r.Region)
	switch r.Key {
	case keyOurs:
		return text + "with the key of tesla.key_file"
	case keyAnother:
		return text + "with another key than that of tesla.key_file"
	case keySome:
		return text + "with a key; tesla.key_file is empty"
	case keyNone:
		return fmt.Sprintf("%s is not registered in %s", r.Domain, r.Region)
	}
	return fmt.Sprintf("how %s is registered in %s is not known", r.Domain, r.Region)
}

// hostedAdvice adds how a person sees what Tesla sees: this program does not dial the domain itself.
func hostedAdvice(err error, domain string) error {
	if !errors.Is(err, tesla.ErrKeyNotHosted) {
		return err
	}
	return &adviceError{err, "this must show the public key, from anywhere and without a redirect: curl -fsS https://" + domain + hostedAt}
}
