package sim

import "math"

const (
	none      = "<invalid>" // Tesla's word for no cable and the like
	milesAKWh = 4.0
)

// reading is what the car tells in vehicle_data, by endpoint; with Lag, what it told a while ago.
func (c *car) reading() map[string]any {
	if c.picture != nil && c.clock.Sub(c.taken) < c.cfg.Lag {
		return c.picture
	}
	c.taken = c.clock
	c.picture = map[string]any{
		"charge_state": c.chargeState(),
		"vehicle_state": map[string]any{
			"vehicle_name": c.cfg.Name,
			"car_version":  "2026.32.3 0123456789ab",
			"timestamp":    c.clock.UnixMilli(),
		},
		"drive_state": map[string]any{
			"shift_state": c.shift(),
			"power":       0,
			"timestamp":   c.clock.UnixMilli(),
		},
	}
	return c.picture
}

func (c *car) shift() any {
	if c.driving {
		return "D"
	}
	return nil
}

// chargeState gathers the charge_state of a car from its parts.
func (c *car) chargeState() map[string]any {
	all := map[string]any{"timestamp": c.clock.UnixMilli()}
	parts := []map[string]any{c.charger.battery(), c.charger.current(), c.charger.cable(c.cfg.Cable), c.charger.plan()}
	for _, part := range parts {
		for name, value := range part {
			all[name] = value
		}
	}
	return all
}

// battery is what is in the battery and what came in. Ranges are miles, whatever the display shows.
func (g *charger) battery() map[string]any {
	level := int(g.level() + 1e-6) // 79.99999 after a charge to 80 is 80
	miles := round(g.energy*milesAKWh, 2)
	return map[string]any{
		"battery_level":            level,
		"usable_battery_level":     level,
		"battery_range":            miles,
		"est_battery_range":        round(miles*0.95, 2),
		"ideal_battery_range":      miles,
		"energy_remaining":         round(g.energy, 2),
		"charge_energy_added":      round(g.added, 2),
		"charge_miles_added_rated": round(g.added*milesAKWh, 1),
		"charge_miles_added_ideal": round(g.added*milesAKWh, 1),
		"charge_limit_soc":         g.limit,
		"charge_limit_soc_min":     limitMin,
		"charge_limit_soc_max":     limitMax,
		"charge_limit_soc_std":     80,
		"battery_heater_on":        false,
		"not_enough_power_to_heat": nil,
	}
}

// current is what flows. Three phases are told as 2, idle ones not at all, and power is truncated to whole kW.
func (g *charger) current() map[string]any {
	volts, amps, kW := 0, 0, 0.0
	var phases any
	switch {
	case g.dc && g.phase == charging:
		volts, kW = 380, g.power()
	case g.phase == charging:
		volts, amps, kW = g.volts, int(math.Round(g.amps)), g.drawn()
		phases = min(g.phases, 2)
	case g.plugged && g.phase != noPower:
		volts = 2
	}
	minutes := g.minutesLeft()
	return map[string]any{
		"charging_state":             string(g.phase),
		"charge_amps":                g.setPoint,
		"charge_current_request":     g.setPoint,
		"charge_current_request_max": g.ceiling,
		"charger_actual_current":     amps,
		"charger_pilot_current":      g.pilot,
		"charger_voltage":            volts,
		"charger_phases":             phases,
		"charger_power":              int(kW),
		"charge_rate":                round(g.power()*milesAKWh, 1), // mph of range
		"minutes_to_full_charge":     minutes,
		"time_to_full_charge":        round(float64(minutes)/60, 4),
		"charge_enable_request":      g.phase != stopped,
		"user_charge_enable_request": nil,
	}
}

// cable is what hangs on the car. The latch is no plug detector: it stays engaged on many cars that are unplugged.
func (g *charger) cable(kind string) map[string]any {
	cable, fast, brand, latch, color := none, none, none, "Engaged", "Off"
	switch {
	case g.dc:
		cable, fast, brand = kind, "Combo", "Tesla"
	case g.plugged && kind == "SAE":
		cable, fast = kind, "MCSingleWireCAN"
	case g.plugged:
		cable, fast = kind, "ACSingleWireCAN"
	}
	if g.unlatched {
		latch = "Disengaged"
	}
	if g.phase == charging {
		color = "FlashingGreen"
	}
	return map[string]any{
		"conn_charge_cable":             cable,
		"fast_charger_present":          g.dc,
		"fast_charger_type":             fast,
		"fast_charger_brand":            brand,
		"charge_port_door_open":         g.doorOpen,
		"charge_port_latch":             latch,
		"charge_port_color":             color,
		"charge_port_cold_weather_mode": false,
	}
}

// plan is the schedule of the car's own.
func (g *charger) plan() map[string]any {
	mode := "Off"
	var start any
	if !g.scheduled.IsZero() {
		mode, start = "StartAt", g.scheduled.Unix() // seconds here, milliseconds elsewhere
	}
	return map[string]any{
		"scheduled_charging_mode":           mode,
		"scheduled_charging_pending":        g.waiting(),
		"scheduled_charging_start_time":     start,
		"scheduled_charging_start_time_app": 120,
		"scheduled_departure_time":          nil,
		"scheduled_departure_time_minutes":  480,
		"off_peak_charging_enabled":         false,
		"preconditioning_enabled":           false,
		"managed_charging_active":           false,
		"trip_charging":                     false,
	}
}

// round keeps n decimals.
func round(x float64, n int) float64 {
	scale := math.Pow10(n)
	return math.Round(x*scale) / scale
}
