package sim

import (
	"fmt"
	"strconv"
	"time"

	"tesla2mqtt/tesla/sim/vcp"
)

// Car describes a car to [Tesla.Add]. The zero value is a European three-phase car at home, unplugged, half full.
type Car struct {
	VIN  string // "": made up from the number of cars
	Name string // "": Model 3
	ID   int64  // 0: made up, above 2^53 as Tesla's are

	// SignedCommands makes the car refuse the unsigned commands of the Owner API, as those newer than 2021 do.
	SignedCommands bool
	// Unpaired is a car that does not know the key of the Fleet application.
	Unpaired bool
	// Telemetry is what a telemetry configuration meets: "" is a car that takes it, one of unsupported_hardware,
	// unsupported_firmware and max_configs is Tesla's word for not taking it, and full is a car that drops it in silence.
	Telemetry string

	BatteryKWh float64 // 0: 75
	Level      float64 // %, 0: 50
	Limit      int     // %, 0: 80
	Phases     int     // of the usual socket: 1 or 3, 0: 3
	Volts      int     // of one phase, 0: 230
	MaxAmps    int     // of the on-board charger, 0: 16 with three phases and 32 with one
	Place      string  // where it stands, "": home
	Cable      string  // conn_charge_cable, "": IEC

	// PluggedIn starts with the cable in, and so charging unless the car is full or Stopped.
	PluggedIn bool
	Stopped   bool
	Amps      int  // set point to start with, 0: what car and socket allow
	Asleep    bool // starts asleep, if it does not charge

	SleepAfter time.Duration // idle time before it sleeps, 0: 15 min
	SleepsAs   string        // what state says of it then, "": asleep. Newer firmware: offline
	WakeTakes  time.Duration // from wake_up to online, 0: 15 s
	BusesTake  time.Duration // after waking, commands are could_not_wake_buses for so long
	SelfChecks bool          // it wakes by itself for 150 s each hour

	StartsAtFive        bool          // amps set before a charge are accepted, and the charge starts at 5 all the same
	RefuseAmpsUnplugged bool          // amps while unplugged are refused as disconnected, not stored
	Lag                 time.Duration // vehicle_data is a picture up to so old, with the timestamp of that time
}

// car is a car at one moment: all its parts are true at clock. Whoever looks at it advances it first, under the lock of
// its account.
type car struct {
	t     *Tesla
	cfg   Car
	id    string // cfg.ID in the paths; made once, since every request looks through all cars
	clock time.Time

	power   power
	charger charger

	removed, inService, driving, offline bool

	protocol *vcp.Car // its side of signed commands
	stream   streamConfig

	history []Executed
	picture map[string]any // the last reading, for Lag
	taken   time.Time
}

// Add puts a car into the account.
func (t *Tesla) Add(cfg Car) *CarHandle {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ready()
	now := time.Now()
	cfg = cfg.filled(len(t.cars))
	c := &car{t: t, cfg: cfg, id: strconv.FormatInt(cfg.ID, 10), clock: now}
	c.power = power{idle: cfg.SleepAfter, wakeTakes: cfg.WakeTakes, selfChecks: cfg.SelfChecks}
	c.charger = charger{
		capacity: cfg.BatteryKWh, volts: cfg.Volts, onboard: cfg.MaxAmps, startsAtFive: cfg.StartsAtFive,
		phasesAtBirth: cfg.Phases, phases: cfg.Phases, place: cfg.Place, limit: cfg.Limit,
		places: map[string]int{}, phase: disconnected, energy: cfg.BatteryKWh * cfg.Level / 100,
	}
	c.charger.birth(cfg, now)
	c.settle()
	c.power.touch(now)
	if cfg.Asleep && !c.charger.busy() {
		c.power.fall(now)
	}
	t.cars = append(t.cars, c)
	h := &CarHandle{t: t, c: c}
	c.protocol = vcp.New(cfg.VIN, body{h})
	return h
}

// birth is the charger's part of Add. It gives the charger the set point and the cable that it starts with.
func (g *charger) birth(cfg Car, now time.Time) {
	socket := 32
	if cfg.MaxAmps > 0 {
		socket = cfg.MaxAmps
	}
	g.supply(socket)
	g.setPoint = g.ceiling
	if cfg.Amps > 0 {
		g.setPoint = min(cfg.Amps, g.ceiling)
		g.places[g.place] = g.setPoint
	}
	if cfg.PluggedIn {
		g.plug(socket, cfg.Phases, now)
	}
	if cfg.Stopped && g.busy() {
		g.halt(stopped)
	}
}

// filled replaces zero values by the defaults; n is the number of cars so far.
func (c Car) filled(n int) Car {
	fill(&c.VIN, fmt.Sprintf("5YJ3E1EA7KF%06d", 317000+n))
	fill(&c.Name, "Model 3")
	fill(&c.ID, 12345678901234567+2*int64(n)) // odd and above 2^53: a float cannot hold it
	fill(&c.BatteryKWh, 75)
	fill(&c.Level, 50)
	fill(&c.Limit, 80)
	fill(&c.Phases, 3)
	fill(&c.Volts, 230)
	fill(&c.Place, "home")
	fill(&c.Cable, "IEC")
	fill(&c.SleepAfter, 15*time.Minute)
	fill(&c.SleepsAs, "asleep")
	fill(&c.WakeTakes, 15*time.Second)
	return c
}

// fill sets a field that was left at its zero value.
func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// advance lives through the time since the last access, from one event to the next.
func (c *car) advance(now time.Time) {
	for c.clock.Before(now) {
		next := earliest(now, c.power.next(c.busy()), c.charge())
		if next.Before(c.clock) {
			next = c.clock // overdue, as after a sleep timer that a charge had suspended
		}
		d := next.Sub(c.clock)
		c.charger.pass(time.Duration(float64(d) * c.t.speed()))
		c.power.pass(d)
		c.clock = next
		c.happen()
	}
}

// charge is when the charger next wants to be looked at, zero for never.
func (c *car) charge() time.Time {
	switch g := &c.charger; {
	case g.phase == starting:
		return g.startsAt
	case g.phase == charging:
		return c.clock.Add(max(1, c.real(g.stride())))
	case g.waiting():
		return g.scheduled
	}
	return time.Time{}
}

// happen does what is due at clock.
func (c *car) happen() {
	if c.charger.happen(c.clock) {
		c.settle()
	}
	c.charger.expire(c.clock)
	c.fetchConfig()
	c.power.happen(c.clock, c.busy())
}

// settle follows up on a change of the charger: a start takes its time and is awake, and any change, the end of a charge
// above all, restarts the idle timer.
func (c *car) settle() {
	g := &c.charger
	if g.phase == starting && g.startsAt.Equal(c.clock) {
		g.startsAt = c.clock.Add(c.real(startTakes))
		c.power.wake(c.clock, "schedule") // whoever else starts a charge has woken the car before
	}
	if !c.power.asleep {
		c.power.touch(c.clock)
	}
}

// real turns a duration of the car's own time into ours.
func (c *car) real(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.t.speed())
}

// busy tells whether the car does something that keeps it awake.
func (c *car) busy() bool { return c.charger.busy() || c.driving }

// state is what the cloud says of the car. A car out of coverage may sleep or not: the cloud
// remembers what it heard last.
func (c *car) state() string {
	switch {
	case c.power.asleep:
		return c.cfg.SleepsAs
	case c.offline:
		return "offline"
	}
	return "online"
}

// idText is id_s, for clients whose numbers are floats.
func (c *car) idText() string { return c.id }
