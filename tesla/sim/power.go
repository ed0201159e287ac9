package sim

import "time"

const (
	selfCheckEvery = time.Hour
	selfCheckTakes = 150 * time.Second
)

// power is whether a car sleeps, and who woke it.
type power struct {
	idle, wakeTakes time.Duration
	selfChecks      bool

	asleep    bool
	sleepAt   time.Time // when it falls asleep if nothing happens; void while it is busy
	wakeAt    time.Time // when a wake_up under way will be through
	checkAt   time.Time // when it looks in on itself
	wokeAt    time.Time
	asleepFor time.Duration
	wokenBy   []string
}

// touch restarts the idle timer, as every read and command does on a car that is awake.
func (p *power) touch(now time.Time) { p.sleepAt = now.Add(p.idle) }

// ring is a wake_up: a sleeping car takes its time, one that is on its way goes on, one that is awake stays so.
func (p *power) ring(now time.Time) {
	switch {
	case !p.asleep:
		p.touch(now)
	case p.wakeAt.IsZero():
		p.wakeAt = now.Add(p.wakeTakes)
	}
}

// wake ends a sleep at once; it is nothing to a car that is awake.
func (p *power) wake(now time.Time, by string) {
	if p.asleep {
		p.asleep = false
		p.wokeAt, p.wakeAt = now, time.Time{}
		p.wokenBy = append(p.wokenBy, by)
	}
	p.touch(now)
}

// fall puts the car to sleep.
func (p *power) fall(now time.Time) {
	p.asleep = true
	p.wakeAt = time.Time{}
	p.checkAt = now.Add(selfCheckEvery)
}

// since is how long the car has been awake.
func (p *power) since(now time.Time) time.Duration { return now.Sub(p.wokeAt) }

// next is when something will happen by itself, zero for never.
func (p *power) next(busy bool) time.Time {
	switch {
	case !p.asleep && busy:
		return time.Time{}
	case !p.asleep:
		return p.sleepAt
	case p.selfChecks:
		return earliest(p.checkAt, p.wakeAt)
	}
	return p.wakeAt
}

// pass lets time go by in which nothing changes.
func (p *power) pass(d time.Duration) {
	if p.asleep {
		p.asleepFor += d
	}
}

// happen does what is due now.
func (p *power) happen(now time.Time, busy bool) {
	due := func(at time.Time) bool { return !at.IsZero() && !now.Before(at) }
	switch {
	case !p.asleep && !busy && due(p.sleepAt):
		p.fall(now)
	case p.asleep && due(p.wakeAt):
		p.wake(now, "wake_up")
	case p.asleep && p.selfChecks && due(p.checkAt):
		p.wake(now, "self")
		p.sleepAt = now.Add(selfCheckTakes) // unless somebody reads meanwhile: that costs the whole idle time
	}
}

// earliest is the first of some times, leaving out zero ones.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, at := range times {
		if first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
}
