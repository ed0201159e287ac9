//go:build linux && !nobluetooth

package ble

import (
	"context"
	"testing"
	"time"

	"tesla2mqtt/tesla/ble/bluetest"
)

// What of this machine can be missing, each with its own words.
func TestLocalFaults(t *testing.T) {
	check := func(t *testing.T, radio *Radio, kind error) {
		t.Helper()
		err := radio.Check(within(t, 10*time.Second))
		wantKind(t, err, kind)
		if !Local(err) {
			t.Errorf("%v is not of this machine", err)
		}
	}
	t.Run("no bus", func(t *testing.T) {
		t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+t.TempDir()+"/none")
		check(t, NewRadio("hci0"), ErrNoBus)
		t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "tcp:host=127.0.0.1,port=9")
		check(t, NewRadio("hci0"), ErrNoBus)
	})
	t.Run("no BlueZ", func(t *testing.T) {
		startBus(t, "")
		check(t, NewRadio("hci0"), ErrNoBlueZ)
	})
	t.Run("denied", func(t *testing.T) {
		z, err := bluetest.Start(startBus(t, bluetest.Deny), "hci0")
		if err != nil {
			t.Fatal(err)
		}
		check(t, NewRadio("hci0"), ErrDenied)
		if err := z.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("adapter", func(t *testing.T) {
		r := newRig(t)
		if err := r.radio.Check(t.Context()); err != nil {
			t.Errorf("all is well, but: %v", err)
		}
		check(t, NewRadio("hci7"), ErrNoAdapter)
		r.bluez.Power("hci0", "off")
		check(t, r.radio, ErrOff)
		r.bluez.Power("hci0", "off-blocked")
		check(t, r.radio, ErrOff)
		r.bluez.Unplug("hci0")
		check(t, r.radio, ErrNoAdapter)
	})
}

// The adapter is pulled out, or turned off, or BlueZ is restarted, while the connection is used; each time it works again
// as soon as it is back.
func TestRadioGoesAndComes(t *testing.T) {
	for name, row := range map[string]struct {
		goes, comes func(z *bluetest.BlueZ) error
		kind, then  error
	}{
		"unplugged": {func(z *bluetest.BlueZ) error { z.Unplug("hci0"); return nil },
			func(z *bluetest.BlueZ) error { z.Plug("hci0"); return nil }, ErrDropped, ErrNoAdapter},
		"turned off": {func(z *bluetest.BlueZ) error { z.Power("hci0", "off"); return nil },
			func(z *bluetest.BlueZ) error { z.Power("hci0", ""); return nil }, ErrDropped, ErrOff},
		"BlueZ restarted": {(*bluetest.BlueZ).Stop, (*bluetest.BlueZ).Run, ErrNoBlueZ, ErrNoBlueZ},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			l, ctx := r.link(), within(t, 10*time.Second)
			using, done, err := l.Use(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := row.goes(r.bluez); err != nil {
				t.Fatal(err)
			}
			<-using.Done()
			wantKind(t, context.Cause(using), row.kind)
			done()
			wantKind(t, exchange(ctx, l, []byte{1}), row.then)
			if err := row.comes(r.bluez); err != nil {
				t.Fatal(err)
			}
			if err := exchange(ctx, l, []byte{1}); err != nil {
				t.Errorf("it is back, but: %v", err)
			}
		})
	}
}

// They go while a car is searched for.
func TestAdapterGoesWhileSearching(t *testing.T) {
	r := newRig(t)
	r.radio.limits.search = time.Minute
	r.car.Near(false)
	l := r.link()
	failed := make(chan error, 1)
	go func() { failed <- exchange(within(t, 10*time.Second), l, []byte{1}) }()
	r.eventually("it searches", func() bool { return r.bluez.Searching() == 1 })
	r.bluez.Unplug("hci0")
	wantKind(t, <-failed, ErrNoAdapter)
}

func TestScan(t *testing.T) {
	r := newRig(t)
	r.radio.limits.search = 200 * time.Millisecond
	r.bluez.Car("hci0", LocalName("5YJ3E1EA7KF317001"), echo{})
	r.bluez.Car("hci0", "Kitchen speaker no car", echo{})
	r.bluez.Car("hci0", LocalName("5YJ3E1EA7KF317002"), echo{}).Near(false)
	got, err := r.radio.Scan(within(t, 10*time.Second))
	if err != nil || len(got) != 2 || got[0].RSSI != -61 || got[0].Name == got[1].Name || got[0].Address == "" {
		t.Errorf("heard %+v, %v", got, err)
	}
}
