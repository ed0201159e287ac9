package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"tesla2mqtt/tesla"
)

// report is what a car's goroutine tells the bridge after each step.
type report struct {
	alias  string
	health carHealth
	err    error
}

// carHealth is a car's part of bridge/health.
type carHealth struct {
	VIN          string    `json:"vin"`
	Availability string    `json:"availability"`
	VehicleState string    `json:"vehicle_state"`
	PollMode     string    `json:"poll_mode"`
	LastSuccess  time.Time `json:"last_success,omitzero"`
	Failures     int       `json:"failures"`
	Error        string    `json:"error,omitempty"`
	Todo         string    `json:"todo,omitempty"`
	Writable     bool      `json:"writable"`
	ReadOnlyWhy  string    `json:"read_only_because,omitempty"`
}

// tell reports to the bridge, if there is anything new.
func (c *car) tell(ctx context.Context) {
	h := carHealth{
		VIN: c.vehicle.VIN, Availability: "online", VehicleState: string(c.schedule.state), PollMode: c.schedule.mode(),
		LastSuccess: c.success.UTC().Truncate(time.Second), Failures: c.schedule.worst(), Writable: true,
	}
	if h.VehicleState == "" {
		h.VehicleState = string(tesla.StateUnknown)
	}
	if c.success.IsZero() {
		h.LastSuccess = time.Time{}
	}
	if !c.available() {
		h.Availability = "offline"
	}
	if c.lastError != nil {
		h.Error, h.Todo = c.lastError.Error(), tesla.Advice(c.lastError)
	}
	why := c.writable()
	if why != nil {
		h.Writable, h.ReadOnlyWhy = false, why.Error()
	}
	if h == c.told {
		return
	}
	if c.told.VIN == "" || h.ReadOnlyWhy != c.told.ReadOnlyWhy {
		c.logAbilities(why)
	}
	c.told = h
	select {
	case c.reports <- report{c.alias(), h, c.lastError}:
	case <-ctx.Done():
	}
}

// logAbilities says in one line what can be done with the car from here: at the start, and when it turns out otherwise.
func (c *car) logAbilities(why error) {
	of := []any{"car", c.alias(), "vin", c.vin, "read_from", c.source}
	switch {
	case why == nil:
		c.log.Info("the car is read and takes commands", of...)
	case errors.Is(why, errTurnedOff), errors.Is(why, errUntouched):
		c.log.Info("the car is read-only, as you want it", append(of, "because", why)...)
	default:
		c.log.Warn("the car is READ-ONLY: amps, limit and charging will be rejected", append(of, "because", why, "todo", tesla.Advice(why))...)
	}
}

// gist is what of a car's health is news; the rest is told with the next news, or in time.
type gist struct{ availability, state, mode, err, readOnly string }

func (h carHealth) gist() gist {
	return gist{h.Availability, h.VehicleState, h.PollMode, h.Error, h.ReadOnlyWhy}
}

// apiHealth sums up how Tesla answers.
type apiHealth struct {
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
	Todo    string `json:"todo,omitempty"`
}

// apiStatus names the state of Tesla's API by the worst of the last errors; none at all is ok.
func apiStatus(api string, asked bool, errs []error) apiHealth {
	if api == NoAPI {
		return apiHealth{Status: "not_needed"}
	}
	if !asked {
		return apiHealth{Status: "unknown", Message: "Tesla was not asked yet"}
	}
	worst := apiHealth{Status: "ok"}
	rank := -1
	for _, err := range errs {
		if err == nil {
			continue
		}
		if status, r := apiWord(err); r > rank {
			rank = r
			worst = apiHealth{status, err.Error(), tesla.Advice(err)}
		}
	}
	return worst
}

// apiWord returns the status that an error means, and how bad it is.
func apiWord(err error) (string, int) {
	switch {
	case errors.Is(err, tesla.ErrLoginRequired), errors.Is(err, tesla.ErrUnauthorized):
		return "login_required", 4
	case errors.Is(err, tesla.ErrForbidden), errors.Is(err, tesla.ErrBudget), errors.Is(err, tesla.ErrPayment),
		errors.Is(err, tesla.ErrMissingScopes), errors.Is(err, tesla.ErrWrongEndpoint), errors.Is(err, tesla.ErrWrongRegion),
		errors.Is(err, tesla.ErrNotRegistered):
		return "forbidden", 3
	case errors.Is(err, tesla.ErrRateLimited):
		return "rate_limited", 2
	}
	return "unreachable", 1
}

// counters are the messages that led to no result.
type counters struct {
	Received    int64 `json:"received"`
	Dropped     int64 `json:"dropped"`
	Empty       int64 `json:"empty"`
	UnknownCars int64 `json:"unknown_cars"`
}

// health is the payload of bridge/health.
type health struct {
	Time     time.Time            `json:"time"`
	Version  string               `json:"version"`
	MQTT     any                  `json:"mqtt"`
	Auth     any                  `json:"auth"`
	API      apiHealth            `json:"api"`
	Usage    any                  `json:"usage"`
	Commands counters             `json:"commands"`
	Vehicles map[string]carHealth `json:"vehicles"`
}

// hear takes a car's report, and tells whether there is news in it.
func (b *Bridge) hear(r report) bool {
	status, _ := b.deps.Auth()
	asked := b.asked || r.err != nil || !r.health.LastSuccess.IsZero()
	news := r.health.gist() != b.reports[r.alias].health.gist() || asked != b.asked || status != b.login
	b.reports[r.alias], b.asked = r, asked
	return news
}

// healthGap is between two publishes of bridge/health: beside many cars there is always news.
const healthGap = 500 * time.Millisecond

// news publishes bridge/health, at once or as soon as the gap has passed.
func (b *Bridge) news(now time.Time) {
	if wait := b.healthAt.Add(healthGap).Sub(now); wait > 0 {
		b.later.Reset(wait)
		return
	}
	b.publishHealth(now)
}

// publishHealth says how the bridge is.
func (b *Bridge) publishHealth(now time.Time) {
	b.healthAt = now
	errs := []error{b.listError}
	cars := map[string]carHealth{}
	for _, alias := range b.aliases() {
		r, told := b.reports[alias]
		if !told {
			continue
		}
		cars[alias] = r.health
		if !errors.Is(r.err, tesla.ErrNotFound) && !errors.Is(r.err, tesla.ErrNoRadio) && b.cars[alias].source != nearby {
			// Those are about the car, or about us, not about Tesla.
			errs = append(errs, r.err)
		}
	}
	status, auth := b.deps.Auth()
	b.login = status
	h := health{
		Time: now.UTC().Truncate(time.Second), Version: b.cfg.Version, MQTT: b.deps.MQTT(), Auth: auth, API: apiStatus(b.cfg.API, b.asked, errs),
		Usage: b.deps.Usage(), Vehicles: cars,
		Commands: counters{b.received.Load(), b.dropped.Load(), b.empty.Load(), b.unknownCars},
	}
	payload, err := json.Marshal(h)
	if err != nil {
		b.deps.Log.Error("bridge/health could not be written", "err", err)
		return
	}
	b.publish(b.topics().bridge("health"), payload)
}
