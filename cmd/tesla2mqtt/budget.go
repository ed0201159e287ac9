package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/meter"
)

// openMeter joins the client and what counts its calls, where they cost money.
func (w *ways) openMeter(log *slog.Logger) error {
	if w.c.Tesla.API != bridge.BilledAPI {
		return nil
	}
	m, err := w.c.meter(func() int { return int(w.paying.Load()) })
	if err != nil {
		return stateFault(w.c.StateDir, err)
	}
	if problem := m.Report().Problem; problem != "" {
		log.Warn("the count of what Tesla bills", "problem", problem)
	}
	w.meter, w.client.Meter = m, m
	return nil
}

func (c *Config) meter(cars func() int) (*meter.Meter, error) {
	return meter.Open(c.StateDir, meter.Options{Budget: c.Tesla.MonthlyBudget, Every: c.Poll.Charging, Cars: cars})
}

// readsCost tells whether a full read of a car by a subcommand costs money. None of them hears a stream, so they ask the API.
func (c *Config) readsCost(v vehicle) bool {
	return c.Tesla.API == bridge.BilledAPI && v.clouded() && v.Read != "ble"
}

// share notes how many cars share the money.
func (w *ways) share(cars []tesla.Vehicle) { w.paying.Store(int32(w.c.paying(cars))) }

// paying tells how many of the account's cars are read by the API, and so share the money.
func (c *Config) paying(cars []tesla.Vehicle) (n int) {
	for _, car := range served(c, cars) {
		if settings, _ := c.settings(car.VIN); c.source(settings) == bridge.BilledAPI {
			n++
		}
	}
	return n
}

// pace is what the budget asks of the bridge, nil where nothing costs money.
func (w *ways) pace() func(time.Time) bridge.Pace {
	if w.meter == nil {
		return nil
	}
	return func(now time.Time) bridge.Pace {
		read, command := w.meter.Pace(now)
		return bridge.Pace{Read: read, Wait: command}
	}
}

// spending is that part of bridge/health.
type spending struct {
	tesla.Usage
	Bill *meter.Report `json:"bill,omitempty"`
}

func (w *ways) usage() (u spending) {
	if w.client != nil {
		u.Usage = w.client.Usage()
	}
	if w.meter != nil {
		u.Bill = new(w.meter.Report())
	}
	return u
}

// budget says what the month has cost, and what is held back to save money, of the cars with these VINs.
func (k *checkup) budget(usable bool, vins []string) {
	if k.config.Tesla.API != bridge.BilledAPI {
		return
	}
	k.begin("budget")
	if !usable {
		k.untried("spent", "the state folder cannot be used")
		return
	}
	var cars []tesla.Vehicle
	for _, vin := range vins {
		cars = append(cars, tesla.Vehicle{VIN: vin})
	}
	m, err := k.config.meter(func() int { return k.config.paying(cars) })
	if err != nil {
		k.fail("spent", err.Error(), stateFix(k.config.StateDir, err))
		return
	}
	for _, f := range judgeBudget(m.Report()) {
		k.note(f)
	}
	if err := m.Close(); err != nil {
		k.fail("spent", err.Error(), stateFix(k.config.StateDir, err))
	}
}

// judgeBudget is pure.
func judgeBudget(r meter.Report) []finding {
	spent := finding{Name: "spent", Status: statusOK, Message: fmt.Sprintf("%s USD in %s: %s, %s, %s", r.Spent, r.Month,
		counted(int(r.Reads.Count), "read"), counted(int(r.Commands.Count), "command"), counted(int(r.Wakes.Count), "wake"))}
	if r.Left != nil {
		spent.Message += fmt.Sprintf("; %s of %s USD are left", r.Left, r.Budget)
	} else {
		spent.Message += "; tesla.monthly_budget_usd sets no limit"
	}
	all := []finding{spent}
	if n := r.Signals.Count; n > 0 {
		all = append(all, finding{Name: "streamed", Status: statusOK, Message: fmt.Sprintf("%s came here in %s, for %s USD; that is beside the budget",
			counted(int(n), "signal"), r.Month, r.Signals.Spent)})
	}
	if len(r.Throttled) > 0 {
		all = append(all, finding{Name: "held back", Status: statusWarn, Message: "to save money, " + strings.Join(r.Throttled, "; "),
			Fix: "wait for the next month, or raise tesla.monthly_budget_usd"})
	}
	if r.Problem != "" {
		all = append(all, finding{Name: "usage.json", Status: statusWarn, Message: r.Problem})
	}
	return all
}
