package meter

import (
	"fmt"
	"time"

	"tesla2mqtt/tesla"
)

// Report is what a month has cost so far.
type Report struct {
	Month string `json:"month"`
	// Since is when Tesla's month began, in UTC.
	Since time.Time `json:"since"`
	Spent USD       `json:"spent_usd"`
	// Budget and Left are left out where there is no limit.
	Budget   USD  `json:"budget_usd,omitzero"`
	Left     *USD `json:"left_usd,omitempty"`
	Reads    Cost `json:"reads"`
	Commands Cost `json:"commands"`
	Wakes    Cost `json:"wakes"`
	// Signals are those that came here, beside what is spent of the budget.
	Signals Cost `json:"signals"`
	// Throttled says in words what is held back to save money.
	Throttled []string `json:"throttled"`
	// Problem says why the count is worse than what was really spent, or cannot be kept.
	Problem string `json:"problem,omitempty"`
}

// Cost is one kind of what is billed.
type Cost struct {
	Count int64 `json:"count"`
	Spent USD   `json:"usd"`
}

// Report tells what was spent, by all processes that use the state folder.
func (m *Meter) Report() Report {
	now := m.o.Now()
	k := m.peek()
	k.ledger = k.at(now)
	since, err := time.Parse("2006-01", k.Month)
	if err != nil {
		since = time.Time{} // at has put a month there
	}
	cost := func(e tesla.Expense, n int64) Cost { return Cost{n, prices[e] * USD(n)} }
	r := Report{
		Month: k.Month, Since: since, Spent: k.spent(), Budget: m.o.Budget,
		Reads: cost(tesla.ExpenseRead, k.Reads), Commands: cost(tesla.ExpenseCommand, k.Commands), Wakes: cost(tesla.ExpenseWake, k.Wakes),
		Signals:   Cost{k.Signals, Signals(k.Signals)},
		Throttled: []string{}, Problem: k.Note,
	}
	if m.o.Budget > 0 {
		left := m.o.Budget - k.counted(tesla.ExpenseStop, now)
		r.Left = &left
		r.Throttled = m.throttled(k.ledger, now)
	}
	if month(now) < k.Month {
		r.Problem = fmt.Sprintf("the clock was in %s before, and is in %s now: what both have cost counts; if that month is wrong, stop the bridge and delete usage.json", k.Month, month(now))
	}
	if k.fault != nil {
		r.Problem = "what is spent cannot be written down: " + k.fault.Error() + "; make the state folder writable, on a disk that is not full"
	}
	return r
}

// throttled names what is held back.
func (m *Meter) throttled(l ledger, now time.Time) []string {
	words := []string{}
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	broke := func(e tesla.Expense) bool { return l.spendable(e, m.o.Budget, now) < prices[e] }
	read, command := m.Pace(now)
	switch {
	case broke(tesla.ExpenseRead):
		say("full reads are refused")
	case read > m.o.Every:
		say("a car is read each %s instead of %s", read.Round(time.Second), m.o.Every)
	}
	switch {
	case broke(tesla.ExpenseCommand):
		say("commands are refused, but for lowering amps and OFF")
	case command > 0:
		say("commands wait, but for lowering amps and OFF: one each %s", l.gap(slotCommand, m.o.Budget, now).Round(time.Second))
	}
	if broke(tesla.ExpenseWake) {
		say("wakes are refused")
	}
	if broke(tesla.ExpenseLower) {
		say("lowering amps is refused")
	}
	if broke(tesla.ExpenseStop) {
		say("even OFF is refused")
	}
	return words
}
