package bridge

import (
	"errors"
	"time"

	"tesla2mqtt/tesla"
)

// schedule decides when a car is read next. It holds no clock: every method takes the time.
//
// The rule that matters: a full read keeps an idle car awake for about 15 minutes. So once nothing has changed for
// idle_after, full reads pause for suspend at a time, which is longer than the car needs to fall asleep.
type schedule struct {
	poll  Poll
	begin time.Time // of the first look

	state    tesla.VehicleState
	stateAt  time.Time // when state was told
	lookedAt time.Time // when it was last asked, with or without success
	readAt   time.Time // when a full read last succeeded
	triedAt  time.Time // when one was last tried
	changed  time.Time // when the car last showed a change, or was commanded
	arrived  bool      // online, and not read since it came online
	charging bool

	failures     int           // looks that failed in a row
	wait         time.Duration // how long the last such failure asked to stay away
	readFailures int           // the same of full reads
	readWait     time.Duration
	pace         time.Duration // least time between full reads, where they cost money
	loggedOut    bool
}

const (
	// loginLook is how often a lost or refused login is looked at again; it costs no request, since the login and the
	// client by themselves ask nothing until a person has logged in anew, or Tesla may be asked again.
	loginLook = 30 * time.Second
	// radioLook is how often Bluetooth is tried again; it bothers nobody but the car, which is near.
	radioLook = 10 * time.Second
	// goneLook is how often a car that left the account is looked for.
	goneLook = 10 * time.Minute
	// firstBackoff doubles with each failure in a row, up to maxBackoff.
	firstBackoff = 30 * time.Second
	maxBackoff   = 10 * time.Minute
)

// nextState returns when to look at the car's state.
func (s schedule) nextState() time.Time {
	if s.lookedAt.IsZero() {
		return s.begin
	}
	if s.loggedOut {
		return s.lookedAt.Add(loginLook)
	}
	return s.lookedAt.Add(max(s.poll.State, s.wait))
}

// nextRead returns when to read the car itself, and false while it must not be read at all.
func (s schedule) nextRead() (time.Time, bool) {
	if s.state != tesla.StateOnline {
		return time.Time{}, false
	}
	if s.arrived {
		return s.triedAt.Add(max(s.readWait, s.pace)), true
	}
	every := s.poll.Suspend
	switch {
	case s.charging:
		every = s.poll.Charging
	case s.triedAt.Before(s.changed.Add(s.poll.IdleAfter)):
		every = s.poll.Online
	}
	return s.triedAt.Add(max(every, s.readWait, s.pace)), true
}

// modeSuspended is the mode in which the car is left alone, so that it can fall asleep.
const modeSuspended = "suspended"

// mode names the rule in force, for bridge/health.
func (s schedule) mode() string {
	switch {
	case s.state != tesla.StateOnline:
		return "waiting"
	case s.charging:
		return "charging"
	case s.arrived || s.triedAt.Before(s.changed.Add(s.poll.IdleAfter)):
		return "online"
	}
	return modeSuspended
}

// sawState takes a successful look.
func (s *schedule) sawState(state tesla.VehicleState, now time.Time) {
	if state == tesla.StateOnline && s.state != tesla.StateOnline {
		s.arrived = true
	}
	if state != tesla.StateOnline {
		s.arrived, s.charging = false, false
	}
	s.state, s.stateAt, s.lookedAt = state, now, now
	s.failures, s.wait, s.loggedOut = 0, 0, false
	if state != tesla.StateOnline {
		s.readFailures, s.readWait = 0, 0
	}
}

// sawStale takes a read that was older than what is known: it tells nothing.
func (s *schedule) sawStale(now time.Time) {
	s.triedAt, s.arrived = now, false
}

// sawCharge takes a successful full read; changed tells that it differs from the one before.
func (s *schedule) sawCharge(charging, changed bool, now time.Time) {
	// A car that answers is online.
	s.readAt, s.triedAt, s.stateAt = now, now, now
	s.arrived, s.charging = false, charging
	if changed {
		s.changed = now
	}
	s.failures, s.wait, s.readFailures, s.readWait, s.loggedOut = 0, 0, 0, 0, false
}

// worst is how many polls of one kind have failed in a row.
func (s schedule) worst() int { return max(s.failures, s.readFailures) }

// failed takes a poll that did not succeed. A car that sleeps, is offline or in service is no failure.
func (s *schedule) failed(err error, full bool, now time.Time) {
	if full {
		s.triedAt = now
	} else {
		s.lookedAt = now
	}
	if errors.Is(err, tesla.ErrAsleep) || errors.Is(err, tesla.ErrInService) {
		// It fell asleep between the look and the read; which of the two states it is, the next look tells.
		s.state, s.stateAt, s.arrived, s.charging = tesla.StateOffline, now, false, false
		s.failures, s.wait, s.readFailures, s.readWait = 0, 0, 0, 0
		return
	}
	if errors.Is(err, tesla.ErrOwnBudget) {
		s.readWait = tesla.RetryAfter(err) // nothing is wrong, it is only too dear; looks are free
		return
	}
	s.loggedOut = errors.Is(err, tesla.ErrLoginRequired)
	if full {
		s.readFailures++
		s.readWait = waitFor(err, s.readFailures)
		return
	}
	s.failures++
	s.wait = waitFor(err, s.failures)
}

// waitFor returns how long to keep away after so many failures in a row.
func waitFor(err error, failures int) time.Duration {
	switch {
	case errors.Is(err, tesla.ErrLoginRequired), errors.Is(err, tesla.ErrForbidden):
		return loginLook
	case errors.Is(err, tesla.ErrNoRadio), errors.Is(err, tesla.ErrNoLink):
		return radioLook
	case errors.Is(err, tesla.ErrNotFound):
		return goneLook
	}
	backoff := maxBackoff
	if failures < 6 {
		backoff = min(firstBackoff<<(failures-1), maxBackoff)
	}
	return max(backoff, tesla.RetryAfter(err))
}
