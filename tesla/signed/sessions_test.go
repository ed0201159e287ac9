package signed

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// TestRestartCostsNothing: after a restart the session goes on, however often, without a counter that was used.
func TestRestartCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		for i := range 20 {
			car := r.again(t, true)
			for j := range 3 {
				time.Sleep(time.Minute)
				if err := car.Do(t.Context(), amps(6+(i+j)%8)); err != nil {
					t.Fatal(err)
				}
			}
			car.Close()
		}
		if n := r.handle.Protocol().Handshakes(); n != 1 || r.tesla.Count("signed_command", "") != 61 {
			t.Errorf("%d handshakes, %d requests", n, r.tesla.Count("signed_command", ""))
		}
	})
}

// TestWrites: the file is written rarely, not for each command.
func TestWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		for i := range 1000 {
			if err := r.car.Do(t.Context(), amps(6+i%8)); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(r.disk.states); n > 10 {
			t.Errorf("%d writes for 1000 commands", n)
		}
	})
}

// TestKilled: a process that was killed at any instant leaves a file with which the next one goes on, whatever was sent since.
func TestKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		protocol := r.handle.Protocol()
		for i := range 300 {
			if err := r.car.Do(t.Context(), amps(6+i%8)); err != nil {
				t.Fatal(err)
			}
		}
		files := maps.Clone(r.disk.files) // the first process dies here, and its last file is all that is left
		for range 5 {
			time.Sleep(2 * time.Minute)
			r.disk.files = files
			car := r.again(t, true)
			if err := car.Do(t.Context(), amps(7)); err != nil {
				t.Fatal(err)
			}
			files = maps.Clone(r.disk.files)
		}
		if n := protocol.Refused(universalmessage.MessageFault_E_MESSAGEFAULT_ERROR_INVALID_TOKEN_OR_COUNTER); n != 0 || protocol.Handshakes() != 1 {
			t.Errorf("%d counters came twice, %d handshakes", n, protocol.Handshakes())
		}
	})
}

// TestKilledInHandshakes: a process that is killed in each of its handshakes asks the car no more than a few times a minute, and
// the one that lives makes a session.
func TestKilledInHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		if err := r.tesla.Fault("cut-after", sim.On("signed_command")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for time.Since(began) < 10*time.Minute {
			car := r.again(t, true)
			err := car.Do(t.Context(), amps(7))
			if err == nil || tesla.MayHaveSucceeded(err) && !errors.Is(err, tesla.ErrTemporary) {
				t.Fatalf("got %v", err)
			}
			car.Close()
			time.Sleep(time.Second)
		}
		if n := r.handle.Protocol().Handshakes(); n > 4*11 || n < 4*9 {
			t.Errorf("%d handshakes in 10 minutes", n)
		}
		r.tesla.ClearFaults()
		time.Sleep(time.Minute)
		if err := r.again(t, true).Do(t.Context(), amps(7)); err != nil {
			t.Error(err)
		}
	})
}

// TestStorm: whatever is wrong, one car is asked for a session a few times a minute at most, and it is said for how long not.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_NONE, sim.Car{PluggedIn: true})
		limited := 0
		for range 600 {
			err := r.car.Do(t.Context(), amps(7))
			if errors.Is(err, tesla.ErrRateLimited) {
				limited++
				if wait := tesla.RetryAfter(err); wait <= 0 || wait > time.Minute {
					t.Fatalf("wait %s", wait)
				}
			} else if !errors.Is(err, tesla.ErrNotPaired) {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := r.handle.Protocol().Handshakes(); n > 44 || n < 36 || limited != 600-n {
			t.Errorf("%d handshakes, %d times limited", n, limited)
		}
	})
}

// TestDamaged: a file that is damaged, of another key or for another car costs one handshake, and nothing else.
func TestDamaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		if err := r.car.Do(t.Context(), amps(7)); err != nil {
			t.Fatal(err)
		}
		name := "session-" + vin + ".json"
		good := string(r.disk.files[name])
		for what, text := range map[string]string{
			"empty": "", "half": good[:len(good)/2], "no JSON": "\x00\x01", "null": "null", "other form": `{"sessions":[1]}`,
			"no sessions": `{"key":"` + r.key.fingerprint() + `","sessions":null}`,
			"other key":   strings.Replace(good, r.key.fingerprint(), "0000000000000000", 1),
			"other data":  strings.Replace(good, `"data":"`, `"data":"AAAA`, 1),
			"twice":       strings.Replace(good, `"`+vin+`":[`, `"`+vin+`":[{"domain":3,"data":""},`, 1),
		} {
			time.Sleep(2 * time.Minute)
			r.disk.files[name] = []byte(text)
			before := r.handle.Protocol().Handshakes()
			car := r.again(t, true)
			if err := car.Do(t.Context(), amps(8)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if n := r.handle.Protocol().Handshakes() - before; n != 1 {
				t.Errorf("%s: %d handshakes", what, n)
			}
			car.Close()
		}
	})
}

// TestClockSetBack: a clock that is set back behind the time of a session makes it worthless, in the file or in memory. The
// library would sign in vain, without a pause, until the deadline; here it costs one handshake.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		if err := r.car.Do(t.Context(), amps(7)); err != nil {
			t.Fatal(err)
		}
		name := "session-" + vin + ".json"
		r.disk.files[name] = []byte(strings.ReplaceAll(string(r.disk.files[name]), `"created_at":"2000-`, `"created_at":"2001-`))
		if err := r.again(t, true).Do(t.Context(), amps(8)); err != nil {
			t.Errorf("in the file: %v", err)
		}
		r.car.unlink()
		for i := range r.car.sessions.Cache.Vehicles[vin] {
			r.car.sessions.Cache.Vehicles[vin][i].CreatedAt = time.Now().Add(time.Hour)
		}
		if err := r.car.Do(t.Context(), amps(9)); err != nil {
			t.Errorf("in memory: %v", err)
		}
		if n := r.handle.Protocol().Handshakes(); n != 3 {
			t.Errorf("%d handshakes", n)
		}
	})
}

// TestUnwritable: a full disk keeps no command from the car, and is told.
func TestUnwritable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		r.disk.broken = errors.New("no space left on device")
		var told []error
		car := New(Config{VIN: vin, Key: r.key, Memory: r.disk, Dial: Fleet(vin, r.client, nil), Trouble: func(err error) { told = append(told, err) }})
		defer car.Close()
		if err := car.Do(t.Context(), amps(7)); err != nil || len(told) == 0 {
			t.Errorf("%v, told %v", err, told)
		}
	})
}

// TestTwoProcesses: a command from beside (set-amps while the bridge runs) puts nobody out of step for longer than one refusal.
func TestTwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
		for i := range 20 {
			beside := New(Config{VIN: vin, Key: r.key, Dial: Fleet(vin, r.client, nil)})
			for _, c := range []*Car{r.car, beside, r.car} {
				if err := c.Do(t.Context(), amps(6+i%8)); err != nil {
					t.Fatalf("round %d: %v", i, err)
				}
			}
			beside.Close()
			if i%5 == 4 {
				r.car = r.again(t, true)
			}
		}
		if n := len(r.handle.Protocol().Executed()); n != 60 {
			t.Errorf("%d commands of 60", n)
		}
	})
}

// TestTwoProcessesThatStay: another program that goes on with the same key, and gives each tenth command, now and then uses up the
// counter that is next here; that one is not sent again. Leaving out counters after each refusal keeps that rare: without it
// 16 % of these commands failed.
func TestTwoProcessesThatStay(t *testing.T) {
	const lives, commands = 30, 60
	failed := 0
	for n := range lives {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
			other := New(Config{VIN: vin, Key: r.key, Memory: &disk{}, Dial: Fleet(vin, r.client, nil)})
			defer other.Close()
			random := rand.New(rand.NewPCG(1, uint64(n)))
			for i := range commands {
				c := r.car
				if random.IntN(10) == 0 {
					c = other
				}
				if c.Do(t.Context(), amps(6+i%8)) != nil {
					failed++
				}
			}
		})
	}
	if failed*100 > 8*lives*commands {
		t.Errorf("%d of %d commands failed", failed, lives*commands)
	}
}

// FuzzSessions: whatever is in the file of sessions, a command works after it, for one handshake at most.
func FuzzSessions(f *testing.F) {
	r := newRig(f, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
	if err := r.car.Do(f.Context(), amps(7)); err != nil {
		f.Fatal(err)
	}
	for _, state := range r.disk.states {
		file := bytes.Replace(state["session-"+vin+".json"], []byte(r.key.fingerprint()), []byte("KEY"), 1)
		f.Add(file) // of the future, where time begins in 2000
		f.Add(regexp.MustCompile(`"created_at":"[^"]*"`).ReplaceAll(file, []byte(`"created_at":"1999-12-31T23:59:59Z"`)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, true, keys.Role_ROLE_FM, sim.Car{PluggedIn: true})
			r.disk.files = map[string][]byte{"session-" + vin + ".json": bytes.Replace(data, []byte("KEY"), []byte(r.key.fingerprint()), 1)}
			err := r.car.Do(t.Context(), amps(8))
			if errors.Is(err, tesla.ErrRateLimited) {
				time.Sleep(2 * time.Minute) // the file said so
				err = r.car.Do(t.Context(), amps(8))
			}
			if errors.Is(err, tesla.ErrSession) || errors.Is(err, tesla.ErrTooLate) || tesla.MayHaveSucceeded(err) {
				err = r.car.Do(t.Context(), amps(8)) // it held a session with another car
			}
			if err != nil || r.handle.Amps() != 8 {
				t.Errorf("%v, %d A", err, r.handle.Amps())
			}
		})
	})
}
