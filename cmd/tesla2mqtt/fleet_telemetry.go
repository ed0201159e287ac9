package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/telemetry"
)

// maxChain bounds the file of certificates; a chain has some 5 kB.
const maxChain = 32 << 10

// telemetryFlags are those of fleet telemetry.
func telemetryFlags() []cli.Flag {
	return append(jsonFlag(), &cli.StringFlag{Name: "host"}, &cli.IntFlag{Name: "port", Value: 443}, &cli.StringFlag{Name: "ca"},
		&cli.BoolFlag{Name: "apply"}, &cli.BoolFlag{Name: "remove"}, &cli.DurationFlag{Name: "wait", Value: 2 * time.Minute})
}

// fleetTelemetry shows what a car streams, or would, and makes it so, or ends it.
func (a *app) fleetTelemetry(ctx context.Context, cmd *cli.Command) (err error) {
	c, log, domain, err := a.loadFleet(cmd, 1)
	if err != nil {
		return err
	}
	if err := telemetryUse(cmd); err != nil {
		return err
	}
	source, client, err := openAccount(c, log)
	if err != nil {
		return err
	}
	defer closeAccount(source, &err)
	vin, err := pairedVIN(ctx, c, client, cmd.Args().First(), true)
	if err != nil {
		return err
	}
	switch host := cmd.String("host"); {
	case cmd.Bool("remove"):
		return a.removeTelemetry(ctx, client, vin, cmd.Bool("json"))
	case host == "":
		return a.showTelemetry(ctx, client, vin, cmd.Bool("json"))
	case lastLabels(host) != lastLabels(domain):
		fmt.Fprintf(a.err, "Tesla takes only a server below your application's own domain, which is %s by the configuration: %s is not.\n", domain, host)
	}
	chain, err := readChain(cmd.String("ca"))
	if err != nil {
		return err
	}
	want := tesla.TelemetryConfig{Hostname: cmd.String("host"), Port: cmd.Int("port"), CA: chain, PreferTyped: true, Fields: telemetry.Wanted()}
	if cmd.Bool("apply") {
		return a.applyTelemetry(ctx, c, client, telemetryOrder{vin, want, cmd.Duration("wait"), cmd.Bool("json")})
	}
	return a.planTelemetry(vin, want, cmd.Bool("json"))
}

// telemetryUse tells what cannot be meant together.
func telemetryUse(cmd *cli.Command) error {
	host := cmd.String("host")
	var fault string
	switch {
	case host != "" && !domainForm.MatchString(host):
		fault = "-host " + plain(host) + " is not a name that a car can look up"
	case cmd.Int("port") < 1 || cmd.Int("port") > 65535:
		fault = "-port must be from 1 to 65535"
	case cmd.Bool("remove") && (host != "" || cmd.Bool("apply")):
		fault = "-remove takes neither -host nor -apply"
	case host == "" && (cmd.Bool("apply") || cmd.IsSet("port") || cmd.IsSet("ca")):
		fault = "-host is missing: the name of your fleet-telemetry server"
	case cmd.IsSet("wait") && !cmd.Bool("apply"):
		fault = "-wait is for -apply"
	case cmd.Duration("wait") < 0 || cmd.Duration("wait") > time.Hour:
		fault = "-wait must be from 0s to 1h"
	default:
		return nil
	}
	return &usageError{fault, "see: tesla2mqtt fleet -help"}
}

// lastLabels are the last two of a domain. Those that differ in them have no root in common.
func lastLabels(domain string) string {
	labels := strings.Split(domain, ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

// readChain reads certificates. Nothing else that is in the file gets out of it: it goes to Tesla, and may be shown.
func readChain(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := readBounded(path, maxChain)
	if err != nil {
		return "", fmt.Errorf("-ca: %w", err)
	}
	var chain strings.Builder
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return "", &usageError{"-ca: the file holds a private key, which is nobody's but the server's", "name the file with the server's certificates, such as fullchain.pem"}
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil || block.Type != "CERTIFICATE" {
			return "", &usageError{"-ca: something in the file is not a certificate", "name the file with the server's certificates, such as fullchain.pem"}
		}
		chain.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
	}
	if chain.Len() == 0 {
		return "", &usageError{"-ca: the file holds no certificate in PEM form", "name the file with the server's certificates, such as fullchain.pem"}
	}
	return chain.String(), nil
}

// showTelemetry shows the configuration that there is.
func (a *app) showTelemetry(ctx context.Context, client *tesla.Client, vin string, asJSON bool) error {
	s, err := client.Telemetry(ctx, vin)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.out, s)
	}
	if s.Config == nil {
		fmt.Fprintf(a.out, "server      none\n")
	} else {
		fmt.Fprintf(a.out, "server      %s:%d\nfields      %s\n", plain(s.Config.Hostname), s.Config.Port, fieldsWords(s.Config.Fields))
		if s.Config.Expires != 0 {
			fmt.Fprintf(a.out, "expires     %s\n", time.Unix(s.Config.Expires, 0).UTC().Format(time.RFC3339))
		}
	}
	fmt.Fprintf(a.out, "in the car  %s\n", carWords(s))
	if s.KeyPaired != nil && !*s.KeyPaired {
		fmt.Fprintf(a.out, "key         the car does not know it: tesla2mqtt fleet pair\n")
	}
	if s.LimitReached != nil && *s.LimitReached {
		fmt.Fprintf(a.out, "limit       the car has as many configurations as it takes\n")
	}
	return nil
}

func carWords(s tesla.TelemetryStanding) string {
	switch {
	case s.Config == nil && s.Synced:
		return "nothing of this application: none was sent, or it was removed, or the car dropped it because it has too many"
	case s.Config == nil:
		return "still what was removed, until it next connects to Tesla"
	case !s.Synced:
		return "not yet: it takes this when it next connects to Tesla"
	}
	return "yes"
}

// fieldsWords compares fields with those that are read.
func fieldsWords(there map[string]tesla.TelemetryField) string {
	var missing []string
	for name := range telemetry.Wanted() {
		if _, has := there[name]; !has {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	if len(missing) == 0 {
		return fmt.Sprintf("%d, with all that this program reads", len(there))
	}
	return fmt.Sprintf("%d; this program also reads %s", len(there), strings.Join(missing, ", "))
}

// removed is the outcome of -remove.
type removed struct {
	VIN     string `json:"vin"`
	Removed bool   `json:"removed"` // false: there was none
}

func (a *app) removeTelemetry(ctx context.Context, client *tesla.Client, vin string, asJSON bool) error {
	there, err := client.RemoveTelemetry(ctx, vin)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.out, removed{vin, there})
	}
	words := vin + " had no telemetry configuration of this application"
	if there {
		words = "the telemetry configuration of " + vin + " is removed; the car ends its stream when it next connects to Tesla"
	}
	_, err = fmt.Fprintln(a.out, words)
	return err
}
