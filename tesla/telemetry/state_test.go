package telemetry

import (
	"context"
	"testing"
	"time"

	"tesla2mqtt/tesla"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// tell decodes a message and lets the state take it.
func tell(t *testing.T, s state, field, payload string, at time.Time, retained bool) state {
	t.Helper()
	c, ok := decode("t", "t/"+vin+"/"+field, []byte(payload))
	if !ok {
		t.Fatalf("%s %s is not decoded", field, payload)
	}
	return s.with(c, at, retained)
}

func TestChargeHasEachFieldInItsPlace(t *testing.T) {
	var s state
	for _, m := range [][2]string{
		{"DetailedChargeState", `"DetailedChargeStateCharging"`}, {"ChargeCurrentRequest", "16"}, {"ChargeCurrentRequestMax", "32"},
		{"ChargeLimitSoc", "80"}, {"ChargeAmps", "15.9"}, {"ChargerVoltage", `"231.4"`}, {"ChargerPhases", "3"}, {"ACChargingPower", "11.94"},
		{"DCChargingEnergyIn", "4.5"}, {"BatteryLevel", "61.9"}, {"Soc", "61.37"}, {"RatedRange", "150.5"}, {"TimeToFullCharge", "1.25"},
		{"ChargingCableType", `"CableTypeIEC"`}, {"ChargePortDoorOpen", "true"}, {"FastChargerPresent", "false"}, {"LocatedAtHome", "true"},
		{"DCChargingPower", "0"},
	} {
		s = tell(t, s, "v/"+m[0], m[1], noon, false)
	}
	c := s.charge()
	if c.ChargingState != "Charging" || *c.ChargeAmps != 16 || *c.ChargeCurrentRequestMax != 32 || *c.ChargeLimitSOC != 80 ||
		*c.ChargerActualCurrent != 16 || *c.ChargerVoltage != 231 || *c.ChargerPhases != 3 || *c.ChargerPower != 11 || *c.ChargeEnergyAdded != 4.5 ||
		*c.BatteryLevel != 62 || *c.UsableBatteryLevel != 61 || *c.BatteryRange != 150.5 || *c.MinutesToFullCharge != 75 ||
		c.ConnChargeCable != "IEC" || !*c.ChargePortDoorOpen || *c.FastChargerPresent || !*c.AtHome {
		t.Errorf("got %+v", c)
	}
	if c.Source != "telemetry" || !c.Timestamp.Equal(noon) {
		t.Errorf("told by %s at %s", c.Source, c.Timestamp)
	}
	s = tell(t, s, "v/FastChargerPresent", "true", noon, false)
	s = tell(t, s, "v/DCChargingPower", "101.9", noon, false)
	if c := s.charge(); *c.ChargerPower != 101 {
		t.Errorf("at a DC charger: %d kW", *c.ChargerPower)
	}
	s = tell(t, s, "v/ChargerVoltage", "null", noon, false)
	s = tell(t, s, "v/ChargingCableType", "null", noon, false)
	if c := s.charge(); c.ChargerVoltage != nil || c.ConnChargeCable != "<invalid>" {
		t.Errorf("without a value: %v V, cable %q", c.ChargerVoltage, c.ConnChargeCable)
	}
	s = tell(t, s, "v/ChargingCableType", `"CableTypeIEC"`, noon, false)
	s = tell(t, s, "v/DetailedChargeState", `"DetailedChargeStateDisconnected"`, noon, false)
	if c := s.charge(); c.ConnChargeCable != "<invalid>" {
		t.Errorf("unplugged with the cable %q", c.ConnChargeCable)
	}
}

// TestRetainedHasNoAge: what the broker had stored is shown, and has no time; it does not take the age from what came fresh.
func TestRetainedHasNoAge(t *testing.T) {
	s := tell(t, state{}, "v/ChargeCurrentRequest", "16", noon, true)
	s = tell(t, s, "v/DetailedChargeState", `"DetailedChargeStateCharging"`, noon, true)
	c := s.charge()
	if *c.ChargeAmps != 16 || !c.Timestamp.IsZero() || c.Told == nil || len(c.Told) != 0 {
		t.Errorf("got %d A at %s, told %v", *c.ChargeAmps, c.Timestamp, c.Told)
	}
	later := noon.Add(time.Minute)
	s = tell(t, s, "v/ChargeCurrentRequest", "10", later, false)
	s = tell(t, s, "v/ChargeCurrentRequest", "10", later.Add(time.Minute), true)
	if c := s.charge(); !c.Told[tesla.ChargeAmps].Equal(later) || !c.Timestamp.Equal(later) || !c.Told[tesla.Charging].IsZero() {
		t.Errorf("fresh and then stored: %s, told %v", c.Timestamp, c.Told)
	}
	// Changed while nobody listened.
	s = tell(t, s, "v/ChargeCurrentRequest", "12", later.Add(time.Minute), true)
	if c := s.charge(); *c.ChargeAmps != 12 || !c.ToldAt(tesla.ChargeAmps).IsZero() {
		t.Errorf("stored something else: %d A, told %v", *c.ChargeAmps, c.Told)
	}
}

// TestReadFillsIn: what the API told counts until the stream tells that field again, each by itself.
func TestReadFillsIn(t *testing.T) {
	s := tell(t, state{}, "v/ChargeLimitSoc", "80", noon, false)
	s = tell(t, s, "v/ChargeCurrentRequest", "16", noon, false)
	at := noon.Add(20 * time.Minute)
	car := at.Add(-time.Second)
	s = s.withRead(tesla.ChargeState{Timestamp: car, ChargeLimitSOC: new(90), ChargeAmps: new(10), ChargeLimitSOCMin: new(50)}, nil, "owner", at)
	c := s.charge()
	if *c.ChargeLimitSOC != 90 || *c.ChargeAmps != 10 || c.Source != "owner" || !c.Timestamp.Equal(car) || !c.ToldAt(tesla.ChargeLimit).Equal(at) {
		t.Errorf("after the read: %+v", c)
	}
	back := at.Add(time.Minute)
	s = tell(t, s, "v/ChargeCurrentRequest", "12", back, false)
	c = s.charge()
	if *c.ChargeLimitSOC != 90 || *c.ChargeAmps != 12 || *c.ChargeLimitSOCMin != 50 || c.Source != "telemetry" || !c.Timestamp.Equal(back) {
		t.Errorf("after the stream came back: %+v", c)
	}
}

func TestVehicle(t *testing.T) {
	const silent = 10 * time.Minute
	at := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
	link := func(s state, id, status string, m int, retained bool) state {
		return tell(t, s, "connectivity", `{"ConnectionId":"`+id+`","Status":"`+status+`"}`, at(m), retained)
	}
	want := func(s state, m int, want tesla.VehicleState, when string) {
		t.Helper()
		if got := s.vehicle(at(m), silent); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	want(state{}, 0, tesla.StateUnknown, "nothing came")
	want(tell(t, state{}, "v/Soc", "50", at(0), true), 0, tesla.StateUnknown, "only a stored field")
	want(tell(t, state{}, "v/Soc", "50", at(0), false), 9, tesla.StateOnline, "only a fresh field")
	want(tell(t, state{}, "v/Soc", "50", at(0), false), 10, tesla.StateUnknown, "only a field of ten minutes ago")
	on := link(state{}, "a", "CONNECTED", 0, false)
	want(on, 60, tesla.StateOnline, "connected")
	off := link(on, "a", "DISCONNECTED", 61, false)
	want(off, 62, tesla.StateOffline, "disconnected")
	want(tell(t, off, "v/Soc", "50", at(61), false), 62, tesla.StateOffline, "a value of the same instant")
	want(tell(t, off, "v/Soc", "50", at(61).Add(straggle), false), 62, tesla.StateOffline, "a straggler")
	want(tell(t, off, "v/Soc", "50", at(61).Add(straggle+1), false), 62, tesla.StateOnline, "what comes later than a straggler")
	want(tell(t, off, "v/Soc", "50", at(63), false), 64, tesla.StateOnline, "a sign of life")
	want(link(link(on, "b", "CONNECTED", 1, false), "a", "DISCONNECTED", 2, false), 3, tesla.StateOnline, "the end of an older connection")
	want(link(state{}, "a", "DISCONNECTED", 0, true), 0, tesla.StateOffline, "stored: disconnected")
	asleep := off.withVehicle(tesla.StateAsleep, nil, at(70))
	want(asleep, 71, tesla.StateAsleep, "the API says asleep")
	want(link(asleep, "c", "CONNECTED", 72, false), 73, tesla.StateOnline, "and then it connects")
	want(off.withVehicle("", &tesla.Error{Class: tesla.ErrTemporary}, at(70)), 71, tesla.StateOffline, "the API cannot be asked")
}

func TestTeller(t *testing.T) {
	const silent = 10 * time.Minute
	at := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
	online := tell(t, state{}, "connectivity", `{"ConnectionId":"a","Status":"CONNECTED"}`, noon, false)
	idle := tell(t, online, "v/DetailedChargeState", `"DetailedChargeStateStopped"`, noon, false)
	charging := tell(t, online, "v/DetailedChargeState", `"DetailedChargeStateCharging"`, noon, false)
	gone := tell(t, charging, "connectivity", `{"ConnectionId":"a","Status":"DISCONNECTED"}`, at(1), false)
	stored := tell(t, tell(t, state{}, "connectivity", `{"ConnectionId":"a","Status":"CONNECTED"}`, noon, true),
		"v/DetailedChargeState", `"DetailedChargeStateCharging"`, noon, true)
	read := charging.withRead(tesla.ChargeState{ChargingState: "Charging"}, nil, "owner", at(11))
	for _, row := range []struct {
		when      string
		s         state
		minute    int
		with, not who // an API
	}{
		{"nothing ever", state{}, 0, byNobody, byNobody},
		{"the stream speaks", charging, 9, byStream, byStream},
		{"silent while charging", charging, 10, byAPI, byNobody},
		{"silent while idle", idle, 10, byAPI, byStream},
		{"asleep", gone, 60, byStream, byStream},
		{"only what was stored, for nine minutes", stored, 9, byStream, byStream},
		{"only what was stored, for ten minutes", stored, 10, byAPI, byNobody},
		{"the API was read", read, 20, byStream, byStream},
		{"the API was read ten minutes ago", read, 21, byAPI, byNobody},
		{"it has just connected", tell(t, gone, "connectivity", `{"ConnectionId":"b","Status":"CONNECTED"}`, at(60).Add(-29*time.Second), false), 60, byStream, byStream},
		{"it connected, and said nothing", tell(t, gone, "connectivity", `{"ConnectionId":"b","Status":"CONNECTED"}`, at(60).Add(-30*time.Second), false), 60, byAPI, byNobody},
		{"that it connected was stored", tell(t, gone, "connectivity", `{"ConnectionId":"b","Status":"CONNECTED"}`, at(60), true), 60, byAPI, byNobody},
		{"the API failed a moment ago", idle.withRead(tesla.ChargeState{}, tesla.ErrTemporary, "owner", at(11)), 20, byStream, byStream},
		{"the API failed a moment ago, while charging", charging.withRead(tesla.ChargeState{}, tesla.ErrTemporary, "owner", at(11)), 20, byNobody, byNobody},
		{"the API failed ten minutes ago", idle.withRead(tesla.ChargeState{}, tesla.ErrTemporary, "owner", at(11)), 21, byAPI, byStream},
		{"nobody was logged in", idle.withRead(tesla.ChargeState{}, tesla.ErrLoginRequired, "owner", at(11)), 12, byAPI, byStream},
		{"there was no money", idle.withRead(tesla.ChargeState{}, tesla.ErrOwnBudget, "owner", at(11)), 12, byAPI, byStream},
		{"we gave it up", idle.withRead(tesla.ChargeState{}, context.Canceled, "owner", at(11)), 12, byAPI, byStream},
		{"the car did not answer", charging.withRead(tesla.ChargeState{}, tesla.ErrAsleep, "owner", at(11)), 12, byStream, byStream},
		{"the stream is back", tell(t, read, "v/Soc", "50", at(22), false), 23, byStream, byStream},
	} {
		if with, not := row.s.teller(at(row.minute), silent, true), row.s.teller(at(row.minute), silent, false); with != row.with || not != row.not {
			t.Errorf("%s: %d with an API and %d without, want %d and %d", row.when, with, not, row.with, row.not)
		}
	}
	for _, row := range []struct {
		when   string
		s      state
		minute int
		want   bool
	}{
		{"nothing ever", state{}, 0, true},
		{"asked a moment ago", state{}.withVehicle("", tesla.ErrTemporary, noon), 9, false},
		{"it speaks", charging, 9, false},
		{"silent", charging, 10, true},
		{"it went a moment ago", gone, 10, false},
		{"it went long ago", gone, 11, true},
	} {
		if got := row.s.asksState(at(row.minute), silent); got != row.want {
			t.Errorf("whether to ask the API for the state, %s: %v", row.when, got)
		}
	}
}
