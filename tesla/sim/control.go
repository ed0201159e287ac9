package sim

import (
	"slices"
	"time"
)

// CarHandle is one car in the hands of a test or of the demo. Its methods look at the car from beside it: none of them
// counts as a call, and only those that say so wake it.
type CarHandle struct {
	t *Tesla
	c *car
}

// with lives up to now and lets f look at or change the car.
func (h *CarHandle) with(f func(c *car)) {
	h.t.mu.Lock()
	defer h.t.mu.Unlock()
	h.c.advance(time.Now())
	f(h.c)
}

// change is with for what happens to the charger: by names what wakes the car.
func (h *CarHandle) change(by string, f func(g *charger, now time.Time)) {
	h.with(func(c *car) {
		c.power.wake(c.clock, by)
		f(&c.charger, c.clock)
		c.settle()
	})
}

// PlugIn connects a socket that offers maxAmps on so many phases (0: as the car's usual one); 0 A is a dead socket. It
// wakes the car, which starts to charge unless it is full or waits for its schedule.
func (h *CarHandle) PlugIn(maxAmps, phases int) {
	h.change("plug", func(g *charger, now time.Time) {
		g.unplug()
		g.plug(maxAmps, phases, now)
	})
}

// Unplug takes the cable out and wakes the car.
func (h *CarHandle) Unplug() {
	h.change("plug", func(g *charger, _ time.Time) { g.unplug() })
}

// SetDC connects the car to a DC charger, which wakes it and starts to charge, or disconnects it.
func (h *CarHandle) SetDC(on bool) {
	h.change("plug", func(g *charger, now time.Time) {
		g.unplug()
		if on {
			g.quick(now)
		}
	})
}

// Supply changes what the socket offers, in A, as a load-managed one does; 0 is a power cut. Power that comes back
// wakes the car.
func (h *CarHandle) Supply(amps int) {
	h.with(func(c *car) {
		g := &c.charger
		if !g.plugged || g.dc {
			return
		}
		had := g.pilot > 0
		g.supply(amps)
		if has := g.pilot > 0; had != has {
			c.power.wake(c.clock, "plug")
			g.resume(c.clock)
			c.settle()
		}
	})
}

// DriveAway unplugs and leaves. The car is awake until it has arrived.
func (h *CarHandle) DriveAway() {
	h.with(func(c *car) {
		c.power.wake(c.clock, "driver")
		c.charger.unplug()
		c.charger.place = "on the road"
		c.driving = true
	})
}

// Arrive parks the car at a place, having used so many kWh. Plugged in there, it charges with the set point that it
// remembers of that place.
func (h *CarHandle) Arrive(place string, usedKWh float64) {
	h.with(func(c *car) {
		c.power.wake(c.clock, "driver")
		c.driving = false
		c.charger.place = place
		c.charger.energy = max(0, c.charger.energy-usedKWh)
	})
}

// Wake is the owner with the app in hand: the car is awake at once.
func (h *CarHandle) Wake() {
	h.with(func(c *car) { c.power.wake(c.clock, "app") })
}

// Sleep sends the car to sleep at once, and tells whether it does: not while it charges or drives.
func (h *CarHandle) Sleep() bool {
	asleep := false
	h.with(func(c *car) {
		if !c.power.asleep && !c.busy() {
			c.power.fall(c.clock)
		}
		asleep = c.power.asleep
	})
	return asleep
}

// ScheduleAt sets the next start of the car's own schedule: once, and it wakes the car. A car that charges goes on; one
// that is plugged in later waits. The zero time takes the schedule away.
func (h *CarHandle) ScheduleAt(at time.Time) {
	h.with(func(c *car) { c.charger.scheduled = at })
}

// Remove takes the car out of the account, or puts it back.
func (h *CarHandle) Remove(gone bool) { h.with(func(c *car) { c.removed = gone }) }

// InService hands the car to the workshop, or fetches it.
func (h *CarHandle) InService(on bool) { h.with(func(c *car) { c.inService = on }) }

// Offline takes the car out of coverage, awake or not, or brings it back.
func (h *CarHandle) Offline(on bool) { h.with(func(c *car) { c.offline = on }) }

// VIN is the car's number, made up if none was given.
func (h *CarHandle) VIN() string { return h.c.cfg.VIN }

// ID is the car's id in the Owner API.
func (h *CarHandle) ID() int64 { return h.c.cfg.ID }

// State is online, asleep or offline, as the cloud tells it.
func (h *CarHandle) State() (state string) {
	h.with(func(c *car) { state = c.state() })
	return state
}

// Asleep tells whether the car sleeps, whatever the cloud calls it.
func (h *CarHandle) Asleep() (asleep bool) {
	h.with(func(c *car) { asleep = c.power.asleep })
	return asleep
}

// AsleepFor is how long the car has slept in all.
func (h *CarHandle) AsleepFor() (d time.Duration) {
	h.with(func(c *car) { d = c.power.asleepFor })
	return d
}

// WokenBy lists what ended each sleep: wake_up, app, plug, driver, schedule or self.
func (h *CarHandle) WokenBy() (by []string) {
	h.with(func(c *car) { by = slices.Clone(c.power.wokenBy) })
	return by
}

// Amps is the set point, in A.
func (h *CarHandle) Amps() (amps int) {
	h.with(func(c *car) { amps = c.charger.setPoint })
	return amps
}

// Current is what flows on each phase now, in A; 0 on DC.
func (h *CarHandle) Current() (amps float64) {
	h.with(func(c *car) { amps = c.charger.amps })
	return amps
}

// Drawn is what the car takes from an AC socket now, in kW.
func (h *CarHandle) Drawn() (kW float64) {
	h.with(func(c *car) { kW = c.charger.drawn() })
	return kW
}

// Charging tells whether the car charges or is about to.
func (h *CarHandle) Charging() (on bool) {
	h.with(func(c *car) { on = c.charger.busy() })
	return on
}

// ChargingState is Tesla's word for it: Disconnected, NoPower, Starting, Charging, Complete or Stopped.
func (h *CarHandle) ChargingState() (state string) {
	h.with(func(c *car) { state = string(c.charger.phase) })
	return state
}

// Level is the state of charge in %, with decimals.
func (h *CarHandle) Level() (percent float64) {
	h.with(func(c *car) { percent = c.charger.level() })
	return percent
}

// Limit is the charge limit in %.
func (h *CarHandle) Limit() (percent int) {
	h.with(func(c *car) { percent = c.charger.limit })
	return percent
}

// Added is the energy of this session in the battery, in kWh.
func (h *CarHandle) Added() (kWh float64) {
	h.with(func(c *car) { kWh = c.charger.added })
	return kWh
}

// Executed lists the commands that took effect, in order. Refused ones and those that changed nothing are not there.
func (h *CarHandle) Executed() (list []Executed) {
	h.with(func(c *car) { list = slices.Clone(c.history) })
	return list
}
