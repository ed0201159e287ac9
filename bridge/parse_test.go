package bridge

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, thing, payload string
		value                int
		id                   string
		ttl                  time.Duration
	}{
		{"plain", "charge_amps", "16", 16, "", 0},
		{"blanks", "charge_amps", " 16\n", 16, "", 0},
		{"fraction", "charge_amps", "8.4", 8, "", 0},
		{"exponent", "charge_amps", "1.2e1", 12, "", 0},
		{"JSON", "charge_amps", `{"value":16,"id":"nr-42","ttl":30,"source":"nodered"}`, 16, "nr-42", 30 * time.Second},
		{"number as text", "charge_amps", `{"value":"16"}`, 16, "", 0},
		{"number as id", "charge_amps", `{"value":16,"id":42}`, 16, "42", 0},
		{"no id", "charge_amps", `{"value":16,"id":null,"other":[1]}`, 16, "", 0},
		{"half a ttl second", "charge_amps", `{"value":16,"ttl":1.5}`, 16, "", 1500 * time.Millisecond},
		{"on", "charging", "ON", 1, "", 0},
		{"true", "charging", "true", 1, "", 0},
		{"start", "charging", "start", 1, "", 0},
		{"one", "charging", "1", 1, "", 0},
		{"off", "charging", "off", 0, "", 0},
		{"JSON true", "charging", `{"value":true}`, 1, "", 0},
		{"JSON zero", "charging", `{"value":0}`, 0, "", 0},
		{"stop", "charging", "stop", 0, "", 0},
		{"open", "charge_port", "open", 1, "", 0},
		{"close", "charge_port", "CLOSE", 0, "", 0},
		{"press", "wake", "PRESS", 1, "", 0},
		{"press with id", "refresh", `{"id":"x"}`, 1, "x", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, refused := parse(c.thing, []byte(c.payload))
			if refused != nil {
				t.Fatal(refused)
			}
			if got.value != c.value || got.id != c.id || got.ttl != c.ttl || got.requested == nil {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestRefusedKeepsTheID(t *testing.T) {
	got, refused := parse("charge_amps", []byte(`{"value":"eight","id":"nr-1"}`))
	if refused == nil || got.id != "nr-1" {
		t.Errorf("got %+v, %v", got, refused)
	}
}

func FuzzParse(f *testing.F) {
	for _, thing := range []string{"charge_amps", "charge_limit", "charging", "wake", "refresh", "charge_port", "horn"} {
		for _, payload := range []string{"16", "8.4", "NaN", "-0", "1e999", "0x1p4", "ON", `{"value":16,"id":"a","ttl":30}`, `{"value":`, `{"value":{}}`, "\xff"} {
			f.Add(thing, []byte(payload))
		}
	}
	config := defaults().Commands
	f.Fuzz(func(t *testing.T, thing string, payload []byte) {
		r, refused := parse(thing, payload)
		if refused == nil {
			value, _, limited := bound(r, config, Document{ChargeAmpsMax: new(16)}, socLimits{})
			if limited == nil && r.thing == tesla.ChargeAmps && (value < 1 || value > 16) {
				t.Errorf("%q became %d A", payload, value)
			}
			if limited == nil && r.thing == tesla.ChargeLimit && (value < 50 || value > 100) {
				t.Errorf("%q became %d %%", payload, value)
			}
		} else if refused.reason == "" || len(refused.message) > 1000 {
			t.Errorf("refused with %q, %d bytes", refused.reason, len(refused.message))
		}
		if len(r.id) > 4*maxID || len(r.source) > 4*maxID {
			t.Errorf("id of %d bytes, source of %d", len(r.id), len(r.source))
		}
		result := Result{ID: r.id, Requested: r.requested, Source: optional(r.source)}
		if !json.Valid(result.JSON()) {
			t.Error("the result is no JSON")
		}
	})
}

func TestRepeatsForget(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var r repeats
	key := repeat{tesla.ChargeAmps, "a", 8.0}
	r = r.add(key, verdict{status: statusOK}, now)
	if _, ok := r.find(key, now.Add(9*time.Minute)); !ok {
		t.Error("forgotten after 9 minutes")
	}
	if _, ok := r.find(key, now.Add(10*time.Minute)); ok {
		t.Error("still known after 10 minutes")
	}
	if _, ok := r.find(repeat{tesla.ChargeAmps, "a", 9.0}, now); ok {
		t.Error("another value with the same id is another command")
	}
	for i := range 5000 {
		r = r.add(repeat{tesla.ChargeAmps, fmt.Sprint(i), 8.0}, verdict{}, now)
	}
	if len(r) > maxRemembered {
		t.Errorf("%d remembered", len(r))
	}
}

func TestFailuresDouble(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f := failures{}
	a := attempt{tesla.ChargeAmps, 8}
	for _, want := range []time.Duration{30, 60, 120, 240, 480, 600, 600} {
		f.note(a, verdict{status: statusError, message: "no"}, now)
		if _, known := f.answer(a, now.Add(want*time.Second-1)); !known {
			t.Errorf("forgotten before %d s", want)
		}
		if v, known := f.answer(a, now.Add(want*time.Second)); known {
			t.Errorf("still known after %d s: %+v", want, v)
		}
	}
	stop := attempt{tesla.Charging, tesla.Off}
	f.note(stop, verdict{}, now)
	if _, known := f.answer(stop, now); known {
		t.Error("a stop was answered from memory")
	}
}

func TestResultForms(t *testing.T) {
	r := Result{Status: statusOK}
	if !r.lasting() || (Result{Status: statusNoop}).lasting() || (Result{Status: statusSuperseded}).lasting() {
		t.Error("last_command shows the wrong results")
	}
	if !(Result{Status: statusRejected, Reason: new("asleep")}).lasting() {
		t.Error("a rejection is worth showing")
	}
	var keys map[string]any
	if err := json.Unmarshal(r.JSON(), &keys); err != nil {
		t.Fatal(err)
	}
	want := "applied duration_ms finished_at id message reason received_at requested source status thing"
	for _, key := range strings.Fields(want) {
		if _, ok := keys[key]; !ok {
			t.Errorf("a result has no %s", key)
		}
	}
}
