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
	return k.config.streamed()
}

// telemetryFilters are the topics of the fleet-telemetry server, none if no car is read by it.
func (c *Config) telemetryFilters() []string {
	if len(c.streamed()) == 0 {
		return nil
	}
	return telemetry.Filters(c.Telemetry.BaseTopic)
}

// mayHear tells whether telemetry can arrive, and returns the rights to read everything else.
func (k *checkup) mayHear(r mqtt.Rights) mqtt.Rights {
	filters := k.config.telemetryFilters()
	if len(filters) == 0 {
		return r
	}
	theirs := func(list []string) (ours, rest []string) {
		for _, f := range list {
			if slices.Contains(filters, f) {
				ours = append(ours, f)
			} else {
				rest = append(rest, f)
			}
		}
		return ours, rest
	}
	readable, unreadable, unsure := []string(nil), []string(nil), []string(nil)
	readable, r.Readable = theirs(r.Readable)
	unreadable, r.Unreadable = theirs(r.Unreadable)
	unsure, r.Unsure = theirs(r.Unsure)
	switch {
	case len(unreadable) > 0:
		k.fail("telemetry", "the broker refuses this user to read "+some(unreadable)+", so no telemetry arrives", "let this user read them, in the broker's access rules")
	case len(unsure) == 0:
		k.ok("telemetry", "the broker has stored messages on "+some(readable))
	case r.Open:
		k.ok("telemetry", "this user may read "+some(filters)+"; nothing is stored on "+some(unsure))
	default:
		k.warn("telemetry", "nothing is stored on "+some(unsure)+", so it cannot be found out whether it would arrive",
			`set "retained": true for MQTT in the fleet-telemetry server, or see that the car's values change while the bridge runs`)
	}
	return r
}
