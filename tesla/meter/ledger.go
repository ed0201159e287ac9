package meter

import (
	"encoding/json"
	"errors"
	"regexp"
	"time"

	"tesla2mqtt/tesla"
)

// counts are what Tesla bills. Those of a debt may be negative.
type counts struct {
	Reads    int64 `json:"reads"`
	Commands int64 `json:"commands"`
	Wakes    int64 `json:"wakes"`
	// Signals came unasked; they are no part of what is spent from the budget.
	Signals int64 `json:"signals,omitempty"`
}

// ledger is what usage.json says: what one month has cost so far, and when the next of each kind is due.
type ledger struct {
	Version int `json:"version"`
	// Month is the latest that the clock has shown, such as 2026-11, in UTC as Tesla's bills.
	Month string `json:"month"`
	counts
	// Assumed is what a damaged file is taken to have held.
	Assumed micros `json:"assumed_micro_usd,omitempty"`
	// Before is the most that a month before has cost; it counts again if the clock is set back into one of them.
	Before micros `json:"before_micro_usd"`
	// Note says what happened to the file this month.
	Note string `json:"note,omitempty"`
	// Next is when each kind would be due if it came evenly; some may come before.
	Next map[slot]time.Time `json:"next"`
}

const version = 1

// micros is a USD that JSON has as a whole number.
type micros int64

var monthForm = regexp.MustCompile(`^\d{4}-(0[1-9]|1[0-2])$`)

// errDamaged is a usage.json that makes no sense.
var errDamaged = errors.New("usage.json is damaged or of another version")

// parse reads a file; none is the ledger of somebody who has spent nothing.
func parse(data []byte) (ledger, error) {
	if data == nil {
		return ledger{}, nil
	}
	var l ledger
	ok := json.Unmarshal(data, &l) == nil && l.Version == version && monthForm.MatchString(l.Month)
	const most = 1e9 // of each, which no month's limits let through: the sum stays far from overflowing
	for _, n := range []int64{l.Reads, l.Commands, l.Wakes, l.Signals, int64(l.Assumed) / int64(Dollar), int64(l.Before) / int64(Dollar)} {
		ok = ok && n >= 0 && n < most
	}
	if !ok || l.Assumed < 0 || l.Before < 0 {
		return ledger{}, errDamaged
	}
	return l, nil
}

// worst is the ledger that a damaged file is replaced by. It leaves what is kept for lowering and stopping: the money of a
// month must not be given twice.
func worst(budget USD, now time.Time) ledger {
	l := ledger{Version: version, Month: month(now), Note: "usage.json was damaged on " + now.UTC().Format(time.DateOnly)}
	if budget == 0 {
		l.Note += "; what was counted before is not in here"
		return l
	}
	l.Assumed = micros(budget - 2*reserve(budget, now))
	l.Note += ", so all but the reserve counts as spent until the month ends; if Tesla's bill says less, stop the bridge and delete usage.json"
	return l
}

func month(now time.Time) string { return now.UTC().Format("2006-01") }

// at turns to a new month. An earlier one is not gone back to: its money was given once.
func (l ledger) at(now time.Time) ledger {
	this := month(now)
	if this <= l.Month {
		return l
	}
	return ledger{Version: version, Month: this, Before: max(l.Before, micros(l.spent())), Next: l.Next}
}

// spent is what the month has cost of the budget.
func (l ledger) spent() USD {
	return USD(l.Assumed) + USD(l.Reads)*prices[tesla.ExpenseRead] + USD(l.Commands)*prices[tesla.ExpenseCommand] + USD(l.Wakes)*prices[tesla.ExpenseWake]
}

// counted is what counts against the budget now: with a clock that was set back over the end of a month, what this one and the
// dearest before it have cost, since nobody can tell which is the true one. For a stop this month is enough.
func (l ledger) counted(e tesla.Expense, now time.Time) USD {
	if month(now) < l.Month && e != tesla.ExpenseStop {
		return l.spent() + USD(l.Before)
	}
	return l.spent()
}

// add counts n requests of a kind.
func (c counts) add(e tesla.Expense, n int64) counts {
	switch e {
	case tesla.ExpenseRead:
		c.Reads += n
	case tesla.ExpenseWake:
		c.Wakes += n
	default:
		c.Commands += n
	}
	return c
}

// change adds d.
func (c counts) change(d counts) counts {
	return counts{c.Reads + d.Reads, c.Commands + d.Commands, c.Wakes + d.Wakes, c.Signals + d.Signals}
}

func (c counts) negative() counts { return counts{-c.Reads, -c.Commands, -c.Wakes, -c.Signals} }

// plus adds a debt; nothing becomes less than none.
func (c counts) plus(d counts) counts {
	sum := c.change(d)
	return counts{max(0, sum.Reads), max(0, sum.Commands), max(0, sum.Wakes), max(0, sum.Signals)}
}
