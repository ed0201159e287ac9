package bridge

import (
	"fmt"
	"testing"
	"time"
)

func TestParseSet(t *testing.T) {
	for topic, want := range map[string]string{
		"a/b/car/amps/set": "car amps", "a/b/car/amps": "", "a/b/car/amps/get": "", "a/b/car/x/amps/set": "", "a/b/car/set": "", "a/b/car/amps/set/x": "", "a/c/car/amps/set": "", "/a/b/car/amps/set": "",
	} {
		got := ""
		if alias, thing, ok := (topics{"a/b"}).parseSet(topic); ok {
			got = alias + " " + thing
		}
		if got != want {
			t.Errorf("%s: %q, want %q", topic, got, want)
		}
	}
}

// TestTheYoungerInstanceStays: of two that were started at the same time one gives way, and not both.
func TestTheYoungerInstanceStays(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	b := &Bridge{instance: "M", previous: "P", startedAt: start}
	for _, row := range []struct {
		other   string
		at      time.Time
		foreign bool
	}{
		{"A", start.Add(time.Second), true}, {"Z", start.Add(-time.Second), false}, {"Z", start, true}, {"A", start, false},
		{"M", start.Add(time.Second), false}, {"P", start.Add(time.Second), false}, {"", start.Add(time.Second), false},
	} {
		payload := fmt.Appendf(nil, `{"instance":%q,"started_at":%q}`, row.other, row.at.Format(time.RFC3339))
		if got := b.Foreign(payload); got != row.foreign {
			t.Errorf("%s: foreign %v", payload, got)
		}
	}
}

// TestStaleReads: an older picture is not taken, but a car whose clock was set back is believed.
func TestStaleReads(t *testing.T) {
	last := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		read time.Time
		want bool
	}{
		{last.Add(time.Second), false}, {last, false}, {last.Add(-time.Second), true}, {last.Add(-10*time.Minute + 1), true},
		{last.Add(-10 * time.Minute), false}, {time.Time{}, false},
	} {
		if got := stale(row.read, last); got != row.want {
			t.Errorf("%s after %s: stale %v", row.read, last, got)
		}
	}
}

// TestLastCommandAtFirst: the topic is there before any command, over a restart too.
func TestLastCommandAtFirst(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		for _, when := range []string{"at first", "after a restart"} {
			settled(r)
			if got := r.retained("model3/last_command"); got != `{"status":"none"}` {
				t.Errorf("%s last_command is %s", when, got)
			}
			r.stop()
		}
	})
}
