package signed

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// answering replaces the fault of each answer to a signed message; handshakes are left alone.
func answering(fault universalmessage.MessageFault_E) func([]byte) [][]byte {
	return func(answer []byte) [][]byte {
		var m universalmessage.RoutableMessage
		if proto.Unmarshal(answer, &m) != nil || m.GetSessionInfo() != nil {
			return [][]byte{answer}
		}
		m.Payload, m.SubSigData = nil, nil
		m.SignedMessageStatus = &universalmessage.MessageStatus{SignedMessageFault: fault}
		bent, err := proto.Marshal(&m)
		if err != nil {
			panic(err)
		}
		return [][]byte{bent}
	}
}

// TestOnce: however the car answers, an order that it may have carried out is not sent again, and one that it has refused
// unread once at most.
func TestOnce(t *testing.T) {
	for _, row := range []struct {
		fault     universalmessage.MessageFault_E
		sends     int
		class     error
		word      string
		uncertain bool
	}{
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIMEOUT, 1, tesla.ErrTemporary, "", true},
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INTERNAL, 1, tesla.ErrTemporary, "", true},
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_RESPONSE_MTU_EXCEEDED, 1, tesla.ErrTemporary, "", true},
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_COMMAND, 1, tesla.ErrRefused, "", false},
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_REMOTE_ACCESS_DISABLED, 1, tesla.ErrNotAllowed, "", false},
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INACTIVE_KEY, 1, tesla.ErrNotPaired, "", false},
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_BUSY, 2, nil, "could_not_wake_buses", false},
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_SIGNATURE, 2, tesla.ErrSession, "", false},
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_TOKEN_OR_COUNTER, 1, tesla.ErrSession, "", true},
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INCORRECT_EPOCH, 2, tesla.ErrSession, "", false},
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_EXPIRED, 2, tesla.ErrTooLate, "", false},
		{universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_TO_LIVE_TOO_LONG, 2, tesla.ErrSession, "", false},
	} {
		t.Run(row.fault.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true})
				r.air.bend = answering(row.fault)
				err := r.car.Do(t.Context(), amps(8))
				if !is(err, row.class, row.word) || tesla.MayHaveSucceeded(err) != row.uncertain {
					t.Errorf("got %v (may have succeeded: %v)", err, tesla.MayHaveSucceeded(err))
				}
				if n := len(r.air.sent) - r.handle.Protocol().Handshakes(); n != row.sends {
					t.Errorf("sent %d times, want %d", n, row.sends)
				}
			})
		})
	}
}

// TestNoAnswer: a command without an answer is uncertain, and not sent again; one whose connection broke as well.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true})
		if err := r.car.Do(t.Context(), amps(8)); err != nil {
			t.Fatal(err)
		}
		r.air.bend = func([]byte) [][]byte { return nil }
		began := time.Now()
		err := r.car.Do(t.Context(), amps(9))
		if !tesla.MayHaveSucceeded(err) || r.handle.Amps() != 9 || time.Since(began) != lifetime {
			t.Errorf("got %v after %s, %d A", err, time.Since(began), r.handle.Amps())
		}
		if n := len(r.handle.Executed()); n != 2 {
			t.Errorf("executed %d commands", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		if err := r.car.Do(t.Context(), amps(8)); err != nil {
			t.Fatal(err)
		}
		for _, fault := range []string{"cut-after", "504", "truncated", "html-200"} {
			if err := r.tesla.Fault(fault, sim.Times(1), sim.On("signed_command")); err != nil {
				t.Fatal(err)
			}
			before := r.tesla.Count("signed_command", "")
			if err := r.car.Do(t.Context(), amps(9)); !tesla.MayHaveSucceeded(err) || r.tesla.Count("signed_command", "")-before != 1 {
				t.Errorf("%s: got %v after %d requests", fault, err, r.tesla.Count("signed_command", "")-before)
			}
		}
	})
}

// TestCameTwice: the way to the car may double a message. The answer is the refusal of the second then, and the order, which was
// carried out, is not sent again.
func TestCameTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		if err := r.car.Do(t.Context(), amps(8)); err != nil {
			t.Fatal(err)
		}
		if err := r.tesla.Fault("twice", sim.Times(1)); err != nil {
			t.Fatal(err)
		}
		err := r.car.Do(t.Context(), amps(9))
		if n := len(r.handle.Executed()); n != 2 || !tesla.MayHaveSucceeded(err) {
			t.Errorf("%d commands, %v", n, err)
		}
		if err := r.car.Do(t.Context(), amps(10)); err != nil || r.handle.Amps() != 10 {
			t.Errorf("the next one: %v", err)
		}
	})
}

// TestEnd: nothing is sent after its end, and what the car gets late it finds expired.
func TestEnd(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, way.cloud, way.role, sim.Car{PluggedIn: true})
				if err := r.car.Do(t.Context(), amps(8)); err != nil {
					t.Fatal(err)
				}
				over := tesla.Until(t.Context(), time.Now())
				if err := r.car.Do(over, amps(9)); !errors.Is(err, tesla.ErrTooLate) || tesla.MayHaveSucceeded(err) {
					t.Errorf("after its end: %v", err)
				}
				fresh := r.again(t, way.cloud)
				if err := fresh.Do(over, amps(9)); !errors.Is(err, tesla.ErrTooLate) {
					t.Errorf("after its end, without a session: %v", err)
				}
				if n := len(r.handle.Executed()); n != 1 {
					t.Errorf("executed %d commands", n)
				}
			})
		})
	}
}

// TestLateForTheCar: a message that lay about until after the command's end is refused by the car, and is not sent again.
func TestLateForTheCar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true})
		if err := r.car.Do(t.Context(), amps(8)); err != nil {
			t.Fatal(err)
		}
		sent := len(r.air.sent)
		r.air.before = func() { time.Sleep(5 * time.Second) }
		err := r.car.Do(tesla.Until(t.Context(), time.Now().Add(3*time.Second)), amps(9))
		if r.handle.Amps() != 8 || len(r.air.sent) != sent+1 {
			t.Errorf("%v, %d A, sent %d times", err, r.handle.Amps(), len(r.air.sent)-sent)
		}
		if n := r.handle.Protocol().Refused(universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_EXPIRED); n != 1 {
			t.Errorf("expired %d times", n)
		}
	})
}

// TestPunch: the ticket of a command lets it pass in time only, once, and once more after a refusal unread.
func TestPunch(t *testing.T) {
	now := time.Now()
	for _, row := range []struct {
		name   string
		ticket ticket
		class  error
	}{
		{"in time", ticket{slept: time.Hour, open: true, end: now.Add(1)}, nil},
		{"too late", ticket{slept: time.Hour, open: true, end: now}, tesla.ErrTooLate},
		{"suspended before it was issued", ticket{open: true, end: now.Add(1), slept: time.Hour}, nil},
		{"suspended since", ticket{open: true, end: now.Add(time.Minute), slept: 59 * time.Minute}, tesla.ErrTooLate},
		{"suspended for less than it has", ticket{open: true, end: now.Add(time.Minute + 1), slept: 59 * time.Minute}, nil},
		{"closed", ticket{end: now.Add(1), slept: time.Hour}, tesla.ErrTooLate},
		{"sent", ticket{slept: time.Hour, open: true, end: now.Add(1), sends: 1}, tesla.ErrTemporary},
		{"refused unread", ticket{slept: time.Hour, open: true, end: now.Add(1), sends: 1, again: true}, nil},
		{"refused unread, too late", ticket{slept: time.Hour, open: true, end: now, sends: 1, again: true}, tesla.ErrTooLate},
		{"refused unread twice", ticket{slept: time.Hour, open: true, end: now.Add(1), sends: 2, again: true,
			fault: universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INCORRECT_EPOCH}, tesla.ErrSession},
	} {
		g := &guard{ticket: row.ticket}
		if err := g.punch(now, time.Hour, new(universalmessage.RoutableMessage)); !errors.Is(err, row.class) {
			t.Errorf("%s: got %v, want %v", row.name, err, row.class)
		}
	}
}

// TestSuspended: the machine is suspended while the car is asked for a session, or before it answers the command itself. When it goes
// on, Go's clock shows a command that is in time, and the car believes whatever time it is told after it was asked for its own.
func TestSuspended(t *testing.T) {
	for name, known := range map[string]bool{"before the command": false, "between two sends": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true, Amps: 16})
				var slept time.Duration
				r.car.cfg.Suspended = func() time.Duration { return slept }
				if known {
					if err := r.car.Do(t.Context(), amps(8)); err != nil {
						t.Fatal(err)
					}
					r.air.bend = answering(universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_TIME_EXPIRED)
				}
				sent, handshakes := len(r.air.sent), r.handle.Protocol().Handshakes()
				r.air.before = func() { slept += time.Hour }
				err := r.car.Do(tesla.Until(t.Context(), time.Now().Add(time.Minute)), amps(9))
				if !errors.Is(err, tesla.ErrTooLate) || tesla.MayHaveSucceeded(err) {
					t.Errorf("got %v", err)
				}
				if n := len(r.air.sent) - sent - (r.handle.Protocol().Handshakes() - handshakes); known && n != 1 || !known && n != 0 {
					t.Errorf("sent %d times", n)
				}
			})
		})
	}
}

// TestOneAtATime: commands that come at once are given one after the other, and one that is given up while it waits is not sent.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false, keys.Role_ROLE_OWNER, sim.Car{PluggedIn: true})
		busy := false
		r.air.before = func() {
			if busy {
				t.Error("two at once")
			}
			busy = true
			time.Sleep(2 * time.Second)
			busy = false
		}
		done := make(chan error, 3)
		go func() { done <- r.car.Do(t.Context(), amps(8)) }()
		synctest.Wait()
		go func() { done <- r.car.Do(t.Context(), amps(9)) }()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.car.Do(impatient, amps(10)); err == nil || tesla.MayHaveSucceeded(err) {
			t.Errorf("given up: %v", err)
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if r.handle.Amps() != 9 {
			t.Errorf("%d A", r.handle.Amps())
		}
	})
}
