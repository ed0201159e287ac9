package bridge

import (
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// withPort is inBubble with commands to the charge port turned on.
func withPort(t *testing.T, car sim.Car, f func(r *rig)) {
	t.Helper()
	inBubble(t, car, func(r *rig) {
		cfg := defaults()
		cfg.Commands.ChargePort = true
		r.cfg.Cars[vin] = cfg
		f(r)
	})
}

// TestOpenFreesTheCable: the port of a plugged-in car counts as open, and OPEN is what frees the cable.
func TestOpenFreesTheCable(t *testing.T) {
	withPort(t, plugged(), func(r *rig) {
		settled(r)
		if got := r.retained("model3/charge_port"); got != "open" {
			t.Fatalf("the port is %s", got)
		}
		r.send("charge_port", "OPEN")
		r.pass(10 * time.Second)
		r.wantResult(r.only("charge_port"), statusOK, "")
		r.wantExecuted("charge_port_door_open")
	})
}

// TestPortIsMoved: without a cable the port is opened and closed, each once.
func TestPortIsMoved(t *testing.T) {
	withPort(t, sim.Car{}, func(r *rig) {
		settled(r)
		for _, row := range []struct{ payload, status string }{{"CLOSE", statusNoop}, {"OPEN", statusOK}, {"OPEN", statusNoop}, {"CLOSE", statusOK}} {
			r.send("charge_port", row.payload)
			r.pass(10 * time.Second)
			r.wantResult(r.only("charge_port"), row.status, "")
		}
		r.wantExecuted("charge_port_door_open", "charge_port_door_close")
	})
}

// TestUncertainPort: that the port is open proves an OPEN only where no cable was in it.
func TestUncertainPort(t *testing.T) {
	for _, row := range []struct {
		name, fault, status, reason string
		car                         sim.Car
	}{
		{"with a cable, arrived", "cut-after", statusUnknown, "unconfirmed", plugged()},
		{"with a cable, lost", "cut-before", statusUnknown, "unconfirmed", plugged()},
		{"arrived", "cut-after", statusOK, "", sim.Car{}},
		{"lost", "cut-before", statusError, "unreachable", sim.Car{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPort(t, row.car, func(r *rig) {
				settled(r)
				r.fault(row.fault, sim.On("command"), sim.Times(1))
				r.send("charge_port", "OPEN")
				r.pass(time.Minute)
				r.wantResult(r.only("charge_port"), row.status, row.reason)
			})
		})
	}
}
