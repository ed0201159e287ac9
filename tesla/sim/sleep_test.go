package sim

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestFallsAsleep(t *testing.T) {
	tests := []struct {
		name string
		car  Car
		work func(b *bench, h *CarHandle) // done each 10 minutes, for an hour
		want string
	}{
		{"left alone", Car{}, func(*bench, *CarHandle) {}, "asleep"},
		{"shows as offline", Car{SleepsAs: "offline"}, func(*bench, *CarHandle) {}, "offline"},
		{"asked for its state", Car{}, func(b *bench, h *CarHandle) { b.get("/api/1/vehicles/" + h.VIN()) }, "asleep"},
		{"listed", Car{}, func(b *bench, _ *CarHandle) { b.do("GET", "/api/1/products", "") }, "asleep"},
		{"read", Car{}, func(b *bench, h *CarHandle) { b.charge(h) }, "online"},
		{"read for something else", Car{}, func(b *bench, h *CarHandle) {
			b.get("/api/1/vehicles/" + h.VIN() + "/vehicle_data?endpoints=vehicle_state")
		}, "online"},
		{"commanded", Car{}, func(b *bench, h *CarHandle) { b.amps(h, "8") }, "online"},
		{"woken again and again", Car{}, func(b *bench, h *CarHandle) { b.wakeUp(h) }, "online"},
		{"plugged in and stopped", Car{PluggedIn: true, Stopped: true}, func(*bench, *CarHandle) {}, "asleep"},
		{"charging", Car{PluggedIn: true}, func(*bench, *CarHandle) {}, "online"},
		{"sleeps later than it is read", Car{SleepAfter: 5 * minute}, func(b *bench, h *CarHandle) {
			if h.State() == "online" {
				b.charge(h)
			}
		}, "asleep"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, new(Tesla))
				h := b.tesla.Add(test.car)
				for range 6 {
					test.work(b, h)
					time.Sleep(10 * minute)
				}
				equal(t, "state", h.State(), test.want)
				equal(t, "state as the cloud tells it", b.get("/api/1/vehicles/" + h.VIN())["state"], any(test.want))
				equal(t, "number of wakers", len(h.WokenBy()), 0)
			})
		})
	}
}

func TestReadsDoNotWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{Asleep: true})
		for range 100 {
			time.Sleep(minute)
			b.do("GET", "/api/1/products", "")
			b.get("/api/1/vehicles/" + h.VIN())
			status, _ := b.do("GET", "/api/1/vehicles/"+h.VIN()+"/vehicle_data", "")
			equal(t, "status of vehicle_data", status, http.StatusRequestTimeout)
			equal(t, "command", b.amps(h, "8"), http.StatusText(http.StatusRequestTimeout))
		}
		equal(t, "slept", h.AsleepFor(), 100*minute)
		equal(t, "wakers", len(h.WokenBy()), 0)
		equal(t, "executed", len(h.Executed()), 0)
	})
}

func TestWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{Asleep: true, BusesTake: 20 * time.Second})
		equal(t, "state in the answer", b.wakeUp(h)["state"], any("asleep"))
		time.Sleep(10 * time.Second)
		equal(t, "state in the second answer", b.wakeUp(h)["state"], any("asleep"))
		time.Sleep(4 * time.Second)
		equal(t, "state just before", h.State(), "asleep")
		time.Sleep(time.Second)
		equal(t, "state 15 s after the first", b.wakeUp(h)["state"], any("online"))
		equal(t, "woken by", fmt.Sprint(h.WokenBy()), "[wake_up]")
		equal(t, "command at once", b.amps(h, "8"), "could_not_wake_buses")
		b.charge(h) // reads work at once
		time.Sleep(20 * time.Second)
		equal(t, "command after 20 s", b.amps(h, "8"), "")
		time.Sleep(16 * minute)
		equal(t, "state later", h.State(), "asleep")
		equal(t, "slept", h.AsleepFor(), 15*time.Second+time.Minute)
	})
}

func TestWakers(t *testing.T) {
	tests := []struct {
		name string
		wake func(h *CarHandle)
		want string
	}{
		{"app", (*CarHandle).Wake, "[app]"},
		{"plug", func(h *CarHandle) { h.PlugIn(16, 3) }, "[plug]"},
		{"unplug", (*CarHandle).Unplug, "[plug]"},
		{"fast charger", func(h *CarHandle) { h.SetDC(true) }, "[plug]"},
		{"driver", (*CarHandle).DriveAway, "[driver]"},
		{"nobody", func(h *CarHandle) { h.State(); h.Level(); h.Sleep() }, "[]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := new(Tesla).Add(Car{Asleep: true})
				time.Sleep(time.Hour)
				test.wake(h)
				equal(t, "woken by", fmt.Sprint(h.WokenBy()), test.want)
				equal(t, "asleep", h.Asleep(), test.want == "[]")
				equal(t, "slept", h.AsleepFor(), time.Hour)
			})
		})
	}
}

// The idle timer of a car that charged starts when the charge ends, even if nobody looked at that moment.
func TestSleepsAfterTheChargeEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tesla := new(Tesla)
		watched, ignored := tesla.Add(Car{Level: 79, PluggedIn: true}), tesla.Add(Car{Level: 79, PluggedIn: true})
		start := time.Now()
		for watched.Charging() {
			time.Sleep(time.Second)
		}
		ended := time.Since(start)
		time.Sleep(5 * time.Hour)
		slept := 5*time.Hour - 15*minute
		near(t, "hours slept", watched.AsleepFor().Hours(), slept.Hours(), 0.001)
		near(t, "hours slept unwatched", ignored.AsleepFor().Hours(), slept.Hours(), 0.001)
		near(t, "minutes of charging", ended.Minutes(), 0.75/10.16*60, 1)
	})
}

func TestSelfChecks(t *testing.T) {
	run := func(read bool) (slept time.Duration, by []string) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, new(Tesla))
			h := b.tesla.Add(Car{Asleep: true, SelfChecks: true})
			for range 5 * 60 {
				time.Sleep(minute)
				if read && h.State() == "online" && len(h.WokenBy()) == 1 {
					b.charge(h)
					time.Sleep(20 * minute)
				}
			}
			slept, by = h.AsleepFor(), h.WokenBy()
		})
		return slept, by
	}
	slept, by := run(false)
	near(t, "hours slept of 5", slept.Hours(), 5-4*150.0/3600, 0.02)
	equal(t, "woken by", fmt.Sprint(by), "[self self self self]")
	slept, _ = run(true)
	near(t, "hours slept of 5.3 with a read", slept.Hours(), 5+20.0/60-15.0/60-4*150.0/3600, 0.1)
}

func TestDriving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{PluggedIn: true})
		h.DriveAway()
		time.Sleep(3 * time.Hour)
		equal(t, "state on the road", h.State(), "online")
		d := b.get("/api/1/vehicles/" + h.VIN() + "/vehicle_data?endpoints=drive_state%3Bcharge_state")
		equal(t, "shift_state", d.sub("drive_state")["shift_state"], any("D"))
		equal(t, "charging_state", d.sub("charge_state")["charging_state"], any("Disconnected"))
		level := h.Level()
		h.Arrive("work", 7.5)
		near(t, "level after 7.5 kWh", h.Level(), level-10, 1e-6)
		time.Sleep(20 * minute)
		equal(t, "state at work", h.State(), "asleep")
		if h.Sleep(); h.State() != "asleep" {
			t.Error("a car that sleeps was woken by Sleep")
		}
	})
}

func TestSleepOnDemand(t *testing.T) {
	tesla := new(Tesla)
	equal(t, "idle car sleeps", tesla.Add(Car{}).Sleep(), true)
	equal(t, "charging car sleeps", tesla.Add(Car{PluggedIn: true}).Sleep(), false)
}

func TestCoverageAndWorkshop(t *testing.T) {
	tests := []struct {
		name      string
		change    func(h *CarHandle)
		want      int // status of vehicle_data and of a command
		wantState any
	}{
		{"as usual", func(*CarHandle) {}, 200, "online"},
		{"in service", func(h *CarHandle) { h.InService(true) }, 405, "online"},
		{"out of coverage", func(h *CarHandle) { h.Offline(true) }, 408, "offline"},
		{"asleep and out of coverage", func(h *CarHandle) { h.Sleep(); h.Offline(true) }, 408, "asleep"},
		{"gone", func(h *CarHandle) { h.Remove(true) }, 404, nil},
		{"back", func(h *CarHandle) { h.Remove(true); h.Remove(false) }, 200, "online"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, new(Tesla))
			h := b.tesla.Add(Car{})
			test.change(h)
			path := "/api/1/vehicles/" + h.VIN()
			status, _ := b.do("GET", path+"/vehicle_data", "")
			equal(t, "vehicle_data", status, test.want)
			status, _ = b.do("POST", path+"/command/charge_port_door_open", "")
			equal(t, "command", status, test.want)
			_, d := b.do("GET", path, "")
			equal(t, "state", d.sub("response")["state"], test.wantState)
		})
	}
}
