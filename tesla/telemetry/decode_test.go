package telemetry

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla"
)

const vin = "5YJ30123456789ABC"

func TestDecode(t *testing.T) {
	num := func(f float64) value { return value{Known: true, Number: f} }
	text := func(s string) value { return value{Known: true, Text: s} }
	is := func(b bool) value { return value{Known: true, Truth: b} }
	for _, row := range []struct {
		topic, payload string
		want           value
		ok             bool
	}{
		{"v/ChargeAmps", "15.9", num(15.9), true},
		{"v/ChargeAmps", `"15.9"`, num(15.9), true},
		{"v/ChargeAmps", `" 16 "`, num(16), true},
		{"v/ChargeAmps", "-0", num(0), true},
		{"v/ChargeAmps", "null", value{}, true},
		{"v/ChargeAmps", `"<invalid>"`, value{}, true},
		{"v/ChargeAmps", "-1", value{}, false},
		{"v/ChargeAmps", "1e9", value{}, false},
		{"v/ChargeAmps", `"NaN"`, value{}, false},
		{"v/ChargeAmps", `"Inf"`, value{}, false},
		{"v/ChargeAmps", "true", value{}, false},
		{"v/ChargeAmps", `{"value":16}`, value{}, false},
		{"v/ChargeAmps", "", value{}, false},
		{"v/ChargeAmps", "1" + strings.Repeat(" ", maxPayload), value{}, false},
		{"v/Soc", "100", num(100), true},
		{"v/Soc", "100.1", value{}, false},
		{"v/DetailedChargeState", `"DetailedChargeStateCharging"`, text("Charging"), true},
		{"v/DetailedChargeState", `"Charging"`, text("Charging"), true},
		{"v/DetailedChargeState", `"DetailedChargeState"`, value{}, false},
		{"v/DetailedChargeState", `"` + strings.Repeat("x", maxText+1) + `"`, value{}, false},
		{"v/DetailedChargeState", "4", value{}, false},
		{"v/ChargingCableType", `"CableTypeGB_AC"`, text("GB_AC"), true},
		{"v/ChargePortDoorOpen", "true", is(true), true},
		{"v/ChargePortDoorOpen", `"False"`, is(false), true},
		{"v/ChargePortDoorOpen", `"ajar"`, value{}, false},
		{"v/Odometer", "1", value{}, false},
		{"v/", "1", value{}, false},
		{"v/Soc/deeper", "1", value{}, false},
		{"alerts/x/current", "{}", value{}, false},
		{"Soc", "1", value{}, false},
	} {
		c, ok := decode("cars/t", "cars/t/"+vin+"/"+row.topic, []byte(row.payload))
		if ok != row.ok || ok && (c.Value != row.want || c.VIN != vin || "v/"+c.Field != row.topic) {
			t.Errorf("%s %.40s: got %+v, %v", row.topic, row.payload, c, ok)
		}
	}
	for _, topic := range []string{"cars/" + vin + "/v/Soc", "cars/tt/" + vin + "/v/Soc", "cars/t", "cars/t/" + vin, "cars/t//v/Soc"} {
		if c, ok := decode("cars/t", topic, []byte("1")); ok {
			t.Errorf("%s: got %+v", topic, c)
		}
	}
}

func TestDecodeLink(t *testing.T) {
	for _, row := range []struct {
		payload       string
		connected, ok bool
	}{
		{`{"ConnectionId":"a","CreatedAt":"2026-09-04T19:23:10Z","Status":"CONNECTED"}`, true, true},
		{`{"ConnectionId":"a","CreatedAt":"yesterday","Status":"DISCONNECTED"}`, false, true},
		{`{"ConnectionId":"a","Status":"UNKNOWN"}`, false, false},
		{`{"ConnectionId":"` + strings.Repeat("x", maxText+1) + `","Status":"CONNECTED"}`, false, false},
		{`"CONNECTED"`, false, false},
		{``, false, false},
	} {
		c, ok := decode("t", "t/"+vin+"/connectivity", []byte(row.payload))
		if ok != row.ok || ok && (c.Link == nil || c.Link.Connected != row.connected || c.Link.ID != "a") {
			t.Errorf("%.60s: got %+v, %v", row.payload, c.Link, ok)
		}
	}
}

// TestRecorded decodes what the real server, version 0.9.4, published of a simulated car: .ci/e2e/fleet-telemetry wrote it down.
func TestRecorded(t *testing.T) {
	data, err := os.ReadFile("testdata/fleet-telemetry-0.9.4.json")
	if err != nil {
		t.Fatal(err)
	}
	var recording []struct{ Topic, Payload string }
	if err := json.Unmarshal(data, &recording); err != nil {
		t.Fatal(err)
	}
	var s state
	seen, unused := map[string]bool{}, map[string]bool{}
	for _, m := range recording {
		c, ok := decode("telemetry", m.Topic, []byte(m.Payload))
		if name := m.Topic[strings.LastIndex(m.Topic, "/")+1:]; !ok {
			unused[name] = true
		} else if !seen[name] { // the first of each is from the same moment
			seen[name], s = true, s.with(c, noon, false)
		}
	}
	c := s.charge()
	if c.ChargingState != "Charging" || *c.ChargeAmps != 13 || *c.ChargeCurrentRequestMax != 16 || *c.ChargerVoltage != 230 || *c.ChargerPhases != 3 ||
		*c.ChargerPower != 8 || *c.BatteryLevel != 40 || *c.ChargeEnergyAdded != 0.01 || *c.MinutesToFullCharge != 220 || *c.BatteryRange != 120.05 ||
		c.ConnChargeCable != "IEC" || !*c.AtHome || s.vehicle(noon, time.Minute) != tesla.StateOnline {
		t.Errorf("got %+v, %s", c, s.vehicle(noon, time.Minute))
	}
	if got := slices.Sorted(maps.Keys(unused)); fmt.Sprint(got) != "[ACChargingEnergyIn ChargePortLatch EstBatteryRange ScheduledChargingPending]" {
		t.Errorf("not decoded: %v", got)
	}
	if len(seen) != len(fields)+1 {
		t.Errorf("%d of %d fields and the connectivity were seen", len(seen), len(fields))
	}
}

// TestDocumentedFields: what docs/setup-telemetry.md says a car is asked for is so, and it is all that is read; and the server's
// configuration there is one by which that arrives.
func TestDocumentedFields(t *testing.T) {
	text, err := os.ReadFile("../../docs/setup-telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]tesla.TelemetryField{}
	for _, m := range regexp.MustCompile(`(?m)^\| `+"`(\\w+)`"+` \| (\d+) \| (\d*) \| ([\d.]*) \|$`).FindAllStringSubmatch(string(text), -1) {
		var f tesla.TelemetryField
		// What is empty is 0.
		f.Interval, _ = strconv.Atoi(m[2])
		f.Resend, _ = strconv.Atoi(m[3])
		f.Delta, _ = strconv.ParseFloat(m[4], 64)
		documented[m[1]] = f
	}
	if !maps.Equal(documented, Wanted()) || len(documented) != len(fields) {
		t.Errorf("documented are\n%v\nasked for are\n%v", documented, Wanted())
	}
	_, block, _ := strings.Cut(string(text), "```json\n")
	block, _, _ = strings.Cut(block, "```")
	var server struct {
		MQTT struct {
			TopicBase string `json:"topic_base"`
		}
		Records map[string][]string
	}
	if err := json.Unmarshal([]byte(block), &server); err != nil {
		t.Fatal(err)
	}
	if server.MQTT.TopicBase != "telemetry" || len(server.Records["V"]) != 1 || len(server.Records["connectivity"]) != 1 {
		t.Errorf("the server's configuration: %+v", server)
	}
}

// FuzzDecode: whatever comes, it neither panics nor makes of it a car that cannot be.
func FuzzDecode(f *testing.F) {
	f.Add("v/Soc", []byte("61.37"))
	f.Add("v/DetailedChargeState", []byte(`"DetailedChargeStateCharging"`))
	f.Add("v/ChargePortDoorOpen", []byte("null"))
	f.Add("connectivity", []byte(`{"ConnectionId":"a","CreatedAt":"2026-09-04T19:23:10Z","Status":"CONNECTED"}`))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		c, ok := decode("t", "t/"+vin+"/"+topic, payload)
		if !ok {
			return
		}
		v := c.Value
		if math.IsNaN(v.Number) || v.Number < 0 || v.Number >= 1e5 || len(v.Text) > maxText || !v.Known && v != (value{}) {
			t.Errorf("%s %q: %+v", topic, payload, c)
		}
		charge := state{}.with(c, noon, false).charge()
		for _, p := range []*int{charge.BatteryLevel, charge.UsableBatteryLevel, charge.ChargeLimitSOC} {
			if p != nil && (*p < 0 || *p > 100) {
				t.Errorf("%s %q: %d %%", topic, payload, *p)
			}
		}
	})
}
