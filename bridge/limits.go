package bridge

import "tesla2mqtt/tesla"

// bound applies the limits of the configuration and of the car to a request. It returns the value to be sent and, where
// that is not what was asked, the reason; or the refusal.
func bound(r request, c Commands, d Document, limits socLimits) (value int, reason string, refused *refusal) {
	switch r.thing {
	case tesla.ChargeAmps:
		return boundAmps(r, c.Amps, d.ChargeAmpsMax)
	case tesla.ChargeLimit:
		low, high := limits.orDefault()
		if asked := r.requested.(float64); asked < float64(low) || asked > float64(high) {
			return 0, "", refuse("out_of_range", "the car takes a charge limit of %d to %d %%", low, high)
		}
	case tesla.ChargePort:
		if !c.ChargePort {
			return 0, "", refuse("disabled", "commands.charge_port is off in the configuration, since opening the port frees the cable")
		}
	}
	return r.value, "", nil
}

func boundAmps(r request, a Amps, carMax *int) (value int, reason string, refused *refusal) {
	asked := r.requested.(float64)
	if asked < 1 {
		return 0, "", refuse("out_of_range", "amps are to be 1 to %d; to stop charging, send OFF to charging", a.Max)
	}
	if asked > float64(a.Max) {
		return 0, "", refuse("out_of_range", "amps are to be 1 to %d (commands.amps.max); was it watts?", a.Max)
	}
	value = r.value
	if value < a.Min {
		value, reason = a.Min, "clamped_to_min"
	}
	// Last, because nothing may pass what cable and socket allow.
	if carMax != nil && *carMax > 0 && value > *carMax {
		value, reason = *carMax, "clamped_to_max"
	}
	return value, reason, nil
}

// socLimits is the range of charge limits that the car named, zero if it did not.
type socLimits struct{ Min, Max int }

func (s socLimits) orDefault() (low, high int) {
	if s.Min <= 0 || s.Max <= s.Min || s.Max > 100 {
		return 50, 100
	}
	return s.Min, s.Max
}
