package main

import (
	"regexp"
	"time"
)

// These tables say which values a key may have. The checks use them, and config.schema.json is made of them. A path is that
// of the file; what a car overrides has the rule of the same key of all cars.
var (
	choices = map[string][]string{
		"tesla.api": {"owner", "fleet"}, "tesla.region": {"", "na", "eu", "cn"}, "tesla.tls_min": {"", "1.2", "1.3"}, "tesla.tls_max": {"", "1.2", "1.3"},
		"commands.wake": {"auto", "never"}, "log.level": levels, "log.format": {"text", "json"},
		"read": {"api", "ble", "telemetry"}, "write": {"auto", "api", "rest", "ble", "none"},
	}
	spans = map[string][2]time.Duration{
		"poll.state": {time.Second, longest}, "poll.online": {time.Second, longest}, "poll.charging": {time.Second, longest},
		"poll.idle_after": {time.Second, longest}, "poll.suspend": {time.Second, longest},
		"telemetry.silent_after": {time.Minute, longest},
		"commands.ttl":           {time.Second, 600 * time.Second},
		"commands.amps.settle":   {0, time.Minute}, "commands.amps.raise_gap": {0, time.Hour}, "commands.amps.lower_gap": {0, time.Hour},
	}
	ofOneCar = regexp.MustCompile(`^vehicles\[\d*\]\.`)
)

const (
	// maxAmps is more than any car draws on AC (48 A, and 80 A of the first Model S).
	maxAmps = 80
	// longest bounds every interval; what is longer is a slip of the unit.
	longest = 24 * time.Hour
	// maxTopic bounds the base topic and the discovery prefix, in characters.
	maxTopic = 128
)

// rule is the key of a path in the tables above.
func rule(path string) string { return ofOneCar.ReplaceAllString(path, "") }
