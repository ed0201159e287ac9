package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
)

func TestExitCodesAndHints(t *testing.T) {
	tests := []struct {
		name string
		err  error
		code int
		said string
	}{
		{"usage", &usageError{"no such thing", "try this"}, exitUsage, "tesla2mqtt: no such thing\n  hint: try this\n"},
		{"usage without a hint", &usageError{"no such thing", ""}, exitUsage, "tesla2mqtt: no such thing\n"},
		{"configuration", &configError{errors.New("config.yaml:1: a\nconfig.yaml:2: b")}, exitUsage, "config.yaml:1: a\nconfig.yaml:2: b\n"},
		{"no login", fmt.Errorf("list: %w", auth.ErrNotConfigured), exitLogin,
			"tesla2mqtt: list: there is no Tesla login yet: run the login command\n  hint: run: tesla2mqtt login\n"},
		{"dead login", &tesla.Error{Class: tesla.ErrLoginRequired}, exitLogin, "tesla2mqtt: login required\n  hint: run: tesla2mqtt login\n"},
		{"asleep", &tesla.Error{Class: tesla.ErrAsleep}, exitAsleep,
			"tesla2mqtt: car asleep or offline\n  hint: wait until it wakes, or send wake\n"},
		{"in service", tesla.ErrInService, exitAsleep, "tesla2mqtt: car in service\n  hint: wait until service hands it back\n"},
		{"not woken", unreachable(tesla.StateAsleep), exitAsleep, "tesla2mqtt: it is asleep; it was not woken\n"},
		{"told already", quietly(unreachable(tesla.StateAsleep)), exitAsleep, ""},
		{"told already, but something else too", errors.Join(errors.New("disk full"), quietly(unreachable(tesla.StateAsleep))), exitAsleep,
			"tesla2mqtt: disk full\nit is asleep; it was not woken\n"},
		{"own advice first", &adviceError{tesla.ErrTemporary, "look"}, exitFailed, "tesla2mqtt: no proper answer from Tesla\n  hint: look\n"},
		{"anything else", errors.New("disk full"), exitFailed, "tesla2mqtt: disk full\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var said strings.Builder
			complain(&said, test.err)
			if code := exitCode(test.err); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if said.String() != test.said {
				t.Errorf("said %q, want %q", said.String(), test.said)
			}
		})
	}
	if exitCode(nil) != exitDone || quietly(nil) != nil {
		t.Error("nothing is no failure")
	}
}
