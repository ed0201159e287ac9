package bridge

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/hosts"
	"tesla2mqtt/tesla/sim"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// idle is a car whose goroutine does not run, at noon: its decisions are asked one by one.
func idle() (*car, *recorder) {
	said := &recorder{retained: map[string]string{}}
	return &car{
		cfg: defaults(), source: "owner", out: newCarTopics(Config{BaseTopic: "tesla2mqtt"}, "model3", said), memory: memory{},
		log: slog.New(slog.DiscardHandler), schedule: schedule{poll: defaults().Poll},
		desk: desk{}, failures: failures{}, judged: map[attempt]bool{}, sentOf: map[tesla.Thing]time.Time{}, acked: map[tesla.Thing]acked{},
	}, said
}

// waiting is a command that came so long after noon.
func waiting(thing tesla.Thing, value int, came, lives time.Duration) *pending {
	at := noon.Add(came)
	return &pending{req: request{thing: thing, value: value}, value: value, first: at, last: at, notBefore: at, expires: at.Add(lives)}
}

// TestAmpsBeforeOn: ON waits for amps that were asked before it, but not for later ones, nor until it expires itself.
func TestAmpsBeforeOn(t *testing.T) {
	for name, row := range map[string]struct {
		on, amps time.Duration // when they came
		lives    time.Duration // ON
		want     tesla.Thing
	}{
		"amps came first":             {time.Second, 0, time.Minute, tesla.ChargeAmps},
		"amps came later":             {0, time.Second, time.Minute, tesla.Charging},
		"ON has just time enough":     {0, 0, 15*time.Second + onReserve + 1, tesla.ChargeAmps},
		"ON would be about to expire": {0, 0, 15*time.Second + onReserve, tesla.Charging},
	} {
		d := desk{tesla.Charging: waiting(tesla.Charging, tesla.On, row.on, row.lives), tesla.ChargeAmps: waiting(tesla.ChargeAmps, 20, row.amps, time.Minute)}
		if p, _ := d.next(defaults().Commands.Amps, noon, new(16)); p.req.thing != row.want { // raised at noon, so again 15 s later
			t.Errorf("%s: %s goes first", name, p.req.thing)
		}
	}
}

// TestLifeOfACommand: it ends with its ttl until the first request; what rides with an ON has the ON's time, or its own if it has one.
func TestLifeOfACommand(t *testing.T) {
	p := waiting(tesla.ChargeAmps, 8, 0, time.Minute)
	if end, has := hosts.End(p.within(t.Context())); p.waits() || !has || !end.Equal(p.expires) {
		t.Errorf("not sent yet: waits %v, until %s", p.waits(), end)
	}
	p.phase = riding
	if !p.waits() {
		t.Error("what rides expires")
	}
	if p.req.ttl = time.Second; p.waits() {
		t.Error("what rides with a ttl of its own does not expire")
	}
	p.phase, p.sentAt = queued, noon
	if _, has := hosts.End(p.within(t.Context())); !p.waits() || has {
		t.Error("what was sent once still expires")
	}
}

// TestWhatJudges: a command is judged only by what was read after our last one, within a minute; one that comes again to an idle
// car by an older read too, but never a stop.
func TestWhatJudges(t *testing.T) {
	c, _ := idle()
	c.lastSent = noon.Add(-30 * time.Second)
	for ago, want := range map[time.Duration]bool{20 * time.Second: true, 30 * time.Second: false, 40 * time.Second: false} {
		if got := c.recent(noon.Add(-ago), noon); got != want {
			t.Errorf("what was told %s ago, 30 s after our last command: %v", ago, got)
		}
	}
	c.lastSent = noon.Add(-time.Hour)
	if c.recent(noon.Add(-freshFor), noon) {
		t.Error("what was told a minute ago is recent")
	}
	read := noon.Add(-10 * time.Minute)
	c.schedule.sawState(tesla.StateOnline, noon)
	c.schedule.sawCharge(false, false, read)
	for _, row := range []struct {
		thing tesla.Thing
		value int
		want  bool
	}{{tesla.ChargeAmps, 8, true}, {tesla.Charging, tesla.On, true}, {tesla.Charging, tesla.Off, false}} {
		p := waiting(row.thing, row.value, 0, time.Minute)
		if c.readCounts(p, noon) {
			t.Errorf("%s %d is judged by a read of ten minutes ago", row.thing, row.value)
		}
		c.judged[attempt{row.thing, row.value}] = true
		if got := c.readCounts(p, noon); got != row.want {
			t.Errorf("%s %d once more, to a car that idles: %v", row.thing, row.value, got)
		}
	}
}

// TestStopOfACarThatIsNotThere: a car that sleeps does not charge; one that is offline may charge out of reach, so Tesla is asked.
func TestStopOfACarThatIsNotThere(t *testing.T) {
	for state, settled := range map[tesla.VehicleState]bool{tesla.StateAsleep: true, tesla.StateOffline: false} {
		c, _ := idle()
		c.schedule.sawState(state, noon)
		if v, wake, got := c.weigh(waiting(tesla.Charging, tesla.Off, 0, time.Minute), noon); got != settled || wake {
			t.Errorf("OFF while %s: settled %v (%s), wake %v", state, got, v.status, wake)
		}
	}
}

// TestSecondSendIsNotDue: the first of two sends ends the command if a newer one has come meanwhile.
func TestSecondSendIsNotDue(t *testing.T) {
	c, said := idle()
	p := waiting(tesla.ChargeAmps, 3, 0, time.Minute)
	p.messages, p.below5 = []message{{thing: "charge_amps", at: noon}}, true
	c.desk[tesla.ChargeAmps], c.joined = waiting(tesla.ChargeAmps, 12, time.Second, time.Minute), []*pending{p}
	c.sent(p, outcome{op: opSend, command: tesla.Command{Thing: tesla.ChargeAmps, Value: 3}}, noon.Add(2*time.Second))
	if got := said.take("charge_amps"); p.phase == secondSend || len(got) != 1 || len(c.joined) != 0 {
		t.Errorf("phase %d, %d results, %d left", p.phase, len(got), len(c.joined))
	}
}

// TestAsleepTwice: who was woken and sent once more already is not woken again.
func TestAsleepTwice(t *testing.T) {
	for retried, want := range map[bool]bool{false: true, true: false} {
		c, _ := idle()
		p := waiting(tesla.Charging, tesla.On, 0, time.Minute)
		p.retried, c.desk[tesla.Charging] = retried, p
		if got := c.retryAsleep(p, &tesla.Error{Class: tesla.ErrAsleep}, noon); got != want || p.mustWake != want {
			t.Errorf("retried %v: once more %v, wake %v", retried, got, p.mustWake)
		}
	}
}

// TestRepeatAfterOn: the set point is repeated after an ON that the car has carried out, if it is the wish of the last hour, and only
// while the start may still be coming.
func TestRepeatAfterOn(t *testing.T) {
	on := tesla.Command{Thing: tesla.Charging, Value: tesla.On}
	for name, row := range map[string]struct {
		status string
		wished time.Duration // before ON
		starts time.Duration // after it
		want   bool
	}{
		"carried out":       {statusOK, time.Minute, time.Minute, true},
		"it charged before": {statusNoop, time.Minute, time.Minute, false},
		"an old wish":       {statusOK, resendMemory, time.Minute, false},
		"a late start":      {statusOK, time.Minute, resendWindow + 1, false},
	} {
		c, _ := idle()
		c.acked[tesla.ChargeAmps] = acked{10, noon.Add(-row.wished)}
		c.took(on, verdict{status: row.status}, noon)
		c.startSeen(tesla.ChargeState{ChargingState: "Charging", ChargeAmps: new(5)}, noon.Add(row.starts))
		if p := c.desk[tesla.ChargeAmps]; (p != nil) != row.want || p != nil && p.value != 10 {
			t.Errorf("%s: repeated %v", name, p != nil)
		}
	}
}

// TestAcknowledgedBeforeAStart: a start may change the set point, so what the car has acknowledged before it stands no more.
func TestAcknowledgedBeforeAStart(t *testing.T) {
	c, _ := idle()
	p := waiting(tesla.ChargeAmps, 10, 0, time.Minute)
	c.acked[tesla.ChargeAmps] = acked{10, noon.Add(-20 * time.Second)}
	if _, stands := c.acknowledged(p, noon); !stands {
		t.Error("what was acknowledged does not stand")
	}
	c.sentOf[tesla.Charging] = noon.Add(-10 * time.Second)
	if _, stands := c.acknowledged(p, noon); stands {
		t.Error("it stands over a start")
	}
}

// TestReadAfterACommand is given up when the car is no longer online: a read might find it awake again, and keep it so.
func TestReadAfterACommand(t *testing.T) {
	for state, want := range map[tesla.VehicleState]op{tesla.StateOnline: opRead, tesla.StateAsleep: opState} {
		c, _ := idle()
		c.schedule.sawState(state, noon)
		c.schedule.sawCharge(false, true, noon)
		c.schedule.state, c.extraRead = state, noon.Add(readAfterOK)
		if got, _ := c.nextPoll(noon); got != want {
			t.Errorf("%s: operation %d, want %d", state, got, want)
		}
	}
}

// TestModeAfterSleep: a car that charged when it was last seen is not said to charge when it comes back, before it was read.
func TestModeAfterSleep(t *testing.T) {
	s := schedule{poll: defaults().Poll}
	s.sawState(tesla.StateOnline, noon)
	s.sawCharge(true, true, noon)
	s.sawState(tesla.StateAsleep, noon.Add(time.Minute))
	s.sawState(tesla.StateOnline, noon.Add(2*time.Minute))
	if s.mode() != "online" {
		t.Errorf("mode %s", s.mode())
	}
}

// TestWakeIsNotedBeforeItIsSent: a crash while Tesla answers must not let the car be woken more often than promised.
func TestWakeIsNotedBeforeItIsSent(t *testing.T) {
	inBubble(t, sleeping(), func(r *rig) {
		settled(r)
		if err := r.tesla.Fault("hang", sim.On("wake_up")); err != nil {
			t.Fatal(err)
		}
		r.send("wake", "PRESS")
		r.pass(time.Second)
		var kept carRecord
		data, err := r.memory.Load(carFile(vin))
		if err != nil || json.Unmarshal(data, &kept) != nil || r.tesla.Count("wake_up", "") != 1 || len(kept.Wakes) != 1 {
			t.Errorf("%d wakes were sent, %v are noted: %v", r.tesla.Count("wake_up", ""), kept.Wakes, err)
		}
	})
}

// TestCommandInFlightIsAwaited: when the bridge is stopped, a command on its way gets a moment for its answer.
func TestCommandInFlightIsAwaited(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		if err := r.tesla.Fault("slow", sim.On("command"), sim.Wait(shutdownGrace-time.Second)); err != nil {
			t.Fatal(err)
		}
		r.send("charge_limit", "70")
		r.pass(time.Second)
		r.stop()
		r.wantResult(r.only("charge_limit"), statusOK, "")
	})
}

// TestUncertainAmps: once newer amps may have arrived, those that were acknowledged before are not the last wish any more.
func TestUncertainAmps(t *testing.T) {
	c, _ := idle()
	c.acked[tesla.ChargeAmps], c.resend = acked{13, noon}, &resend{amps: 13, until: noon.Add(time.Minute)}
	p := waiting(tesla.ChargeAmps, 7, 0, time.Minute)
	c.desk[tesla.ChargeAmps] = p
	c.sent(p, outcome{op: opSend, command: tesla.Command{Thing: tesla.ChargeAmps, Value: 7}, err: &tesla.Error{Class: tesla.ErrTemporary, Uncertain: true}}, noon)
	if _, known := c.acked[tesla.ChargeAmps]; known || c.resend != nil || p.phase != confirming {
		t.Errorf("acknowledged %v, to be repeated %+v, phase %d", known, c.resend, p.phase)
	}
}

// TestWhatIsRefusedAnyway: what is answered without a request while it lasts is not remembered beyond that.
func TestWhatIsRefusedAnyway(t *testing.T) {
	for _, row := range []struct {
		v    verdict
		want int
	}{
		{verdict{status: statusRejected, reason: "budget"}, 0}, {verdict{status: statusRejected, reason: "rate_limited"}, 0},
		{verdict{status: statusRejected, reason: "login_required"}, 0}, {expired(), 0}, {verdict{status: statusError, reason: "refused"}, 1},
	} {
		c, _ := idle()
		if c.note(attempt{tesla.ChargeAmps, 8}, row.v, noon); len(c.failures) != row.want {
			t.Errorf("%s/%s is remembered: %v", row.v.status, row.v.reason, len(c.failures) == 1)
		}
	}
}

// TestAmpsWhileTheCarSettles: a car that ON has woken takes no command for some seconds, so amps wait with the ON.
func TestAmpsWhileTheCarSettles(t *testing.T) {
	for _, at := range []phase{waking, settling} {
		c, _ := idle()
		c.schedule.sawState(tesla.StateOnline, noon)
		on, amps := waiting(tesla.Charging, tesla.On, 0, time.Minute), waiting(tesla.ChargeAmps, 8, 0, time.Minute)
		on.phase, c.desk[tesla.Charging], c.desk[tesla.ChargeAmps] = at, on, amps
		if c.step(t.Context(), amps, noon) || amps.phase != riding {
			t.Errorf("phase %d beside an ON in phase %d", amps.phase, at)
		}
	}
}

// TestStoppedBetweenTwoSends: the first one was sent, so nobody can say that the command was not.
func TestStoppedBetweenTwoSends(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.send("charge_amps", "3")
		r.pass(4 * time.Second)
		r.stop()
		r.wantResult(r.only("charge_amps"), statusUnknown, "shutdown")
	})
}

// TestOnlineIsToldAfterTheWake: what was known of the state before the wake says nothing about it. This car falls asleep just after
// it was read, and takes its time to wake.
func TestOnlineIsToldAfterTheWake(t *testing.T) {
	car := plugged()
	car.Stopped, car.WakeTakes = true, time.Minute
	inBubble(t, car, func(r *rig) {
		r.start()
		r.send("refresh", "PRESS")
		r.pass(15 * time.Second)
		if !r.car.Sleep() {
			t.Fatal("it does not sleep")
		}
		r.send("charging", "ON")
		r.pass(3 * time.Minute)
		r.wantResult(r.only("charging"), statusOK, "")
		if n := r.tesla.Count("command/charge_start", ""); n != 2 || !r.car.Charging() {
			t.Errorf("ON was sent %d times, charging %v", n, r.car.Charging())
		}
	})
}

// TestTooLateIsExpired: whoever notices that the time of a command is over, it was not sent.
func TestTooLateIsExpired(t *testing.T) {
	if v := judge(tesla.ChargeAmps, 8, &tesla.Error{Class: tesla.ErrTooLate}); v != expired() {
		t.Errorf("got %s/%s", v.status, v.reason)
	}
}

// TestStale: a picture that is older than the last one is dropped; but a car whose clock was set back is believed again, or it would
// never be.
func TestStale(t *testing.T) {
	for back, want := range map[time.Duration]bool{-time.Second: false, 0: false, time.Second: true, 10*time.Minute - 1: true, 10 * time.Minute: false} {
		if got := stale(noon.Add(-back), noon); got != want {
			t.Errorf("older by %s: %v", back, got)
		}
	}
	if stale(time.Time{}, noon) || stale(noon, time.Time{}) {
		t.Error("without a time it is stale")
	}
}
