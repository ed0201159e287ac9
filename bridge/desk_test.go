package bridge

import (
	"testing"
	"time"

	"tesla2mqtt/tesla"
)

// TestOnLetsAmpsGoFirst: those that were asked before it, and as long as its own life allows.
func TestOnLetsAmpsGoFirst(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	a := Amps{Settle: 2 * time.Second, RaiseGap: 15 * time.Second, LowerGap: 5 * time.Second}
	for _, row := range []struct {
		name string
		amps time.Duration // when they came, after ON
		last time.Duration // how long ago amps were sent; 0: never
		life time.Duration // of ON
		want tesla.Thing
		in   time.Duration
	}{
		{"older amps, without settle", -time.Second, 0, time.Minute, tesla.ChargeAmps, -time.Second},
		{"older amps, but not without their gap", -time.Second, time.Second, time.Minute, tesla.ChargeAmps, 14 * time.Second},
		{"of the same moment", 0, 0, time.Minute, tesla.ChargeAmps, 0},
		{"newer amps", time.Second, time.Second, time.Minute, tesla.Charging, 0},
		{"older amps that leave ON no time", -time.Second, time.Second, 19 * time.Second, tesla.Charging, 0},
		{"older amps that leave it just enough", -time.Second, time.Second, 19*time.Second + 1, tesla.ChargeAmps, 14 * time.Second},
	} {
		came := now.Add(row.amps)
		d := desk{
			tesla.Charging:   {req: request{thing: tesla.Charging}, value: tesla.On, first: now, last: now, notBefore: now, expires: now.Add(row.life)},
			tesla.ChargeAmps: {req: request{thing: tesla.ChargeAmps}, value: 20, first: came, last: came},
		}
		var last time.Time
		if row.last > 0 {
			last = now.Add(-row.last)
		}
		p, at := d.next(a, last, new(16))
		if p.req.thing != row.want || at.Sub(now) != row.in {
			t.Errorf("%s: %s after %s, want %s after %s", row.name, p.req.thing, at.Sub(now), row.want, row.in)
		}
	}
}

// TestExpiryByPhase: what was sent, or rides with an ON, expires no more; but a time that its sender has set is kept.
func TestExpiryByPhase(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		name string
		p    pending
		want bool
	}{
		{"queued", pending{expires: now}, true},
		{"queued, in time", pending{expires: now.Add(1)}, false},
		{"sent", pending{expires: now, sentAt: now}, false},
		{"confirming", pending{expires: now, phase: confirming}, false},
		{"waking", pending{expires: now, phase: waking}, false},
		{"riding", pending{expires: now, phase: riding}, false},
		{"riding with a time of its own", pending{expires: now, phase: riding, req: request{ttl: time.Minute}}, true},
	} {
		late, _ := desk{tesla.ChargeAmps: &row.p}.expiry(now)
		if (late != nil) != row.want {
			t.Errorf("%s: expired %v", row.name, late != nil)
		}
	}
}
