// Package proxy holds the tests of write: rest with Tesla's own tesla-http-proxy. .ci/e2e/http-proxy runs them.
package proxy

import (
	"slices"
	"strings"
	"testing"

	"tesla2mqtt/tesla/sim"
	"tesla2mqtt/tesla/sim/vcp"
)

// TestWriteRest: reads go through the proxy, commands are signed by it, and what it says to a refusal has its right name.
func TestWriteRest(t *testing.T) {
	w := newWorld(t)
	w.logIn()
	w.run()
	for _, car := range []string{"new", "stranger", "old"} {
		w.eventually(car+" was read through the proxy", func() bool { return w.said(car, "charge_amps") == "16" })
	}
	if got := w.said("new", "source"); got != "fleet" {
		t.Errorf("source %s", got)
	}

	w.want("new", "charge_amps", "8", "ok", "")
	if w.cars["new"].Amps() != 8 {
		t.Errorf("the car is at %d A", w.cars["new"].Amps())
	}
	signed := w.cars["new"].Protocol().Executed()
	if !slices.ContainsFunc(signed, func(e vcp.Executed) bool { return e.Value == 8 }) {
		t.Errorf("the car executed %+v by signed commands", signed)
	}
	w.want("new", "charging", "OFF", "ok", "")
	if w.cars["new"].Charging() {
		t.Error("it charges after OFF")
	}
	w.want("new", "charging", "ON", "ok", "")
	w.want("stranger", "charge_amps", "8", "rejected", "not_paired")
	// The proxy learns by the first command that this car takes none that are signed. It then hands that command on without its
	// body, so that amps would be lost here (v0.4.1).
	w.want("old", "charging", "OFF", "ok", "")
	w.want("old", "charge_amps", "8", "ok", "")
	if w.cars["old"].Amps() != 8 || w.tesla.Count("command/set_charging_amps", w.cars["old"].VIN()) != 1 {
		t.Errorf("the old car is at %d A", w.cars["old"].Amps())
	}

	for _, row := range []struct{ fault, amps, status, reason string }{
		{"503", "9", "rejected", "asleep"},
		{"504", "10", "error", "unreachable"}, // the proxy tries until its 10 s are over; reads then show that nothing happened
		{"403-exceeded-limit", "11", "rejected", "budget"},
	} {
		if err := w.tesla.Fault(row.fault, sim.On("signed_command")); err != nil {
			t.Fatal(err)
		}
		w.want("new", "charge_amps", row.amps, row.status, row.reason)
		w.tesla.ClearFaults()
	}
	w.checkSecrets()
	for _, v := range w.tesla.Violations() {
		t.Error("the simulator complains:", v)
	}
}

// TestWithoutProxy: the same cars, asked directly: Tesla's names, its authority, and no word of a simulator in the
// configuration. The region in it is wrong.
func TestWithoutProxy(t *testing.T) {
	w := newWorld(t)
	w.direct, w.region = true, "na"
	w.logIn()
	w.run()
	w.eventually("the old car was read", func() bool { return w.said("old", "charge_amps") == "16" })
	w.want("old", "charge_amps", "8", "ok", "")
	w.want("new", "charge_amps", "8", "rejected", "unsupported")
	if !strings.Contains(w.log.text(), "set tesla.region: eu") {
		t.Error("it does not say that the region is another")
	}
	if got, want := strings.Join(w.tesla.Hosts(), " "), "auth.tesla.com fleet-api.prd.eu.vn.cloud.tesla.com fleet-api.prd.na.vn.cloud.tesla.com fleet-auth.prd.vn.cloud.tesla.com"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	w.checkSecrets()
	for _, v := range w.tesla.Violations() {
		t.Error("the simulator complains:", v)
	}
}
