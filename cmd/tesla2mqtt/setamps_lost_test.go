package main

import (
	"strings"
	"testing"
	"testing/synctest"

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
