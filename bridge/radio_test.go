package bridge

import (
	"testing"
	"time"

	"tesla2mqtt/tesla"
)

// What is wrong on this machine is looked at again soon, however often it was; what is Tesla's is not.
func TestWaitForRadio(t *testing.T) {
	for _, row := range []struct {
		class error
		want  time.Duration
	}{{tesla.ErrNoRadio, radioLook}, {tesla.ErrNoLink, radioLook}, {tesla.ErrTemporary, maxBackoff}} {
		if got := waitFor(&tesla.Error{Class: row.class}, 20); got != row.want {
			t.Errorf("%v: %s, want %s", row.class, got, row.want)
		}
	}
}

// Without an adapter, a login or the car in the account the car is offline at once; else it is when that lasts.
func TestAvailable(t *testing.T) {
	for _, row := range []struct {
		class    error
		failures int
		want     bool
	}{
		{tesla.ErrNoRadio, 1, false}, {tesla.ErrNoLink, 1, true}, {tesla.ErrNoLink, 3, false}, {tesla.ErrTemporary, 2, true},
		{tesla.ErrTemporary, 3, false}, {tesla.ErrLoginRequired, 1, false}, {tesla.ErrNotFound, 1, false}, {tesla.ErrRateLimited, 2, true},
	} {
		c := &car{lastError: &tesla.Error{Class: row.class}, schedule: schedule{failures: row.failures}}
		if got := c.available(); got != row.want {
			t.Errorf("%v, %d failures: available %v", row.class, row.failures, got)
		}
	}
}

func TestNoAPIIsNotMissed(t *testing.T) {
	if got := apiStatus(NoAPI, true, []error{tesla.ErrTemporary}); got.Status != "not_needed" {
		t.Errorf("got %+v", got)
	}
}

// The words that a command over Bluetooth ends with.
func TestJudgeRadio(t *testing.T) {
	for class, want := range map[error]string{tesla.ErrOutOfRange: statusRejected, tesla.ErrNoRadio: statusRejected, tesla.ErrNoLink: statusError} {
		v := judge(tesla.ChargeAmps, 8, &tesla.Error{Class: class, Todo: "do this"})
		if v.status != want || v.reason != "unreachable" || v.message != class.Error()+" (do this)" {
			t.Errorf("%v: %+v", class, v)
		}
	}
}
