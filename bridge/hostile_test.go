package bridge

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// fault sets a fault that must exist.
func (r *rig) fault(name string, opts ...sim.FaultOption) {
	r.t.Helper()
	if err := r.tesla.Fault(name, opts...); err != nil {
		r.t.Fatal(err)
	}
}

// TestInvariant7ExpiryInFlight: what was sent expires no more, however slow Tesla is.
func TestInvariant7ExpiryInFlight(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.fault("slow", sim.On("command"), sim.Times(1), sim.Wait(5*time.Second))
		r.send("charge_limit", `{"value":70,"ttl":2}`)
		r.pass(20 * time.Second)
		r.wantResult(r.only("charge_limit"), "ok", "")
		r.wantExecuted("set_charge_limit")
	})
	inBubble(t, sleeping(), func(r *rig) {
		settled(r)
		r.fault("slow", sim.On("wake_up"), sim.Times(1), sim.Wait(5*time.Second))
		r.send("charging", `{"value":"ON","ttl":2}`)
		r.pass(3 * time.Minute)
		r.wantResult(r.only("charging"), "ok", "")
	})
}

func TestLimitIsHeldAgainstALateRead(t *testing.T) {
	car := plugged()
	car.Lag = 30 * time.Second
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("charge_limit", "70")
		r.pass(time.Second)
		r.wantResult(r.only("charge_limit"), "ok", "")
		for range 60 {
			if got := r.retained("model3/charge_limit"); got != "70" {
				t.Fatalf("a late read brought %s back", got)
			}
			r.pass(time.Second)
		}
	})
}

func TestConfirmationYieldsToANewerCommand(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.fault("cut-after", sim.On("command"), sim.Times(1))
		r.send("charge_amps", `{"value":8,"id":"old"}`)
		r.pass(2500 * time.Millisecond)
		r.send("charge_amps", `{"value":6,"id":"new"}`)
		r.pass(time.Minute)
		for _, res := range r.said.take("charge_amps") {
			if res.ID == "old" {
				r.wantResult(res, "unknown", "unconfirmed")
			} else {
				r.wantResult(res, "ok", "")
			}
		}
		r.send("charge_amps", "8")
		r.pass(20 * time.Second)
		r.wantResult(r.only("charge_amps"), "ok", "")
	})
}

func TestWakeThenOnShareOneWake(t *testing.T) {
	inBubble(t, sleeping(), func(r *rig) {
		settled(r)
		r.send("wake", "PRESS")
		r.pass(2 * time.Second)
		r.send("charging", "ON")
		r.pass(2 * time.Minute)
		r.wantResult(r.only("wake"), "ok", "")
		r.wantResult(r.only("charging"), "ok", "")
		if n := r.tesla.Count("wake_up", ""); n != 1 {
			t.Errorf("%d wakes", n)
		}
	})
}

func TestOnIsNotStarvedByAmps(t *testing.T) {
	car := plugged()
	car.Stopped = true
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("charging", "ON")
		for i := range 60 {
			r.send("charge_amps", fmt.Sprint(6+i%9))
			r.pass(time.Second)
		}
		r.wantResult(r.only("charging"), "ok", "")
	})
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("charge_amps", "8")
		r.pass(3 * time.Second)
		r.send("charge_amps", "12")
		r.send("charging", `{"value":"ON","ttl":5}`)
		r.pass(30 * time.Second)
		r.wantResult(r.only("charging"), "ok", "")
		if r.car.Amps() != 12 {
			t.Errorf("the car is at %d", r.car.Amps())
		}
	})
}

func TestReadsFailWhileLooksSucceed(t *testing.T) {
	car := plugged()
	car.BatteryKWh = 5000 // it must not fill up, fall asleep and be well again
	inBubble(t, car, func(r *rig) {
		settled(r)
		before := r.tesla.Count("vehicle_data", "")
		r.fault("500", sim.On("vehicle_data"))
		r.pass(4 * time.Hour)
		if r.retained("model3/availability") != "offline" {
			t.Error("the car counts as available although it was not read for four hours")
		}
		if n := r.tesla.Count("vehicle_data", "") - before; n > 35 {
			t.Errorf("%d failing reads in four hours: that is no backing off", n)
		}
	})
}

// TestInvariant1RepeatedCommands: an automation that repeats itself does not keep an idle car awake.
func TestInvariant1RepeatedCommands(t *testing.T) {
	stopped := plugged()
	stopped.Stopped = true
	for _, c := range []struct {
		name, thing, payload string
		car                  sim.Car
	}{
		{"amps for an unplugged car", "charge_amps", "8", sim.Car{Level: 40}},
		{"amps that are set", "charge_amps", "16", stopped},
		{"a limit that is set", "charge_limit", "80", stopped},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, c.car, func(r *rig) {
				settled(r)
				for range 180 {
					r.send(c.thing, c.payload)
					r.pass(2 * time.Minute)
				}
				if slept := r.car.AsleepFor(); slept < 5*time.Hour {
					t.Errorf("it slept %s of 6 h", slept)
				}
			})
		})
	}
}

// TestClampKnowsTheNewCable: the limit of the last socket says nothing about this one.
func TestClampKnowsTheNewCable(t *testing.T) {
	car := plugged()
	car.PluggedIn, car.Stopped = false, true
	inBubble(t, car, func(r *rig) {
		r.car.PlugIn(10, 3)
		settled(r)
		r.send("charging", "OFF")
		r.pass(20 * time.Minute)
		r.car.Unplug()
		r.car.PlugIn(16, 3)
		r.send("charge_amps", "14")
		r.pass(10 * time.Second)
		r.wantResult(r.only("charge_amps"), "ok", "")
		if r.car.Amps() != 14 {
			t.Errorf("the car is at %d", r.car.Amps())
		}
	})
}

// TestOwnersChoiceIsNotOverridden: ON repeats our set point only while it is still the car's.
func TestOwnersChoiceIsNotOverridden(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "14")
		r.pass(5 * time.Second)
		r.send("charging", "OFF")
		r.pass(5 * time.Minute)
		car, err := r.client.Vehicles(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.client.Car(car[0]).Do(context.Background(), tesla.Command{Thing: tesla.ChargeAmps, Value: 6}); err != nil {
			t.Fatal(err)
		}
		r.pass(5 * time.Minute)
		r.send("charging", "ON")
		r.pass(5 * time.Minute)
		if r.car.Amps() != 6 {
			t.Errorf("the owner chose 6 A, the bridge made it %d", r.car.Amps())
		}
	})
}

func TestBusesTakeTheirTime(t *testing.T) {
	for name, change := range map[string]func(*sim.Car){
		"slow after our wake":       func(c *sim.Car) { c.Asleep, c.BusesTake = true, 40*time.Second },
		"asleep though it says not": func(*sim.Car) {},
	} {
		t.Run(name, func(t *testing.T) {
			car := plugged()
			car.Stopped = true
			change(&car)
			inBubble(t, car, func(r *rig) {
				settled(r)
				if !car.Asleep {
					r.fault("could_not_wake_buses", sim.Times(1))
				}
				r.send("charge_amps", "7")
				r.send("charging", "ON")
				r.pass(3 * time.Minute)
				r.wantResult(r.only("charge_amps"), "ok", "")
				r.wantResult(r.only("charging"), "ok", "")
				if r.car.Amps() != 7 || !r.car.Charging() {
					t.Errorf("%d A, charging %v", r.car.Amps(), r.car.Charging())
				}
			})
		})
	}
}

func TestRefreshFloodIsRationed(t *testing.T) {
	inBubble(t, sleeping(), func(r *rig) {
		settled(r)
		before := r.tesla.Count("api", "")
		for range 100 {
			r.send("refresh", "PRESS")
			r.pass(100 * time.Millisecond)
		}
		if n := r.tesla.Count("api", "") - before; n > 2 {
			t.Errorf("%d calls in ten seconds", n)
		}
	})
}

func TestKeysAreTakenAsWritten(t *testing.T) {
	got, refused := parse("charge_amps", []byte(`{"value":8,"VALUE":48,"Id":"x"}`))
	if refused != nil || got.value != 8 || got.id != "" {
		t.Errorf("got %+v, %v", got, refused)
	}
}

// TestSecondConfirmationCounts: five seconds after an uncertain command, Tesla may still answer with an older picture.
func TestSecondConfirmationCounts(t *testing.T) {
	car := plugged()
	car.Lag = 10 * time.Second
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("refresh", "PRESS")
		r.pass(time.Second)
		r.fault("cut-after", sim.On("command"), sim.Times(1))
		r.send("charge_amps", "8")
		r.pass(time.Minute)
		r.wantResult(r.only("charge_amps"), "ok", "")
		r.wantExecuted("set_charging_amps")
	})
}

// TestASleepingCarDoesNotCharge: the end of a charge may fall into a time without reads.
func TestASleepingCarDoesNotCharge(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.pass(time.Minute)
		if got := r.retained("model3/charging"); got != "true" {
			t.Fatalf("charging is %s at first", got)
		}
		r.stop()
		r.car.Unplug()
		r.car.Sleep()
		r.start()
		r.pass(time.Minute)
		for key, want := range map[string]string{"vehicle_state": "asleep", "charging": "false", "charging_state": "unknown", "charger_power": "0", "charger_actual_current": "0"} {
			if got := r.retained("model3/" + key); got != want {
				t.Errorf("%s is %s, want %s", key, got, want)
			}
		}
	})
}
