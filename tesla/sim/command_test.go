package sim

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestSetPoint(t *testing.T) {
	tests := []struct {
		name  string
		from  int
		asked []int
		want  []int // after each
	}{
		{"up and down", 16, []int{10, 5, 16}, []int{10, 5, 16}},
		{"more than there is", 10, []int{32, 48}, []int{16, 16}},
		{"under 5 lands at 5 first", 16, []int{3, 3}, []int{5, 3}},
		{"under 5 from 5", 5, []int{4, 4}, []int{5, 4}},
		{"the second may differ", 16, []int{4, 2}, []int{5, 3}},
		{"only some low values exist", 16, []int{1, 0, 1, 2, 3, 4}, []int{5, 2, 2, 3, 3, 4}},
		{"already under 5", 3, []int{1, 4, 2}, []int{2, 4, 3}},
		{"up from under 5", 3, []int{5, 3, 3}, []int{5, 5, 3}},
		{"5 between two low ones starts over", 16, []int{3, 5, 3, 3}, []int{5, 5, 5, 3}},
		{"negative", 16, []int{-4, -4}, []int{5, 2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, new(Tesla))
			h := b.tesla.Add(Car{PluggedIn: true, Amps: test.from})
			equal(t, "set point at first", h.Amps(), test.from)
			for i, asked := range test.asked {
				equal(t, "answer", b.amps(h, fmt.Sprint(asked)), "")
				equal(t, fmt.Sprintf("set point after %v", test.asked[:i+1]), h.Amps(), test.want[i])
				last := h.Executed()[i]
				equal(t, "asked, as logged", last.Asked, asked)
				equal(t, "value, as logged", last.Value, test.want[i])
				equal(t, "charge_amps", b.charge(h).num("charge_amps"), float64(test.want[i]))
			}
		})
	}
}

func TestSetPointIsRememberedForEachPlace(t *testing.T) {
	b := newBench(t, new(Tesla))
	h := b.tesla.Add(Car{})
	h.PlugIn(16, 3)
	b.amps(h, "7")
	h.DriveAway()
	h.Arrive("work", 5)
	h.PlugIn(16, 3)
	equal(t, "set point at a new place", h.Amps(), 16)
	b.amps(h, "12")
	h.DriveAway()
	h.Arrive("home", 5)
	h.PlugIn(16, 3)
	equal(t, "set point at home", h.Amps(), 7)
	h.DriveAway()
	h.Arrive("work", 5)
	h.PlugIn(10, 3)
	equal(t, "set point at work with a smaller cable", h.Amps(), 10)
	h.PlugIn(16, 3)
	equal(t, "set point at work", h.Amps(), 12)
}

func TestStartsAtFive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{PluggedIn: true, Stopped: true, StartsAtFive: true})
		equal(t, "amps before the start", b.amps(h, "13"), "")
		equal(t, "set point before the start", b.charge(h).num("charge_amps"), 13)
		b.command(h, "charge_start", "")
		equal(t, "set point while it starts", b.charge(h).num("charge_amps"), 13)
		time.Sleep(30 * time.Second)
		equal(t, "set point while it charges", b.charge(h).num("charge_amps"), 5)
		near(t, "current", h.Current(), 5, 0)
		b.amps(h, "13")
		time.Sleep(30 * time.Second)
		near(t, "current after it was told again", h.Current(), 13, 0)
	})
}

func TestCommandReasons(t *testing.T) {
	const (
		startIt = "charge_start"
		stopIt  = "charge_stop"
		limit   = "set_charge_limit"
		amps    = "set_charging_amps"
	)
	tests := []struct {
		name    string
		car     Car
		command string
		body    string
		want    string
		state   string // charging_state afterwards
	}{
		{"start", Car{PluggedIn: true, Stopped: true}, startIt, "", "", "Starting"},
		{"start while charging", Car{PluggedIn: true}, startIt, "", "is_charging", "Starting"},
		{"start when full", Car{PluggedIn: true, Level: 80}, startIt, "", "complete", "Complete"},
		{"start unplugged", Car{}, startIt, "", "disconnected", "Disconnected"},
		{"stop", Car{PluggedIn: true}, stopIt, "{}", "", "Stopped"},
		{"stop when stopped", Car{PluggedIn: true, Stopped: true}, stopIt, "", "not_charging", "Stopped"},
		{"stop unplugged", Car{}, stopIt, "", "not_charging", "Disconnected"},
		{"limit", Car{PluggedIn: true}, limit, `{"percent": 90}`, "", "Starting"},
		{"limit as it is", Car{}, limit, `{"percent": 80}`, "already_set", "Disconnected"},
		{"limit under the level", Car{PluggedIn: true, Level: 70}, limit, `{"percent": 60}`, "", "Complete"},
		{"limit above the level", Car{PluggedIn: true, Level: 80}, limit, `{"percent": 90}`, "", "Starting"},
		{"amps unplugged are stored", Car{}, amps, `{"charging_amps": 7}`, "", "Disconnected"},
		{"amps unplugged are refused", Car{RefuseAmpsUnplugged: true}, amps, `{"charging_amps": 7}`, "disconnected", "Disconnected"},
		{"amps as text", Car{}, amps, `{"charging_amps": "7"}`, "Bad Request", "Disconnected"},
		{"amps with a fraction", Car{}, amps, `{"charging_amps": 7.5}`, "Bad Request", "Disconnected"},
		{"amps missing", Car{}, amps, `{}`, "Bad Request", "Disconnected"},
		{"no JSON", Car{}, amps, "charging_amps=7", "Bad Request", "Disconnected"},
		{"door opened", Car{}, "charge_port_door_open", "", "", "Disconnected"},
		{"door opened while charging", Car{PluggedIn: true}, "charge_port_door_open", "", "", "Stopped"},
		{"door closed", Car{}, "charge_port_door_close", "", "", "Disconnected"},
		{"signed commands", Car{PluggedIn: true, SignedCommands: true}, stopIt, "", "Forbidden", "Starting"},
		{"signed commands, asleep", Car{SignedCommands: true, Asleep: true}, stopIt, "", "Forbidden", "Disconnected"},
		{"asleep", Car{Asleep: true}, stopIt, "", "Request Timeout", "Disconnected"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, new(Tesla))
			h := b.tesla.Add(test.car)
			equal(t, "answer", b.command(h, test.command, test.body), test.want)
			equal(t, "charging_state", h.ChargingState(), test.state)
			executed := 0
			if test.want == "" {
				executed = 1
			}
			equal(t, "executed commands", len(h.Executed()), executed)
			malformed := 0
			if test.want == "Bad Request" {
				malformed = 1
			}
			equal(t, "violations", len(b.tesla.Violations()), malformed)
		})
	}
}

func TestLimitStaysInRange(t *testing.T) {
	tests := []struct {
		asked string
		want  int
	}{{"100", 100}, {"50", 50}, {"3", 50}, {"250", 100}}
	for _, test := range tests {
		t.Run(test.asked, func(t *testing.T) {
			b := newBench(t, new(Tesla))
			h := b.tesla.Add(Car{})
			equal(t, "answer", b.command(h, "set_charge_limit", `{"percent": `+test.asked+`}`), "")
			equal(t, "limit", h.Limit(), test.want)
			equal(t, "charge_limit_soc", b.charge(h).num("charge_limit_soc"), float64(test.want))
		})
	}
}

func TestStartWithoutPower(t *testing.T) {
	b := newBench(t, new(Tesla))
	h := b.tesla.Add(Car{})
	h.PlugIn(0, 3)
	equal(t, "answer", b.command(h, "charge_start", ""), "no_power")
}

func TestAmpsOnDCHaveNoEffect(t *testing.T) {
	b := newBench(t, new(Tesla))
	h := b.tesla.Add(Car{})
	h.SetDC(true)
	equal(t, "answer", b.amps(h, "6"), "")
	equal(t, "set point", h.Amps(), 16)
	equal(t, "executed commands", len(h.Executed()), 0)
}

func TestChargePortDoor(t *testing.T) {
	b := newBench(t, new(Tesla))
	h := b.tesla.Add(Car{})
	for _, open := range []bool{true, false} {
		name := "charge_port_door_close"
		if open {
			name = "charge_port_door_open"
		}
		b.command(h, name, "")
		equal(t, name, b.charge(h)["charge_port_door_open"], any(open))
	}
}

// With Lag a read may show the time before a command, and says so by its timestamp.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{PluggedIn: true, Lag: 10 * time.Second})
		first := b.charge(h)
		time.Sleep(4 * time.Second)
		b.amps(h, "9")
		told := time.Now()
		second := b.charge(h)
		equal(t, "set point at once", second.num("charge_amps"), 16)
		equal(t, "timestamp at once", second.num("timestamp"), first.num("timestamp"))
		time.Sleep(6 * time.Second)
		third := b.charge(h)
		equal(t, "set point later", third.num("charge_amps"), 9)
		if third.num("timestamp") < float64(told.UnixMilli()) {
			t.Error("the later reading has an earlier timestamp than the command")
		}
	})
}

func TestUnknownCommandIsNotFound(t *testing.T) {
	b := newBench(t, new(Tesla))
	h := b.tesla.Add(Car{})
	equal(t, "door_unlock", b.command(h, "door_unlock", ""), http.StatusText(http.StatusNotFound))
}

func TestReplugForgetsTheFirstRequestUnderFive(t *testing.T) {
	b := newBench(t, new(Tesla))
	h := b.tesla.Add(Car{PluggedIn: true})
	b.amps(h, "3")
	h.PlugIn(16, 3)
	b.amps(h, "3")
	equal(t, "set point", h.Amps(), 5)
}

func TestStartOverridesTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{})
		h.ScheduleAt(time.Now().Add(time.Hour))
		h.PlugIn(16, 3)
		equal(t, "start", b.command(h, "charge_start", ""), "")
		equal(t, "stop", b.command(h, "charge_stop", ""), "")
		equal(t, "scheduled_charging_pending", b.charge(h)["scheduled_charging_pending"], any(false))
		time.Sleep(2 * time.Hour)
		equal(t, "charging_state after the hour of the schedule", h.ChargingState(), "Stopped")
	})
}

// A load-managed socket moves the ceiling under a charge; the set point stays what was asked.
func TestSupplyMovesTheCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, new(Tesla))
		h := b.tesla.Add(Car{PluggedIn: true})
		time.Sleep(minute)
		for _, amps := range []int{8, 32, 10} {
			h.Supply(amps)
			time.Sleep(minute)
			got := b.charge(h)
			equal(t, "charger_pilot_current", got.num("charger_pilot_current"), float64(amps))
			equal(t, "charge_current_request_max", got.num("charge_current_request_max"), float64(min(amps, 16)))
			equal(t, "charger_actual_current", got.num("charger_actual_current"), float64(min(amps, 16)))
			equal(t, "charge_amps", got.num("charge_amps"), 16)
		}
		h.Unplug()
		h.Supply(0) // nobody is connected
		equal(t, "charging_state", h.ChargingState(), "Disconnected")
	})
}

// Whatever a client sends as a command, it gets an answer, and the set point stays one that a car can have.
func FuzzCommandBody(f *testing.F) {
	f.Add("set_charging_amps", `{"charging_amps": 8}`)
	f.Add("set_charge_limit", `{"percent": 1e400}`)
	f.Add("set_charging_amps", `[{}]`)
	f.Add("charge_start", "\x00")
	f.Fuzz(func(t *testing.T, name, body string) {
		tesla := new(Tesla)
		h := tesla.Add(Car{PluggedIn: true})
		tesla.command(h.c, name, []byte(body)).encode()
		if h.Amps() < 2 || h.Amps() > 16 || h.Limit() < limitMin || h.Limit() > limitMax {
			t.Errorf("%s %q: %d A, limit %d %%", name, body, h.Amps(), h.Limit())
		}
	})
}
