package meter

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"tesla2mqtt/tesla"
)

// USD is money, in millionths of a dollar. Sums of it are exact.
type USD int64

// Dollar is one.
const Dollar USD = 1_000_000

// prices is Tesla's list (developer.tesla.com, 2026): 500 reads, 1000 commands or 50 wakes for a dollar.
var prices = map[tesla.Expense]USD{
	tesla.ExpenseRead: Dollar / 500, tesla.ExpenseWake: Dollar / 50,
	tesla.ExpenseCommand: Dollar / 1000, tesla.ExpenseLower: Dollar / 1000, tesla.ExpenseStop: Dollar / 1000,
}

// Signals is what it costs to stream so many signals: 150 000 for a dollar.
func Signals(n int64) USD { return USD(n) * Dollar / 150_000 }

// String writes dollars with as many digits as there are, two at least.
func (u USD) String() string {
	sign := ""
	if u < 0 {
		sign, u = "-", -u
	}
	digits := fmt.Sprintf("%06d", u%Dollar)
	return fmt.Sprintf("%s%d.%s%s", sign, u/Dollar, digits[:2], strings.TrimRight(digits[2:], "0"))
}

// MarshalJSON writes the same as a number.
func (u USD) MarshalJSON() ([]byte, error) { return []byte(u.String()), nil }

var amount = regexp.MustCompile(`^(\d{1,6})(?:\.(\d{1,6}))?$`)

// ParseUSD reads dollars as people write them: 10, 2.50.
func ParseUSD(text string) (USD, bool) {
	m := amount.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1]+(m[2] + "000000")[:6], 10, 64)
	return USD(n), err == nil
}
