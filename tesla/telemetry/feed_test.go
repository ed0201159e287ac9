package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla"
)

func TestFeed(t *testing.T) {
	f := NewFeed("home/t", []string{vin}, time.Minute)
	car := f.Car(vin, nil, "")
	if f.Car("5YJ3E1EA7KF000001", nil, "") != nil {
		t.Error("a car that is not wanted is there")
	}
	if _, err := car.State(t.Context()); !errors.Is(err, tesla.ErrSilent) {
		t.Errorf("before anything came: %v", err)
	}
	if _, err := car.ChargeState(t.Context()); !errors.Is(err, tesla.ErrSilent) || !strings.Contains(err.Error(), "nothing has come yet") {
		t.Errorf("before anything came: %v", err)
	}
	for topic, ours := range map[string]bool{
		"home/t/" + vin + "/v/Soc": true, "home/t/" + vin + "/v/Odometer": true, "home/t/" + vin + "/alerts/x/current": true, "home/t/x": true,
		"home/tesla2mqtt/car/wake/set": false, "home/t": false, "": false,
	} {
		if got := f.Deliver(topic, []byte("50"), false); got != ours {
			t.Errorf("%s is taken: %v", topic, got)
		}
	}
	f.Deliver("home/t/"+vin+"/v/Soc", []byte("49"), true) // stored before
	f.Deliver("home/t/5YJ3E1EA7KF000009/v/Soc", []byte("50"), false)
	f.Deliver("home/t/"+vin+"/connectivity", []byte("{}"), false)
	if n := f.Signals(); n != 3 {
		t.Errorf("%d signals, want 3: of this car and another, and what nobody here reads", n)
	}
	select {
	case <-car.Changes():
	default:
		t.Error("no change was told")
	}
	if c, err := car.ChargeState(t.Context()); err != nil || *c.UsableBatteryLevel != 49 {
		t.Errorf("got %+v, %v", c, err)
	}
}

// TestFeedBoundsAFlood: other cars, fields that nobody reads and nonsense leave nothing behind, and nobody waits.
func TestFeedBoundsAFlood(t *testing.T) {
	f := NewFeed("t", []string{vin}, time.Minute)
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 5000 {
				f.Deliver(fmt.Sprintf("t/%d-%d/v/Soc", n, i), []byte("50"), false)
				f.Deliver(fmt.Sprintf("t/%s/v/Field%d-%d", vin, n, i), []byte("50"), false)
				f.Deliver("t/"+vin+"/v/Soc", []byte("50"), i%2 == 0)
				f.Deliver("t/"+vin+"/v/Soc", []byte("{"), false)
			}
		})
	}
	all.Wait()
	if len(f.cars) != 1 || len(f.cars[vin].changes) != 1 {
		t.Errorf("%d cars, %d changes", len(f.cars), len(f.cars[vin].changes))
	}
}

// cloud is an API whose answers are set.
type cloud struct {
	state tesla.VehicleState
	err   error // of both
	fails error // of full reads
	asked int
	reads int
}

func (c *cloud) State(context.Context) (tesla.VehicleState, error) {
	c.asked++
	return c.state, c.err
}

func (c *cloud) ChargeState(context.Context) (tesla.ChargeState, error) {
	c.reads++
	return tesla.ChargeState{ChargingState: "Charging"}, cmp.Or(c.err, c.fails)
}

// TestStateWithoutTheAPI: while the API fails, the stream's last word counts, and the API is not asked each time.
func TestStateWithoutTheAPI(t *testing.T) {
	f := NewFeed("t", []string{vin}, time.Minute)
	api := &cloud{err: &tesla.Error{Class: tesla.ErrTemporary}}
	car := f.Car(vin, api, "owner")
	if _, err := car.State(t.Context()); !errors.Is(err, tesla.ErrTemporary) {
		t.Errorf("nobody knows: %v", err)
	}
	f.Deliver("t/"+vin+"/connectivity", []byte(`{"ConnectionId":"a","Status":"DISCONNECTED"}`), true)
	for range 3 {
		if state, err := car.State(t.Context()); state != tesla.StateOffline || err != nil {
			t.Errorf("got %s, %v", state, err)
		}
	}
	if api.asked != 1 {
		t.Errorf("the API was asked %d times within a minute", api.asked)
	}
}

// TestPushedAsksNobody: however silent the stream is, and however doubtful what it said.
func TestPushedAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, api := NewFeed("t", []string{vin}, 10*time.Minute), &cloud{state: tesla.StateOnline}
		car := f.Car(vin, api, "fleet")
		f.Deliver("t/"+vin+"/v/DetailedChargeState", []byte(`"DetailedChargeStateCharging"`), false)
		time.Sleep(time.Hour)
		f.Deliver("t/"+vin+"/connectivity", []byte(`{"ConnectionId":"a","Status":"CONNECTED"}`), true)
		state, charge, err := car.Pushed(t.Context())
		if state != tesla.StateOnline || charge.ChargingState != "Charging" || charge.Source != "telemetry" || err != nil {
			t.Errorf("got %s, %+v, %v", state, charge, err)
		}
		if api.asked+api.reads != 0 {
			t.Errorf("the API was asked %d times and read %d times", api.asked, api.reads)
		}
	})
}

// TestFailedReadsAreRare: the cloud calls a car online that does not answer. Each try costs as much as a success does.
func TestFailedReadsAreRare(t *testing.T) {
	for _, row := range []struct {
		fails error
		state tesla.VehicleState // afterwards
	}{
		{&tesla.Error{Class: tesla.ErrAsleep, Status: 408}, tesla.StateOffline},
		{&tesla.Error{Class: tesla.ErrTemporary, Status: 400}, tesla.StateOnline},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, api := NewFeed("t", []string{vin}, 10*time.Minute), &cloud{state: tesla.StateOnline, fails: row.fails}
			car := f.Car(vin, api, "fleet")
			f.Deliver("t/"+vin+"/v/DetailedChargeState", []byte(`"DetailedChargeStateStopped"`), false)
			time.Sleep(3 * time.Hour)
			poll := func() (state tesla.VehicleState, err error) {
				if state, err = car.State(t.Context()); err == nil && state == tesla.StateOnline {
					_, err = car.ChargeState(t.Context())
				}
				return state, err
			}
			if _, err := poll(); !errors.Is(err, row.fails) {
				t.Errorf("the first read: %v", err)
			}
			for range 60 {
				time.Sleep(time.Minute)
				state, err := poll()
				if api.reads == 1 && (state != row.state || err != nil) {
					t.Errorf("after the failure: %s, %v", state, err)
				}
			}
			if api.reads > 7 {
				t.Errorf("%d tries in an hour: %v", api.reads, row.fails)
			}
		})
	}
}
