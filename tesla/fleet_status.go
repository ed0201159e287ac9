package tesla

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// FleetStatus is what the Fleet API knows of a car and the application's key, without asking the car.
type FleetStatus struct {
	VIN string
	// Key tells whether the car knows the key that the application is registered with; "" where nobody said so.
	Key KeyState
	// SignedCommands tells that the car refuses unsigned commands; nil for not told, as below.
	SignedCommands *bool
	Firmware       string // such as 2025.44.25
	Telemetry      string // version of the telemetry client in the car
	Keys           *int   // in the car, of all kinds
}

// FleetStatus asks about the cars with these VINs. It does not reach them, and has no price in Tesla's list.
func (c *Client) FleetStatus(ctx context.Context, vins []string) ([]FleetStatus, error) {
	response, err := c.call(ctx, classList, http.MethodPost, "/api/1/vehicles/fleet_status", map[string][]string{"vins": vins})
	if err != nil {
		return nil, fmt.Errorf("ask how the cars can be commanded: %w", err)
	}
	var answer struct {
		Paired   []string         `json:"key_paired_vins"`
		Unpaired []string         `json:"unpaired_vins"`
		Info     map[string]loose `json:"vehicle_info"`
	}
	if json.Unmarshal(response, &answer) != nil {
		return nil, fmt.Errorf("ask how the cars can be commanded: %w", &Error{Class: ErrTemporary, Text: "the answer is of another form"})
	}
	var all []FleetStatus
	for _, vin := range vins {
		info := answer.Info[vin]
		s := FleetStatus{
			VIN: vin, SignedCommands: info.boolean("vehicle_command_protocol_required"),
			Firmware: clean(info.text("firmware_version")), Telemetry: clean(info.text("fleet_telemetry_version")), Keys: info.integer("total_number_of_keys"),
		}
		switch {
		case slices.Contains(answer.Paired, vin):
			s.Key = KeyPaired
		case slices.Contains(answer.Unpaired, vin):
			s.Key = KeyMissing
		}
		all = append(all, s)
	}
	return all, nil
}

// Known returns what FleetStatus has said of a car of the list, and false if nothing was to be had.
func (c *Client) Known(vin string) (s FleetStatus, known bool) {
	if c.fleet == nil {
		return s, false
	}
	c.fleet.mu.Lock()
	defer c.fleet.mu.Unlock()
	s, known = c.fleet.known[vin]
	return s, known
}
