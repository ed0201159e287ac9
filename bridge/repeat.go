package bridge

import (
	"slices"
	"time"

	"tesla2mqtt/tesla"
)

const (
	// remember is how long an id is known again (a sender that repeats itself gets the old result).
	remember = 10 * time.Minute
	// maxRemembered bounds the memory against a flood of ids.
	maxRemembered = 1000

	firstSulk = 30 * time.Second
	maxSulk   = 10 * time.Minute
)

// repeat is what makes two messages the same command.
type repeat struct {
	thing tesla.Thing
	id    string
	value any
}

type answered struct {
	key repeat
	at  time.Time
	ver verdict
}

// repeats remembers the answered commands that carried an id, oldest first.
type repeats []answered

func (r repeats) find(key repeat, now time.Time) (verdict, bool) {
	for _, a := range r {
		if a.key == key && now.Sub(a.at) < remember {
			return a.ver, true
		}
	}
	return verdict{}, false
}

func (r repeats) add(key repeat, v verdict, now time.Time) repeats {
	r = slices.DeleteFunc(r, func(a answered) bool { return now.Sub(a.at) >= remember || a.key == key })
	if len(r) >= maxRemembered {
		r = slices.Delete(r, 0, 1)
	}
	return append(r, answered{key, now, v})
}

// failure remembers a command that failed, so that a sender which insists does not make us knock at Tesla each time.
type failure struct {
	until time.Time
	sulk  time.Duration
	ver   verdict
}

type attempt struct {
	thing tesla.Thing
	value int
}

// failures is that memory, by thing and value.
type failures map[attempt]failure

// answer returns the remembered failure. Stopping is never answered from memory.
func (f failures) answer(a attempt, now time.Time) (verdict, bool) {
	known, ok := f[a]
	if !ok || !now.Before(known.until) || isStop(a.thing, a.value) {
		return verdict{}, false
	}
	v := known.ver
	v.message += "; the same failed just now, it will be tried again after " + known.until.UTC().Format("15:04:05Z")
	return v, true
}

func (f failures) note(a attempt, v verdict, now time.Time) {
	sulk := firstSulk
	if before, ok := f[a]; ok {
		sulk = min(2*before.sulk, maxSulk)
	}
	f[a] = failure{now.Add(sulk), sulk, v}
}

func isStop(thing tesla.Thing, value int) bool { return thing == tesla.Charging && value == tesla.Off }

// wakes are the times at which we woke the car.
type wakes []time.Time

const (
	wakeGap    = 15 * time.Minute
	wakesADay  = 6
	wakeWindow = 24 * time.Hour
)

// onClock puts times on the clock that now was read from: its wall reading, for the file, and its monotonic one, so that who
// sets the machine's clock moves no limit. What lies ahead in a file, since the clock was set back meanwhile, counts as now.
func (w wakes) onClock(now time.Time) wakes {
	out := make(wakes, len(w))
	for i, at := range w {
		out[i] = now.Add(-max(0, now.Sub(at)))
	}
	return out
}

// allowed returns nil, or why the car may not be woken now.
func (w wakes) allowed(now time.Time) *refusal {
	recent := 0
	for _, at := range w {
		if since := now.Sub(at); since >= 0 && since < wakeWindow {
			recent++
			if since < wakeGap {
				return refuse("asleep", "the car sleeps, and it was woken %s ago; at most once in 15 minutes", since.Round(time.Second))
			}
		}
	}
	if recent >= wakesADay {
		return refuse("asleep", "the car sleeps, and it was woken %d times in 24 hours, which is the limit", recent)
	}
	return nil
}

// since returns how long ago the car was last woken by us.
func (w wakes) since(now time.Time) time.Duration {
	if len(w) == 0 {
		return wakeWindow
	}
	return now.Sub(w[len(w)-1])
}

func (w wakes) add(now time.Time) wakes {
	w = slices.DeleteFunc(slices.Clone(w), func(at time.Time) bool { since := now.Sub(at); return since < 0 || since >= wakeWindow })
	return append(w, now)
}
