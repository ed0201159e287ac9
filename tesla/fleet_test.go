package tesla_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
)

const fleetVIN = "5YJ3E1EA7KF000001"

// inRegion is a simulated Fleet API with one car, and a client that is logged in there and asks the region base.
func inRegion(t *testing.T, base string, f sim.Fleet, car sim.Car) (*sim.Tesla, *sim.CarHandle, *tesla.Client, *[]string) {
	t.Helper()
	s := &sim.Tesla{Fleet: &f}
	car.VIN = fleetVIN
	handle := s.Add(car)
	token, _ := s.Login()
	h := &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("User-Agent", "tesla2mqtt/test")
		return s.RoundTripper().RoundTrip(r)
	}), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c := tesla.NewFleetClient(h, func() string { return base })
	var notices []string
	c.Notice = func(text string) { notices = append(notices, text) }
	t.Cleanup(func() {
		for _, v := range s.Violations() {
			t.Error("the simulator complains:", v)
		}
	})
	return s, handle, c, &notices
}

func says(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// TestFleetReadAndCommand: cars go by their VIN, and the list comes from another endpoint.
func TestFleetReadAndCommand(t *testing.T) {
	s, car, c, _ := inRegion(t, hosts.FleetAPI("eu"), sim.Fleet{}, sim.Car{Name: "Alpha", PluggedIn: true, Amps: 16})
	s.Add(sim.Car{VIN: "5YJ3E1EA7KF000002", SignedCommands: true, Unpaired: true})
	for range 3 {
		cars, err := c.Vehicles(t.Context())
		if err != nil || len(cars) != 2 || cars[0] != (tesla.Vehicle{ID: car.ID(), VIN: fleetVIN, Name: "Alpha", Key: tesla.KeyPaired}) ||
			!cars[1].SignedCommands || cars[1].Key != tesla.KeyMissing {
			t.Fatalf("got %+v, %v", cars, err)
		}
	}
	one := c.Car(tesla.Vehicle{VIN: fleetVIN})
	if err := one.Do(t.Context(), tesla.Command{Thing: tesla.ChargeAmps, Value: 9}); err != nil || car.Amps() != 9 {
		t.Errorf("%d A, %v", car.Amps(), err)
	}
	got, err := one.ChargeState(t.Context())
	if err != nil || *got.ChargeAmps != 9 {
		t.Errorf("read %+v, %v", got, err)
	}
	if state, err := one.State(t.Context()); state != tesla.StateOnline || err != nil {
		t.Errorf("state %s, %v", state, err)
	}
	two := c.Car(tesla.Vehicle{VIN: "5YJ3E1EA7KF000002"})
	if err := two.Do(t.Context(), tesla.Command{Thing: tesla.ChargeAmps, Value: 9}); !errors.Is(err, tesla.ErrSigningRequired) {
		t.Errorf("a car that wants signed commands: %v", err)
	}
	if s.Count("products", "") != 0 {
		t.Error("the list of the Owner API was asked for")
	}
}

// TestFleetMoves: the wrong region names the right one, which is believed if it is one of Tesla's, and only from one of them.
func TestFleetMoves(t *testing.T) {
	s, car, c, notices := inRegion(t, hosts.FleetAPI("na"), sim.Fleet{Region: "eu"}, sim.Car{PluggedIn: true, Amps: 16})
	if err := c.Car(tesla.Vehicle{VIN: fleetVIN}).Do(t.Context(), tesla.Command{Thing: tesla.ChargeAmps, Value: 9}); err != nil || car.Amps() != 9 {
		t.Errorf("%d A, %v", car.Amps(), err)
	}
	if n := len(car.Executed()); n != 1 {
		t.Errorf("the command was carried out %d times", n)
	}
	if _, err := c.Car(tesla.Vehicle{VIN: fleetVIN}).State(t.Context()); err != nil {
		t.Error(err)
	}
	if n := s.Count("api", ""); n != 3 {
		t.Errorf("%d requests, want 3: one to the wrong region, and none after that", n)
	}
	if len(*notices) != 1 || !strings.Contains((*notices)[0], "tesla.region: eu") || c.Base() != hosts.FleetAPI("eu") {
		t.Errorf("told %q, base %s", *notices, c.Base())
	}
	for _, row := range []struct{ base, named string }{
		{hosts.FleetAPI("na"), "https://evil.example"}, {hosts.FleetAPI("na"), "https://fleet-api.prd.na.vn.cloud.tesla.com"},
		{hosts.FleetAPI("na"), "https://owner-api.teslamotors.com"}, {"https://proxy.example", hosts.FleetAPI("eu")},
	} {
		asked := 0
		c := tesla.NewFleetClient(&http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
			asked++
			return says(421, `{"response":null,"error":"user out of region, use base URL: `+row.named+`, see https://..."}`), nil
		})}, func() string { return row.base })
		if _, err := c.Car(tesla.Vehicle{VIN: fleetVIN}).State(t.Context()); !errors.Is(err, tesla.ErrWrongRegion) || asked != 1 || c.Base() != row.base {
			t.Errorf("from %s to %s: %d requests, base %s, %v", row.base, row.named, asked, c.Base(), err)
		}
	}
}

// TestFleetRefusals: what the API, and tesla-http-proxy before it, say in their own way.
func TestFleetRefusals(t *testing.T) {
	asleep := `{"response":null,"error":"vehicle unavailable: vehicle is offline or asleep","error_description":""}`
	unpaired := `{"response":null,"error":"vehicle rejected request: your public key has not been paired with the vehicle","error_description":""}`
	for _, row := range []struct {
		name      string
		status    int
		body      string
		class     error
		uncertain bool
	}{
		{"never registered in this region", 412, `{"response":null,"error":"Account must be registered in the current region."}`, tesla.ErrNotRegistered, false},
		{"no payment", 402, `{"error":"payment required"}`, tesla.ErrPayment, false},
		{"content type", 406, `{"error":"x"}`, tesla.ErrRefused, false},
		{"no signed commands", 422, `{"error":"vehicle does not support protocol"}`, tesla.ErrRefused, false},
		{"scopes", 403, `{"response":null,"error":"Unauthorized missing scopes"}`, tesla.ErrMissingScopes, false},
		{"proxy: asleep", 500, asleep, tesla.ErrAsleep, false},
		{"proxy: no key", 500, unpaired, tesla.ErrNotPaired, false},
		{"proxy: Tesla's words left out", 403, `{"response":null,"error":"Forbidden","error_description":""}`, tesla.ErrRefused, false},
		{"proxy: busy", 503, `{"response":null,"error":"context deadline exceeded","error_description":""}`, tesla.ErrTemporary, false},
		{"proxy: time-out", 500, `{"response":null,"error":"context deadline exceeded","error_description":""}`, tesla.ErrTemporary, true},
		{"proxy: gateway", 504, `{"response":null,"error":"x"}`, tesla.ErrTemporary, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := tesla.NewFleetClient(&http.Client{Transport: tripper(func(*http.Request) (*http.Response, error) {
				return says(row.status, row.body), nil
			})}, func() string { return "https://proxy.example" })
			err := c.Car(tesla.Vehicle{VIN: fleetVIN}).Do(t.Context(), tesla.Command{Thing: tesla.ChargeAmps, Value: 8})
			if !errors.Is(err, row.class) || tesla.MayHaveSucceeded(err) != row.uncertain {
				t.Errorf("got %v, uncertain %t", err, tesla.MayHaveSucceeded(err))
			}
		})
	}
	for _, key := range []string{"reason", "string"} { // the proxy has had both
		c := tesla.NewFleetClient(&http.Client{Transport: tripper(func(*http.Request) (*http.Response, error) {
			return says(200, `{"response":{"result":false,"`+key+`":"car could not execute command: not_charging"},"error":""}`), nil
		})}, func() string { return "https://proxy.example" })
		err := c.Car(tesla.Vehicle{VIN: fleetVIN}).Do(t.Context(), tesla.Command{Thing: tesla.Charging, Value: tesla.Off})
		if no, ok := errors.AsType[*tesla.Refusal](err); !ok || no.Reason != "not_charging" {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestFleetStatusFails: what may pass keeps the list from being believed; what never will does not.
func TestFleetStatusFails(t *testing.T) {
	for fault, want := range map[string]error{"504": tesla.ErrTemporary, "403-missing-scopes": tesla.ErrMissingScopes, "404": nil} {
		s, _, c, notices := inRegion(t, hosts.FleetAPI("eu"), sim.Fleet{}, sim.Car{})
		if err := s.Fault(fault, sim.On("fleet_status")); err != nil {
			t.Fatal(err)
		}
		cars, err := c.Vehicles(t.Context())
		if !errors.Is(err, want) || want == nil && (len(cars) != 1 || len(*notices) != 1) {
			t.Errorf("%s: %v, %d cars, told %q", fault, err, len(cars), *notices)
		}
	}
}
