package tesla

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// TelemetryConfig is what a car shall stream, and to which server.
type TelemetryConfig struct {
	Hostname string `json:"hostname"`
	Port     int    `json:"port"`
	// CA are the certificates, in PEM form, by which the car knows the server.
	CA string `json:"ca,omitempty"`
	// PreferTyped asks for numbers as numbers.
	PreferTyped bool                      `json:"prefer_typed,omitempty"`
	Fields      map[string]TelemetryField `json:"fields"`
	Expires     int64                     `json:"exp,omitempty"` // seconds since 1970, 0 for never
}

// TelemetryField is how often a car shall send a field: when it has changed by Delta, not faster than Interval, and unchanged after
// Resend. Both are in seconds; 0 leaves it to the car.
type TelemetryField struct {
	Interval int     `json:"interval_seconds"`
	Resend   int     `json:"resend_interval_seconds,omitempty"`
	Delta    float64 `json:"minimum_delta,omitempty"`
}

// Same tells that another configuration sends the same fields to the same server.
func (c TelemetryConfig) Same(other TelemetryConfig) bool {
	names := func(c TelemetryConfig) []string { return slices.Sorted(maps.Keys(c.Fields)) }
	return c.Hostname == other.Hostname && c.Port == other.Port && slices.Equal(names(c), names(other))
}

// TelemetryStanding is what Tesla knows of a car's configuration, in its own words. Nil is for what was not told.
type TelemetryStanding struct {
	// Synced tells that the car has what Tesla has: with a Config nil that is none.
	Synced       bool             `json:"synced"`
	Config       *TelemetryConfig `json:"config"`
	LimitReached *bool            `json:"limit_reached"` // the car takes no more configurations
	KeyPaired    *bool            `json:"key_paired"`
}

// ConfigureTelemetry gives Tesla a signed configuration for a car, which the car fetches when it next connects. skipped is Tesla's word
// for why the car cannot have one, "" if it can. Again is harmless.
func (c *Client) ConfigureTelemetry(ctx context.Context, vin, signed string) (skipped string, err error) {
	body := map[string]any{"vins": []string{vin}, "token": signed}
	response, err := c.call(ctx, classList, http.MethodPost, "/api/1/vehicles/fleet_telemetry_config_jws", body)
	if err != nil {
		return "", fmt.Errorf("configure the telemetry: %w", err)
	}
	var answer struct {
		Updated int                 `json:"updated_vehicles"`
		Skipped map[string][]string `json:"skipped_vehicles"`
	}
	if json.Unmarshal(response, &answer) != nil {
		return "", fmt.Errorf("configure the telemetry: %w", &Error{Class: ErrTemporary, Text: "the answer is of another form", Uncertain: true})
	}
	for _, reason := range slices.Sorted(maps.Keys(answer.Skipped)) {
		if slices.Contains(answer.Skipped[reason], vin) {
			return clean(reason), nil
		}
	}
	if answer.Updated < 1 {
		return "", fmt.Errorf("configure the telemetry: %w", &Error{Class: ErrRefused, Text: "no car was updated, and no reason was given"})
	}
	return "", nil
}

// Telemetry asks what Tesla knows of a car's configuration. It does not reach the car.
func (c *Client) Telemetry(ctx context.Context, vin string) (s TelemetryStanding, err error) {
	response, err := c.call(ctx, classList, http.MethodGet, telemetryPath(vin), nil)
	if err != nil {
		return s, fmt.Errorf("ask for the telemetry configuration: %w", err)
	}
	if json.Unmarshal(response, &s) != nil {
		return TelemetryStanding{}, fmt.Errorf("ask for the telemetry configuration: %w", &Error{Class: ErrTemporary, Text: "the answer is of another form"})
	}
	return s, nil
}

// RemoveTelemetry takes this application's configuration from a car, and tells whether there was one. Again is harmless.
func (c *Client) RemoveTelemetry(ctx context.Context, vin string) (there bool, err error) {
	response, err := c.call(ctx, classList, http.MethodDelete, telemetryPath(vin), nil)
	if err != nil {
		return false, fmt.Errorf("remove the telemetry configuration: %w", err)
	}
	var answer struct {
		Updated *int `json:"updated_vehicles"`
	}
	if json.Unmarshal(response, &answer) != nil || answer.Updated == nil {
		return false, fmt.Errorf("remove the telemetry configuration: %w", &Error{Class: ErrTemporary, Text: "the answer is of another form"})
	}
	return *answer.Updated > 0, nil
}

func telemetryPath(vin string) string {
	return "/api/1/vehicles/" + url.PathEscape(vin) + "/fleet_telemetry_config"
}
