package bridge

import (
	"fmt"
	"testing"
	"time"

	"tesla2mqtt/tesla"
)

var judgedAt = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// TestWhatWasReadJudges: newer than our last command by both clocks, and than a minute; but a sender that repeats itself beside an
// idle car is judged by an older read, unless it stops a charge.
func TestWhatWasReadJudges(t *testing.T) {
	ago := func(d time.Duration) time.Time { return judgedAt.Add(-d) }
	amps := &pending{req: request{thing: tesla.ChargeAmps}, value: 8}
	stop := &pending{req: request{thing: tesla.Charging}, value: tesla.Off}
	for _, row := range []struct {
		name                string
		read, byCar, sent   time.Duration // ago
		p                   *pending
		repeated, idle      bool
		recent, readCounted bool
	}{
		{"just now", 59 * time.Second, 59 * time.Second, time.Hour, amps, false, false, true, true},
		{"a minute ago", time.Minute, time.Minute, time.Hour, amps, false, false, false, false},
		{"before our last command", 5 * time.Second, 5 * time.Second, 4 * time.Second, amps, false, false, false, false},
		{"before it, by a car whose clock is ahead", 5 * time.Second, 0, 4 * time.Second, amps, false, false, false, false},
		{"an older picture", time.Second, 5 * time.Second, 4 * time.Second, amps, false, false, true, false},
		{"repeated beside an idle car", 20 * time.Minute, 20 * time.Minute, time.Hour, amps, true, true, false, true},
		{"repeated for too long", 21 * time.Minute, 21 * time.Minute, time.Hour, amps, true, true, false, false},
		{"repeated beside a busy car", 20 * time.Minute, 20 * time.Minute, time.Hour, amps, true, false, false, false},
		{"not repeated", 20 * time.Minute, 20 * time.Minute, time.Hour, amps, false, true, false, false},
		{"a stop that is repeated", 20 * time.Minute, 20 * time.Minute, time.Hour, stop, true, true, false, false},
	} {
		c := &car{cfg: defaults(), lastSent: ago(row.sent), carTime: ago(row.byCar), judged: map[attempt]bool{}}
		c.schedule = schedule{poll: c.cfg.Poll, state: tesla.StateOnline, readAt: ago(row.read), triedAt: ago(row.read), charging: !row.idle}
		c.judged[attempt{row.p.req.thing, row.p.value}] = row.repeated
		if got := c.recent(ago(row.read), judgedAt); got != row.recent {
			t.Errorf("%s: recent %v", row.name, got)
		}
		if got := c.readCounts(row.p, judgedAt); got != row.readCounted {
			t.Errorf("%s: counts %v", row.name, got)
		}
	}
}

// TestWeighAwake: what a fresh read of an online car means for each command. "" is that the command is sent.
func TestWeighAwake(t *testing.T) {
	on, off, yes, no := tesla.On, tesla.Off, new(true), new(false)
	fast := Document{FastCharger: yes, Charging: yes}
	for _, row := range []struct {
		name  string
		thing tesla.Thing
		value int
		d     Document
		want  string
	}{
		{"amps, as they are", tesla.ChargeAmps, 8, Document{ChargeAmps: new(8)}, "noop/"},
		{"other amps", tesla.ChargeAmps, 8, Document{ChargeAmps: new(9)}, ""},
		{"amps, never read", tesla.ChargeAmps, 8, Document{}, ""},
		{"amps, unplugged", tesla.ChargeAmps, 8, Document{PluggedIn: no}, "rejected/not_plugged_in"},
		{"amps at a fast charger", tesla.ChargeAmps, 8, fast, "rejected/fast_charging"},
		{"limit, as it is", tesla.ChargeLimit, 80, Document{ChargeLimit: new(80)}, "noop/"},
		{"another limit, at a fast charger", tesla.ChargeLimit, 80, fast, ""},
		{"limit, unplugged", tesla.ChargeLimit, 80, Document{PluggedIn: no, ChargeLimit: new(70)}, ""},
		{"open an open port", tesla.ChargePort, on, Document{ChargePort: new("open"), PluggedIn: no}, "noop/"},
		{"free the cable", tesla.ChargePort, on, Document{ChargePort: new("open"), PluggedIn: yes}, ""},
		{"open what may hold a cable", tesla.ChargePort, on, Document{ChargePort: new("open")}, ""},
		{"open a closed port", tesla.ChargePort, on, Document{ChargePort: new("closed")}, ""},
		{"close a closed port", tesla.ChargePort, off, Document{ChargePort: new("closed")}, "noop/"},
		{"close a port, never read", tesla.ChargePort, off, Document{}, ""},
		{"stop what charges", tesla.Charging, off, Document{Charging: yes}, ""},
		{"stop what does not", tesla.Charging, off, Document{Charging: no}, "noop/"},
		{"stop, never read", tesla.Charging, off, Document{}, ""},
		{"stop at a fast charger", tesla.Charging, off, fast, "rejected/fast_charging"},
		{"start what charges", tesla.Charging, on, Document{Charging: yes}, "noop/"},
		{"start, unplugged", tesla.Charging, on, Document{PluggedIn: no, Charging: no}, "rejected/not_plugged_in"},
		{"start a full car", tesla.Charging, on, Document{PluggedIn: yes, Charging: no, ChargingState: new("complete")}, "rejected/complete"},
		{"start, never read", tesla.Charging, on, Document{}, ""},
	} {
		got := ""
		if v, settled := weighAwake(row.thing, row.value, row.d, false); settled {
			got = v.status + "/" + v.reason
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	if v, settled := weighAwake(tesla.Charging, off, fast, true); settled {
		t.Errorf("with commands.fast_charging: %+v", v)
	}
}

// TestWeighAsleep: a car that sleeps does not charge, but one that is offline may charge out of reach; only some may wake it.
func TestWeighAsleep(t *testing.T) {
	for _, row := range []struct {
		thing tesla.Thing
		value int
		state tesla.VehicleState
		wakes bool // by the configuration
		want  string
	}{
		{tesla.Charging, tesla.Off, tesla.StateAsleep, true, "noop/"},
		{tesla.Charging, tesla.Off, tesla.StateOffline, true, "send"},
		{tesla.Charging, tesla.On, tesla.StateAsleep, true, "wake"},
		{tesla.Charging, tesla.On, tesla.StateOffline, true, "wake"},
		{tesla.Charging, tesla.On, tesla.StateAsleep, false, "rejected/asleep"},
		{tesla.Wake, 1, tesla.StateAsleep, true, "wake"},
		{tesla.Wake, 1, tesla.StateAsleep, false, "rejected/asleep"},
		{tesla.ChargeAmps, 8, tesla.StateAsleep, true, "rejected/asleep"},
		{tesla.ChargeLimit, 80, tesla.StateOffline, true, "rejected/asleep"},
		{tesla.ChargePort, tesla.On, tesla.StateAsleep, true, "rejected/asleep"},
	} {
		c := &car{cfg: defaults(), schedule: schedule{state: row.state}}
		c.cfg.Commands.Wake = row.wakes
		v, wake, settled := c.weighAsleep(&pending{req: request{thing: row.thing}, value: row.value})
		got := v.status + "/" + v.reason
		if !settled {
			got = map[bool]string{true: "wake", false: "send"}[wake]
		}
		if got != row.want {
			t.Errorf("%s %d of a car that is %s: %s, want %s", row.thing, row.value, row.state, got, row.want)
		}
	}
}

// TestCarWords: what the car's own words mean.
func TestCarWords(t *testing.T) {
	for word, want := range map[string]string{
		"already_set": "noop/", "is_charging": "noop/", "not_charging": "noop/", "complete": "rejected/complete",
		"disconnected": "rejected/not_plugged_in", "could_not_wake_buses": "rejected/asleep", "something_else": "error/refused",
	} {
		v := judge(tesla.ChargeAmps, 8, fmt.Errorf("set_charging_amps: %w", &tesla.Refusal{Reason: word}))
		if got := v.status + "/" + v.reason; got != want || (v.applied != nil) != (v.status == statusNoop) {
			t.Errorf("%s: %s, applied %v, want %s", word, got, v.applied, want)
		}
	}
}

// TestAmpsWithinTheirBounds: a value that was not meant as amps must not become full power.
func TestAmpsWithinTheirBounds(t *testing.T) {
	for payload, want := range map[string]string{
		"0.5": "out_of_range", "0.99": "out_of_range", "1": "1", "48": "48", "48.5": "out_of_range", "49": "out_of_range", "-1": "out_of_range",
	} {
		r, refused := parse("charge_amps", []byte(payload))
		if refused != nil {
			t.Fatal(refused)
		}
		value, _, refused := boundAmps(r, defaults().Commands.Amps, nil)
		got := fmt.Sprint(value)
		if refused != nil {
			got = refused.reason
		}
		if got != want {
			t.Errorf("%s: %s, want %s", payload, got, want)
		}
	}
}

// TestFailuresAreForgottenWithSuccess: nor is remembered what was never tried, or is answered without a request anyway.
func TestFailuresAreForgottenWithSuccess(t *testing.T) {
	c := &car{failures: failures{}, acked: map[tesla.Thing]acked{}, judged: map[attempt]bool{}, desk: desk{}}
	limit := tesla.Command{Thing: tesla.ChargeLimit, Value: 70}
	failed := verdict{status: statusError, reason: "refused"}
	c.took(limit, failed, judgedAt)
	if len(c.failures) != 1 {
		t.Fatal("a failure is not remembered")
	}
	c.took(limit, verdict{status: statusOK}, judgedAt)
	if len(c.failures) != 0 {
		t.Error("a success leaves the failure before it in force")
	}
	for _, v := range []verdict{expired(), {status: statusRejected, reason: "rate_limited"}, {status: statusRejected, reason: "login_required"}, {status: statusRejected, reason: "budget"}} {
		if c.took(limit, v, judgedAt); len(c.failures) != 0 {
			t.Errorf("%s/%s is remembered", v.status, v.reason)
		}
	}
}

// TestWishedAmps: what a start repeats is what was acknowledged within the hour, unless a newer wish waits.
func TestWishedAmps(t *testing.T) {
	for _, row := range []struct {
		age     time.Duration
		waiting bool
		want    int
	}{{59 * time.Minute, false, 10}, {time.Hour, false, 0}, {time.Minute, true, 0}} {
		c := &car{acked: map[tesla.Thing]acked{tesla.ChargeAmps: {10, judgedAt.Add(-row.age)}}, desk: desk{}}
		if row.waiting {
			c.desk[tesla.ChargeAmps] = &pending{}
		}
		if got := c.wishedAmps(judgedAt); got != row.want {
			t.Errorf("after %s, with another waiting %v: %d A, want %d", row.age, row.waiting, got, row.want)
		}
	}
}
