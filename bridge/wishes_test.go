package bridge

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// startsAtFive is a car that stands still, and starts each charge at 5 A.
func startsAtFive() sim.Car {
	car := plugged()
	car.Stopped, car.StartsAtFive = true, true
	return car
}

// TestFailedWishEndsTheOneBefore: amps that came after ON and failed were the last wish all the same; the older ones are not sent
// over them when the charge is seen to have begun.
func TestFailedWishEndsTheOneBefore(t *testing.T) {
	inBubble(t, startsAtFive(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "10")
		r.pass(20 * time.Second)
		r.only("charge_amps")
		r.send("charging", "ON")
		r.fault("403-missing-scopes", sim.On("command/set_charging_amps"), sim.Times(1))
		r.send("charge_amps", "7")
		r.pass(3 * time.Minute)
		r.wantResult(r.only("charge_amps"), statusError, "missing_scopes")
		r.wantExecuted("set_charging_amps", "charge_start")
	})
}

// TestStopEndsTheWishOfTheStart: whoever starts the charge by other means after our OFF does not get our amps.
func TestStopEndsTheWishOfTheStart(t *testing.T) {
	inBubble(t, startsAtFive(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "10")
		r.pass(20 * time.Second)
		r.send("charging", "ON")
		r.pass(time.Second)
		r.send("charging", "OFF")
		r.pass(10 * time.Second)
		r.car.Unplug()
		r.car.PlugIn(16, 3) // which starts by itself
		r.pass(4 * time.Minute)
		r.wantExecuted("set_charging_amps", "charge_start", "charge_stop")
	})
}

// TestUncertainWishEndsTheOneBefore: what was acknowledged before is not sent over amps that may have arrived.
func TestUncertainWishEndsTheOneBefore(t *testing.T) {
	car := plugged()
	car.Stopped = true
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.send("charge_amps", "13")
		r.pass(20 * time.Second)
		r.fault("500", sim.On("vehicle_data"))
		r.fault("cut-after", sim.On("command/set_charging_amps"), sim.Times(1))
		r.send("charge_amps", "7")
		r.pass(time.Minute)
		r.send("charging", "ON")
		r.pass(3 * time.Second)
		r.tesla.ClearFaults()
		r.pass(4 * time.Minute)
		if got := r.car.Amps(); got != 7 || !r.car.Charging() {
			t.Errorf("the last wish was 7 A, the car is at %d, charging %v", got, r.car.Charging())
		}
	})
}

// TestLowAmpsAreTheSame: below 5 A the car makes of the set point what it likes, so it is not sent again after a start.
func TestLowAmpsAreTheSame(t *testing.T) {
	for shown, want := range map[int]bool{2: false, 4: false, 5: true, 16: true} {
		c := &car{desk: desk{}, log: quiet(), resend: &resend{amps: 3, until: judgedAt.Add(time.Minute)}}
		c.startSeen(tesla.ChargeState{ChargingState: "Charging", ChargeAmps: &shown}, judgedAt)
		if got := c.desk[tesla.ChargeAmps] != nil; got != want || c.resend != nil {
			t.Errorf("3 A were asked and %d A are shown: sent again %v", shown, got)
		}
	}
}

// TestRoundedAmpsAreNotSentForEver: the car shows 2 A when 1 was asked. To ask again changes nothing, and an automation that repeats
// itself would make a request of each message.
func TestRoundedAmpsAreNotSentForEver(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		for range 20 {
			r.send("charge_amps", "1")
			r.pass(30 * time.Second)
		}
		if got := r.retained("model3/charge_amps"); got != "2" {
			t.Errorf("the car shows %s A", got)
		}
		r.wantExecuted("set_charging_amps", "set_charging_amps")
		r.send("charge_amps", "3") // another wish is sent, though it is below 5 A as well
		r.pass(20 * time.Second)
		r.send("charge_amps", "1")
		r.pass(20 * time.Second)
		r.wantExecuted("set_charging_amps", "set_charging_amps", "set_charging_amps", "set_charging_amps")
		r.pass(roundedFor) // and so is the same one, when what the car shows may be somebody else's
		r.send("charge_amps", "1")
		r.pass(20 * time.Second)
		r.wantExecuted("set_charging_amps", "set_charging_amps", "set_charging_amps", "set_charging_amps", "set_charging_amps")
	})
}

// TestFirstOfTwoSendsIsUncertain: a read that sees it taken is followed by the second, and by no other.
func TestFirstOfTwoSendsIsUncertain(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.fault("cut-after", sim.On("command/set_charging_amps"), sim.Times(1))
		r.send("charge_amps", "3")
		r.pass(time.Minute)
		r.wantResult(r.only("charge_amps"), statusOK, "")
		if r.car.Amps() >= 5 {
			t.Errorf("the car is at %d A", r.car.Amps())
		}
		r.wantExecuted("set_charging_amps", "set_charging_amps")
	})
}

// TestUnconfirmedIsRemembered: what a read has shown not to have happened is a failure like any other.
func TestUnconfirmedIsRemembered(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.fault("cut-before", sim.On("command"))
		r.send("charge_limit", "70")
		r.pass(30 * time.Second)
		r.wantResult(r.only("charge_limit"), statusError, "unreachable")
		r.send("charge_limit", "70")
		r.pass(time.Second)
		r.wantResult(r.only("charge_limit"), statusError, "unreachable")
		if n := r.tesla.Count("command", ""); n != 1 {
			t.Errorf("it was tried %d times", n)
		}
	})
}

// TestRepeatedStartSharesTheWake: an automation that insists on ON while the car wakes gets its start.
func TestRepeatedStartSharesTheWake(t *testing.T) {
	inBubble(t, sleeping(), func(r *rig) {
		settled(r)
		r.send("charging", `{"value":"ON","id":"first"}`)
		r.pass(7 * time.Second)
		r.send("charging", `{"value":"ON","id":"second"}`)
		r.pass(3 * time.Minute)
		for _, res := range r.said.take("charging") {
			r.wantResult(res, map[string]string{"first": statusSuperseded, "second": statusOK}[res.ID], "")
		}
		if n := r.tesla.Count("wake_up", ""); n != 1 || !r.car.Charging() {
			t.Errorf("%d wakes, charging %v", n, r.car.Charging())
		}
	})
}

// TestOnIsTriedTwiceAtMost: a car whose buses do not wake is woken once, and refused.
func TestOnIsTriedTwiceAtMost(t *testing.T) {
	car := plugged()
	car.Stopped = true
	inBubble(t, car, func(r *rig) {
		settled(r)
		r.fault("could_not_wake_buses")
		r.send("charging", "ON")
		r.pass(5 * time.Minute)
		r.wantResult(r.only("charging"), statusRejected, "asleep")
		if starts, wakes := r.tesla.Count("command/charge_start", ""), r.tesla.Count("wake_up", ""); starts != 2 || wakes != 1 {
			t.Errorf("%d tries and %d wakes", starts, wakes)
		}
	})
}

// TestWakeIsRememberedBeforeItIsSent: a crash does not let us wake the car more often than promised.
func TestWakeIsRememberedBeforeItIsSent(t *testing.T) {
	inBubble(t, sleeping(), func(r *rig) {
		settled(r)
		r.fault("slow", sim.On("wake_up"), sim.Wait(10*time.Second))
		r.send("wake", "PRESS")
		r.pass(time.Second)
		data, _ := r.memory.Load(carFile(vin))
		var kept carRecord
		if err := json.Unmarshal(data, &kept); err != nil || len(kept.Wakes) != 1 {
			t.Errorf("%d wakes are remembered while one is under way, %v", len(kept.Wakes), err)
		}
		r.pass(time.Minute)
		r.only("wake")
	})
}

// TestStopBetweenTwoSends: the first was sent, so nobody may say that nothing was.
func TestStopBetweenTwoSends(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "3")
		r.pass(4 * time.Second)
		r.stop()
		r.wantResult(r.only("charge_amps"), statusUnknown, "shutdown")
		r.wantExecuted("set_charging_amps")
	})
}

// TestOffBetweenTwoSends: whoever asked for the amps is told that they were sent once.
func TestOffBetweenTwoSends(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "3")
		r.pass(4 * time.Second)
		r.send("charging", "OFF")
		r.pass(10 * time.Second)
		got := r.only("charge_amps")
		r.wantResult(got, statusSuperseded, "")
		if !strings.HasPrefix(text(got.Message), "sent once") {
			t.Errorf("it says %q", text(got.Message))
		}
		r.wantExecuted("set_charging_amps", "charge_stop")
	})
}

// TestDeliverKeepsItsOwnBytes: the MQTT library may use its buffer again.
func TestDeliverKeepsItsOwnBytes(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		b := New(r.cfg, Deps{Account: r, Publisher: &recorder{}, Memory: r.memory, Log: quiet()})
		payload := []byte("8")
		b.Deliver("tesla2mqtt/model3/charge_amps/set", payload, false)
		payload[0] = '9'
		if m := <-b.inbox; string(m.payload) != "8" {
			t.Errorf("the command became %q", m.payload)
		}
	})
}

// TestFloodIsCounted: what finds no room before the bridge, or before its car, is dropped and counted.
func TestFloodIsCounted(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		b := New(r.cfg, Deps{Account: r, Publisher: &recorder{}, Memory: r.memory, Log: quiet()})
		for range inboxSize + 3 {
			b.Deliver("tesla2mqtt/model3/charge_amps/set", []byte("8"), false)
		}
		b.cars["model3"] = &car{inbox: make(chan *message, carInbox)}
		for len(b.inbox) > 0 {
			b.route(<-b.inbox)
		}
		if got := b.dropped.Load(); got != 3+inboxSize-carInbox {
			t.Errorf("%d are counted as dropped", got)
		}
	})
}
