package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
)

// hostedAt is where Tesla, and the phones of owners, look for an application's public key.
const hostedAt = "/.well-known/appspecific/com.tesla.3p.public-key.pem"

// domainForm is a host name as Tesla wants it: in lower case, with a dot, and no address.
var domainForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)

// fleetCommand is the subcommand for setting the Fleet API up, which has subcommands of its own. Each may be run again.
func (a *app) fleetCommand() *cli.Command {
	domain := &cli.StringFlag{Name: "domain"}
	c := &cli.Command{Name: "fleet", Action: fleetWhat, HideHelpCommand: true, Commands: []*cli.Command{
		{Name: "keygen", Action: a.fleetKeygen, Flags: []cli.Flag{domain, &cli.StringFlag{Name: "out"}}},
		{Name: "register", Action: a.fleetRegister, Flags: append(jsonFlag(), domain)},
		{Name: "pair", Action: a.fleetPair, Flags: append(jsonFlag(), domain, &cli.BoolFlag{Name: "wait"})},
		{Name: "status", Action: a.fleetStatus, Flags: append(jsonFlag(), domain)},
		{Name: "telemetry", Action: a.fleetTelemetry, Flags: append(telemetryFlags(), domain)},
	}}
	var names []string
	for _, sub := range c.Commands {
		names = append(names, sub.Name)
		sub.CustomHelpTemplate, sub.OnUsageError, sub.HideHelpCommand = usageOf(c.Name), wrongUsage, true
		sub.Hidden = true // or the library would show a help of its own
	}
	c.ShellComplete = func(context.Context, *cli.Command) { fmt.Fprintln(a.out, strings.Join(names, "\n")) }
	return c
}

// fleetWhat is what runs without one of them.
func fleetWhat(_ context.Context, c *cli.Command) error {
	message := "fleet: no subcommand was given"
	if name := c.Args().First(); name != "" {
		message = "fleet: there is no subcommand " + plain(name)
	}
	return &usageError{message, "it is one of keygen, register, pair, status, telemetry; see: tesla2mqtt fleet -help"}
}

// loadFleet is load for the subcommands of fleet. domain is where the application's key is to be found.
func (a *app) loadFleet(cmd *cli.Command, most int) (c *Config, log *slog.Logger, domain string, err error) {
	if err := takes(cmd, 0, most); err != nil {
		return nil, nil, "", err
	}
	if c, log, err = a.load(cmd, "warn"); err != nil {
		return nil, nil, "", err
	}
	if c.Tesla.API != "fleet" {
		return nil, nil, "", &usageError{"the configuration is for the Owner API, which needs none of this", "set tesla.api: fleet, and see docs/setup-fleet.md"}
	}
	domain = cmp.Or(cmd.String("domain"), c.redirectDomain())
	if !domainForm.MatchString(domain) {
		return nil, nil, "", &usageError{plain(domain) + " is not a domain that Tesla takes", "name yours in lower case, without https:// and path, by -domain or as the host of tesla.redirect_url"}
	}
	return c, log, domain, nil
}

// redirectDomain is the host of tesla.redirect_url.
func (c *Config) redirectDomain() string {
	u, err := url.Parse(c.Tesla.RedirectURL)
	if err != nil {
		return "" // the configuration was checked for this
	}
	return strings.ToLower(u.Hostname())
}

// errNoSecret is for what only the application itself may ask, and no user's login.
var errNoSecret = errors.New("no client secret is configured, and without it Tesla does not let an application ask about itself")

// openPartner gets a token of the application, and with it what manages its registration in the region of the configuration. The
// login is not touched, and none is needed.
func openPartner(ctx context.Context, c *Config, source *auth.Source) (*tesla.Partner, error) {
	if c.clientSecret.Reveal() == "" {
		return nil, &adviceError{errNoSecret, "name its file in tesla.client_secret_file, or set TESLA_CLIENT_SECRET, for as long as this takes"}
	}
	h, err := source.Partner(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for a token of the application: %w", err)
	}
	return tesla.NewPartner(h, source.APIURL()), nil
}
