package bridge

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

func sleeping() sim.Car {
	car := plugged()
	car.Stopped, car.Asleep = true, true
	return car
}

func TestAsleep(t *testing.T) {
	for _, c := range []struct{ name, thing, payload, status, reason string }{
		{"amps never wake", "charge_amps", "8", "rejected", "asleep"},
		{"limit never wakes", "charge_limit", "70", "rejected", "asleep"},
		{"stop never wakes, and there is nothing to stop", "charging", "OFF", "noop", ""},
		{"refresh never wakes", "refresh", "PRESS", "ok", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, sleeping(), func(r *rig) {
				settled(r)
				r.send(c.thing, c.payload)
				r.pass(30 * time.Second)
				r.wantResult(r.only(c.thing), c.status, c.reason)
				if n := r.tesla.Count("wake_up", ""); n != 0 || !r.car.Asleep() {
					t.Errorf("%d wakes, asleep %v", n, r.car.Asleep())
				}
			})
		})
	}
}

func TestOnWakesOnceAndAmpsRideAlong(t *testing.T) {
	inBubble(t, sleeping(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "7")
		r.send("charging", "ON")
		r.pass(3 * time.Minute)
		r.wantResult(r.only("charge_amps"), "ok", "")
		r.wantResult(r.only("charging"), "ok", "")
		r.wantExecuted("set_charging_amps", "charge_start")
		if n := r.tesla.Count("wake_up", ""); n != 1 {
			t.Errorf("%d wakes, want 1", n)
		}
	})
}

func TestStopWhileWakingCancelsTheStart(t *testing.T) {
	inBubble(t, sleeping(), func(r *rig) {
		settled(r)
		r.send("charging", "ON")
		r.pass(10 * time.Second)
		r.send("charging", "OFF")
		r.pass(3 * time.Minute)
		results := r.said.take("charging")
		if len(results) != 2 || results[0].Status != "superseded" {
			t.Fatalf("got %+v", results)
		}
		if r.car.Charging() {
			t.Error("the car charges although OFF came last")
		}
	})
}

func TestWakesAreRationed(t *testing.T) {
	car := sleeping()
	car.SleepAfter = time.Minute
	inBubble(t, car, func(r *rig) {
		settled(r)
		first := r.tesla.Count("wake_up", "")
		for range 100 {
			r.send("wake", "PRESS")
			r.pass(5 * time.Minute)
		}
		if n := r.tesla.Count("wake_up", "") - first; n != 6 {
			t.Errorf("%d wakes in 8 hours, want 6", n)
		}
		for _, res := range r.said.take("wake") {
			if res.Status != "ok" && res.Status != "noop" && text(res.Reason) != "asleep" {
				t.Errorf("got %+v", res)
			}
		}
	})
}

func TestWakeNever(t *testing.T) {
	inBubble(t, sleeping(), func(r *rig) {
		cfg := defaults()
		cfg.Commands.Wake = false
		r.cfg.Cars[vin] = cfg
		settled(r)
		r.send("charging", "ON")
		r.send("wake", "1")
		r.pass(time.Minute)
		r.wantResult(r.only("charging"), "rejected", "asleep")
		r.wantResult(r.only("wake"), "rejected", "asleep")
		if n := r.tesla.Count("wake_up", ""); n != 0 {
			t.Errorf("%d wakes", n)
		}
	})
}

func TestCarThatDoesNotWake(t *testing.T) {
	car := sleeping()
	car.WakeTakes = time.Hour
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("charging", "ON")
		r.pass(2*time.Minute + 10*time.Second)
		r.wantResult(r.only("charging"), "rejected", "asleep")
	})
}

// TestWordOfTesla: the state said online, but the command finds the car asleep; ON wakes it and tries once more.
func TestOnRetriesOnceAfterAWake(t *testing.T) {
	car := plugged()
	car.Stopped = true
	inBubble(t, car, func(r *rig) {
		settled(r)
		if err := r.tesla.Fault("could_not_wake_buses", sim.Times(1)); err != nil {
			t.Fatal(err)
		}
		r.send("charging", "ON")
		r.pass(2 * time.Minute)
		r.wantResult(r.only("charging"), "ok", "")
		if n := r.tesla.Count("command/charge_start", ""); n != 2 {
			t.Errorf("%d tries, want 2", n)
		}
	})
}

// TestInvariant2Ambiguous: a command whose answer is lost is never sent again; reads tell what became of it.
func TestInvariant2Ambiguous(t *testing.T) {
	for _, c := range []struct {
		fault, status, reason string
		amps                  int
	}{
		{"cut-after", "ok", "", 8},
		{"cut-before", "error", "unreachable", 16},
		{"504", "error", "unreachable", 16},
		{"truncated", "ok", "", 8},
		{"html-200", "error", "unreachable", 16},
	} {
		t.Run(c.fault, func(t *testing.T) {
			inBubble(t, plugged(), func(r *rig) {
				settled(r)
				if err := r.tesla.Fault(c.fault, sim.On("command"), sim.Times(1)); err != nil {
					t.Fatal(err)
				}
				r.send("charge_amps", "8")
				r.pass(time.Minute)
				r.wantResult(r.only("charge_amps"), c.status, c.reason)
				if n := r.tesla.Count("command/set_charging_amps", ""); n != 1 {
					t.Errorf("sent %d times", n)
				}
				if r.car.Amps() != c.amps {
					t.Errorf("the car is at %d", r.car.Amps())
				}
			})
		})
	}
}

func TestAmbiguousWithoutReadsIsUnknown(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		if err := r.tesla.Fault("cut-after", sim.On("command"), sim.Times(1)); err != nil {
			t.Fatal(err)
		}
		r.send("charge_amps", "8")
		r.pass(3 * time.Second)
		if err := r.tesla.Fault("502", sim.On("vehicle_data")); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Minute)
		r.wantResult(r.only("charge_amps"), "unknown", "unconfirmed")
	})
}

// TestStopDuringConfirmation: an open outcome must not hold a stop back.
func TestStopDuringConfirmation(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		if err := r.tesla.Fault("cut-after", sim.On("command"), sim.Times(1)); err != nil {
			t.Fatal(err)
		}
		r.send("charge_amps", "8")
		r.pass(3 * time.Second)
		r.send("charging", "OFF")
		r.pass(2 * time.Second)
		r.wantResult(r.only("charging"), "ok", "")
		if r.car.Charging() {
			t.Error("it still charges")
		}
		r.pass(time.Minute)
		r.wantResult(r.only("charge_amps"), "ok", "")
	})
}

func TestEveryErrorClassHasItsWords(t *testing.T) {
	for _, c := range []struct{ fault, status, reason, api string }{
		{"403-forbidden-client", "error", "forbidden", "forbidden"},
		{"403-exceeded-limit", "rejected", "budget", "forbidden"},
		{"403-missing-scopes", "error", "missing_scopes", "forbidden"},
		{"402", "error", "payment_required", "forbidden"},
		{"404", "error", "not_found", "ok"},
		{"412", "error", "unsupported", "forbidden"},
		{"421", "error", "wrong_region", "forbidden"},
		{"429", "rejected", "rate_limited", "rate_limited"},
		{"429-bare", "rejected", "rate_limited", "rate_limited"},
		{"html", "error", "unreachable", "unreachable"},
		{"redirect", "error", "unreachable", "unreachable"},
		{"401", "rejected", "login_required", "login_required"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			inBubble(t, plugged(), func(r *rig) {
				settled(r)
				if err := r.tesla.Fault(c.fault, sim.On("api")); err != nil {
					t.Fatal(err)
				}
				r.pass(61 * time.Second)
				r.send("charge_limit", "70")
				r.pass(time.Minute)
				r.wantResult(r.only("charge_limit"), c.status, c.reason)
				if h := r.retained("bridge/health"); !strings.Contains(h, `"api":{"status":"`+c.api+`"`) {
					t.Errorf("health says %s", h)
				}
				r.wantExecuted()
			})
		})
	}
}

// TestSilenceIsKept: what Tesla asks us to wait, all of us wait, except whoever stops a charge.
func TestSilenceIsKept(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		if err := r.tesla.Fault("429", sim.On("api"), sim.Times(1)); err != nil {
			t.Fatal(err)
		}
		r.pass(61 * time.Second)
		before := r.tesla.Count("api", "")
		r.send("charge_amps", "8")
		r.pass(30 * time.Second)
		if n := r.tesla.Count("api", "") - before; n != 0 {
			t.Errorf("%d calls within the minute that Tesla asked for", n)
		}
		r.send("charging", "OFF")
		r.pass(2 * time.Second)
		r.wantResult(r.only("charging"), "ok", "")
	})
}

func TestDeskIsPure(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	a := Amps{Settle: 2 * time.Second, RaiseGap: 15 * time.Second, LowerGap: 5 * time.Second}
	amps := func(value int, first, last time.Duration) *pending {
		return &pending{req: request{thing: tesla.ChargeAmps}, value: value, first: now.Add(first), last: now.Add(last)}
	}
	for _, c := range []struct {
		name     string
		p        *pending
		lastAmps time.Duration // before now; 0: never
		setPoint int
		hurry    bool
		want     time.Duration
	}{
		{"settles", amps(8, 0, 0), 0, 16, false, 2 * time.Second},
		{"settles after the newest", amps(8, 0, time.Second), 0, 16, false, 3 * time.Second},
		{"but not for ever", amps(8, 0, 4500*time.Millisecond), 0, 16, false, 5 * time.Second},
		{"lower gap", amps(8, 0, 0), time.Second, 16, false, 4 * time.Second},
		{"raise gap", amps(20, 0, 0), time.Second, 16, false, 14 * time.Second},
		{"the same again is no lowering", amps(16, 0, 0), time.Second, 16, false, 14 * time.Second},
		{"nor are any where the set point was never read", amps(8, 0, 0), time.Second, 0, false, 14 * time.Second},
		{"gap is over", amps(20, 0, 0), time.Minute, 16, false, 2 * time.Second},
		{"hurry skips the settling", amps(20, 0, 0), 0, 16, true, 0},
		{"hurry skips no gap", amps(20, 0, 0), time.Second, 16, true, 14 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			var last time.Time
			if c.lastAmps > 0 {
				last = now.Add(-c.lastAmps)
			}
			setPoint := &c.setPoint
			if c.setPoint == 0 {
				setPoint = nil
			}
			if got := c.p.ready(a, last, setPoint, c.hurry).Sub(now); got != c.want {
				t.Errorf("ready after %s, want %s", got, c.want)
			}
		})
	}
}

func TestWakesAllowed(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	ago := func(ds ...time.Duration) (w wakes) {
		for _, d := range ds {
			w = append(w, now.Add(-d))
		}
		return w
	}
	h := time.Hour
	for _, c := range []struct {
		name  string
		woken wakes
		want  bool
	}{
		{"never", nil, true},
		{"just now", ago(time.Minute), false},
		{"not quite a quarter ago", ago(15*time.Minute - 1), false},
		{"a quarter ago", ago(15 * time.Minute), true},
		{"six today", ago(h, 2*h, 3*h, 4*h, 5*h, 6*h), false},
		{"six, one of them yesterday", ago(h, 2*h, 3*h, 4*h, 5*h, 25*h), true},
		{"the clock jumped back", ago(-48*h, -49*h), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.woken.allowed(now) == nil; got != c.want {
				t.Errorf("allowed %v, want %v", got, c.want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		if got := len(ago(h, 25*h).add(now)); got != 2 {
			t.Errorf("%d remembered, want the recent one and the new one", got)
		}
	})
}

// Tesla refuses this login; the owner logs in anew, and need not wait until the hour is over. Nothing is asked meanwhile.
func TestNewLoginEndsForbidden(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		var renewed atomic.Pointer[time.Time]
		renewed.Store(new(time.Now()))
		r.login = func() time.Time { return *renewed.Load() }
		settled(r)
		if err := r.tesla.Fault("403-forbidden-client", sim.On("api")); err != nil {
			t.Fatal(err)
		}
		r.pass(2 * time.Minute)
		asked := r.client.Usage().State
		r.pass(20 * time.Minute)
		if now := r.client.Usage().State; now != asked {
			t.Errorf("Tesla was asked %d times more", now-asked)
		}
		if n := strings.Count(r.logged.String(), "the car could not be read"); n != 1 {
			t.Errorf("the log says so %d times", n)
		}
		r.tesla.ClearFaults()
		renewed.Store(new(time.Now()))
		r.pass(61 * time.Second) // a poll
		if h := r.retained("bridge/health"); !strings.Contains(h, `"api":{"status":"ok"`) {
			t.Errorf("health says %s", h)
		}
		if got := r.retained("model3/availability"); got != "online" {
			t.Errorf("the car is %s", got)
		}
	})
}
