package sim

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
)

// Stream is what a car sends to its owner's fleet-telemetry server, in the form in which that server's MQTT dispatcher
// publishes it: a message for each field that changed, none with a time in it, and one when the car comes or goes. On
// connecting a car sends every field.
type Stream struct {
	// Interval is the least time between two messages of one field, Resend that after which an unchanged one is sent again; 0
	// for never.
	Interval, Resend time.Duration
	// Only are the fields that the car was asked for, each with a rhythm of its own. nil: all of them, with that above.
	Only map[string]Rhythm
	// Texts sends numbers as texts, as some firmware does.
	Texts bool

	h     *CarHandle
	count int // of connections
	up    bool
	sent  map[string]sentField
}

// Rhythm is how often one field is sent: its least interval, that after which it is sent again unchanged (0: never), and by how much
// a number must change.
type Rhythm struct {
	Interval, Resend time.Duration
	Delta            float64
}

type sentField struct {
	value   any
	payload string
	at      time.Time
}

// Telemetry is one message; its topic is below the server's topic_base.
type Telemetry struct{ Topic, Payload string }

// Stream returns the car's stream. Looking at it neither wakes the car nor keeps it awake.
func (h *CarHandle) Stream() *Stream {
	return &Stream{Interval: 10 * time.Second, Resend: 30 * time.Second, h: h, sent: map[string]sentField{}}
}

// Next returns what the car has to say since it was last asked. Ask it as often as a car fills its buckets, each 500 ms, or
// less often.
func (s *Stream) Next() (list []Telemetry) {
	s.h.with(func(c *car) {
		up := c.state() == "online"
		if up != s.up {
			list = append(list, s.turn(c, up))
		}
		if !up {
			return
		}
		fields := c.telemetry()
		for _, name := range sortedKeys(fields) {
			r, asked := s.Only[name]
			if s.Only == nil {
				r, asked = Rhythm{Interval: s.Interval, Resend: s.Resend}, true
			}
			payload, before := s.encode(fields[name]), s.sent[name]
			since := c.clock.Sub(before.at)
			changed := payload != before.payload && since >= r.Interval && !within(fields[name], before.value, r.Delta)
			if asked && (changed || r.Resend > 0 && since >= r.Resend) {
				s.sent[name] = sentField{fields[name], payload, c.clock}
				list = append(list, Telemetry{c.cfg.VIN + "/v/" + name, payload})
			}
		}
	})
	return list
}

// within tells that two numbers differ by less than delta.
func within(a, b any, delta float64) bool {
	x, number := a.(float32)
	y, too := b.(float32)
	return number && too && math.Abs(float64(x)-float64(y)) < delta
}

// turn tells that the car has come or gone.
func (s *Stream) turn(c *car, up bool) Telemetry {
	s.up = up
	status := "DISCONNECTED"
	if up {
		status = "CONNECTED"
		s.count++
		clear(s.sent)
	}
	payload := s.encode(map[string]any{
		"ConnectionId": c.cfg.VIN + "-" + strconv.Itoa(s.count), "Status": status, "CreatedAt": c.clock.UTC().Format(time.RFC3339),
	})
	return Telemetry{c.cfg.VIN + "/connectivity", payload}
}

func (s *Stream) encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic("sim: a telemetry value is always JSON: " + err.Error())
	}
	switch v.(type) {
	case int, float32:
		if s.Texts {
			return strconv.Quote(string(data))
		}
	}
	return string(data)
}

// telemetry is every field that a car was asked to send, nil for what it cannot tell at the moment. Most are measured in
// single precision. ChargeAmps is what flows; the set point is ChargeCurrentRequest.
func (c *car) telemetry() map[string]any {
	g := &c.charger
	fields := map[string]any{
		"DetailedChargeState":      "DetailedChargeState" + string(g.phase),
		"ChargeCurrentRequest":     g.setPoint,
		"ChargeCurrentRequestMax":  g.ceiling,
		"ChargeLimitSoc":           g.limit,
		"ChargeAmps":               single(g.amps, 1),
		"ChargerVoltage":           nil,
		"ChargerPhases":            nil,
		"ACChargingPower":          single(0, 0),
		"DCChargingPower":          single(0, 0),
		"DCChargingEnergyIn":       single(g.added, 2),
		"ACChargingEnergyIn":       single(g.added/efficiency, 2),
		"BatteryLevel":             single(g.level(), 2),
		"Soc":                      single(g.level(), 2),
		"RatedRange":               single(g.energy*milesAKWh, 2),
		"EstBatteryRange":          strconv.FormatFloat(round(g.energy*milesAKWh*0.95, 1), 'f', 1, 64),
		"TimeToFullCharge":         single(float64(g.minutesLeft())/60, 4),
		"ChargingCableType":        nil,
		"ChargePortDoorOpen":       g.doorOpen,
		"ChargePortLatch":          "ChargePortLatchEngaged",
		"FastChargerPresent":       g.dc,
		"ScheduledChargingPending": g.waiting(),
		"LocatedAtHome":            g.place == "home",
	}
	if g.plugged {
		fields["ChargingCableType"] = "CableType" + c.cfg.Cable
		fields["ChargerVoltage"] = single(2, 0)
	}
	switch {
	case g.phase == charging && g.dc:
		fields["DCChargingPower"], fields["ChargerVoltage"] = single(g.power(), 1), single(380, 0)
	case g.phase == charging:
		fields["ChargerVoltage"], fields["ChargerPhases"] = single(float64(g.volts), 1), g.phases
		fields["ACChargingPower"] = single(g.drawn(), 2)
	}
	return fields
}

func single(v float64, digits int) float32 { return float32(round(math.Abs(v), digits)) }

func sortedKeys(m map[string]any) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
