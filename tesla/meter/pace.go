package meter

import (
	"fmt"
	"maps"
	"time"

	"tesla2mqtt/tesla"
)

// What is left of the budget is spread over what is left of the month. Reads get half of it and commands the other half; both
// shares are reckoned anew each time, so that what one does not use both have later.
const (
	// A car that is charged is busy for part of the day only: the time that is left counts as this much of it.
	busyHours = 8
	// tithe of the budget is kept for stopping and as much for lowering, for a whole month; less as the month goes by.
	tithe = 10
	// leastStops are kept until the end, whatever the budget.
	leastStops = 30
	// endless is the pace where there is no money for any more.
	endless = 31 * 24 * time.Hour
	// again is when a refusal for want of money is worth another try: the reserve shrinks a little each hour.
	again = time.Hour
	// punctual is how much too early is no matter: who waited as long as he was told comes in time.
	punctual = time.Second
)

// slot is a row in which requests stand that share a pace.
type slot string

const (
	slotRead    slot = "read"
	slotCommand slot = "command"
	slotStop    slot = "stop"
)

// bursts is how many of a slot may come at once before they have to keep the pace: a person who looks twice, a cloud that
// passes. No automation that is in order sends so many stops.
var bursts = map[slot]time.Duration{slotRead: 10, slotCommand: 20, slotStop: 30}

// slots are the rows that a request stands in; it waits for the first of them only.
var slots = map[tesla.Expense][]slot{
	tesla.ExpenseRead: {slotRead}, tesla.ExpenseCommand: {slotCommand}, tesla.ExpenseStop: {slotStop, slotCommand},
	tesla.ExpenseLower: {"", slotCommand}, tesla.ExpenseWake: {""},
}

// rest is what is left of the month that the clock shows, and how long it is.
func rest(now time.Time) (left, whole time.Duration) {
	y, m, _ := now.UTC().Date()
	begin := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	end := begin.AddDate(0, 1, 0)
	return end.Sub(now), end.Sub(begin)
}

// reserve is what is kept for stopping at this time of the month, and as much again for lowering: a tenth of the budget for
// the whole month, and of that what the days to come need, and one more.
func reserve(budget USD, now time.Time) USD {
	left, whole := rest(now)
	share := budget / tithe * USD(min(left+24*time.Hour, whole)/time.Second) / USD(whole/time.Second)
	return min(max(share, leastStops*prices[tesla.ExpenseStop]), budget/2)
}

// floor is what a request must leave. So first commands that can wait are refused, then reads and wakes, then lowering.
func floor(e tesla.Expense, budget USD, now time.Time) USD {
	switch e {
	case tesla.ExpenseStop:
		return 0
	case tesla.ExpenseLower:
		return reserve(budget, now)
	case tesla.ExpenseCommand:
		return reserve(budget, now) * 5 / 2
	}
	return reserve(budget, now) * 2
}

// gap is the time between two of a slot at which the money lasts until the month ends.
func (l ledger) gap(s slot, budget USD, now time.Time) time.Duration {
	left, _ := rest(now)
	var share, price USD
	switch s {
	case slotRead:
		price, share = prices[tesla.ExpenseRead], l.spendable(tesla.ExpenseRead, budget, now)/2
		left = left / 24 * busyHours
	case slotCommand:
		price, share = prices[tesla.ExpenseCommand], l.spendable(tesla.ExpenseCommand, budget, now)/2
		left = left / 24 * busyHours
	case slotStop:
		price, share = prices[tesla.ExpenseStop], l.spendable(tesla.ExpenseStop, budget, now)
	}
	if share < price {
		return endless
	}
	return min(left*time.Duration(price)/time.Duration(share), endless)
}

// spendable is what may be spent on requests of this kind.
func (l ledger) spendable(e tesla.Expense, budget USD, now time.Time) USD {
	return budget - l.counted(e, now) - floor(e, budget, now)
}

// ahead is how far a slot has run ahead of its pace: with lowering, which waits for none, it may be far. What lies further
// ahead than requests could bring it was noted by another clock, and nobody waits for that.
func (l ledger) ahead(s slot, gap time.Duration, now time.Time) time.Duration {
	ahead, most := l.Next[s].Sub(now), 3*bursts[s]*gap
	if ahead < 0 || ahead > 2*most {
		return 0
	}
	return min(ahead, most)
}

// wait is how long a request of this kind has to wait for its pace.
func (l ledger) wait(e tesla.Expense, budget USD, now time.Time) time.Duration {
	s := slots[e][0]
	if budget == 0 || s == "" {
		return 0
	}
	gap := l.gap(s, budget, now)
	return max(0, l.ahead(s, gap, now)-(bursts[s]-1)*gap)
}

// book counts a request, or says why it must not be sent. A budget of 0 has no limit.
func (l ledger) book(e tesla.Expense, budget USD, now time.Time) (ledger, error) {
	l = l.at(now)
	if err := l.refuse(e, budget, now); err != nil {
		return l, err
	}
	next := maps.Clone(l.Next)
	if next == nil {
		next = map[slot]time.Time{}
	}
	for _, s := range slots[e] {
		if s != "" && budget > 0 {
			gap := l.gap(s, budget, now)
			next[s] = now.Add(l.ahead(s, gap, now) + gap).UTC()
		}
	}
	l.counts, l.Next = l.counts.add(e, 1), next
	return l, nil
}

func (l ledger) refuse(e tesla.Expense, budget USD, now time.Time) error {
	if budget == 0 {
		return nil
	}
	spent := fmt.Sprintf("%s of %s USD are spent in %s", l.spent(), budget, l.Month)
	if l.spendable(e, budget, now) < prices[e] {
		kept := "what is left is kept for lowering and stopping"
		switch e {
		case tesla.ExpenseStop:
			kept = "nothing is left, not even to stop; use Tesla's app"
		case tesla.ExpenseLower:
			kept = "what is left is kept for stopping"
		}
		return refusal(spent+", and "+kept, again)
	}
	if wait := l.wait(e, budget, now); wait > punctual {
		every := l.gap(slots[e][0], budget, now).Round(time.Second)
		return refusal(fmt.Sprintf("%s; so that the rest lasts, there is one %s each %s", spent, e, every), wait)
	}
	return nil
}

// refusal is a request that was not sent, for the sake of the budget.
func refusal(text string, wait time.Duration) error {
	return &tesla.Error{Class: tesla.ErrOwnBudget, Text: text, RetryAfter: max(wait, time.Second)}
}
