package tesla_test

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync"
	"testing"
	"testing/synctest"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
)

// tally is a meter that only counts.
type tally struct {
	mu     sync.Mutex
	booked map[tesla.Expense]int
	most   int // that it allows, 0 for all
}

func (m *tally) Book(_ context.Context, e tesla.Expense) (func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := 0
	for _, n := range m.booked {
		sum += n
	}
	if m.most > 0 && sum >= m.most {
		return nil, &tesla.Error{Class: tesla.ErrOwnBudget}
	}
	m.booked[e]++
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.booked[e]--
	}, nil
}

// bill is what is booked, in the simulator's words.
func (m *tally) bill() sim.Bill {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sim.Bill{
		Reads: m.booked[tesla.ExpenseRead], Wakes: m.booked[tesla.ExpenseWake],
		Commands: m.booked[tesla.ExpenseCommand] + m.booked[tesla.ExpenseLower] + m.booked[tesla.ExpenseStop],
	}
}

// TestBookedIsBilled: by fault, what the client has booked is what Tesla bills.
func TestBookedIsBilled(t *testing.T) {
	faults := []string{"none"}
	for _, f := range sim.Faults() {
		if f.Scope != "token" && f.Scope != "authorize" {
			faults = append(faults, f.Name)
		}
	}
	for _, fault := range faults {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _, c, _ := inRegion(t, hosts.FleetAPI("eu"), sim.Fleet{}, sim.Car{PluggedIn: true, Level: 50})
				m := &tally{booked: map[tesla.Expense]int{}}
				c.Meter = m
				if fault != "none" {
					if err := s.Fault(fault, sim.On("car")); err != nil {
						t.Fatal(err)
					}
				}
				_, _ = c.ChargeState(t.Context(), fleetVIN)
				_ = c.Do(t.Context(), fleetVIN, tesla.Command{Thing: tesla.ChargeAmps, Value: 8})
				_ = c.Do(t.Context(), fleetVIN, tesla.Command{Thing: tesla.Wake, Value: 1})
				_ = c.Do(t.Context(), fleetVIN, tesla.Command{Thing: tesla.Charging, Value: tesla.Off})
				if got, want := m.bill(), s.Bill(""); got != want {
					t.Errorf("booked %+v, billed %+v", got, want)
				}
				if _, err := c.State(t.Context(), fleetVIN); err == nil && m.booked[tesla.ExpenseNone] != 0 {
					t.Error("a look at the state was booked")
				}
			})
		})
	}
}

// TestExpenses: how badly a command is needed is known to the meter.
func TestExpenses(t *testing.T) {
	_, _, c, _ := inRegion(t, hosts.FleetAPI("eu"), sim.Fleet{}, sim.Car{PluggedIn: true, Level: 50})
	m := &tally{booked: map[tesla.Expense]int{}}
	c.Meter = m
	lower := tesla.WithExpense(t.Context(), tesla.ExpenseLower)
	for _, err := range []error{
		c.Do(t.Context(), fleetVIN, tesla.Command{Thing: tesla.ChargeAmps, Value: 8}),
		c.Do(lower, fleetVIN, tesla.Command{Thing: tesla.ChargeAmps, Value: 6}),
		c.Do(t.Context(), fleetVIN, tesla.Command{Thing: tesla.Charging, Value: tesla.Off}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, e := range []tesla.Expense{tesla.ExpenseCommand, tesla.ExpenseLower, tesla.ExpenseStop} {
		if m.booked[e] != 1 {
			t.Errorf("%d of %s, want 1", m.booked[e], e)
		}
	}
}

// TestTooDearIsNotSent: without the meter's leave nothing goes out, and Tesla is not taken for the one who said no.
func TestTooDearIsNotSent(t *testing.T) {
	s, _, c, _ := inRegion(t, hosts.FleetAPI("eu"), sim.Fleet{}, sim.Car{PluggedIn: true, Level: 50})
	c.Meter = &tally{booked: map[tesla.Expense]int{tesla.ExpenseRead: 1}, most: 1}
	_, err := c.ChargeState(t.Context(), fleetVIN)
	if !errors.Is(err, tesla.ErrOwnBudget) || errors.Is(err, tesla.ErrBudget) || tesla.Advice(err) == "" {
		t.Errorf("got %v", err)
	}
	if s.Count("car", "") != 0 {
		t.Error("it was sent")
	}
	if _, err := c.State(t.Context(), fleetVIN); err != nil {
		t.Errorf("what is free is refused as well, or Tesla is held off: %v", err)
	}
}

// again sends each request a second time after a 401, as the login's client does.
type again struct{ next http.RoundTripper }

func (a again) RoundTrip(r *http.Request) (*http.Response, error) {
	first, err := a.next.RoundTrip(r.Clone(r.Context()))
	if err != nil || first.StatusCode != http.StatusUnauthorized {
		return first, err
	}
	if err := first.Body.Close(); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	if r.GetBody != nil {
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	return a.next.RoundTrip(r)
}

// TestSentTwiceIsBookedTwice: Tesla bills the 401 as well. Where there was money for one request, the second is not sent; that it was
// not, and the command not carried out, is certain, and it is not Tesla who is blamed.
func TestSentTwiceIsBookedTwice(t *testing.T) {
	for _, most := range []int{0, 1} {
		s := &sim.Tesla{Fleet: &sim.Fleet{}}
		s.Add(sim.Car{VIN: fleetVIN, PluggedIn: true, Level: 50})
		token, _ := s.Login()
		server := httptest.NewServer(s)
		defer server.Close()
		listed, err := hosts.New(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		guard := hosts.Guard{List: listed, Via: server.Client().Transport, Agent: "tesla2mqtt/test"}
		c := tesla.NewFleetClient(&http.Client{Transport: again{bearer{tripper(guard.Send), token}}}, func() string { return server.URL })
		m := &tally{booked: map[tesla.Expense]int{}, most: most}
		c.Meter = m
		if err := s.Fault("401", sim.On("command"), sim.Times(1)); err != nil {
			t.Fatal(err)
		}
		err = c.Do(t.Context(), fleetVIN, tesla.Command{Thing: tesla.ChargeAmps, Value: 8})
		if got, want := m.bill(), s.Bill(""); got != want || got.Commands != 2-most {
			t.Errorf("%v; booked %+v, billed %+v, want %d commands", err, got, want, 2-most)
		}
		if most == 0 && err != nil || most == 1 && (!errors.Is(err, tesla.ErrOwnBudget) || tesla.MayHaveSucceeded(err) || errors.Is(err, tesla.ErrTemporary)) {
			t.Errorf("with money for %d: %v", most, err)
		}
	}
}

// TestResentByTheTransport: what Go's client sends again by itself is booked too; where there is no money, nobody can tell whether it
// went out, but why it was given up.
func TestResentByTheTransport(t *testing.T) {
	for _, most := range []int{0, 1} {
		m := &tally{booked: map[tesla.Expense]int{}, most: most}
		twice := tripper(func(r *http.Request) (*http.Response, error) {
			for range 2 {
				httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
			}
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			return says(200, `{"response":{"result":true}}`), nil
		})
		c := tesla.NewFleetClient(&http.Client{Transport: twice}, func() string { return hosts.FleetAPI("eu") })
		c.Meter = m
		err := c.Do(t.Context(), fleetVIN, tesla.Command{Thing: tesla.ChargeAmps, Value: 8})
		if n := m.bill().Commands; n != 2-most || most == 0 && err != nil || most == 1 && (!errors.Is(err, tesla.ErrOwnBudget) || !tesla.MayHaveSucceeded(err)) {
			t.Errorf("with money for %d: %d booked, %v", most, n, err)
		}
	}
}

// TestBookedAndNotSent: the second try is booked before it is sent; that it then finds no connection costs nothing.
func TestBookedAndNotSent(t *testing.T) {
	m := &tally{booked: map[tesla.Expense]int{}}
	listed, err := hosts.New()
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	guard := hosts.Guard{List: listed, Via: tripper(func(r *http.Request) (*http.Response, error) {
		if tries++; tries == 2 {
			return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
		}
		httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
		return says(401, "token expired"), nil
	})}
	c := tesla.NewFleetClient(&http.Client{Transport: again{tripper(guard.Send)}}, func() string { return hosts.FleetAPI("eu") })
	c.Meter = m
	if _, err := c.ChargeState(t.Context(), fleetVIN); err == nil || tries != 2 || m.booked[tesla.ExpenseRead] != 1 {
		t.Errorf("%v; %d tries, %d booked, want 1", err, tries, m.booked[tesla.ExpenseRead])
	}
}

type bearer struct {
	next  http.RoundTripper
	token string
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	r.Header.Set("User-Agent", "tesla2mqtt/test")
	return b.next.RoundTrip(r)
}

// TestProxysAnswersAreNotTrusted: what a proxy answers with 500, Tesla may have answered with 408, and billed.
func TestProxysAnswersAreNotTrusted(t *testing.T) {
	for base, want := range map[string]int{hosts.FleetAPI("eu"): 0, "https://proxy.example": 1} {
		m := &tally{booked: map[tesla.Expense]int{}}
		server := &http.Client{Transport: tripper(func(*http.Request) (*http.Response, error) { return says(500, "vehicle unavailable"), nil })}
		c := tesla.NewFleetClient(server, func() string { return base })
		c.Meter = m
		if _, err := c.ChargeState(t.Context(), fleetVIN); err == nil || m.booked[tesla.ExpenseRead] != want {
			t.Errorf("%s: %v, %d booked, want %d", base, err, m.booked[tesla.ExpenseRead], want)
		}
	}
}

// TestRightRegionIsBookedToo: Tesla bills the 421 as well.
func TestRightRegionIsBookedToo(t *testing.T) {
	s, _, c, _ := inRegion(t, hosts.FleetAPI("na"), sim.Fleet{Region: "eu"}, sim.Car{})
	m := &tally{booked: map[tesla.Expense]int{}}
	c.Meter = m
	if _, err := c.ChargeState(t.Context(), fleetVIN); err != nil || m.booked[tesla.ExpenseRead] != 2 || s.Bill("").Reads != 2 {
		t.Errorf("%v, %d booked, %d billed, want 2", err, m.booked[tesla.ExpenseRead], s.Bill("").Reads)
	}
}

// refusing is a login that cannot be had.
type refusing struct{ error }

func (refusing) LoginRequired() bool { return true }

// TestUnsentIsNotBooked: what certainly never reached Tesla costs nothing, unless it was sent once before.
func TestUnsentIsNotBooked(t *testing.T) {
	for name, fault := range map[string]error{
		"no connection": &net.OpError{Op: "dial", Err: errors.New("connection refused")}, "no login": refusing{errors.New("log in")}, "too late": hosts.TooLate,
	} {
		m := &tally{booked: map[tesla.Expense]int{}}
		c := tesla.NewFleetClient(&http.Client{Transport: tripper(func(*http.Request) (*http.Response, error) { return nil, fault })}, func() string { return hosts.FleetAPI("eu") })
		c.Meter = m
		if _, err := c.ChargeState(t.Context(), fleetVIN); err == nil || m.booked[tesla.ExpenseRead] != 0 {
			t.Errorf("%s: %v, %d booked", name, err, m.booked[tesla.ExpenseRead])
		}
	}
	s := &sim.Tesla{Fleet: &sim.Fleet{}}
	s.Add(sim.Car{VIN: fleetVIN, PluggedIn: true})
	server := httptest.NewServer(s)
	defer server.Close()
	m := &tally{booked: map[tesla.Expense]int{}}
	lost := tripper(func(r *http.Request) (*http.Response, error) {
		answer, err := server.Client().Transport.RoundTrip(r) // 401, without a token
		if err == nil {
			err = answer.Body.Close()
		}
		return nil, cmp.Or[error](err, refusing{errors.New("log in")})
	})
	c := tesla.NewFleetClient(&http.Client{Transport: lost}, func() string { return server.URL })
	c.Meter = m
	if _, err := c.ChargeState(t.Context(), fleetVIN); !errors.Is(err, tesla.ErrLoginRequired) || m.booked[tesla.ExpenseRead] != 1 || s.Bill("").Reads != 1 {
		t.Errorf("%v; %d booked, %d billed, want 1", err, m.booked[tesla.ExpenseRead], s.Bill("").Reads)
	}
}
