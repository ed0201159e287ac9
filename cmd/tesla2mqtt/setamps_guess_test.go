package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestSetAmpsLostBelowFive: if the answer to the first of two sends is lost, nothing is sent on a guess: only reads can tell.
func TestSetAmpsLostBelowFive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(sim.Tesla)
		s.Add(sim.Car{Amps: 12})
		_, car := simulated(t, s)
		if err := s.Fault("cut-after", sim.On("command"), sim.Times(1)); err != nil {
			t.Fatal(err)
		}
		_, err := applyAmps(t.Context(), operated{car, car, readBack}, 3, new(strings.Builder))
		if n := s.Count("command", ""); n != 1 || !tesla.MayHaveSucceeded(err) || exitCode(err) != exitFailed {
			t.Errorf("sent %d times: %v", n, err)
		}
	})
}

// booked are the expenses that a client has booked.
type booked []tesla.Expense

func (a *booked) Book(_ context.Context, e tesla.Expense) (unbill func(), err error) {
	*a = append(*a, e)
	return func() {}, nil
}

// unread is a car that does not tell its set point.
type unread struct{ bridge.Reader }

func (u unread) ChargeState(ctx context.Context) (tesla.ChargeState, error) {
	c, err := u.Reader.ChargeState(ctx)
	c.ChargeAmps = nil
	return c, err
}

// TestSetAmpsFromNothing: where the set point is not known, as little as Tesla's app can set counts as lowering, which the budget
// grants longest; more does not.
func TestSetAmpsFromNothing(t *testing.T) {
	for amps, want := range map[int]tesla.Expense{5: tesla.ExpenseLower, 6: tesla.ExpenseCommand} {
		synctest.Test(t, func(t *testing.T) {
			s := new(sim.Tesla)
			s.Add(sim.Car{Amps: 12})
			client, car := simulated(t, s)
			by := new(booked)
			client.Meter = by
			if _, err := applyAmps(t.Context(), operated{unread{car}, car, readBackOnce}, amps, new(strings.Builder)); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(*by, want) {
				t.Errorf("%d A: booked %v, want %s among them", amps, *by, want)
			}
		})
	}
}
