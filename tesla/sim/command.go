package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Executed is a command that took effect in a car.
type Executed struct {
	At    time.Time
	Name  string // as in the path: set_charging_amps, charge_start, …
	Asked int    // A or %, 0 for commands without a value
	Value int    // what the car made of it
}

// command does what a client tells a car. The lock is held.
func (t *Tesla) command(c *car, name string, body []byte) answer {
	if c.cfg.SignedCommands {
		return signingRequired()
	}
	if no := c.unreachable(); no != nil {
		return *no
	}
	value := 0
	if name == "set_charging_amps" || name == "set_charge_limit" {
		var err error
		if value, err = number(body, name); err != nil {
			c.power.touch(c.clock)
			t.violate("%s: %v", name, err)
			return apiError(http.StatusBadRequest, "invalid_command")
		}
	}
	return c.obey(name, value)
}

// obey does what the car was told, by whatever way it heard it.
func (c *car) obey(name string, value int) answer {
	c.power.touch(c.clock)
	if c.power.since(c.clock) < c.cfg.BusesTake {
		return refused("could_not_wake_buses")
	}
	switch name {
	case "set_charging_amps":
		return c.setAmps(value)
	case "set_charge_limit":
		return c.setLimit(value)
	case "charge_start":
		return c.start()
	case "charge_stop":
		return c.stop()
	}
	return c.door(name == "charge_port_door_open")
}

// number reads the one argument that the two setting commands have.
func number(body []byte, command string) (int, error) {
	key := "charging_amps"
	if command == "set_charge_limit" {
		key = "percent"
	}
	var args map[string]json.RawMessage
	if err := json.Unmarshal(body, &args); err != nil {
		return 0, errors.New("the body is no JSON object")
	}
	var value int
	if err := json.Unmarshal(args[key], &value); err != nil {
		return 0, fmt.Errorf("%s is no whole number", key)
	}
	return value, nil
}

// signingRequired is the gateway's no for cars newer than 2021; it comes before the car is asked, asleep or not.
func signingRequired() answer {
	return apiError(http.StatusForbidden, "Tesla Vehicle Command Protocol required, please refer to the documentation here: "+
		"https://developer.tesla.com/docs/fleet-api#2023-10-09-rest-api-vehicle-commands-endpoint-deprecation-warning")
}

// setAmps stores the set point, unplugged too: firmware differs there, see Car.RefuseAmpsUnplugged.
func (c *car) setAmps(asked int) answer {
	if !c.charger.plugged && c.cfg.RefuseAmpsUnplugged {
		return refused("disconnected")
	}
	if c.charger.dc { // nobody has recorded what a car says there
		return done() // accepted, without effect
	}
	return c.executed("set_charging_amps", asked, c.charger.setAmps(asked))
}

// setLimit accepts any number, as Tesla does, and keeps to the car's own range.
func (c *car) setLimit(asked int) answer {
	value := min(max(asked, limitMin), limitMax)
	if value == c.charger.limit {
		return refused("already_set")
	}
	c.charger.setLimit(value, c.clock)
	c.settle()
	return c.executed("set_charge_limit", asked, value)
}

// start gives the reasons in the order in which the car checks them.
func (c *car) start() answer {
	g := &c.charger
	switch {
	case !g.plugged:
		return refused("disconnected")
	case g.busy():
		return refused("is_charging")
	case g.full():
		return refused("complete")
	case g.phase == noPower:
		return refused("no_power")
	}
	g.begin(c.clock)
	c.settle()
	return c.executed("charge_start", 0, 0)
}

// stop ends a charge; the car then waits, plugged in, until it is told to start.
func (c *car) stop() answer {
	if !c.charger.busy() {
		return refused("not_charging")
	}
	c.charger.halt(stopped)
	c.settle()
	return c.executed("charge_stop", 0, 0)
}

// door opens or closes the charge port. Opening frees the cable, which ends a charge.
func (c *car) door(open bool) answer {
	name := "charge_port_door_close"
	if open {
		name = "charge_port_door_open"
		if c.charger.busy() {
			c.charger.halt(stopped)
		}
	}
	c.charger.doorOpen, c.charger.unlatched = open, open
	c.settle()
	return c.executed(name, 0, 0)
}

// executed books a command that took effect.
func (c *car) executed(name string, asked, value int) answer {
	c.history = append(c.history, Executed{c.clock, name, asked, value})
	return done()
}
