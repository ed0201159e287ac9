package meter

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"tesla2mqtt/tesla"
)

const ten = 10 * Dollar

func date(day, hour int) time.Time { return time.Date(2026, 12, day, hour, 0, 0, 0, time.UTC) }

func TestUSD(t *testing.T) {
	for text, want := range map[string]USD{"10": ten, "2.50": 2_500_000, "0.000001": 1, "0": 0, "1.2": 1_200_000} {
		if got, ok := ParseUSD(text); !ok || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "-1", "1e3", ".5", "1.", "10 EUR", "1.0000001", "9999999"} {
		if got, ok := ParseUSD(text); ok {
			t.Errorf("%q was taken for %s", text, got)
		}
	}
	for u, want := range map[USD]string{ten: "10.00", 3_214_000: "3.214", 1: "0.000001", -20_000: "-0.02", 0: "0.00"} {
		if got, err := json.Marshal(u); err != nil || string(got) != want {
			t.Errorf("%d is %s, %v; want %s", u, got, err, want)
		}
	}
}

// TestGapsOfTenDollars: the figures that the documents name.
func TestGapsOfTenDollars(t *testing.T) {
	var fresh ledger
	begin := date(1, 0)
	for s, want := range map[slot]time.Duration{slotRead: 7*time.Minute + 26*time.Second, slotCommand: 3*time.Minute + 58*time.Second, slotStop: 4*time.Minute + 28*time.Second} {
		if got := fresh.gap(s, ten, begin).Round(time.Second); got != want {
			t.Errorf("%s: one each %s, want %s", s, got, want)
		}
	}
	if got := reserve(ten, begin); got != Dollar {
		t.Errorf("the reserve of the first day is %s", got)
	}
	if got := reserve(ten, date(31, 23)); got < 30_000 || got > 40_000 {
		t.Errorf("the reserve of the last hour is %s", got)
	}
}

// TestWhoIsRefusedFirst: commands that can wait, then reads and wakes, then lowering, and stopping when nothing is left.
func TestWhoIsRefusedFirst(t *testing.T) {
	at := date(16, 12)
	order := []tesla.Expense{tesla.ExpenseCommand, tesla.ExpenseWake, tesla.ExpenseRead, tesla.ExpenseLower, tesla.ExpenseStop}
	refused := map[tesla.Expense]int64{}
	for spent := int64(0); spent <= 10_000; spent++ {
		l := ledger{Month: "2026-12", counts: counts{Commands: spent}}
		for _, e := range order {
			if _, err := l.book(e, ten, at); err != nil && refused[e] == 0 {
				refused[e] = spent
				if !errors.Is(err, tesla.ErrOwnBudget) || tesla.RetryAfter(err) == 0 {
					t.Errorf("%s: %v", e, err)
				}
			}
		}
	}
	for i := 1; i < len(order); i++ {
		if refused[order[i]] <= refused[order[i-1]] {
			t.Errorf("%s is refused after %d commands, %s after %d", order[i], refused[order[i]], order[i-1], refused[order[i-1]])
		}
	}
	if refused[tesla.ExpenseStop] != 10_000 {
		t.Errorf("OFF is refused after %d commands of 0.001 USD, not when the 10 USD are spent", refused[tesla.ExpenseStop])
	}
}

// flood asks for e each so often from begin to the end of the month, and returns when each was allowed.
func flood(l *ledger, e tesla.Expense, budget USD, begin time.Time, every time.Duration) (allowed []time.Time) {
	left, _ := rest(begin)
	for at := begin; at.Before(begin.Add(left)); at = at.Add(every) {
		if next, err := l.book(e, budget, at); err == nil {
			*l, allowed = next, append(allowed, at)
		}
	}
	return allowed
}

// TestFloodsLastTheMonth: whatever is asked for each 30 s all month, some of it is allowed on the last day (of 1 USD, which is
// little, on one of the last three), and what is kept for lowering and stopping is still there.
func TestFloodsLastTheMonth(t *testing.T) {
	for _, budget := range []USD{Dollar, ten, 100 * Dollar} {
		for _, e := range []tesla.Expense{tesla.ExpenseRead, tesla.ExpenseCommand, tesla.ExpenseStop} {
			var l ledger
			allowed := flood(&l, e, budget, date(1, 0), 30*time.Second)
			last := allowed[len(allowed)-1]
			if last.Before(date(29, 0)) || budget >= ten && last.Before(date(31, 0)) || l.spent() > budget {
				t.Errorf("%s of %s: %d allowed, the last at %s; %s spent", e, budget, len(allowed), last, l.spent())
			}
			if e == tesla.ExpenseStop {
				continue
			}
			if _, err := l.book(tesla.ExpenseStop, budget, last); err != nil {
				t.Errorf("%s of %s: no OFF afterwards: %v", e, budget, err)
			}
			if _, err := l.book(tesla.ExpenseLower, budget, last); err != nil {
				t.Errorf("%s of %s: no lowering afterwards: %v", e, budget, err)
			}
		}
	}
}

// TestBursts: people and clouds do not wait; a stream does.
func TestBursts(t *testing.T) {
	for e, want := range map[tesla.Expense]int{tesla.ExpenseRead: 10, tesla.ExpenseCommand: 20, tesla.ExpenseStop: 30} {
		var l ledger
		n := 0
		for ; n < 100; n++ {
			next, err := l.book(e, ten, date(5, 12))
			if err != nil {
				wait := tesla.RetryAfter(err)
				if _, err := l.book(e, ten, date(5, 12).Add(wait)); err != nil {
					t.Errorf("%s: who waits %s as told is refused: %v", e, wait, err)
				}
				break
			}
			l = next
		}
		if n != want {
			t.Errorf("%d of %s at once, want %d", n, e, want)
		}
	}
}

// TestClockWithinTheMonth: a clock that is set moves no money, and nobody waits for ever.
func TestClockWithinTheMonth(t *testing.T) {
	var l ledger
	for range 20 {
		l, _ = l.book(tesla.ExpenseCommand, ten, date(20, 12))
	}
	back := date(2, 12)
	l, err := l.book(tesla.ExpenseCommand, ten, back)
	if err != nil || l.Commands != 21 {
		t.Errorf("set back by 18 days: %d commands, %v", l.Commands, err)
	}
	if l, err = l.book(tesla.ExpenseCommand, ten, date(30, 12)); err != nil || l.Commands != 22 {
		t.Errorf("set forward by 28 days: %d commands, %v", l.Commands, err)
	}
}

// TestMonths: the money of a month is given once, whatever the clock shows.
func TestMonths(t *testing.T) {
	november, december := time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC), date(1, 0)
	l := ledger{Month: "2026-11", counts: counts{Reads: 2000, Wakes: 100}}
	l, err := l.book(tesla.ExpenseRead, ten, december)
	if err != nil || l.Month != "2026-12" || l.spent() != 2000 || USD(l.Before) != 6*Dollar {
		t.Fatalf("the new month: %+v, %v", l, err)
	}
	l.Reads = 1999
	l, err = l.book(tesla.ExpenseRead, ten, november)
	if _, lower := l.book(tesla.ExpenseLower, ten, november); lower == nil {
		t.Error("10 USD are spent in the two months, and yet the current was lowered")
	}
	if err == nil || l.Month != "2026-12" || l.spent() != 4*Dollar-2000 {
		t.Errorf("the 10 USD are spent in the two months, and yet it was read: %+v", l)
	}
	if _, err := l.book(tesla.ExpenseStop, ten, november); err != nil {
		t.Errorf("no OFF: %v", err)
	}
	if got := l.at(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)); got.spent() != 0 || got.Month != "2027-01" {
		t.Errorf("January begins with %+v", got)
	}
}

// TestTwoJumps: a clock that jumps ahead twice and comes back gives no month its money again.
func TestTwoJumps(t *testing.T) {
	at := func(s string) time.Time {
		x, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	l := ledger{Version: version, Month: "2026-11", counts: counts{Reads: 3900}}
	l = l.at(at("2027-01-01")).at(at("2027-02-01"))
	if got := l.counted(tesla.ExpenseRead, at("2026-11-25")); got != 3900*prices[tesla.ExpenseRead] {
		t.Errorf("back in November %s count", got)
	}
}

// TestUrgentCountsInThePaceOfCommands: what goes at once is money that is gone all the same, so who can wait waits for it.
func TestUrgentCountsInThePaceOfCommands(t *testing.T) {
	for _, urgent := range []tesla.Expense{tesla.ExpenseLower, tesla.ExpenseStop} {
		var l ledger
		for range 20 {
			next, err := l.book(urgent, ten, date(5, 12))
			if err != nil {
				t.Fatalf("%s: %v", urgent, err)
			}
			l = next
		}
		if _, err := l.book(tesla.ExpenseCommand, ten, date(5, 12)); !errors.Is(err, tesla.ErrOwnBudget) {
			t.Errorf("after 20 of %s a command that can wait: %v", urgent, err)
		}
	}
}

// TestStopAfterTheClockWasSetBack: for a stop the money of this month is enough, be the one before as dear as it may.
func TestStopAfterTheClockWasSetBack(t *testing.T) {
	l := ledger{Version: version, Month: "2026-12", Before: micros(ten)}
	back := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	if _, err := l.book(tesla.ExpenseStop, ten, back); err != nil {
		t.Errorf("no OFF: %v", err)
	}
	if _, err := l.book(tesla.ExpenseLower, ten, back); err == nil {
		t.Error("10 USD are spent in the month that the clock shows, and yet the current was lowered")
	}
}

// TestMonthIsTeslas: the bill is made in UTC, wherever the machine stands.
func TestMonthIsTeslas(t *testing.T) {
	east := time.Date(2027, 1, 1, 8, 0, 0, 0, time.FixedZone("", 14*60*60))
	if got := month(east); got != "2026-12" {
		t.Errorf("%s is in %s", east, got)
	}
}
