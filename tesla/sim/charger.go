package sim

import "time"

// phase is the charging_state that Tesla reports.
type phase string

const (
	disconnected phase = "Disconnected"
	noPower      phase = "NoPower"
	starting     phase = "Starting"
	charging     phase = "Charging"
	complete     phase = "Complete"
	stopped      phase = "Stopped"
)

const (
	limitMin   = 50
	limitMax   = 100
	startTakes = 10 * time.Second // of the car's own time
)

// charger is the battery with all that fills it.
type charger struct {
	// What the car is.
	capacity      float64 // kWh
	volts         int     // of one phase
	onboard       int     // A, 0: as usual for the number of phases
	startsAtFive  bool
	phasesAtBirth int

	// What is plugged in, and where.
	plugged   bool
	dc        bool
	phases    int
	pilot     int // A, what the socket offers
	ceiling   int // A, charge_current_request_max: keeps its last value when unplugged
	place     string
	doorOpen  bool
	unlatched bool

	// What was asked for.
	limit     int
	setPoint  int
	armed     bool           // a request under 5 A has landed at 5, the next takes effect
	places    map[string]int // set points that the car remembers
	scheduled time.Time      // next scheduled start, zero for none

	// What it does.
	phase    phase
	startsAt time.Time // when Starting becomes Charging
	amps     float64   // measured
	energy   float64   // kWh in the battery
	added    float64   // kWh in this session
}

// busy tells whether the car charges, which keeps it awake.
func (g *charger) busy() bool { return g.phase == starting || g.phase == charging }

// level is the state of charge in %.
func (g *charger) level() float64 { return 100 * g.energy / g.capacity }

// full tells whether the limit is reached.
func (g *charger) full() bool { return g.level() >= float64(g.limit) }

// plug connects a socket that offers so many amps on so many phases. The car starts by itself unless it is full, has
// nothing to draw or waits for its schedule.
func (g *charger) plug(amps, phases int, now time.Time) {
	if phases <= 0 {
		phases = g.phasesAtBirth
	}
	g.plugged, g.doorOpen, g.unlatched = true, true, false
	g.phases, g.added, g.armed = phases, 0, false
	g.supply(amps)
	g.setPoint = g.ceiling
	if remembered, known := g.places[g.place]; known {
		g.setPoint = min(remembered, g.ceiling)
	}
	g.resume(now)
}

// supply changes what the socket offers, as load-managed ones do. Nothing offered is no power.
func (g *charger) supply(amps int) {
	g.pilot = amps
	if amps <= 0 {
		g.pilot = 0
		return
	}
	onboard := g.onboard
	if onboard <= 0 {
		onboard = 32
		if g.phases > 1 {
			onboard = 16
		}
	}
	g.ceiling = min(amps, onboard)
}

// resume settles what a car that is plugged in does when nobody tells it.
func (g *charger) resume(now time.Time) {
	switch {
	case g.pilot == 0 && !g.dc:
		g.halt(noPower)
	case g.full():
		g.halt(complete)
	case g.scheduled.After(now):
		g.halt(stopped)
	default:
		g.begin(now)
	}
}

// unplug takes the cable away, AC or DC.
func (g *charger) unplug() {
	g.plugged, g.dc, g.doorOpen, g.unlatched = false, false, false, false
	g.halt(disconnected)
}

// quick connects a DC charger.
func (g *charger) quick(now time.Time) {
	g.unplug()
	g.plugged, g.dc, g.doorOpen, g.added, g.pilot = true, true, true, 0, 0
	g.resume(now)
}

// begin starts a charge; current flows some seconds later. startsAt is set by the car, which knows its speed.
func (g *charger) begin(now time.Time) {
	g.phase, g.amps, g.unlatched = starting, 0, false
	g.startsAt, g.scheduled = now, time.Time{}
}

// halt ends a charge, or any other phase, in this one.
func (g *charger) halt(in phase) {
	g.phase, g.amps = in, 0
}

// setLimit moves the limit: under the level it ends a charge, above it a car that was complete goes on.
func (g *charger) setLimit(percent int, now time.Time) {
	g.limit = percent
	switch {
	case g.busy() && g.full():
		g.halt(complete)
	case g.phase == complete && !g.full():
		g.begin(now)
	}
}

// setAmps moves the set point, and returns where it landed.
//
// From 5 A or more, a request under 5 lands at 5, and only the next one takes effect (TeslaPy#42). Under 5 the car knows
// only some values.
func (g *charger) setAmps(asked int) int {
	switch {
	case asked >= 5:
		g.setPoint, g.armed = min(asked, g.ceiling), false
	case g.setPoint >= 5 && !g.armed:
		g.setPoint, g.armed = min(5, g.ceiling), true
	case asked <= 1:
		g.setPoint = 2
	case asked <= 3:
		g.setPoint = 3
	default:
		g.setPoint = asked
	}
	g.places[g.place] = g.setPoint
	return g.setPoint
}
