package telemetry

import (
	"math"
	"strings"
	"testing"
)

const vin = "5YJ30123456789ABC"

func TestDecode(t *testing.T) {
	num := func(f float64) Value { return Value{Known: true, Number: f} }
	text := func(s string) Value { return Value{Known: true, Text: s} }
	is := func(b bool) Value { return Value{Known: true, Truth: b} }
	for _, row := range []struct {
		topic, payload string
		want           Value
		ok             bool
	}{
		{"v/ChargeAmps", "15.9", num(15.9), true},
		{"v/ChargeAmps", `"15.9"`, num(15.9), true},
		{"v/ChargeAmps", `" 16 "`, num(16), true},
		{"v/ChargeAmps", "-0", num(0), true},
		{"v/ChargeAmps", "null", Value{}, true},
		{"v/ChargeAmps", `"<invalid>"`, Value{}, true},
		{"v/ChargeAmps", "-1", Value{}, false},
		{"v/ChargeAmps", "1e9", Value{}, false},
		{"v/ChargeAmps", `"NaN"`, Value{}, false},
		{"v/ChargeAmps", `"Inf"`, Value{}, false},
		{"v/ChargeAmps", "true", Value{}, false},
		{"v/ChargeAmps", `{"value":16}`, Value{}, false},
		{"v/ChargeAmps", "", Value{}, false},
		{"v/ChargeAmps", "1" + strings.Repeat(" ", maxPayload), Value{}, false},
		{"v/Soc", "100", num(100), true},
		{"v/Soc", "100.1", Value{}, false},
		{"v/DetailedChargeState", `"DetailedChargeStateCharging"`, text("Charging"), true},
		{"v/DetailedChargeState", `"Charging"`, text("Charging"), true},
		{"v/DetailedChargeState", `"DetailedChargeState"`, Value{}, false},
		{"v/DetailedChargeState", `"` + strings.Repeat("x", maxText+1) + `"`, Value{}, false},
		{"v/DetailedChargeState", "4", Value{}, false},
		{"v/ChargingCableType", `"CableTypeGB_AC"`, text("GB_AC"), true},
		{"v/ChargePortDoorOpen", "true", is(true), true},
		{"v/ChargePortDoorOpen", `"False"`, is(false), true},
		{"v/ChargePortDoorOpen", `"ajar"`, Value{}, false},
		{"v/Odometer", "1", Value{}, false},
		{"v/", "1", Value{}, false},
		{"v/Soc/deeper", "1", Value{}, false},
		{"alerts/x/current", "{}", Value{}, false},
		{"Soc", "1", Value{}, false},
	} {
		c, ok := Decode("cars/t", "cars/t/"+vin+"/"+row.topic, []byte(row.payload))
		if ok != row.ok || ok && (c.Value != row.want || c.VIN != vin || "v/"+c.Field != row.topic) {
			t.Errorf("%s %.40s: got %+v, %v", row.topic, row.payload, c, ok)
		}
	}
	for _, topic := range []string{"cars/" + vin + "/v/Soc", "cars/tt/" + vin + "/v/Soc", "cars/t", "cars/t/" + vin, "cars/t//v/Soc"} {
		if c, ok := Decode("cars/t", topic, []byte("1")); ok {
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
		c, ok := Decode("t", "t/"+vin+"/connectivity", []byte(row.payload))
		if ok != row.ok || ok && (c.Link == nil || c.Link.Connected != row.connected || c.Link.ID != "a") {
			t.Errorf("%.60s: got %+v, %v", row.payload, c.Link, ok)
		}
	}
}

// FuzzDecode: whatever comes, it neither panics nor makes of it a car that cannot be.
func FuzzDecode(f *testing.F) {
	f.Add("v/Soc", []byte("61.37"))
	f.Add("v/DetailedChargeState", []byte(`"DetailedChargeStateCharging"`))
	f.Add("v/ChargePortDoorOpen", []byte("null"))
	f.Add("connectivity", []byte(`{"ConnectionId":"a","CreatedAt":"2026-09-04T19:23:10Z","Status":"CONNECTED"}`))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		c, ok := Decode("t", "t/"+vin+"/"+topic, payload)
		if !ok {
			return
		}
		v := c.Value
		if math.IsNaN(v.Number) || v.Number < 0 || v.Number >= 1e5 || len(v.Text) > maxText || !v.Known && v != (Value{}) {
			t.Errorf("%s %q: %+v", topic, payload, c)
		}
		charge := State{}.With(c, noon, false).Charge()
		for _, p := range []*int{charge.BatteryLevel, charge.UsableBatteryLevel, charge.ChargeLimitSOC} {
			if p != nil && (*p < 0 || *p > 100) {
				t.Errorf("%s %q: %d %%", topic, payload, *p)
			}
		}
	})
}
