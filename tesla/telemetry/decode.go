// Package telemetry reads what Tesla's fleet-telemetry server publishes on the user's broker with its MQTT dispatcher: a topic
// for each field of each car, and one for whether the car is connected. It knows no MQTT library; what arrives is handed to a
// Feed, and a Car of it tells how the car is, as the bridge's other readers do.
//
// The server sends no times, so a field's age is that of its arrival; what the broker had stored has none. A field is sent
// when it changes, so what was told once is true until something else is told, or until the stream has fallen silent.
package telemetry

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxPayload bounds a message; the longest that is looked at, connectivity, has some 130 bytes.
const maxPayload = 4 << 10

// maxText bounds a word of the car's.
const maxText = 64

// change is what one message tells: a value of a field, or that the car came or went.
type change struct {
	VIN   string
	Field string // "" if Link is set
	Value value
	Link  *link
}

// value is what a field says. The zero value is that the car does not know at the moment.
type value struct {
	Known  bool
	Number float64
	Text   string
	Truth  bool
}

// link is a connection between the car and the server.
type link struct {
	ID        string
	Connected bool
	At        time.Time // by the server's clock, zero if it did not say
}

// decode reads a message that came on a topic below base. It returns false for what is of no use here: other topics, fields
// that say nothing of charging, values that cannot be meant.
func decode(base, topic string, payload []byte) (change, bool) {
	rest, ours := strings.CutPrefix(topic, base+"/")
	vin, rest, deeper := strings.Cut(rest, "/")
	if !ours || !deeper || vin == "" || len(payload) > maxPayload {
		return change{}, false
	}
	if rest == "connectivity" {
		link, ok := decodeLink(payload)
		return change{VIN: vin, Link: &link}, ok
	}
	name, ours := strings.CutPrefix(rest, "v/")
	i := indexOf(name)
	if !ours || i < 0 {
		return change{}, false
	}
	var raw any
	if json.Unmarshal(payload, &raw) != nil {
		return change{}, false
	}
	c := change{VIN: vin, Field: name}
	if raw == nil || raw == invalid {
		return c, true
	}
	value, ok := fields[i].kind(raw, name)
	c.Value = value
	return c, ok
}

// invalid is what a car without a value sends where the server does not make it null.
const invalid = "<invalid>"

func decodeLink(payload []byte) (link, bool) {
	var raw struct {
		ConnectionID string `json:"ConnectionId"`
		CreatedAt    string
		Status       string
	}
	if json.Unmarshal(payload, &raw) != nil || len(raw.ConnectionID) > maxText {
		return link{}, false
	}
	l := link{ID: raw.ConnectionID, Connected: raw.Status == "CONNECTED"}
	if at, err := time.Parse(time.RFC3339, raw.CreatedAt); err == nil {
		l.At = at
	}
	return l, l.Connected || raw.Status == "DISCONNECTED"
}

// kind makes a value of what a field's message holds. Cars send a number as such or as a text, depending on their firmware.
type kind func(raw any, name string) (value, bool)

// number takes what is from 0 up; no field of ours can be negative or large.
func number(raw any, _ string) (value, bool) {
	var f float64
	switch raw := raw.(type) {
	case float64:
		f = raw
	case string:
		n, err := strconv.ParseFloat(strings.TrimSpace(raw), 64)
		if err != nil {
			return value{}, false
		}
		f = n
	default:
		return value{}, false
	}
	return value{Known: true, Number: math.Abs(f)}, f >= 0 && f < 1e5 // Abs for -0
}

func percent(raw any, name string) (value, bool) {
	v, ok := number(raw, name)
	return v, ok && v.Number <= 100
}

func truth(raw any, _ string) (value, bool) {
	switch raw := raw.(type) {
	case bool:
		return value{Known: true, Truth: raw}, true
	case string:
		b := strings.EqualFold(raw, "true")
		return value{Known: true, Truth: b}, b || strings.EqualFold(raw, "false")
	}
	return value{}, false
}

// word takes the name of a protobuf constant, and cuts what they all begin with: DetailedChargeStateCharging.
func word(raw any, name string) (value, bool) {
	s, ok := raw.(string)
	if !ok || len(s) > maxText {
		return value{}, false
	}
	for _, prefix := range []string{name, "CableType"} {
		if short, cut := strings.CutPrefix(s, prefix); cut {
			s = short
			break
		}
	}
	return value{Known: s != "", Text: s}, s != ""
}
