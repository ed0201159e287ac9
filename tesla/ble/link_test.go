//go:build linux && !nobluetooth

package ble

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"tesla2mqtt/tesla/ble/bluetest"
)

// Messages of any size, in packets of any size, go there and back over one connection.
func TestExchange(t *testing.T) {
	for _, mtu := range []int{0, 23, 185, 517} {
		t.Run(strconv.Itoa(mtu), func(t *testing.T) {
			r := newRig(t)
			r.car.SetMTU(mtu)
			l, ctx := r.link(), within(t, 20*time.Second)
			for _, size := range []int{1, 18, 21, 250, maxMessage} {
				if err := exchange(ctx, l, bytes.Repeat([]byte{byte(size)}, size)); err != nil {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
			if n := r.car.Connects(); n != 1 {
				t.Errorf("%d connections for five messages in a row", n)
			}
		})
	}
}

// What can go wrong while connecting, and that the next try is not harmed by it.
func TestConnectFails(t *testing.T) {
	for _, row := range []struct {
		fault string
		kind  error
	}{
		{bluetest.Full, ErrRefused}, {bluetest.Hangs, ErrRefused}, {bluetest.HangsUp, ErrRefused}, {bluetest.Mute, ErrRefused},
		{bluetest.NoService, ErrProtocol}, {bluetest.Taken, ErrBusy},
	} {
		t.Run(row.fault, func(t *testing.T) {
			r := newRig(t)
			r.radio.limits.connect, r.radio.limits.resolve = 300*time.Millisecond, 300*time.Millisecond
			r.car.Fault(row.fault)
			l, ctx := r.link(), within(t, 10*time.Second)
			wantKind(t, exchange(ctx, l, []byte{1}), row.kind)
			r.car.Fault("")
			if err := exchange(ctx, l, []byte{1}); err != nil {
				t.Errorf("and then: %v", err)
			}
		})
	}
}

// A connection that breaks while something is under way says so at once, and whether the message may have arrived.
func TestBreaksUnderWay(t *testing.T) {
	for _, row := range []struct {
		fault string
		kind  error
		sent  bool // the error of Send says that it may have arrived
		after bool // it breaks when the message was taken
	}{
		{bluetest.DropsOnWrite, ErrDropped, false, false}, {bluetest.DropsHalfway, ErrDropped, true, false},
		{bluetest.StuckWrite, ErrDropped, false, false}, {bluetest.LosesPacket, ErrDropped, true, false},
		{bluetest.DropsAfter, ErrDropped, false, true}, {bluetest.HalfAnswer, ErrDropped, false, true},
	} {
		t.Run(row.fault, func(t *testing.T) {
			r := newRig(t)
			r.radio.limits.write = 300 * time.Millisecond
			r.car.Fault(row.fault)
			l, ctx := r.link(), within(t, 10*time.Second)
			using, done, err := l.Use(ctx)
			if err != nil {
				t.Fatal(err)
			}
			err = l.Send(using, make([]byte, 300)) // two packets
			if row.after && err == nil {           // else the break was seen before BlueZ's answer
				<-using.Done()
				err = context.Cause(using)
			}
			wantKind(t, err, row.kind)
			if e, ok := errors.AsType[*Error](err); !ok || !row.after && e.MayHaveSucceeded() != row.sent || e.Temporary() == e.MayHaveSucceeded() {
				t.Errorf("sent: %+v", err)
			}
			done()
			r.car.Fault("")
			if err := exchange(ctx, l, []byte{1}); err != nil {
				t.Errorf("and then: %v", err)
			}
		})
	}
}

func TestSilentCarIsNotAwaitedForEver(t *testing.T) {
	r := newRig(t)
	r.car.Fault(bluetest.Silent)
	err := exchange(within(t, 300*time.Millisecond), r.link(), []byte{1})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestOutOfRange(t *testing.T) {
	r := newRig(t)
	r.radio.limits.search = 200 * time.Millisecond
	r.car.Near(false)
	l, ctx := r.link(), within(t, 10*time.Second)
	wantKind(t, exchange(ctx, l, []byte{1}), ErrOutOfRange)
	r.car.Near(true)
	if err := exchange(ctx, l, []byte{1}); err != nil {
		t.Errorf("back in range: %v", err)
	}
}

// Driving away breaks what is under way.
func TestDrivesAway(t *testing.T) {
	r := newRig(t)
	l := r.link()
	using, done, err := l.Use(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	r.car.Near(false)
	<-using.Done()
	wantKind(t, context.Cause(using), ErrDropped)
	wantKind(t, l.Send(t.Context(), []byte{1}), ErrDropped)
}

// A search that is given up ends at once, and does not go on at BlueZ.
func TestSearchIsGivenUp(t *testing.T) {
	r := newRig(t)
	r.radio.limits.search = time.Minute
	r.car.Near(false)
	ctx, cancel := context.WithCancel(within(t, 10*time.Second))
	l := r.link()
	failed := make(chan error, 1)
	go func() { failed <- exchange(ctx, l, []byte{1}) }()
	r.eventually("it searches", func() bool { return r.bluez.Searching() == 1 })
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// After the last use the link hangs up by itself, so that phones find room; and an old connection is not used again.
func TestHangsUpAfterUse(t *testing.T) {
	r := newRig(t)
	r.radio.limits.linger, r.radio.limits.age = 50*time.Millisecond, 0
	l, ctx := r.link(), within(t, 10*time.Second)
	for range 2 {
		if err := exchange(ctx, l, []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.car.Connects(); n != 2 {
		t.Errorf("%d connections, want a new one for the second message", n)
	}
	r.eventually("it hangs up", func() bool { return !r.car.Connected() })
}

// One user at a time; the second waits, and not for ever.
func TestOneUserAtATime(t *testing.T) {
	r := newRig(t)
	l := r.link()
	_, done, err := l.Use(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = l.Use(within(t, 100*time.Millisecond))
	wantKind(t, err, ErrBusy)
	second := make(chan error, 1)
	go func() { second <- exchange(within(t, 10*time.Second), l, []byte{1}) }()
	done()
	done() // twice is once
	if err := <-second; err != nil {
		t.Errorf("the second: %v", err)
	}
}

// Two cars have one adapter: neither search nor connect of one meets the other's, which BlueZ would complain of.
func TestTwoCars(t *testing.T) {
	r := newRig(t)
	const other = "5YJ3E1EA7KF317001"
	r.bluez.Car("hci0", LocalName(other), echo{})
	two := r.radio.Link(other)
	t.Cleanup(two.Close)
	one, ctx := r.link(), within(t, 10*time.Second)
	results := make(chan error)
	for _, l := range []*Link{one, two} {
		go func() { results <- exchange(ctx, l, []byte(l.VIN())) }()
	}
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// Beside a running bridge a subcommand may use the same connection, and leaves it standing.
func TestSharedConnection(t *testing.T) {
	r := newRig(t)
	bridge, ctx := r.link(), within(t, 10*time.Second)
	using, done, err := bridge.Use(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	other := NewRadio("hci0").Link(vin)
	if err := exchange(ctx, other, []byte{1}); err != nil {
		t.Error(err)
	}
	other.Close()
	if using.Err() != nil || !r.car.Connected() || r.car.Connects() != 1 {
		t.Errorf("the bridge's connection: %v; %d connects", context.Cause(using), r.car.Connects())
	}
}

// Close ends what is under way, and may be called again.
func TestCloseUnderWay(t *testing.T) {
	r := newRig(t)
	r.car.Fault(bluetest.Hangs)
	r.radio.limits.connect = time.Minute
	l := r.radio.Link(vin)
	failed := make(chan error, 1)
	go func() { failed <- exchange(within(t, 10*time.Second), l, []byte{1}) }()
	r.eventually("it connects", func() bool { return r.car.Connects() == 1 })
	l.Close()
	l.Close()
	if err := <-failed; err == nil {
		t.Error("the exchange succeeded")
	}
	if _, _, err := l.Use(t.Context()); err == nil {
		t.Error("a closed link connects")
	}
}

// Nonsense from the air does no harm to what comes after it.
func TestNonsense(t *testing.T) {
	r := newRig(t)
	l, ctx := r.link(), within(t, 10*time.Second)
	using, done, err := l.Use(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		r.car.Push([]byte{0xff, 0xff, 1, 2, 3})
		r.car.Push([]byte{0, 0})
	}
	done()
	if err := exchange(ctx, l, []byte{7}); err != nil {
		t.Error(err, using.Err())
	}
}
