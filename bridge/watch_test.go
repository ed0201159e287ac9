package bridge

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// TestStreamIsFollowed: what is streamed shows within a second and without a request, and so does what a command changes.
func TestStreamIsFollowed(t *testing.T) {
	inStream(t, plugged(), false, func(s *streamed) {
		s.start()
		s.flow(3 * time.Minute)
		for key, want := range map[string]string{
			"vehicle_state": "online", "charging_state": "charging", "charge_amps": "16", "charger_actual_current": "16", "charger_voltage": "230",
			"charger_phases": "3", "charger_power": "11.04", "battery_level": "41", "charge_limit": "80", "cable": "iec", "charge_port": "open",
			"at_home": "true", "fast_charger": "false", "source": "telemetry", "availability": "online", "scheduled_start": "null",
		} {
			s.want(key, want)
		}
		s.send("charge_amps", "10")
		s.flow(20 * time.Second)
		s.wantResult(s.only("charge_amps"), "ok", "")
		s.want("charge_amps", "10")
		s.want("charger_actual_current", "10")
		s.send("charge_amps", "10")
		s.flow(40 * time.Second)
		s.wantResult(s.only("charge_amps"), "noop", "")
		s.deliver(false)
		s.car.Unplug()
		s.pass(10 * time.Second)
		s.deliver(false)
		s.pass(time.Second)
		s.want("charging_state", "disconnected")
		s.want("cable", "none")
		s.wantExecuted("set_charging_amps")
		if state, reads := s.asked(); state+reads != 0 {
			t.Errorf("%d looks and %d reads of the API", state, reads)
		}
	})
}

// TestStreamOfTexts: some firmware sends each number as a text.
func TestStreamOfTexts(t *testing.T) {
	inStream(t, plugged(), false, func(s *streamed) {
		s.stream.Texts = true
		s.start()
		s.flow(2 * time.Minute)
		s.want("charge_amps", "16")
		s.want("charger_power", "11.04")
		s.want("charge_limit", "80")
	})
}

// TestStreamSleeps: a car that goes and comes back is offline and online, and its values stay.
func TestStreamSleeps(t *testing.T) {
	car := plugged()
	car.Stopped = true
	inStream(t, car, false, func(s *streamed) {
		s.start()
		s.flow(time.Minute)
		s.car.Sleep()
		s.flow(2 * time.Second)
		s.want("vehicle_state", "offline")
		s.want("battery_level", "40")
		s.want("availability", "online")
		s.send("charge_amps", "8")
		s.pass(5 * time.Second)
		s.wantResult(s.only("charge_amps"), "rejected", "asleep")
		s.send("charging", "ON")
		s.flow(time.Minute)
		s.wantResult(s.only("charging"), "ok", "")
		s.want("vehicle_state", "online")
		s.want("charging", "true")
	})
}

// TestStreamFallsSilent: while the car charges and says nothing, the API is read once in ten minutes, and the source says so;
// when the stream is back, it counts at once.
func TestStreamFallsSilent(t *testing.T) {
	inStream(t, plugged(), true, func(s *streamed) {
		s.start()
		s.flow(2 * time.Minute)
		_, before := s.asked()
		s.pass(silent - 10*time.Second)
		s.want("source", "telemetry")
		if _, reads := s.asked(); reads != before {
			t.Errorf("%d reads before the stream counted as silent", reads-before)
		}
		s.pass(2 * time.Minute)
		s.want("source", "owner")
		s.want("charge_amps", "16")
		s.pass(time.Hour)
		if _, reads := s.asked(); reads-before < 6 || reads-before > 7 {
			t.Errorf("%d reads in an hour and two minutes of silence", reads-before)
		}
		s.want("source", "owner")
		s.want("availability", "online")
		s.send("charge_limit", "70")
		s.pass(5 * time.Second)
		s.wantResult(s.only("charge_limit"), "ok", "")
		s.pass(silent)
		_, reads := s.asked()
		// One field only: of the others the API's word is the newest.
		s.tell("ChargerVoltage", "229.6", false)
		s.want("source", "telemetry")
		s.want("charger_voltage", "230")
		s.want("charge_limit", "70")
		s.flow(2 * time.Minute)
		s.want("charge_limit", "70")
		if _, again := s.asked(); again != reads {
			t.Errorf("%d reads after the stream came back", again-reads)
		}
	})
}

// TestStreamFallsSilentWithoutAPI: then nobody knows, and the car says so.
func TestStreamFallsSilentWithoutAPI(t *testing.T) {
	inStream(t, plugged(), false, func(s *streamed) {
		s.start()
		s.pass(5 * time.Minute)
		s.want("availability", "offline")
		s.flow(2 * time.Minute)
		s.want("availability", "online")
		s.pass(20 * time.Minute)
		s.want("availability", "offline")
		if health := s.retained("bridge/health"); !strings.Contains(health, "no telemetry from the car: the car charges, and nothing has come for") ||
			!strings.Contains(health, "telemetry.base_topic") {
			t.Errorf("bridge/health says %s", health)
		}
		s.flow(5 * time.Second)
		s.want("availability", "online")
		if state, reads := s.asked(); state+reads != 0 {
			t.Errorf("%d looks and %d reads of the API", state, reads)
		}
	})
}

// TestStoredIsShownAndProvesNothing: what the broker had stored is shown without a time. It neither makes a command needless nor
// refuses one, since it may be from last year.
func TestStoredIsShownAndProvesNothing(t *testing.T) {
	inStream(t, plugged(), false, func(s *streamed) {
		s.start()
		s.deliver(true)
		s.tell("DetailedChargeState", `"DetailedChargeStateDisconnected"`, true)
		s.want("charge_amps", "16")
		s.want("charging_state", "disconnected")
		s.want("vehicle_state", "online")
		s.want("last_update", "null")
		s.send("charge_amps", "16")
		s.pass(10 * time.Second)
		s.wantResult(s.only("charge_amps"), "ok", "")
		s.wantExecuted("set_charging_amps")
		s.tell("ChargeCurrentRequest", "16", false)
		if s.retained("model3/last_update") == "null" {
			t.Error("a fresh field did not move last_update")
		}
	})
}

// TestStreamConfirms: the answer to a command is lost. What was told before proves nothing, even if it is what was asked; what is
// told after it does.
func TestStreamConfirms(t *testing.T) {
	for _, c := range []struct {
		name, field, told, status, reason string
		retained                          bool
	}{
		{"told after it", "ChargeCurrentRequest", "10", "ok", "", false},
		{"told another value", "ChargeCurrentRequest", "16", "error", "unreachable", false},
		{"told another thing", "ChargerVoltage", "231", "unknown", "unconfirmed", false},
		{"stored", "ChargeCurrentRequest", "10", "unknown", "unconfirmed", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inStream(t, plugged(), false, func(s *streamed) {
				s.start()
				s.flow(time.Minute)
				s.fault("cut-after", sim.On("command"), sim.Times(1))
				s.send("charge_amps", "10")
				s.pass(4 * time.Second)
				s.tell(c.field, c.told, c.retained)
				s.pass(30 * time.Second)
				s.wantResult(s.only("charge_amps"), c.status, c.reason)
			})
		})
	}
}

// TestOldTellingDoesNotBringBackTheSetPoint: after a command the car goes on telling other things, and the set point only later.
func TestOldTellingDoesNotBringBackTheSetPoint(t *testing.T) {
	inStream(t, plugged(), false, func(s *streamed) {
		s.start()
		s.flow(time.Minute)
		s.send("charge_amps", "10")
		for range 30 {
			s.tell("ChargerVoltage", "231", false)
			s.want("charge_amps", "10")
		}
		s.tell("ChargeCurrentRequest", "12", false)
		s.want("charge_amps", "12")
		s.send("charge_amps", "10")
		s.pass(4 * time.Second)
		s.tell("ChargeCurrentRequest", "13", true) // it may be from before
		s.want("charge_amps", "10")
		s.pass(ackMemory)
		s.tell("ChargeCurrentRequest", "14", true)
		s.want("charge_amps", "14")
	})
}

// TestStartAtFiveIsSeenInTheStream: the set point is repeated once when the stream tells that the charge began at another one.
func TestStartAtFiveIsSeenInTheStream(t *testing.T) {
	car := plugged()
	car.Stopped, car.StartsAtFive = true, true
	inStream(t, car, false, func(s *streamed) {
		s.start()
		s.flow(time.Minute)
		s.send("charge_amps", "12")
		s.flow(20 * time.Second)
		s.send("charging", "ON")
		s.flow(2 * time.Minute)
		s.wantExecuted("set_charging_amps", "charge_start", "set_charging_amps")
		s.want("charge_amps", "12")
	})
}

// TestStartAtFiveIsToldLate: the set point is told some seconds after the start.
func TestStartAtFiveIsToldLate(t *testing.T) {
	car := plugged()
	car.Stopped, car.Amps = true, 12
	inStream(t, car, false, func(s *streamed) {
		s.start()
		s.flow(time.Minute)
		s.send("charge_amps", "10")
		s.flow(20 * time.Second)
		s.send("charging", "ON")
		s.tell("DetailedChargeState", `"DetailedChargeStateCharging"`, false)
		s.tell("ChargeCurrentRequest", "5", false)
		s.pass(20 * time.Second)
		s.wantExecuted("set_charging_amps", "charge_start", "set_charging_amps")
	})
}

// TestStoredOfASleepingCar: it shows although nobody may read a car that sleeps.
func TestStoredOfASleepingCar(t *testing.T) {
	inStream(t, sim.Car{Asleep: true}, false, func(s *streamed) {
		s.start()
		s.feed.Deliver("telemetry/"+vin+"/connectivity", []byte(`{"ConnectionId":"a","Status":"DISCONNECTED"}`), true)
		s.tell("BatteryLevel", "55.2", true)
		s.want("battery_level", "55")
		s.want("vehicle_state", "offline")
		s.want("last_update", "null")
	})
}

// TestStreamOfASoldCar: what it goes on streaming does not bring it back.
func TestStreamOfASoldCar(t *testing.T) {
	inStream(t, plugged(), false, func(s *streamed) {
		s.start()
		s.flow(time.Minute)
		s.want("availability", "online")
		s.car.Remove(true)
		s.flow(relist)
		s.want("availability", "offline")
	})
}

// TestFloodIsCoalesced: a thousand messages a second become a change each two seconds, and a command does not wait for them.
func TestFloodIsCoalesced(t *testing.T) {
	inStream(t, plugged(), false, func(s *streamed) {
		s.start()
		s.flow(time.Minute)
		s.send("charging", "OFF")
		changes, last := 0, ""
		for i := range 20_000 {
			s.feed.Deliver("telemetry/"+vin+"/v/ChargerVoltage", []byte(strconv.Itoa(200+i/100)), false)
			s.feed.Deliver("telemetry/5YJ3E1EA7KF99"+strconv.Itoa(i)+"/v/ChargerVoltage", []byte("230"), false)
			s.pass(time.Millisecond)
			if now := s.retained("model3/charger_voltage"); now != last {
				changes, last = changes+1, now
			}
			if i == 1000 {
				s.wantResult(s.only("charging"), "ok", "")
			}
		}
		if changes < 8 || changes > 12 {
			t.Errorf("the voltage changed %d times in 20 s", changes)
		}
	})
}

// TestStreamedDay: a day with a charge, a drive and sleep. The API is asked only whether a car that streams nothing sleeps.
func TestStreamedDay(t *testing.T) {
	inStream(t, plugged(), true, func(s *streamed) {
		s.start()
		s.flow(8 * time.Hour)
		s.want("charging_state", "complete")
		s.car.DriveAway()
		s.flow(time.Hour)
		s.car.Arrive("home", 10)
		s.car.PlugIn(16, 3)
		s.flow(time.Hour)
		s.send("charge_amps", "6")
		s.flow(14 * time.Hour)
		s.wantResult(s.only("charge_amps"), "ok", "")
		state, reads := s.asked()
		asleep := s.car.AsleepFor()
		t.Logf("asleep for %s: %d looks at the state, %d reads, %d requests in all", asleep, state, reads, s.tesla.Count("all", ""))
		if reads > 1 || state > 2+int(asleep/silent) || asleep < 6*time.Hour {
			t.Errorf("%d reads and %d looks in a day with %s of sleep", reads, state, asleep)
		}
	})
}

// TestWatchIsPure follows the news of one car by the clock of the table.
func TestWatchIsPure(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	var w watch
	due := func(want int) {
		t.Helper()
		if !w.due.Equal(at(want)) {
			t.Errorf("due after %s, want %d ms", w.due.Sub(start), want)
		}
	}
	w.fired(at(0))
	due(200)
	w.fired(at(150)) // of the same burst
	due(200)
	w.taken(at(201))
	if !w.due.IsZero() {
		t.Error("what was taken is due again")
	}
	w.fired(at(300))
	due(2201)
	w.taken(at(2201))
	w.fired(at(9000))
	due(9200)
}

// TestInvariant1Reconnects: a parked car with poor reception connects anew each 12 minutes. What it sends then is shown, and is no
// reason to ask the API, which would keep it awake for ever.
func TestInvariant1Reconnects(t *testing.T) {
	for _, c := range []struct {
		name string
		says bool // whether its values follow
	}{{"with values", true}, {"without values", false}} {
		t.Run(c.name, func(t *testing.T) {
			car := plugged()
			car.Stopped = true
			inStream(t, car, true, func(s *streamed) {
				s.start()
				began := time.Now()
				for i := 0; !s.car.Asleep() && i < 30; i++ {
					s.link(i, "CONNECTED")
					s.pass(700 * time.Millisecond) // the car fills its buckets first
					if c.says {
						s.tell("Soc", "40", false)
						s.want("usable_battery_level", "40")
					}
					for end := time.Now().Add(12 * time.Minute); time.Now().Before(end) && !s.car.Asleep(); {
						s.pass(time.Second)
					}
					s.link(i, "DISCONNECTED")
					s.pass(3 * time.Second)
				}
				_, reads := s.asked()
				if reads > 2 || time.Since(began) > time.Hour {
					t.Errorf("asleep after %s, with %d reads of the API", time.Since(began), reads)
				}
			})
		})
	}
}
