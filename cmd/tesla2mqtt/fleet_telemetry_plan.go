package main

import (
	"fmt"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/meter"
)

// What the estimate takes a car's day to be.
const (
	chargingHours = 4
	idleHours     = 2 // awake without charging
	daysAMonth    = 30
)

// telemetryPlan is what would be sent to Tesla, and what it may cost.
type telemetryPlan struct {
	Request  telemetryRequest `json:"request"`
	Estimate streamEstimate   `json:"estimate"`
}

// telemetryRequest is the body of Tesla's fleet_telemetry_config before it is signed.
type telemetryRequest struct {
	VINs   []string              `json:"vins"`
	Config tesla.TelemetryConfig `json:"config"`
}

// streamEstimate is what a month of streaming may cost, by assumptions that are a part of it.
type streamEstimate struct {
	ChargingHours int       `json:"charging_hours_a_day"`
	IdleHours     int       `json:"awake_idle_hours_a_day"`
	Signals       int       `json:"signals_a_month"`
	USD           meter.USD `json:"usd_a_month"`
}

// estimate is on the high side: it takes it that in a charge all that is not sent again anyway changes at each of its intervals.
// What is sent again goes on while the car is awake and does nothing.
func estimate(fields map[string]tesla.TelemetryField) streamEstimate {
	charging, idle := 0, 0 // signals an hour
	for _, f := range fields {
		if f.Resend > 0 {
			idle += 3600 / f.Resend
		} else {
			charging += 3600 / max(1, f.Interval)
		}
	}
	signals := daysAMonth * (chargingHours*(charging+idle) + idleHours*idle)
	const cent = meter.Dollar / 100
	return streamEstimate{chargingHours, idleHours, signals, (meter.Signals(int64(signals)) + cent/2) / cent * cent}
}

// planTelemetry shows what -apply would send.
func (a *app) planTelemetry(vin string, want tesla.TelemetryConfig, asJSON bool) error {
	plan := telemetryPlan{telemetryRequest{[]string{vin}, want}, estimate(want.Fields)}
	if asJSON {
		return printJSON(a.out, plan)
	}
	if err := printJSON(a.out, plan.Request); err != nil {
		return err
	}
	e := plan.Estimate
	fmt.Fprintf(a.err, `That is an estimated %d signals and %s USD a month, at Tesla's price of 2026 of 150,000 signals for a dollar, if the car charges %d hours a
day and is awake without charging for %d more. It is no promise: how often values change is not known, and is taken to be often.
`, e.Signals, e.USD, e.ChargingHours, e.IdleHours)
	if want.CA == "" {
		fmt.Fprintln(a.err, "No -ca was given. In Tesla's examples the configuration names the server's certificates: -ca fullchain.pem.")
	}
	_, err := fmt.Fprintln(a.err, "Nothing was sent. To sign and send it, run this again with -apply.")
	return err
}
