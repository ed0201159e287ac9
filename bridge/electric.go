package bridge

import "tesla2mqtt/tesla"

// phases tells on how many phases the car charges. Tesla's own figure cannot be taken as it is: European cars say 2 and
// mean 3. From 3 kW up, Tesla's truncated power is precise enough to tell which count fits; below, 2 means 3.
func phases(c tesla.ChargeState) *int {
	if c.FastChargerPresent != nil && *c.FastChargerPresent {
		return nil
	}
	if c.ChargerPower != nil && *c.ChargerPower >= 3 && c.ChargerVoltage != nil && c.ChargerActualCurrent != nil {
		one := float64(*c.ChargerVoltage) * float64(*c.ChargerActualCurrent) / 1000
		if one > 0 {
			return new(nearest(float64(*c.ChargerPower), one))
		}
	}
	switch {
	case c.ChargerPhases == nil || *c.ChargerPhases < 1 || *c.ChargerPhases > 3:
		return nil
	case *c.ChargerPhases == 2:
		return new(3)
	}
	return c.ChargerPhases
}

// cut is what Tesla's whole kW lack on average: 3.99 is told as 3. Without it, 6 A on three phases of 221 V would pass
// for two phases.
const cut = 0.5

// nearest returns the n of 1, 2, 3 for which n times one phase's power is nearest to what the told power means.
func nearest(power, onePhase float64) int {
	power += cut
	best := 1
	for n := 2; n <= 3; n++ {
		if abs(power-float64(n)*onePhase) < abs(power-float64(best)*onePhase) {
			best = n
		}
	}
	return best
}

// power returns kW. Tesla's figure is truncated to whole kW, so on AC it is computed from what was measured.
func power(c tesla.ChargeState) *float64 {
	if c.FastChargerPresent != nil && *c.FastChargerPresent {
		if c.ChargerPower == nil {
			return nil
		}
		return new(float64(*c.ChargerPower))
	}
	if c.ChargerVoltage == nil || c.ChargerActualCurrent == nil {
		return nil
	}
	n := phases(c)
	if n == nil {
		if *c.ChargerActualCurrent == 0 {
			return new(0.0)
		}
		n = new(1)
	}
	return new(round(float64(*c.ChargerVoltage)*float64(*c.ChargerActualCurrent)*float64(*n)/1000, 2))
}

// newSession is the drop of charge_energy_added, in kWh, from which on it counts as a new session and not as one of the
// small steps back that cars report.
const newSession = 0.5

// total advances our energy counter by what a session gained since the last read.
func total(counter, before, now *float64) *float64 {
	if now == nil {
		return counter
	}
	sum := 0.0
	if counter != nil {
		sum = *counter
	}
	switch {
	case before == nil:
		// The first read ever starts the counter at what this session already holds.
		sum += *now
	case *now > *before:
		sum += *now - *before
	case *before-*now > newSession:
		sum += *now
	}
	return new(round(sum, 3))
}

// sessionEnergy ignores small steps back, so that what was counted is not counted again when the value returns.
func sessionEnergy(d Document, c tesla.ChargeState) *float64 {
	before, now := d.ChargeEnergyAdded, c.ChargeEnergyAdded
	if now == nil || before != nil && *now < *before && *before-*now <= newSession {
		return before
	}
	return now
}

func abs(v float64) float64 {
	if v < 0 {
		return -v
	}
	return v
}
