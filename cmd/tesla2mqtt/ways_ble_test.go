package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/ble"
)

// TestBrokenUnderWay: what broke the connection is told in Bluetooth's words, and whether a command may have been carried out is
// not lost in that.
func TestBrokenUnderWay(t *testing.T) {
	dropped, drop := context.WithCancelCause(t.Context())
	drop(&ble.Error{Kind: ble.ErrDropped, Text: "the car hung up"})
	for name, using := range map[string]context.Context{"it stands": t.Context(), "it broke": dropped} {
		for _, uncertain := range []bool{false, true} {
			err := new(nearCar).worded(using, &tesla.Error{Class: tesla.ErrTemporary, Text: "no answer", Uncertain: uncertain})
			if !errors.Is(err, tesla.ErrNoLink) || tesla.MayHaveSucceeded(err) != uncertain {
				t.Errorf("%s, uncertain %v: %v, may have succeeded: %v", name, uncertain, err, tesla.MayHaveSucceeded(err))
			}
		}
	}
}

// TestConnectingEndsWithTheCommand: a command whose time runs out while the car is still searched for is answered then.
func TestConnectingEndsWithTheCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near := newAir(&Config{StateDir: t.TempDir()}, slog.New(slog.DiscardHandler))
		car := near.open("5YJ3E1EA7KF317000")
		car.link.Close() // there is nothing to connect to, and nobody to ask
		began := time.Now()
		err := car.over(tesla.Until(t.Context(), began), func(context.Context) error {
			t.Error("it was done")
			return nil
		})
		if !errors.Is(err, tesla.ErrTooLate) || tesla.MayHaveSucceeded(err) || time.Since(began) != 0 {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}
