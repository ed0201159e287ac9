package bridge

// haBill are the entities that say what the month has cost, where calls cost money. Home Assistant takes no state class but
// total for money; what is left is none that could be summed up.
func haBill(c Config) []haComponent {
	if c.API != BilledAPI {
		return nil
	}
	all := []haComponent{{
		key: "api_cost_month", Platform: haSensor, Name: "API cost this month", DeviceClass: "monetary", StateClass: "total", Unit: "USD", Digits: new(2),
		Category: haDiagnostic, Template: haValue("usage.bill.spent_usd"), LastReset: haValue("usage.bill.since"),
	}}
	if c.Budget {
		all = append(all, haComponent{
			key: "api_budget_left", Platform: haSensor, Name: "API budget left", DeviceClass: "monetary", Unit: "USD", Digits: new(2),
			Category: haDiagnostic, Template: haValue("usage.bill.left_usd"),
		})
	}
	return all
}
