package tesla_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
)

// TestUnsent: what was certainly not sent is told apart from what may have been.
func TestUnsent(t *testing.T) {
	for name, row := range map[string]struct {
		fault  error
		unsent bool
	}{
		"no connection":    {&net.OpError{Op: "dial", Err: errors.New("network is unreachable")}, true},
		"certificate":      {&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}}, true},
		"no login":         {refusing{errors.New("log in")}, true},
		"too late":         {hosts.TooLate, true},
		"given up":         {hosts.GivenUp, true},
		"not on the list":  {hosts.Refusal("it was not dialled"), true},
		"connection broke": {&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, false},
		"no answer":        {context.DeadlineExceeded, false},
	} {
		c := tesla.NewFleetClient(&http.Client{Transport: tripper(func(*http.Request) (*http.Response, error) { return nil, row.fault })},
			func() string { return hosts.FleetAPI("eu") })
		_, err := c.Signed(t.Context(), fleetVIN, []byte{1})
		if tesla.Unsent(err) != row.unsent || tesla.MayHaveSucceeded(err) == row.unsent {
			t.Errorf("%s: unsent %v, may have succeeded %v: %v", name, tesla.Unsent(err), tesla.MayHaveSucceeded(err), err)
		}
	}
}

// TestRefusedByOurselves: neither the budget nor a wait that Tesla asked for lets anything out.
func TestRefusedByOurselves(t *testing.T) {
	s, _, c, _ := inRegion(t, hosts.FleetAPI("eu"), sim.Fleet{}, sim.Car{PluggedIn: true})
	c.Meter = &tally{booked: map[tesla.Expense]int{tesla.ExpenseRead: 1}, most: 1}
	if _, err := c.ChargeState(t.Context(), fleetVIN); !errors.Is(err, tesla.ErrOwnBudget) || !tesla.Unsent(err) {
		t.Errorf("beyond the budget: %v", err)
	}
	c.Meter = nil
	if err := s.Fault("429"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.State(t.Context(), fleetVIN); !errors.Is(err, tesla.ErrRateLimited) || tesla.Unsent(err) {
		t.Errorf("Tesla's refusal: %v", err)
	}
	if _, err := c.State(t.Context(), fleetVIN); !errors.Is(err, tesla.ErrRateLimited) || !tesla.Unsent(err) || s.Count("api", "") != 1 {
		t.Errorf("while it is in force: %v", err)
	}
}

// TestHeldBeyondItsEnd: a command that waited for its token until nobody waited for it is not sent, and is known not to be.
func TestHeldBeyondItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listed, err := hosts.New()
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		guard := hosts.Guard{List: listed, Via: tripper(func(r *http.Request) (*http.Response, error) {
			sent++
			return nil, r.Context().Err()
		})}
		c := tesla.NewFleetClient(hosts.Client(func(r *http.Request) (*http.Response, error) {
			time.Sleep(20 * time.Second) // as long as another process renews the token
			return guard.Send(r)
		}), func() string { return hosts.FleetAPI("eu") })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := c.Signed(ctx, fleetVIN, []byte{1}); err == nil || tesla.MayHaveSucceeded(err) || !tesla.Unsent(err) || sent != 0 {
			t.Errorf("sent %d times, may have succeeded %v: %v", sent, tesla.MayHaveSucceeded(err), err)
		}
	})
}

// TestMisfitIsToldFirst: whether the API or the place that renews the login has the wrong certificate, waiting does not help.
func TestMisfitIsToldFirst(t *testing.T) {
	misfit := &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	for name, fault := range map[string]error{"of the API": misfit, "of the token endpoint": failing{misfit}} {
		c := tesla.NewClient(&http.Client{Transport: tripper(func(*http.Request) (*http.Response, error) { return nil, fault })},
			func() string { return "https://owner-api.teslamotors.com" })
		err := c.Do(t.Context(), "1", tesla.Command{Thing: tesla.ChargeAmps, Value: 8})
		if tesla.MayHaveSucceeded(err) || !tesla.Unsent(err) || !errors.Is(err, tesla.ErrTemporary) {
			t.Errorf("%s: %v", name, err)
		}
		if got := tesla.Advice(err); !strings.Contains(got, "CA certificates") {
			t.Errorf("%s: the advice is %s", name, got)
		}
	}
}

// failing is the login that could not be renewed.
type failing struct{ error }

func (failing) LoginRequired() bool { return false }
func (f failing) Unwrap() error     { return f.error }
