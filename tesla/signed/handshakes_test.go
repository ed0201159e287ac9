package signed

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestUnsentHandshakes: handshakes that never left this machine are not held against the next one.
func TestUnsentHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		token, _ := r.tesla.Login()
		down := true
		r.client = tesla.NewFleetClient(&http.Client{Transport: tripper(func(q *http.Request) (*http.Response, error) {
			if down {
				return nil, &net.OpError{Op: "dial", Err: errors.New("network is unreachable")}
			}
			q = q.Clone(q.Context())
			q.Header.Set("Authorization", "Bearer "+token)
			return r.tesla.RoundTripper().RoundTrip(q)
		})}, func() string { return "https://fleet-api.prd.eu.vn.cloud.tesla.com" })
		r.car = r.again(t, true)
		for range 2 * (maxHandshakes + stopHandshakes) {
			if err := r.car.Do(t.Context(), amps(8)); !tesla.Unsent(err) {
				t.Fatalf("without a network: %v", err)
			}
		}
		down = false
		for _, c := range []tesla.Command{amps(9), off} {
			if err := r.car.Do(t.Context(), c); err != nil {
				t.Errorf("%v, when the network is back: %v", c, err)
			}
		}
	})
}

// TestStopHasHandshakesOfItsOwn: what was tried before cannot keep a charge from being ended, nor does ending it ask without end.
func TestStopHasHandshakesOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		if err := r.tesla.Fault("504", sim.On("signed_command")); err != nil {
			t.Fatal(err)
		}
		for range maxHandshakes {
			if err := r.car.Do(t.Context(), amps(8)); !errors.Is(err, tesla.ErrTemporary) {
				t.Fatal(err)
			}
		}
		err := r.car.Do(t.Context(), amps(8))
		if !errors.Is(err, tesla.ErrRateLimited) || !strings.Contains(tesla.Advice(err), "tesla2mqtt's own") || tesla.RetryAfter(err) <= 0 {
			t.Errorf("after %d handshakes: %v; %s", maxHandshakes, err, tesla.Advice(err))
		}
		for range stopHandshakes - 1 {
			if err := r.car.Do(t.Context(), off); !errors.Is(err, tesla.ErrTemporary) {
				t.Fatalf("a stop was not tried: %v", err)
			}
		}
		r.tesla.ClearFaults()
		if err := r.car.Do(t.Context(), off); err != nil || r.handle.Charging() {
			t.Errorf("the charge was not ended: %v", err)
		}
		r.car.unlink()
		r.car.sessions.forget()
		if err := r.car.Do(t.Context(), off); !errors.Is(err, tesla.ErrRateLimited) {
			t.Errorf("after %d handshakes: %v", maxHandshakes+stopHandshakes, err)
		}
	})
}
