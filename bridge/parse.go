package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tesla2mqtt/tesla"
)

// refresh is the thing that reads the car now; it is the bridge's own, the car is told nothing.
const refresh tesla.Thing = "refresh"

const (
	maxPayload = 4 << 10
	maxID      = 64
	minTTL     = time.Second
	maxTTL     = 600 * time.Second
)

// request is a command message as it was meant.
type request struct {
	thing tesla.Thing
	// value is what was asked, before any limit of ours or the car's.
	value int
	// requested is the value in the sender's own form, for the result.
	requested any
	id        string
	given     bool          // the sender gave the id
	ttl       time.Duration // 0: the configured one
	source    string
}

// envelope is the JSON form of a command; other keys are ignored.
type envelope struct {
	value, id json.RawMessage
	ttl       *float64
	source    string
}

// open reads the keys exactly as they are written: encoding/json alone would take VALUE for value.
func (e *envelope) open(payload []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(payload, &keys); err != nil {
		return err
	}
	e.value, e.id = keys["value"], keys["id"]
	if raw, ok := keys["ttl"]; ok {
		if err := json.Unmarshal(raw, &e.ttl); err != nil {
			return errors.New("ttl is to be a number of seconds")
		}
	}
	if raw, ok := keys["source"]; ok {
		if err := json.Unmarshal(raw, &e.source); err != nil {
			return errors.New("source is to be a text")
		}
	}
	return nil
}

// refusal is why a command is not carried out: a reason for programs and a message for people.
type refusal struct{ reason, message string }

func refuse(reason, format string, args ...any) *refusal {
	return &refusal{reason, fmt.Sprintf(format, args...)}
}

// parse reads the payload of a command on thing. On a refusal the request still holds what could be read of it, so that
// the result can carry the sender's id.
func parse(thing string, payload []byte) (request, *refusal) {
	r := request{thing: tesla.Thing(thing)}
	if len(payload) > maxPayload {
		return r, refuse("too_large", "the payload has more than %d bytes", maxPayload)
	}
	if !utf8.Valid(payload) {
		return r, refuse("invalid_payload", "the payload is not UTF-8 text")
	}
	scalar := string(bytes.TrimSpace(payload))
	if strings.HasPrefix(scalar, "{") {
		var refused *refusal
		if scalar, refused = r.unwrap([]byte(scalar)); refused != nil {
			return r, refused
		}
	}
	return r, r.read(scalar)
}

// unwrap takes the JSON form apart and returns its value as a scalar.
func (r *request) unwrap(payload []byte) (string, *refusal) {
	var e envelope
	if err := e.open(payload); err != nil {
		return "", refuse("invalid_payload", "not a JSON object of value, id, ttl and source: %s", err)
	}
	r.source = e.source
	if utf8.RuneCountInString(e.source) > maxID {
		r.source = ""
		return "", refuse("invalid_payload", "source is longer than %d characters", maxID)
	}
	if len(e.id) > 0 && string(e.id) != "null" {
		id, ok := unquote(e.id)
		if !ok || id == "" || utf8.RuneCountInString(id) > maxID {
			return "", refuse("invalid_payload", "id is to be a text or a number of 1 to %d characters", maxID)
		}
		r.id = id
	}
	if e.ttl != nil {
		// Compared as a number first: a huge one would overflow a Duration.
		if !(*e.ttl >= minTTL.Seconds() && *e.ttl <= maxTTL.Seconds()) {
			return "", refuse("invalid_payload", "ttl is to be %v to %v seconds", minTTL.Seconds(), maxTTL.Seconds())
		}
		r.ttl = time.Duration(*e.ttl * float64(time.Second))
	}
	if r.thing == refresh || r.thing == tesla.Wake {
		return "PRESS", nil
	}
	value, ok := unquote(e.value)
	if !ok {
		return "", refuse("invalid_payload", "value is missing, or not a text, a number or true or false")
	}
	return value, nil
}

// unquote returns a JSON scalar as plain text.
func unquote(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || bytes.ContainsAny(raw[:1], "{[n") {
		return "", false
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return strings.TrimSpace(s), true
	}
	return string(raw), true
}

var (
	onWords   = []string{"ON", "TRUE", "START", "1"}
	offWords  = []string{"OFF", "FALSE", "STOP", "0"}
	openWords = []string{"OPEN", "ON", "TRUE", "1"}
	shutWords = []string{"CLOSE", "CLOSED", "OFF", "FALSE", "0"}
)

// read understands the scalar for the request's thing.
func (r *request) read(scalar string) *refusal {
	switch r.thing {
	case tesla.ChargeAmps, tesla.ChargeLimit:
		return r.readNumber(scalar)
	case tesla.Charging:
		return r.readSwitch(scalar, onWords, offWords, "ON", "OFF")
	case tesla.ChargePort:
		return r.readSwitch(scalar, openWords, shutWords, "OPEN", "CLOSE")
	case tesla.Wake, refresh:
		r.requested, r.value = "PRESS", 1
		return nil
	}
	return refuse("unknown_thing", "there is no %q; the things are charge_amps, charge_limit, charging, wake, refresh, charge_port", clip(string(r.thing)))
}

// readNumber takes whole numbers from fractions by cutting them: never more than was asked.
func (r *request) readNumber(scalar string) *refusal {
	f, err := strconv.ParseFloat(scalar, 64)
	if err != nil && !math.IsInf(f, 0) || strings.ContainsAny(scalar, "xX_pP") {
		return refuse("invalid_payload", "%q is not a number", clip(scalar))
	}
	if math.IsNaN(f) || math.Abs(f) > 1e6 {
		return refuse("out_of_range", "%s is no charging value", clip(scalar))
	}
	r.requested, r.value = f, int(math.Floor(f))
	return nil
}

func (r *request) readSwitch(scalar string, on, off []string, onWord, offWord string) *refusal {
	for _, w := range on {
		if strings.EqualFold(scalar, w) {
			r.requested, r.value = onWord, tesla.On
			return nil
		}
	}
	for _, w := range off {
		if strings.EqualFold(scalar, w) {
			r.requested, r.value = offWord, tesla.Off
			return nil
		}
	}
	return refuse("invalid_payload", "%q is neither %s nor %s", clip(scalar), onWord, offWord)
}

// clip bounds what of a payload is quoted back.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
