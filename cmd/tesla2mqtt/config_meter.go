package main

import "tesla2mqtt/tesla/meter"

// A budget under leastBudget would leave too little for stopping a charge each day; one above mostBudget is a slip.
const (
	leastBudget = meter.Dollar
	mostBudget  = 10_000 * meter.Dollar
)

func (d *decoder) checkBudget(c *Config) {
	if b := c.Tesla.MonthlyBudget; b != 0 && (b < leastBudget || b > mostBudget) {
		d.wrong("tesla.monthly_budget_usd", "must be %d to %d (dollars a month), or 0 for no limit", leastBudget/meter.Dollar, mostBudget/meter.Dollar)
	}
}
