package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// bearing adds a token, which package auth does elsewhere.
type bearing struct {
	next  http.RoundTripper
	token string
}

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// simulated returns a client of a simulated Tesla, and the first of its cars.
func simulated(t *testing.T, s *sim.Tesla) (*tesla.Client, *tesla.Car) {
	t.Helper()
	token, _ := s.Login()
	client := tesla.NewClient(&http.Client{Transport: bearing{s.RoundTripper(), token}}, func() string { return "https://owner-api.teslamotors.com" })
	cars, err := client.Vehicles(t.Context())
	if err != nil || len(cars) == 0 {
		t.Fatal(cars, err)
	}
	return client, client.Car(cars[0])
}

// applied is a command of set-amps, and what is to become of it.
type applied struct {
	name  string
	car   sim.Car
	fault string
	on    string
	amps  int
	shown int
	sent  int
	talk  string
	err   string
	code  int
	took  time.Duration
}

func appliedAmps() []applied {
	return []applied{
		{name: "up", car: sim.Car{Amps: 6}, amps: 12, shown: 12, sent: 1, took: time.Second},
		{name: "down to the slider's end", car: sim.Car{Amps: 12}, amps: 5, shown: 5, sent: 1, took: time.Second},
		{name: "below it", car: sim.Car{Amps: 12}, amps: 3, shown: 3, sent: 2, took: 6 * time.Second},
		{name: "below it from 5", car: sim.Car{Amps: 5}, amps: 3, shown: 3, sent: 2, took: 6 * time.Second},
		{name: "from below to below", car: sim.Car{Amps: 3}, amps: 4, sent: 1, shown: 4, took: time.Second},
		{name: "rounded by the car", car: sim.Car{Amps: 12}, amps: 1, shown: 2, sent: 2,
			talk: "the car has acknowledged 1 A and shows 2 A; low values are rounded by some cars\n", took: 20 * time.Second},
		{name: "more than the socket has", car: sim.Car{Amps: 6, MaxAmps: 16}, amps: 32, shown: 16, sent: 1,
			talk: "cable and socket allow 16 A, so that is what is sent instead of 32 A\n", took: time.Second},
		{name: "shows late", car: sim.Car{Amps: 6, Lag: 3 * time.Second}, amps: 12, shown: 12, sent: 1, took: 5 * time.Second},
		{name: "asleep", car: sim.Car{Asleep: true}, amps: 12, err: "it is asleep; it was not woken", code: exitAsleep},
		{name: "asleep, as newer firmware has it", car: sim.Car{Asleep: true, SleepsAs: "offline"}, amps: 12,
			err: "it is offline; it was not woken", code: exitAsleep},
		{name: "fell asleep meanwhile", fault: "408", on: "vehicle_data", amps: 12, err: "car asleep or offline", code: exitAsleep},
		{name: "in service", fault: "405-in-service", on: "vehicle_data", amps: 12, err: "car in service", code: exitAsleep},
		{name: "signed commands only", car: sim.Car{SignedCommands: true}, amps: 12, err: "car accepts signed commands only", code: exitFailed},
		{name: "refused by the car", fault: "could_not_wake_buses", amps: 12, sent: 1, err: "the car refused: could_not_wake_buses", code: exitFailed},
		{name: "answer lost", car: sim.Car{Amps: 6}, fault: "cut-after", on: "command", amps: 12, shown: 12, sent: 1, took: time.Second},
		{name: "lost on the way", car: sim.Car{Amps: 6}, fault: "cut-before", on: "command", amps: 12, sent: 1,
			err: "it is not known whether the command was carried out", code: exitFailed, took: 15 * time.Second},
	}
}

func TestApplyAmps(t *testing.T) {
	for _, test := range appliedAmps() {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(sim.Tesla)
				s.Add(test.car)
				_, car := simulated(t, s)
				if test.fault != "" {
					scope := test.on
					if scope == "" {
						scope = "command"
					}
					if err := s.Fault(test.fault, sim.On(scope)); err != nil {
						t.Fatal(err)
					}
				}
				start := time.Now()
				var talk strings.Builder
				shown, err := applyAmps(t.Context(), operated{car, car, readBack}, test.amps, &talk)
				if shown != test.shown || exitCode(err) != test.code || test.err != "" && !strings.Contains(fmt.Sprint(err), test.err) {
					t.Errorf("%d A, exit code %d, %v", shown, exitCode(err), err)
				}
				if n := s.Count("command", ""); n != test.sent {
					t.Errorf("%d commands were sent, want %d", n, test.sent)
				}
				if talk.String() != test.talk {
					t.Errorf("said %q", talk.String())
				}
				if took := time.Since(start); took != test.took {
					t.Errorf("took %s, want %s", took, test.took)
				}
				if n := s.Count("wake_up", ""); n != 0 {
					t.Error("the car was woken")
				}
			})
		})
	}
}

func TestApplyAmpsReadBackFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(sim.Tesla)
		handle := s.Add(sim.Car{Amps: 6})
		_, car := simulated(t, s)
		go func() {
			time.Sleep(500 * time.Millisecond) // after the command, before the first look
			if err := s.Fault("502"); err != nil {
				t.Error(err)
			}
		}()
		var talk strings.Builder
		shown, err := applyAmps(t.Context(), operated{car, car, readBack}, 12, &talk)
		if shown != 12 || err != nil || !strings.Contains(talk.String(), "could not be read afterwards") {
			t.Errorf("%d A, %v, said %q", shown, err, talk.String())
		}
		if handle.Amps() != 12 {
			t.Errorf("the car is at %d A", handle.Amps())
		}
	})
}

// TestApplyAmpsWhereReadsCost: what decides is read once before and once after, whatever it says.
func TestApplyAmpsWhereReadsCost(t *testing.T) {
	for _, row := range []struct {
		name  string
		car   sim.Car
		fault string
		shown int
		talk  string
		err   string
	}{
		{name: "as it was sent", car: sim.Car{Amps: 6}, shown: 12},
		{name: "not yet shown", car: sim.Car{Amps: 6, Lag: time.Minute}, shown: 6,
			talk: "the car has acknowledged 12 A and shows 6 A; it may show it later: tesla2mqtt status\n"},
		{name: "lost on the way", car: sim.Car{Amps: 6}, fault: "cut-before", err: "it is not known whether the command was carried out"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, talk := new(sim.Tesla), new(strings.Builder)
				s.Add(row.car)
				_, car := simulated(t, s)
				if row.fault != "" {
					if err := s.Fault(row.fault, sim.On("command")); err != nil {
						t.Fatal(err)
					}
				}
				shown, err := applyAmps(t.Context(), operated{car, car, readBackOnce}, 12, talk)
				if shown != row.shown || talk.String() != row.talk || (err == nil) != (row.err == "") || !strings.Contains(fmt.Sprint(err), row.err) {
					t.Errorf("%d A, said %q, %v", shown, talk, err)
				}
				if n := s.Count("vehicle_data", ""); n != 2 {
					t.Errorf("read %d times", n)
				}
			})
		})
	}
}

// TestReadsCost: whom a subcommand asks, and whether that has a price.
func TestReadsCost(t *testing.T) {
	for _, row := range []struct {
		api, read, write string
		want             bool
	}{
		{"owner", "api", "auto", false}, {"fleet", "api", "auto", true}, {"fleet", "api", "ble", true}, {"fleet", "ble", "api", false},
		{"fleet", "telemetry", "auto", true}, {"fleet", "telemetry", "ble", false}, {"fleet", "ble", "auto", false},
	} {
		c := defaults()
		c.Tesla.API = row.api
		v := c.newVehicle()
		v.Read, v.Write = row.read, row.write
		if got := c.readsCost(v); got != row.want {
			t.Errorf("%+v: got %t", row, got)
		}
	}
}

// TestApplyAmpsHalfway: of the two sends that low currents need the second is refused, so the car is where neither was meant to leave it.
func TestApplyAmpsHalfway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(sim.Tesla)
		handle := s.Add(sim.Car{Amps: 12})
		_, car := simulated(t, s)
		time.AfterFunc(2*time.Second, func() {
			if err := s.Fault("403-exceeded-limit", sim.On("command")); err != nil {
				t.Error(err)
			}
		})
		_, err := applyAmps(t.Context(), operated{car, car, readBack}, 3, new(strings.Builder))
		if !errors.Is(err, tesla.ErrBudget) || !strings.Contains(err.Error(), "so the car is at 5 A") || handle.Amps() != 5 {
			t.Errorf("%v, and the car is at %d A", err, handle.Amps())
		}
	})
}

func TestApplyAmpsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(sim.Tesla)
		s.Add(sim.Car{Amps: 12})
		_, car := simulated(t, s)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, errors.New("interrupt"))
		defer cancel()
		_, err := applyAmps(ctx, operated{car, car, readBack}, 3, new(strings.Builder))
		if err == nil || !strings.Contains(err.Error(), "interrupt") || s.Count("command", "") != 1 {
			t.Errorf("%v after %d commands", err, s.Count("command", ""))
		}
	})
}

func TestAllowed(t *testing.T) {
	v := defaults().newVehicle()
	none := v
	none.Write = "none"
	for _, row := range []struct {
		name string
		car  vehicle
		amps int
		want string
	}{
		{"least", v, 1, ""}, {"most", v, 48, ""}, {"zero", v, 0, "AMPS must be 1 to 48"}, {"negative", v, -5, "AMPS must be 1 to 48"},
		{"watts", v, 11000, "AMPS must be 1 to 48"}, {"forbidden", none, 10, "the configuration forbids commands to this car (write: none)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := allowed(row.car, row.amps)
			if got := fmt.Sprint(err); err == nil && row.want != "" || err != nil && got != row.want {
				t.Errorf("got %s", got)
			}
			if err != nil && exitCode(err) != exitUsage {
				t.Errorf("exit code %d", exitCode(err))
			}
		})
	}
}

// poor is a car whose reads the budget refuses.
type poor struct{ sent []tesla.Command }

func (p *poor) State(context.Context) (tesla.VehicleState, error) { return tesla.StateOnline, nil }
func (p *poor) ChargeState(context.Context) (tesla.ChargeState, error) {
	return tesla.ChargeState{}, &tesla.Error{Class: tesla.ErrOwnBudget, Text: "reads are refused"}
}
func (p *poor) Can(tesla.Thing) error { return nil }
func (p *poor) Do(_ context.Context, c tesla.Command) error {
	p.sent = append(p.sent, c)
	return nil
}

// TestApplyAmpsWithoutReads: money is kept for lowering the amps, also when none is left for looking first.
func TestApplyAmpsWithoutReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, talk := &poor{}, &strings.Builder{}
		shown, err := applyAmps(t.Context(), operated{p, p, readBack}, 6, talk)
		if err != nil || shown != 6 || len(p.sent) != 1 || !strings.Contains(talk.String(), "could not be read afterwards") {
			t.Errorf("%d A, %v; sent %v; it says %s", shown, err, p.sent, talk)
		}
	})
}
