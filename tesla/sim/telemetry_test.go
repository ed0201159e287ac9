package sim

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// told returns what of the messages is about one field, or about the connection.
func told(list []Telemetry, name string) (payloads []string) {
	for _, m := range list {
		if strings.HasSuffix(m.Topic, "/"+name) {
			payloads = append(payloads, m.Payload)
		}
	}
	return payloads
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := &Tesla{}
		car := account.Add(Car{VIN: "5YJ3E1EA7KF000001", PluggedIn: true, Amps: 13, Level: 50, SleepAfter: time.Minute})
		s := car.Stream()
		want := func(when, name string, payloads ...string) {
			t.Helper()
			if got := told(s.Next(), name); strings.Join(got, " ") != strings.Join(payloads, " ") {
				t.Errorf("%s, %s: got %q, want %q", when, name, got, payloads)
			}
		}
		first := s.Next()
		if got := told(first, "connectivity"); len(got) != 1 || !strings.Contains(got[0], `"Status":"CONNECTED"`) || first[0].Topic != "5YJ3E1EA7KF000001/connectivity" {
			t.Errorf("it does not begin with CONNECTED: %v", first[0])
		}
		for name, payload := range map[string]string{
			"v/ChargeCurrentRequest": "13", "v/ChargeAmps": "0", "v/DetailedChargeState": `"DetailedChargeStateStarting"`, "v/ChargerPhases": "null",
			"v/LocatedAtHome": "true", "v/EstBatteryRange": `"142.5"`,
		} {
			if got := told(first, name); len(got) != 1 || got[0] != payload {
				t.Errorf("on connecting, %s: %q", name, got)
			}
		}
		want("at once", "v/ChargeAmps")
		time.Sleep(29 * time.Second)
		want("it changed", "v/ChargeAmps", "13")
		time.Sleep(time.Second)
		want("unchanged, but half a minute old", "v/ChargeCurrentRequest", "13")
		time.Sleep(8 * time.Second)
		car.Unplug()
		want("within the interval", "v/ChargeAmps")
		s.Texts = true
		time.Sleep(20 * time.Second)
		want("as text", "v/ChargeAmps", `"0"`)
		time.Sleep(time.Minute)
		if !car.Asleep() {
			t.Error("looking at the stream keeps the car awake")
		}
		if list := s.Next(); len(list) != 1 || !strings.Contains(list[0].Payload, "DISCONNECTED") {
			t.Errorf("asleep: %v", list)
		}
		want("still asleep", "connectivity")
		car.Wake()
		if got := told(s.Next(), "v/ChargeLimitSoc"); len(got) != 1 {
			t.Errorf("after waking it does not tell everything again: %q", got)
		}
		if n := account.Count("all", ""); n != 0 {
			t.Errorf("%d requests were counted", n)
		}
	})
}

// TestStreamOfWhatWasAskedFor: each field has a rhythm of its own, and others are not sent.
func TestStreamOfWhatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := &Tesla{}
		s := account.Add(Car{VIN: "5YJ3E1EA7KF000001", PluggedIn: true, Amps: 16, Level: 50, BatteryKWh: 100}).Stream()
		s.Only = map[string]Rhythm{
			"Soc": {Interval: time.Minute, Delta: 1}, "ChargeCurrentRequest": {Interval: time.Minute, Resend: 5 * time.Minute},
		}
		sent := map[string]int{}
		for range 3600 {
			for _, m := range s.Next() {
				sent[m.Topic[strings.LastIndex(m.Topic, "/")+1:]]++
			}
			time.Sleep(time.Second)
		}
		// 11 kW for an hour are 10 % of the battery.
		if len(sent) != 3 || sent["connectivity"] != 1 || sent["ChargeCurrentRequest"] != 12 || sent["Soc"] < 10 || sent["Soc"] > 12 {
			t.Errorf("sent in an hour: %v", sent)
		}
	})
}
