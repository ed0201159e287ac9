package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestChargingPower(t *testing.T) {
	tests := []struct {
		name         string
		car          Car
		amps, phases int // of the socket
		wantAmps     float64
		wantPhases   any
		wantPower    float64 // as told, whole kW
		wantAdded    float64 // kWh in one hour
	}{
		{"three phases are told as 2", Car{}, 16, 3, 16, 2.0, 11, 16 * 230 * 3 * 0.92 / 1000},
		{"three phases at 5 A", Car{Amps: 5}, 16, 3, 5, 2.0, 3, 5 * 230 * 3 * 0.92 / 1000},
		{"one phase", Car{}, 16, 1, 16, 1.0, 3, 16 * 230 * 0.92 / 1000},
		{"7.4 kW is told as 7", Car{}, 32, 1, 32, 1.0, 7, 32 * 230 * 0.92 / 1000},
		{"the car takes 16 of 32 A on three phases", Car{}, 32, 3, 16, 2.0, 11, 16 * 230 * 3 * 0.92 / 1000},
		{"an American 48 A charger", Car{MaxAmps: 48, Volts: 240}, 60, 1, 48, 1.0, 11, 48 * 240 * 0.92 / 1000},
		{"the usual number of phases", Car{Phases: 1}, 10, 0, 10, 1.0, 2, 10 * 230 * 0.92 / 1000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, new(Tesla))
				h := b.tesla.Add(test.car)
				h.PlugIn(test.amps, test.phases)
				time.Sleep(time.Hour)
				got := b.charge(h)
				equal(t, "charging_state", got["charging_state"], any("Charging"))
				equal(t, "charger_actual_current", got.num("charger_actual_current"), test.wantAmps)
				equal(t, "charger_phases", got["charger_phases"], test.wantPhases)
				equal(t, "charger_power", got.num("charger_power"), test.wantPower)
				near(t, "charge_energy_added", got.num("charge_energy_added"), test.wantAdded, 0.1) // the start takes some
				near(t, "level", h.Level(), 50+100*h.Added()/75, 1e-6+h.Added()*100)
			})
		})
	}
}

func TestStartAndRamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{})
		h.PlugIn(16, 3)
		steps := []struct {
			after time.Duration
			state string
			amps  float64
		}{
			{0, "Starting", 0},
			{9 * time.Second, "Starting", 0},
			{10 * time.Second, "Charging", 0},
			{12 * time.Second, "Charging", 4},
			{15 * time.Second, "Charging", 10},
			{18 * time.Second, "Charging", 16},
			{60 * time.Second, "Charging", 16},
		}
		start := time.Now()
		for _, step := range steps {
			time.Sleep(time.Until(start.Add(step.after)))
			got := b.charge(h)
			equal(t, fmt.Sprint("state after ", step.after), got["charging_state"], any(step.state))
			near(t, fmt.Sprint("current after ", step.after), got.num("charger_actual_current"), step.amps, 0)
		}
		b.amps(h, "6")
		time.Sleep(2 * time.Second)
		near(t, "current two seconds after less was asked", h.Current(), 6, 0)
	})
}

// Looking at the car must not change what it does: the same day gives the same energy however often it is read.
func TestPhysicsDoesNotDependOnReads(t *testing.T) {
	level := func(every time.Duration) float64 {
		var got float64
		synctest.Test(t, func(t *testing.T) {
			tesla := new(Tesla)
			h := tesla.Add(Car{Level: 20, Limit: 95})
			h.PlugIn(16, 3)
			for end := time.Now().Add(4 * time.Hour); time.Now().Before(end); time.Sleep(min(every, time.Until(end))) {
				h.Level()
			}
			got = h.Level()
		})
		return got
	}
	rare := level(4 * time.Hour)
	for _, every := range []time.Duration{time.Second, 7 * time.Second, 13 * minute} {
		near(t, fmt.Sprint("level when read every ", every), level(every), rare, 1e-3)
	}
}

func TestTaper(t *testing.T) {
	tests := []struct {
		name     string
		limit    int
		level    float64 // where to look
		wantLess bool
	}{
		{"none below 90 %", 80, 79.5, false},
		{"none well before the limit", 100, 96, false},
		{"near a limit of 100 %", 100, 98.5, true},
		{"near a limit of 95 %", 95, 94, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := new(Tesla).Add(Car{Level: test.level - 0.3, Limit: test.limit})
				h.PlugIn(16, 3)
				for h.Level() < test.level {
					time.Sleep(5 * time.Second)
				}
				if less := h.Current() < 15.9; less != test.wantLess {
					t.Errorf("%.1f A at %.1f %% with a limit of %d %%, tapering = %t", h.Current(), h.Level(), test.limit, test.wantLess)
				}
			})
		})
	}
}

func TestCompleteAtTheLimit(t *testing.T) {
	for _, limit := range []int{51, 80, 90, 91, 93, 100} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, new(Tesla))
				h := b.tesla.Add(Car{Limit: limit, Level: float64(limit) - 1.5, SleepAfter: 24 * time.Hour})
				h.PlugIn(16, 3)
				time.Sleep(6 * time.Hour)
				got := b.charge(h)
				equal(t, "charging_state", got["charging_state"], any("Complete"))
				equal(t, "battery_level", got.num("battery_level"), float64(limit))
				near(t, "level", h.Level(), float64(limit), 0.05)
				equal(t, "charger_power", got.num("charger_power"), 0.0)
				equal(t, "charger_phases", got["charger_phases"], any(nil))
				equal(t, "minutes_to_full_charge", got.num("minutes_to_full_charge"), 0.0)
				if h.Charging() {
					t.Error("a full car charges")
				}
			})
		})
	}
}

func TestTimeToFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{Level: 60, Limit: 80})
		h.PlugIn(16, 3)
		time.Sleep(minute)
		got := b.charge(h)
		minutes := got.num("minutes_to_full_charge")
		near(t, "minutes_to_full_charge", minutes, 15/10.16*60, 5)
		near(t, "time_to_full_charge", got.num("time_to_full_charge"), minutes/60, 1e-3)
		time.Sleep(time.Duration(minutes) * minute)
		equal(t, "state when the guess is over", h.ChargingState(), "Complete")
	})
}

func TestSpeedScalesChargingOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tesla := &Tesla{Speed: 60}
		fast, idle := tesla.Add(Car{}), tesla.Add(Car{})
		fast.PlugIn(16, 3)
		time.Sleep(minute)
		near(t, "energy of an hour in a minute", fast.Added(), 16*230*3*0.92/1000, 0.1)
		time.Sleep(13 * minute)
		equal(t, "state of an idle car", idle.State(), "online")
		time.Sleep(2 * minute)
		equal(t, "state of an idle car", idle.State(), "asleep")
	})
}

func TestIdleReadings(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(h *CarHandle)
		want    map[string]any
	}{
		{"unplugged", func(h *CarHandle) { h.PlugIn(13, 1); h.Unplug() }, map[string]any{
			"charging_state": "Disconnected", "charger_voltage": 0.0, "charger_phases": nil, "conn_charge_cable": "<invalid>",
			"charge_port_door_open": false, "charge_current_request_max": 13.0, "fast_charger_type": "<invalid>",
		}},
		{"dead socket", func(h *CarHandle) { h.PlugIn(0, 3) }, map[string]any{
			"charging_state": "NoPower", "charger_voltage": 0.0, "charger_pilot_current": 0.0, "conn_charge_cable": "IEC",
			"charge_port_door_open": true,
		}},
		{"power cut", func(h *CarHandle) { h.PlugIn(16, 3); h.Supply(0) }, map[string]any{
			"charging_state": "NoPower", "charger_actual_current": 0.0,
		}},
		{"power back", func(h *CarHandle) { h.PlugIn(16, 3); h.Supply(0); h.Supply(10) }, map[string]any{
			"charging_state": "Starting", "charge_current_request_max": 10.0,
		}},
		{"DC", func(h *CarHandle) { h.SetDC(true); time.Sleep(minute) }, map[string]any{
			"charging_state": "Charging", "fast_charger_present": true, "charger_actual_current": 0.0, "charger_phases": nil,
			"fast_charger_type": "Combo", "charger_power": 60.0,
		}},
		{"off DC", func(h *CarHandle) { h.SetDC(true); h.SetDC(false) }, map[string]any{
			"charging_state": "Disconnected", "fast_charger_present": false,
		}},
		{"plugged in at the limit", func(h *CarHandle) { h.c.charger.limit = 50; h.PlugIn(16, 3) }, map[string]any{
			"charging_state": "Complete", "charger_voltage": 2.0,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, new(Tesla))
				h := b.tesla.Add(Car{})
				test.prepare(h)
				got := b.charge(h)
				for key, want := range test.want {
					value, there := got[key]
					if !there || value != want {
						t.Errorf("%s = %v (there: %t), want %v", key, value, there, want)
					}
				}
			})
		})
	}
}

func TestSessionEnergyStartsAnewWithEachPlug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(Tesla).Add(Car{})
		h.PlugIn(16, 3)
		time.Sleep(time.Hour)
		before := h.Added()
		h.Unplug()
		near(t, "energy told after unplugging", h.Added(), before, 0)
		h.PlugIn(16, 3)
		near(t, "energy of a new session", h.Added(), 0, 0)
	})
}

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{})
		at := time.Now().Add(3 * time.Hour)
		h.ScheduleAt(at)
		h.PlugIn(16, 3)
		got := b.charge(h)
		equal(t, "charging_state", got["charging_state"], any("Stopped"))
		equal(t, "scheduled_charging_pending", got["scheduled_charging_pending"], any(true))
		equal(t, "scheduled_charging_start_time", got.num("scheduled_charging_start_time"), float64(at.Unix()))
		time.Sleep(2 * time.Hour)
		equal(t, "state while it waits", h.State(), "asleep")
		time.Sleep(time.Hour + minute)
		equal(t, "charging_state after the start", h.ChargingState(), "Charging")
		equal(t, "woken by", fmt.Sprint(h.WokenBy()), "[schedule]")
		equal(t, "stop", b.command(h, "charge_stop", ""), "")
		time.Sleep(time.Hour)
		equal(t, "charging_state after a stop", h.ChargingState(), "Stopped")
	})
}

func TestScheduleThatPassedStartsNothingLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{})
		h.PlugIn(16, 3)
		h.ScheduleAt(time.Now().Add(time.Hour))
		time.Sleep(90 * minute)
		equal(t, "stop", b.command(h, "charge_stop", ""), "")
		time.Sleep(minute)
		equal(t, "charging_state", h.ChargingState(), "Stopped")
	})
}

func TestDCFillsTheBattery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{Level: 10, Limit: 90, SleepAfter: 3 * time.Hour})
		h.SetDC(true)
		last := 101.0
		for range 6 {
			time.Sleep(10 * minute)
			power := b.charge(h).num("charger_power")
			if power > last {
				t.Errorf("power rose from %v to %v kW", last, power)
			}
			last = power
			equal(t, "drawn from an AC socket", h.Drawn(), 0)
		}
		time.Sleep(time.Hour)
		got := b.charge(h)
		equal(t, "charging_state", got["charging_state"], any("Complete"))
		near(t, "charge_energy_added", got.num("charge_energy_added"), 0.8*75, 0.2)
	})
}

func TestDrawnIsWhatTheSocketGives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(Tesla).Add(Car{PluggedIn: true, Amps: 10})
		equal(t, "drawn at first", h.Drawn(), 0)
		time.Sleep(minute)
		near(t, "drawn", h.Drawn(), 10*230*3/1000.0, 1e-9)
		before := h.Added()
		time.Sleep(time.Hour)
		near(t, "in the battery per kWh drawn", (h.Added()-before)/h.Drawn(), 0.92, 1e-6)
		h.Unplug()
		equal(t, "drawn at last", h.Drawn(), 0)
	})
}

// A car that jumps over hours in one go ends where one does that is looked at each second, at any speed.
func TestSpeedsAgree(t *testing.T) {
	end := func(speed float64) (level float64) {
		synctest.Test(t, func(t *testing.T) {
			h := (&Tesla{Speed: speed}).Add(Car{Level: 85, Limit: 95, PluggedIn: true})
			time.Sleep(time.Duration(float64(50*minute) / speed))
			level = h.Level()
		})
		return level
	}
	want := end(1)
	for _, speed := range []float64{0.5, 10, 600, 36000} {
		near(t, fmt.Sprintf("level at speed %v", speed), end(speed), want, 0.02)
	}
}
