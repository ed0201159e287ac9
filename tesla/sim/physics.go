package sim

import (
	"math"
	"time"
)

const (
	efficiency = 0.92 // from socket to battery
	rampUp     = 2.0  // A/s
	rampDown   = 5.0  // A/s
	taperFrom  = 90.0 // %, the current falls only above this level
	taperSpan  = 3.0  // %, and over this much before the limit
)

// All durations in this file are of the car's own time, in which Tesla.Speed makes it live faster.

// target is the current that the car is after, in A.
func (g *charger) target() float64 {
	want := float64(min(g.setPoint, g.ceiling, max(g.pilot, 0)))
	if left := float64(g.limit) - g.level(); g.level() > taperFrom && left < taperSpan {
		want = min(want, max(1, want*left/taperSpan))
	}
	return want
}

// power is what reaches the battery, in kW.
func (g *charger) power() float64 {
	switch {
	case g.phase != charging:
		return 0
	case g.dc:
		return 100 * (1 - g.level()/130) // full speed when empty, a quarter when full
	}
	return g.drawn() * efficiency
}

// drawn is what leaves an AC socket, in kW.
func (g *charger) drawn() float64 {
	return g.amps * float64(g.volts*g.phases) / 1000
}

// stride is how long the present current stays true enough to reckon with: all the way to the next bend while it is
// steady, a second in the ramp, five in the taper.
func (g *charger) stride() time.Duration {
	switch target := g.target(); {
	case g.dc:
		return 5 * time.Second
	case g.amps < target:
		return seconds(min(1, (target-g.amps)/rampUp))
	case g.amps > target && g.level() <= taperFrom:
		return seconds(min(1, (g.amps-target)/rampDown))
	}
	bend := float64(g.limit)
	if from := max(taperFrom, bend-taperSpan); bend > taperFrom && g.level() < from {
		bend = from
	} else if bend > taperFrom {
		return 5 * time.Second
	}
	power := g.power()
	if power <= 0 {
		return time.Hour
	}
	return seconds((bend-g.level())/100*g.capacity/power*3600) + time.Millisecond // past the bend, in spite of rounding
}

// pass charges for a while that is not longer than a stride.
func (g *charger) pass(d time.Duration) {
	if g.phase != charging {
		return
	}
	target, s := g.target(), d.Seconds()
	if g.amps < target {
		g.amps = min(target, g.amps+rampUp*s)
	} else {
		g.amps = max(target, g.amps-rampDown*s)
	}
	kWh := g.power() * s / 3600
	g.energy += kWh
	g.added += kWh
}

// happen does what is due now, and tells whether the phase changed.
func (g *charger) happen(now time.Time) bool {
	switch {
	case g.phase == starting && !now.Before(g.startsAt):
		g.phase = charging
		if g.startsAtFive && !g.dc {
			g.setPoint, g.armed = min(5, g.ceiling), false
		}
	case g.phase == charging && g.full():
		g.halt(complete)
	case g.waiting() && !now.Before(g.scheduled):
		g.begin(now)
	default:
		return false
	}
	return true
}

// expire forgets a scheduled start that came while there was nothing to start.
func (g *charger) expire(now time.Time) {
	if !now.Before(g.scheduled) {
		g.scheduled = time.Time{}
	}
}

// waiting tells whether the car is plugged in and waits for its schedule.
func (g *charger) waiting() bool { return g.phase == stopped && !g.scheduled.IsZero() }

// minutesLeft is the car's guess of the time to the limit, in steps of five as it tells them.
func (g *charger) minutesLeft() int {
	kW := g.power()
	if g.phase == charging && !g.dc {
		kW = g.target() * float64(g.volts*g.phases) / 1000 * efficiency
	}
	if kW <= 0 || g.full() {
		return 0
	}
	hours := (float64(g.limit) - g.level()) / 100 * g.capacity / kW
	return 5 * int(math.Ceil(hours*12))
}

func seconds(s float64) time.Duration {
	return max(1, time.Duration(s*float64(time.Second)))
}
