package bridge

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// plugged is a car that charges at 16 A on three phases.
func plugged() sim.Car {
	return sim.Car{PluggedIn: true, Level: 40, Limit: 80, Phases: 3, MaxAmps: 16, Amps: 16}
}

// settled starts the bridge beside a charging car and lets the first minutes pass.
func settled(r *rig) {
	r.start()
	r.pass(3 * time.Minute)
}

func TestAmpsReachTheCar(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "8")
		r.pass(3 * time.Second)
		got := r.only("charge_amps")
		r.wantResult(got, "ok", "")
		if got.Applied != 8.0 || got.Requested != 8.0 || got.ID == "" {
			t.Errorf("got %+v", got)
		}
		if r.retained("model3/charge_amps") != "8" || r.car.Amps() != 8 {
			t.Errorf("charge_amps says %s, the car %d", r.retained("model3/charge_amps"), r.car.Amps())
		}
		r.wantExecuted("set_charging_amps")
		if !strings.Contains(r.retained("model3/last_command"), got.ID) {
			t.Errorf("last_command is %s", r.retained("model3/last_command"))
		}
	})
}

// TestInvariant9BadInput: each is refused with its reason, and nothing of it reaches Tesla.
func TestInvariant9BadInput(t *testing.T) {
	for _, c := range []struct{ name, thing, payload, reason string }{
		{"a word", "charge_amps", "eight", "invalid_payload"},
		{"watts", "charge_amps", "999", "out_of_range"},
		{"negative", "charge_amps", "-5", "out_of_range"},
		{"zero", "charge_amps", "0", "out_of_range"},
		{"NaN", "charge_amps", "NaN", "out_of_range"},
		{"infinite", "charge_amps", "1e999", "out_of_range"},
		{"hexadecimal", "charge_amps", "0x10", "invalid_payload"},
		{"half a JSON", "charge_amps", `{"value": 8`, "invalid_payload"},
		{"no value", "charge_amps", `{"id":"a"}`, "invalid_payload"},
		{"list", "charge_amps", `{"value":[8]}`, "invalid_payload"},
		{"array", "charge_amps", `[8]`, "invalid_payload"},
		{"long id", "charge_amps", `{"value":8,"id":"` + strings.Repeat("x", 65) + `"}`, "invalid_payload"},
		{"ttl too long", "charge_amps", `{"value":8,"ttl":601}`, "invalid_payload"},
		{"ttl zero", "charge_amps", `{"value":8,"ttl":0}`, "invalid_payload"},
		{"too large", "charge_amps", strings.Repeat("8", 5000), "too_large"},
		{"not UTF-8", "charge_amps", "\xff\xfe", "invalid_payload"},
		{"limit low", "charge_limit", "49", "out_of_range"},
		{"limit high", "charge_limit", "101", "out_of_range"},
		{"neither on nor off", "charging", "maybe", "invalid_payload"},
		{"port is off", "charge_port", "OPEN", "disabled"},
		{"unknown thing", "horn", "1", "unknown_thing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, plugged(), func(r *rig) {
				settled(r)
				r.send(c.thing, c.payload)
				r.wantResult(r.only(c.thing), "rejected", c.reason)
				r.pass(time.Minute)
				if n := r.tesla.Count("command", ""); n != 0 {
					t.Errorf("%d commands reached Tesla", n)
				}
			})
		})
	}
}

func TestEmptyPayloadAndStrangersAreIgnored(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "")
		r.bridge.Deliver("tesla2mqtt/nobody/charge_amps/set", []byte("8"), false)
		r.pass(time.Minute)
		if len(r.said.results) != 0 {
			t.Errorf("results: %v", r.said.results)
		}
		if h := r.retained("bridge/health"); !strings.Contains(h, `"empty":1`) || !strings.Contains(h, `"unknown_cars":1`) {
			t.Errorf("health does not count them: %s", h)
		}
	})
}

func TestClamps(t *testing.T) {
	for _, c := range []struct {
		name, payload, reason string
		min, want             int
	}{
		{"fraction is cut", "8.9", "", 1, 8},
		{"above the cable", "32", "clamped_to_max", 1, 16},
		{"below the minimum", "2", "clamped_to_min", 6, 6},
		{"minimum above the cable", "17", "clamped_to_max", 20, 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			car := plugged()
			car.Amps = 12
			inBubble(t, car, func(r *rig) {
				cfg := defaults()
				cfg.Commands.Amps.Min = c.min
				r.cfg.Cars[vin] = cfg
				settled(r)
				r.send("charge_amps", c.payload)
				r.pass(10 * time.Second)
				r.wantResult(r.only("charge_amps"), "ok", c.reason)
				if r.car.Amps() != c.want {
					t.Errorf("the car is at %d, want %d", r.car.Amps(), c.want)
				}
			})
		})
	}
}

// TestInvariant7Stream: ten messages a second for a minute lead to no more calls than the gaps allow, the last value
// wins, and each message has its one result.
func TestInvariant7Stream(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		const n = 600
		for i := range n {
			r.send("charge_amps", fmt.Sprintf(`{"value":%d,"id":%d}`, 6+i%9, i))
			r.pass(100 * time.Millisecond)
		}
		r.send("charge_amps", `{"value":13,"id":"last"}`)
		r.pass(2 * time.Minute)
		results := r.said.take("charge_amps")
		seen := map[string]int{}
		for _, res := range results {
			seen[res.ID]++
		}
		if len(results) != n+1 || len(seen) != n+1 {
			t.Errorf("%d results for %d ids, want %d of each", len(results), len(seen), n+1)
		}
		if r.car.Amps() != 13 {
			t.Errorf("the car is at %d, want the last value", r.car.Amps())
		}
		// One at once, then at most one for each lower gap of 5 s, and the last one.
		if calls := r.tesla.Count("command/set_charging_amps", ""); calls > 14 || calls < 3 {
			t.Errorf("%d calls", calls)
		}
		executed := r.car.Executed()
		for i := 1; i < len(executed); i++ {
			gap := executed[i].At.Sub(executed[i-1].At)
			raise := executed[i].Value > executed[i-1].Value
			if gap < 5*time.Second || raise && gap < 15*time.Second {
				t.Errorf("%d A followed %d A after %s", executed[i].Value, executed[i-1].Value, gap)
			}
		}
	})
}

func TestBelowFiveIsSentTwice(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to int
		sends    int
	}{{"crossing down", 16, 3, 2}, {"from five", 5, 4, 2}, {"below already", 3, 4, 1}, {"going up", 3, 10, 1}, {"above", 16, 5, 1}} {
		t.Run(c.name, func(t *testing.T) {
			car := plugged()
			car.Amps = c.from
			inBubble(t, car, func(r *rig) {
				settled(r)
				r.send("charge_amps", fmt.Sprint(c.to))
				r.pass(30 * time.Second)
				r.wantResult(r.only("charge_amps"), "ok", "")
				if n := r.tesla.Count("command/set_charging_amps", ""); n != c.sends {
					t.Errorf("%d sends, want %d", n, c.sends)
				}
				if c.to < 5 && r.car.Amps() >= 5 {
					t.Errorf("the car is at %d", r.car.Amps())
				}
			})
		})
	}
}

func TestSecondSendYieldsToNewer(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.send("charge_amps", `{"value":3,"id":"low"}`)
		r.pass(4 * time.Second)
		r.send("charge_amps", `{"value":12,"id":"high"}`)
		r.pass(time.Minute)
		results := r.said.take("charge_amps")
		if len(results) != 2 || results[0].Status != "superseded" || results[1].Status != "ok" {
			t.Fatalf("got %+v", results)
		}
		if r.car.Amps() != 12 || r.tesla.Count("command/set_charging_amps", "") != 2 {
			t.Errorf("%d A after %d sends", r.car.Amps(), r.tesla.Count("command/set_charging_amps", ""))
		}
	})
}

func TestStopCancelsAmpsAndGoesAtOnce(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "8")
		r.send("charging", "OFF")
		r.pass(time.Second)
		r.wantResult(r.only("charging"), "ok", "")
		r.wantResult(r.only("charge_amps"), "superseded", "")
		r.wantExecuted("charge_stop")
		r.pass(10 * time.Second)
		if r.retained("model3/charging") != "false" {
			t.Errorf("charging is %s soon after", r.retained("model3/charging"))
		}
	})
}

// TestStartSendsAmpsFirst: and again after the start, since this car starts at 5 A.
func TestStartSendsAmpsFirst(t *testing.T) {
	car := plugged()
	car.Stopped, car.StartsAtFive = true, true
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("charge_amps", "10")
		r.send("charging", "ON")
		r.pass(time.Second)
		r.wantExecuted("set_charging_amps", "charge_start")
		r.pass(2 * time.Minute)
		r.wantExecuted("set_charging_amps", "charge_start", "set_charging_amps")
		if r.car.Amps() != 10 {
			t.Errorf("the car charges at %d, want 10", r.car.Amps())
		}
		r.wantResult(r.only("charge_amps"), "ok", "")
		r.wantResult(r.only("charging"), "ok", "")
	})
}

func TestNoop(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		for thing, payload := range map[string]string{"charge_amps": "16", "charge_limit": "80", "charging": "on", "wake": ""} {
			if payload == "" {
				payload = "PRESS"
			}
			r.send(thing, payload)
			r.pass(10 * time.Second)
			r.wantResult(r.only(thing), "noop", "")
		}
		r.wantExecuted()
	})
}

func TestUnpluggedAndComplete(t *testing.T) {
	for _, c := range []struct {
		name, thing, payload, status, reason string
		car                                  sim.Car
	}{
		{"amps", "charge_amps", "8", "rejected", "not_plugged_in", sim.Car{Level: 40}},
		{"start", "charging", "ON", "rejected", "not_plugged_in", sim.Car{Level: 40}},
		{"stop", "charging", "OFF", "noop", "", sim.Car{Level: 40}},
		{"start when full", "charging", "ON", "rejected", "complete", sim.Car{Level: 80, Limit: 80, PluggedIn: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, c.car, func(r *rig) {
				settled(r)
				r.send(c.thing, c.payload)
				r.pass(10 * time.Second)
				r.wantResult(r.only(c.thing), c.status, c.reason)
				r.wantExecuted()
			})
		})
	}
}

func TestFastChargerIsLeftAlone(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		r.car.SetDC(true)
		settled(r)
		r.send("charge_amps", "8")
		r.send("charging", "OFF")
		r.pass(10 * time.Second)
		r.wantResult(r.only("charge_amps"), "superseded", "")
		r.wantResult(r.only("charging"), "rejected", "fast_charging")
		r.send("charge_amps", "9")
		r.pass(10 * time.Second)
		r.wantResult(r.only("charge_amps"), "rejected", "fast_charging")
		r.wantExecuted()
	})
}

func TestExpires(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "8")
		r.pass(3 * time.Second)
		r.only("charge_amps")
		// Raising has to wait 15 s, longer than this one lives.
		r.send("charge_amps", `{"value":12,"ttl":2}`)
		r.pass(time.Minute)
		r.wantResult(r.only("charge_amps"), "expired", "")
		if r.car.Amps() != 8 {
			t.Errorf("an expired command was executed: %d A", r.car.Amps())
		}
	})
}

func TestSameIDIsOneCommand(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		for range 3 {
			r.send("charge_amps", `{"value":8,"id":"a"}`)
		}
		r.pass(5 * time.Second)
		r.send("charge_amps", `{"value":8,"id":"a"}`)
		if got := r.said.take("charge_amps"); len(got) != 4 || got[3].Status != "ok" || got[3].ID != "a" {
			t.Errorf("got %+v", got)
		}
		r.send("charge_amps", `{"value":6,"id":"a"}`)
		r.pass(20 * time.Second)
		r.wantResult(r.only("charge_amps"), "ok", "")
		r.wantExecuted("set_charging_amps", "set_charging_amps")
	})
}

func TestFailureIsAnsweredFromMemory(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		if err := r.tesla.Fault("403-missing-scopes", sim.On("command")); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			r.send("charge_limit", "70")
			r.pass(time.Second)
		}
		if n := r.tesla.Count("command", ""); n != 1 {
			t.Errorf("%d calls for one failing command, want 1", n)
		}
		for _, res := range r.said.take("charge_limit") {
			r.wantResult(res, "error", "missing_scopes")
		}
		for range 5 {
			r.send("charging", "OFF")
			r.pass(time.Second)
		}
		if n := r.tesla.Count("command/charge_stop", ""); n != 5 {
			t.Errorf("stop was tried %d times, want 5: it is never answered from memory", n)
		}
	})
}

func TestReadOnly(t *testing.T) {
	car := plugged()
	car.SignedCommands = true
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("charge_amps", "8")
		r.wantResult(r.only("charge_amps"), "rejected", "unsupported")
		r.send("refresh", "PRESS")
		r.pass(20 * time.Second)
		r.wantResult(r.only("refresh"), "ok", "")
		if config := r.said.get("homeassistant/device/tesla2mqtt_" + vin + "/config"); strings.Contains(config, "charge_amps/set") {
			t.Error("discovery offers a command that the car refuses")
		}
	})
}

// TestLoweringCostsOneRead: the read that shows what became of one command is there to judge the next.
func TestLoweringCostsOneRead(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		before := r.client.Usage()
		for amps := 15; amps > 5; amps-- {
			r.send("charge_amps", strconv.Itoa(amps))
			r.pass(5 * time.Second)
		}
		u := r.client.Usage()
		if sent, read := u.Commands-before.Commands, u.Data-before.Data; sent < 9 || read > sent+1 || u.State-before.State > 3 {
			t.Errorf("%d commands took %d reads and %d looks", sent, read, u.State-before.State)
		}
	})
}
