package sim

import (
	"net/http"
	"strings"
	"time"
)

// api answers the API. The lock is held.
func (t *Tesla) api(q *request) answer {
	if no := t.bearer(q.Request); no != nil {
		return *no
	}
	if t.Fleet != nil {
		if a := t.fleetAPI(q); a != nil {
			return *a
		}
	}
	switch q.name {
	case "products":
		return t.products()
	case "vehicles", "fleet_status", "users/region", "partner_accounts", "fleet_telemetry_config_jws", "fleet_telemetry_config":
		return apiError(http.StatusPreconditionFailed,
			"Endpoint is only available on fleetapi. Visit https://developer.tesla.com/docs for more info")
	}
	c := t.find(q.key)
	if c == nil || q.name == "other" {
		return apiError(http.StatusNotFound, "not_found")
	}
	c.advance(time.Now())
	switch q.name {
	case "vehicle":
		return response(c.summary())
	case "vehicle_data":
		return c.data(q.URL.Query().Get("endpoints"))
	case "wake_up":
		return c.wakeUp()
	}
	return t.command(c, strings.TrimPrefix(q.name, "command/"), q.body)
}

// products lists the cars and, as on many accounts, something that is none.
func (t *Tesla) products() answer {
	list := []any{}
	for _, c := range t.cars {
		if c.removed {
			continue
		}
		c.advance(time.Now())
		entry := c.summary()
		entry["command_signing"] = "off"
		if c.cfg.SignedCommands {
			entry["command_signing"] = "required"
		}
		entry["option_codes"] = nil
		entry["release_notes_supported"] = true
		list = append(list, entry)
	}
	list = append(list, map[string]any{
		"energy_site_id": 98765,
		"resource_type":  "solar",
		"id":             "5e7cc5a0-0000-4000-8000-000000000000", // a text, where cars have a number
		"asset_site_id":  "98765",
		"solar_power":    3120,
		"solar_type":     "pv_panel",
		"components":     map[string]any{"battery": false, "solar": true, "grid": true},
	})
	a := response(list)
	a.body.(map[string]any)["count"] = len(list)
	return a
}

// summary is what the cloud knows of a car without asking it.
func (c *car) summary() map[string]any {
	return map[string]any{
		"id":                        c.cfg.ID,
		"id_s":                      c.idText(),
		"user_id":                   4711,
		"vehicle_id":                c.cfg.ID%1_000_000_000 + 7, // looks like a key and is none
		"vin":                       c.cfg.VIN,
		"color":                     nil,
		"access_type":               "OWNER",
		"granular_access":           map[string]any{"hide_private": false},
		"tokens":                    []string{"0000000000000001", "0000000000000002"},
		"state":                     c.state(),
		"in_service":                c.inService,
		"calendar_enabled":          true,
		"api_version":               76,
		"backseat_token":            nil,
		"backseat_token_updated_at": nil,
		"ble_autopair_enrolled":     false,
		"display_name":              c.cfg.Name,
	}
}

// unreachable is why the car itself cannot be asked now, nil if it can.
func (c *car) unreachable() *answer {
	var no answer
	switch {
	case c.inService:
		no = apiError(http.StatusMethodNotAllowed, "vehicle is currently in service")
	case c.state() != "online" && c.t.Fleet != nil:
		no = apiError(http.StatusRequestTimeout, "vehicle unavailable: vehicle is offline or asleep")
	case c.state() != "online":
		no = apiError(http.StatusRequestTimeout, `vehicle unavailable: {:error=>"vehicle unavailable:"}`)
	default:
		return nil
	}
	return &no
}

// data is vehicle_data: it keeps a car awake that is awake, and wakes none.
func (c *car) data(endpoints string) answer {
	if no := c.unreachable(); no != nil {
		return *no
	}
	c.power.touch(c.clock)
	all := c.reading()
	out := c.summary()
	delete(out, "display_name") // vehicle_data leaves it out; the name is in vehicle_state
	for name, part := range all {
		if endpoints == "" || strings.Contains(";"+endpoints+";", ";"+name+";") {
			out[name] = part
		}
	}
	return response(out)
}

// wakeUp answers at once; the car comes online later, if it was asleep.
func (c *car) wakeUp() answer {
	if c.offline {
		return *c.unreachable()
	}
	c.power.ring(c.clock)
	return response(c.summary())
}
