package telemetry

import (
	"slices"
	"time"

	"tesla2mqtt/tesla"
)

// who is to tell how a car is.
type who int

const (
	byStream who = iota
	byAPI
	byNobody
)

// arriving is how long a car that has just connected may take to say its first words.
const arriving = 30 * time.Second

// teller decides who tells how the car charges. The stream does, and what it told lasts while the car sleeps. But a car that is
// there and silent for silentAfter makes it doubtful: then the API is read, if there is one, once in silentAfter, whether that
// succeeds or not. Without its word nobody knows how a charge goes on; of a car that does not charge, what was told last is as
// good as anything.
func (s state) teller(now time.Time, silentAfter time.Duration, api bool) who {
	online := s.vehicle(now, silentAfter) == tesla.StateOnline
	switch {
	case now.Sub(latest(s.first, s.heard, s.readAt)) < silentAfter, s.link.Connected && now.Sub(s.linked) < arriving:
		return byStream
	case online && api && now.Sub(s.triedAt) >= silentAfter:
		return byAPI
	case s.first.IsZero() && s.readAt.IsZero(), online && s.charging():
		return byNobody
	}
	return byStream
}

// asksState decides the same for whether the car is there at all. That costs nothing and touches no car, so it is done for
// every silent car: a server that has died says nothing of one that wakes up.
func (s state) asksState(now time.Time, silentAfter time.Duration) bool {
	return now.Sub(latest(s.first, s.heard, s.linked, s.askedAt)) >= silentAfter
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }
