package tesla

import (
	"errors"
	"sync"
	"time"
)

// hold remembers that Tesla, or good sense, asked us not to call for a while. It is the account's, not a car's: a
// second car must not go on knocking.
type hold struct {
	mu    sync.Mutex
	until time.Time
	since time.Time // when err was noted
	err   *Error
}

// How long to keep away where Tesla did not say (TeslaMate's figures; the last is ours: whether a client is liked
// changes in days, not in minutes).
const (
	holdRateLimited = 5 * time.Minute
	holdBudget      = 15 * time.Minute
	holdForbidden   = time.Hour
)

// holdFor returns how long an error asks us to keep away from all of Tesla's API.
func holdFor(err error) time.Duration {
	wait := RetryAfter(err)
	switch {
	case errors.Is(err, ErrRateLimited):
		if wait > 0 {
			return wait
		}
		return holdRateLimited
	case errors.Is(err, ErrBudget), errors.Is(err, ErrPayment):
		return max(wait, holdBudget)
	case errors.Is(err, ErrForbidden):
		return max(wait, holdForbidden)
	}
	return 0
}

// check returns the error that is still in force, with the time that is left, or nil. renewed tells when the login last
// became another; nil for never.
func (h *hold) check(now time.Time, renewed func() time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil || !now.Before(h.until) {
		return nil
	}
	if errors.Is(h.err, ErrForbidden) && renewed != nil && renewed().After(h.since) {
		return nil // that verdict travels in the token (TeslaMate#5384), and this is another one
	}
	e := *h.err
	e.RetryAfter = h.until.Sub(now)
	e.unsent = true
	return &e
}

func (h *hold) note(err *Error, now time.Time) {
	wait := holdFor(err)
	if wait == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if until := now.Add(wait); until.After(h.until) {
		h.until, h.since, h.err = until, now, err
	}
}
