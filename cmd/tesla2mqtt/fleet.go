package main

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla"
)

var domainForm = regexp.MustCompile(`^([a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}$`)

// fleet does what only somebody with an application of his own needs.
func (a *app) fleet(ctx context.Context, cmd *cli.Command) error {
	if err := takes(cmd, 2, 2); err != nil {
		return err
	}
	domain := cmd.Args().Get(1)
	if cmd.Args().First() != "register" {
		return &usageError{"fleet has no " + plain(cmd.Args().First()), "see: tesla2mqtt fleet -help"}
	}
	if !domainForm.MatchString(domain) {
		return &usageError{plain(domain) + " is not a domain", "such as: tesla2mqtt fleet register my.example"}
	}
	c, log, err := a.load(cmd, "warn")
	if err != nil {
		return err
	}
	if c.Tesla.API != "fleet" || c.clientSecret.Reveal() == "" {
		return &usageError{"this needs tesla.api: fleet and the client secret", "see docs/fleet.md, config.example.yaml and tesla.client_secret_file"}
	}
	return a.register(ctx, c, log, domain)
}

// register does it in the application's own name: no login is needed, and none is touched.
func (a *app) register(ctx context.Context, c *Config, log *slog.Logger, domain string) (err error) {
	source, _, err := openAccount(c, log)
	if err != nil {
		return err
	}
	defer closeAccount(source, &err)
	partner, err := source.Partner(ctx)
	if err != nil {
		return fmt.Errorf("register %s: %w", domain, err)
	}
	if err := tesla.NewFleetClient(partner, source.APIURL).Register(ctx, domain); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s is registered with the Fleet API of region %s; next: tesla2mqtt login\n", domain, c.Tesla.Region)
	return err
}
