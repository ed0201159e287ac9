package main

import (
	"context"
	"log/slog"
	"slices"

	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/tesla/telemetry"
)

// needed looks at the account, if any car needs one, and returns the VINs of the cars that are known.
func (k *checkup) needed(ctx context.Context, usable bool, log *slog.Logger) []string {
	if k.config.cloud() {
		return k.account(ctx, usable, log)
	}
	k.begin("login")
	k.ok("login", "not needed: no car of the configuration is reached by Tesla's cloud")
	var vins []string
	for _, v := range k.config.Vehicles {
		vins = append(vins, v.VIN)
	}
	return vins
}

// telemetryFilters are the topics of the fleet-telemetry server, none if no car is read by it.
func (c *Config) telemetryFilters() []string {
	if len(c.streamed()) == 0 {
		return nil
	}
	return telemetry.Filters(c.Telemetry.BaseTopic)
}

// mayHear tells whether telemetry can arrive, and takes its topics from r: what is said of the others does not hold for them.
func (k *checkup) mayHear(r *mqtt.Rights) {
	filters := k.config.telemetryFilters()
	if len(filters) == 0 {
		return
	}
	theirs := func(f string) bool { return slices.Contains(filters, f) }
	refused, unsure := keep(r.Unreadable, theirs), keep(r.Unsure, theirs)
	for _, list := range []*[]string{&r.Readable, &r.Unreadable, &r.Unsure} {
		*list = slices.DeleteFunc(*list, theirs)
	}
	switch {
	case len(refused) > 0:
		k.fail("telemetry", "the broker refuses this user to read "+some(refused)+", so no telemetry arrives", "let this user read them, in the broker's access rules")
	case len(unsure) == 0:
		k.ok("telemetry", "the broker has stored messages on "+some(filters))
	default:
		k.warn("telemetry", "nothing is stored on "+some(unsure)+": the server publishes elsewhere, or does not retain, or this user may not read it",
			`see telemetry.base_topic, and set "retained": true below mqtt in the server's configuration`)
	}
}

// keep returns what of a list is such, and leaves the list alone.
func keep(list []string, such func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !such(s) })
}
