package tesla_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestAnswersThatSayNothing: after an answer that does not tell whether a command was carried out, only a read can.
func TestAnswersThatSayNothing(t *testing.T) {
	amps := tesla.Command{Thing: tesla.ChargeAmps, Value: 8}
	for _, row := range []struct {
		status int
		body   string
	}{
		{http.StatusOK, `{"response":{}}`},
		{http.StatusOK, `{"response":{"reason":"ok"}}`},
		{http.StatusOK, `{"response":"queued"}`},
		{http.StatusOK, `{"response":null}`},
		{http.StatusAccepted, `{"response":{"result":true}}`},
		{499, `{"error":"client closed request"}`},
	} {
		err := answer(row.status, nil, row.body).Do(t.Context(), "1", amps)
		if !errors.Is(err, tesla.ErrTemporary) || !tesla.MayHaveSucceeded(err) {
			t.Errorf("%d %s: certain, %v", row.status, row.body, err)
		}
	}
}

// TestRefusalEndsWithTheLogin: Tesla's dislike of a client travels in its token, so another login is tried at once.
func TestRefusalEndsWithTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, car, c := simulated(sim.Car{VIN: "5YJ3E1EA7KF000001", Level: 50})
		renewed := time.Now()
		c.Renewed = func() time.Time { return renewed }
		if err := s.Fault("403-forbidden-client", sim.Times(1)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			time.Sleep(time.Minute)
			if _, err := c.State(t.Context(), key(car)); !errors.Is(err, tesla.ErrForbidden) {
				t.Fatalf("got %v", err)
			}
		}
		if n := s.Count("api", ""); n != 1 {
			t.Errorf("%d calls with a login that is refused", n)
		}
		renewed = time.Now()
		if _, err := c.State(t.Context(), key(car)); err != nil {
			t.Errorf("with the next login: %v", err)
		}
	})
}

// TestProducts: what has no VIN is no car, and a car in service is not there for us.
func TestProducts(t *testing.T) {
	c := answer(http.StatusOK, nil, `{"response":[{"id":1,"state":"online"},{"id":2,"vin":"","state":"online"},{"id":3,"vin":"5YJ3E1EA7KF000001"}]}`)
	if cars, err := c.Vehicles(t.Context()); err != nil || len(cars) != 1 || cars[0].ID != 3 {
		t.Errorf("got %+v, %v", cars, err)
	}
	for body, want := range map[string]tesla.VehicleState{
		`{"id":1,"state":"online","in_service":true}`:  tesla.StateOffline,
		`{"id":1,"state":"online","in_service":false}`: tesla.StateOnline,
		`{"id":1,"state":"online","in_service":null}`:  tesla.StateOnline,
		`{"id":1,"state":"dreaming"}`:                  tesla.StateUnknown,
	} {
		if got, err := answer(http.StatusOK, nil, `{"response":`+body+`}`).State(t.Context(), "1"); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", body, got, err, want)
		}
	}
}
