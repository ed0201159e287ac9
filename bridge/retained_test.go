package bridge

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestInvariant2RetainedIsRefused(t *testing.T) {
	inBubble(t, plugged(), func(r *rig) {
		settled(r)
		r.bridge.Deliver("tesla2mqtt/model3/charge_amps/set", []byte("8"), true)
		r.pass(time.Minute)
		got := r.only("charge_amps")
		r.wantResult(got, "rejected", "retained")
		const line = `mosquitto_pub -r -n -t 'tesla2mqtt/model3/charge_amps/set'`
		if !strings.HasSuffix(text(got.Message), line) {
			t.Errorf("the result does not say how to clear it: %s", text(got.Message))
		}
		r.bridge.Deliver("tesla2mqtt/sold/charge_amps/set", []byte("8"), true)
		synctest.Wait()
		for _, line := range []string{line, strings.Replace(line, "model3", "sold", 1)} {
			if said := r.logged.String(); strings.Count(said, line) != 1 || !strings.Contains(said, "level=WARN") {
				t.Errorf("%s is to be in the log, once:\n%s", line, said)
			}
		}
		if strings.Contains(r.retained("model3/last_command"), "retained") {
			t.Error("last_command shows a replayed message")
		}
		r.wantExecuted()
	})
}

// TestRetainedWords: whoever may publish chooses a part of what somebody else will paste into a shell.
func TestRetainedWords(t *testing.T) {
	for topic, line := range map[string]string{
		"base/car/charging/set":          `mosquitto_pub -r -n -t 'base/car/charging/set'`,
		"base/car/$(reboot)`id` \"x/set": "mosquitto_pub -r -n -t 'base/car/$(reboot)`id` \"x/set'",
		"base/car/'; reboot; '/set":      `mosquitto_pub -r -n -t 'base/car/'\''; reboot; '\''/set'`,
		"base/car/a\nb/set":              "an empty retained message on its topic",
		strings.Repeat("long", 65):       "an empty retained message on its topic",
		"base/car/\u202egnigrahc/set":    "an empty retained message on its topic",
	} {
		if got := retainedWords(topic); !strings.HasSuffix(got, ": "+line) {
			t.Errorf("%q: %s", topic, got)
		}
	}
}
