package bridge

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestInvariant7AwaitedCar: a command for a car that the configuration names gets its result, even before Tesla has shown
// that car.
func TestInvariant7AwaitedCar(t *testing.T) {
	for _, c := range []struct{ name, fault, reason string }{
		{"Tesla is down", "502", "unreachable"},
		{"the login is refused", "401", "login_required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, plugged(), func(r *rig) {
				r.fault(c.fault, sim.On("api"))
				r.start()
				r.pass(10 * time.Second)
				if got := r.retained("model3/availability"); got != "offline" {
					t.Errorf("availability is %q", got)
				}
				r.send("charge_amps", `{"value":8,"id":"a"}`)
				res := r.only("charge_amps")
				r.wantResult(res, "rejected", c.reason)
				if res.ID != "a" {
					t.Errorf("id %q", res.ID)
				}
				r.bridge.Deliver("tesla2mqtt/model3/charging/set", []byte("ON"), true)
				r.pass(time.Second)
				r.wantResult(r.only("charging"), "rejected", "retained")
				r.tesla.ClearFaults()
				r.pass(15 * time.Minute)
				r.send("charge_amps", "8")
				r.pass(10 * time.Second)
				r.wantResult(r.only("charge_amps"), "ok", "")
			})
		})
	}
	inBubble(t, plugged(), func(r *rig) {
		other := defaults()
		other.Name = "sold"
		r.cfg.Cars["5YJ3E1EA7KF999999"] = other
		settled(r)
		r.bridge.Deliver("tesla2mqtt/sold/charging/set", []byte("ON"), false)
		r.pass(time.Second)
		r.wantResult(r.only("charging"), "rejected", "not_found")
	})
}

func TestAPIStatusNamesTheWorst(t *testing.T) {
	wrap := func(class error) error { return &tesla.Error{Class: class} }
	for _, c := range []struct {
		name  string
		asked bool
		errs  []error
		want  string
	}{
		{"not asked", false, nil, "unknown"},
		{"well", true, []error{nil, nil}, "ok"},
		{"down", true, []error{nil, wrap(tesla.ErrTemporary)}, "unreachable"},
		{"limited beats down", true, []error{wrap(tesla.ErrTemporary), wrap(tesla.ErrRateLimited)}, "rate_limited"},
		{"forbidden beats limited", true, []error{wrap(tesla.ErrForbidden), wrap(tesla.ErrRateLimited)}, "forbidden"},
		{"budget", true, []error{wrap(tesla.ErrBudget)}, "forbidden"},
		{"login beats all", true, []error{wrap(tesla.ErrForbidden), wrap(tesla.ErrLoginRequired)}, "login_required"},
		{"anything else", true, []error{errors.New("odd")}, "unreachable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := apiStatus("owner", c.asked, c.errs); got.Status != c.want {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}

// TestScheduleIsPure follows one car through its day, by the clock of the table.
func TestScheduleIsPure(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	s := schedule{poll: defaults().Poll}
	read := func(want time.Duration, may bool) {
		t.Helper()
		got, ok := s.nextRead()
		if ok != may || ok && got.Sub(start) != want {
			t.Errorf("next read %s, %v; want %s, %v", got.Sub(start), ok, want, may)
		}
	}
	look := func(want time.Duration) {
		t.Helper()
		if got := s.nextState().Sub(start); got != want {
			t.Errorf("next look %s, want %s", got, want)
		}
	}
	if !s.nextState().IsZero() {
		t.Error("the first look waits")
	}
	s.sawState(tesla.StateAsleep, at(0))
	look(time.Minute)
	read(0, false)

	s.sawState(tesla.StateOnline, at(time.Minute))
	if next, ok := s.nextRead(); !ok || next.After(at(time.Minute)) {
		t.Errorf("a car that came online is not read at once: %s, %v", next, ok)
	}
	s.sawCharge(false, true, at(time.Minute))
	read(2*time.Minute, true)

	s.sawCharge(true, true, at(2*time.Minute))
	if s.mode() != "charging" {
		t.Errorf("mode %s", s.mode())
	}
	s.sawCharge(false, false, at(17*time.Minute))
	if s.mode() != modeSuspended {
		t.Errorf("mode %s after a quarter of an hour without a change", s.mode())
	}
	read(38*time.Minute, true)

	s.failed(&tesla.Error{Class: tesla.ErrTemporary}, true, at(38*time.Minute))
	read(59*time.Minute, true)
	s.failed(&tesla.Error{Class: tesla.ErrRateLimited, RetryAfter: 2 * time.Hour}, false, at(39*time.Minute))
	look(39*time.Minute + 2*time.Hour)
	s.failed(&tesla.Error{Class: tesla.ErrLoginRequired}, false, at(40*time.Minute))
	look(40*time.Minute + loginLook)
	s.failed(&tesla.Error{Class: tesla.ErrAsleep}, true, at(41*time.Minute))
	read(0, false)
	if s.worst() != 0 {
		t.Errorf("a sleeping car counts as %d failures", s.worst())
	}
}

func TestBackoffDoublesAndEnds(t *testing.T) {
	var got []string
	for n := 1; n <= 7; n++ {
		got = append(got, waitFor(&tesla.Error{Class: tesla.ErrTemporary}, n).String())
	}
	if s := strings.Join(got, " "); s != "30s 1m0s 2m0s 4m0s 8m0s 10m0s 10m0s" {
		t.Errorf("got %s", s)
	}
}
