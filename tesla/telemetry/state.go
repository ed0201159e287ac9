package telemetry

import (
	"context"
	"errors"
	"time"

	"tesla2mqtt/tesla"
)

// state is all that is known of one car: what the stream told, each field with its age, and what another source told where
// the stream was silent. It is a value; its methods return the next one.
type state struct {
	told  [len(fields)]told
	heard time.Time // when a field last came fresh from the car
	first time.Time // when anything came first, be it stored by the broker

	link   link
	linked time.Time // when link came, zero if the broker had stored it
	met    bool      // whether there is a link

	read    tesla.ChargeState // by the API
	readAt  time.Time
	readBy  string
	triedAt time.Time          // when it was last asked for that, with or without success
	cloud   tesla.VehicleState // by the API
	cloudAt time.Time
	askedAt time.Time // when the API was last asked for it, with or without success
}

// told is the last value of one field. at is when it came, zero for what the broker had stored: nobody knows how old it is.
type told struct {
	value value
	known bool
	at    time.Time
}

// straggle is how long after a car went its last values may still be arriving.
const straggle = 10 * time.Second

// with takes a change. retained says that the broker had stored it.
func (s state) with(c change, now time.Time, retained bool) state {
	at := now
	if retained {
		at = time.Time{}
	}
	if s.first.IsZero() {
		s.first = now
	}
	if c.Link != nil {
		return s.withLink(*c.Link, at)
	}
	i := indexOf(c.Field)
	if i < 0 {
		return s
	}
	if t := s.told[i]; !retained || t.value != c.Value || !t.known {
		s.told[i] = told{c.Value, true, at}
	}
	if !retained {
		s.heard = now
	}
	return s
}

// withLink leaves out what came too late: that an older connection has ended, after the next one has begun.
func (s state) withLink(l link, at time.Time) state {
	if s.met && s.link.Connected && !l.Connected && l.ID != s.link.ID {
		return s
	}
	s.link, s.linked, s.met = l, at, true
	return s
}

// withRead takes a full read by another source, named by, or that it failed if err is not nil.
func (s state) withRead(c tesla.ChargeState, err error, by string, now time.Time) state {
	switch {
	case errors.Is(err, tesla.ErrLoginRequired), errors.Is(err, tesla.ErrOwnBudget), errors.Is(err, context.Canceled):
		return s // nothing was sent, or we gave it up ourselves for something more urgent
	case errors.Is(err, tesla.ErrAsleep):
		// The car itself did not answer. The cloud may go on calling it online for a while.
		s.cloud, s.cloudAt, s.askedAt = tesla.StateOffline, now, now
	case err == nil:
		s.read, s.readAt, s.readBy = c, now, by
	}
	s.triedAt = now
	return s
}

// withVehicle takes what another source says of the car's state, or that it could not be asked if err is not nil.
func (s state) withVehicle(v tesla.VehicleState, err error, now time.Time) state {
	s.askedAt = now
	if err == nil {
		s.cloud, s.cloudAt = v, now
	}
	return s
}

// vehicle says whether the car is there, by the newest word.
func (s state) vehicle(now time.Time, silentAfter time.Duration) tesla.VehicleState {
	speaks := !s.heard.IsZero() && now.Sub(s.heard) < silentAfter
	switch {
	case s.cloudAt.After(s.heard) && s.cloudAt.After(s.linked):
		return s.cloud
	case s.met && s.link.Connected:
		return tesla.StateOnline
	case speaks && s.heard.After(s.linked.Add(straggle)):
		// A car whose coming was not told, or whose going was told of an older connection.
		return tesla.StateOnline
	case s.met:
		return tesla.StateOffline
	}
	return tesla.StateUnknown
}

// charge is what a full read would tell. A field that was told counts unless the API was asked later.
func (s state) charge() tesla.ChargeState {
	c := s.read
	c.Source, c.Told = s.readBy, map[tesla.Thing]time.Time{}
	if c.Timestamp.IsZero() {
		c.Timestamp = s.readAt
	}
	for i, f := range fields {
		t := s.told[i]
		at := s.readAt
		if t.known && (s.readAt.IsZero() || t.at.After(s.readAt)) {
			f.set(&c, t.value)
			at = t.at
		}
		if f.thing != "" && !at.IsZero() {
			c.Told[f.thing] = at
		}
	}
	if s.readAt.IsZero() || s.heard.After(s.readAt) {
		c.Source, c.Timestamp = "telemetry", s.heard
	}
	if c.ChargingState == "Disconnected" {
		c.ConnChargeCable = invalid // some cars go on telling the last one
	}
	return c
}

// charging is by the last that was told.
func (s state) charging() bool {
	c := s.charge()
	return c.ChargingState == "Charging" || c.ChargingState == "Starting"
}
