package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"tesla2mqtt/bridge"
)

// evccPlugin is one value or command in evcc's configuration, by its sources mqtt and combined.
type evccPlugin struct {
	Source, Topic, Payload string
	Scale                  float64
	Timeout                time.Duration
	Plugged, Charging      *evccPlugin
}

// evccVehicle is evcc's custom vehicle, as far as the example uses it.
type evccVehicle struct {
	Name, Type, Title string
	Capacity          float64
	Features          []string
	Soc               evccPlugin
	LimitSoc          evccPlugin `yaml:"limitSoc"`
	Range             evccPlugin
	Status            evccPlugin
	GetMaxCurrent     evccPlugin `yaml:"getMaxCurrent"`
	MaxCurrent        evccPlugin `yaml:"maxCurrent"`
	ChargeEnable      evccPlugin `yaml:"chargeEnable"`
	Wakeup            evccPlugin
}

type evccMeter struct {
	Name, Type string
	Power      evccPlugin
}

// evcc plays evcc on the broker of w. It was written after reading evcc's source; evcc itself was not run.
type evcc struct {
	w   *whole
	car evccVehicle
	of  map[string]evccMeter
}

func newEVCC(t *testing.T, w *whole) *evcc {
	t.Helper()
	text, err := os.ReadFile("../../examples/evcc/evcc.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		MQTT       struct{ Broker string }
		Vehicles   []evccVehicle
		Meters     []evccMeter
		Chargers   []struct{ Name, Type, Template string }
		Loadpoints []struct{ Title, Charger, Vehicle, Meter, Mode string }
		Site       struct {
			Title  string
			Meters struct{ Grid string }
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(bytes.ReplaceAll(text, []byte("/model3/"), []byte("/5YJ3E1EA7KF000001/"))))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	e := &evcc{w: w, car: c.Vehicles[0], of: map[string]evccMeter{}}
	for _, m := range c.Meters {
		e.of[m.Name] = m
	}
	point := c.Loadpoints[0]
	if point.Charger != c.Chargers[0].Name || point.Vehicle != e.car.Name || e.of[point.Meter].Name == "" || e.of[c.Site.Meters.Grid].Name == "" {
		t.Fatalf("a name in the example leads nowhere: %+v", c)
	}
	return e
}

// text is the last payload on the plugin's topic, which evcc keeps for as long as no timeout is set.
func (e *evcc) text(p evccPlugin) (string, error) {
	payload, there := e.w.broker.Retained()[p.Topic]
	if p.Source != "mqtt" || !there {
		return "", fmt.Errorf("%s %s: no value", p.Source, p.Topic)
	}
	return payload, nil
}

func (e *evcc) number(p evccPlugin) float64 {
	e.w.t.Helper()
	payload, err := e.text(p)
	n, bad := strconv.ParseFloat(payload, 64)
	if err := errors.Join(err, bad); err != nil {
		e.w.t.Error(err)
	}
	if p.Scale != 0 {
		n *= p.Scale
	}
	return n
}

// status is evcc's letter: A disconnected, B connected, C charging.
func (e *evcc) status() string {
	e.w.t.Helper()
	is := func(p *evccPlugin) bool {
		payload, err := e.text(*p)
		yes, bad := strconv.ParseBool(payload)
		if err := errors.Join(err, bad); err != nil {
			e.w.t.Error(err)
		}
		return yes
	}
	switch {
	case e.car.Status.Source != "combined":
		return e.car.Status.Source
	case is(e.car.Status.Charging):
		return "C"
	case is(e.car.Status.Plugged):
		return "B"
	}
	return "A"
}

var evccParameter = regexp.MustCompile(`\$\{(\w+)\}`)

// set publishes as evcc's setters do: the value in the place of the parameter, QoS 1, not retained.
func (e *evcc) set(p evccPlugin, parameter string, value any) {
	e.w.t.Helper()
	payload := evccParameter.ReplaceAllStringFunc(p.Payload, func(found string) string {
		if !strings.EqualFold(found, "${"+parameter+"}") {
			e.w.t.Errorf("evcc has no %s here", found)
		}
		return fmt.Sprint(value)
	})
	if err := e.w.broker.Publish(p.Topic, payload, false); err != nil {
		e.w.t.Error(err)
	}
}

func (e *evcc) maxCurrent(amps int) { e.set(e.car.MaxCurrent, "maxcurrent", amps) }
func (e *evcc) enable(on bool)      { e.set(e.car.ChargeEnable, "chargeenable", on) }

// statuses counts the results of what evcc has sent, by thing and status.
func (e *evcc) statuses() map[string]int {
	e.w.t.Helper()
	counts := map[string]int{}
	for _, m := range e.w.broker.Published() {
		if !strings.HasSuffix(m.Topic, "/result") {
			continue
		}
		var r bridge.Result
		if err := json.Unmarshal([]byte(m.Payload), &r); err != nil {
			e.w.t.Fatal(err)
		}
		if r.Source == nil || *r.Source != "evcc" {
			e.w.t.Errorf("not from evcc: %s", m.Payload)
		}
		counts[string(r.Thing)+" "+r.Status]++
	}
	return counts
}

// TestEVCCReads: evcc understands each value of the example, from the first read on.
func TestEVCCReads(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.logIn()
		w.start()
		e := newEVCC(t, w)
		w.pass(time.Minute)
		if soc, limit, amps := e.number(e.car.Soc), e.number(e.car.LimitSoc), e.number(e.car.GetMaxCurrent); soc != 40 || limit != 80 || amps != 16 {
			t.Errorf("soc %v, limit %v, current %v", soc, limit, amps)
		}
		if km := e.number(e.car.Range); fmt.Sprint(km) != w.car1("battery_range") {
			t.Errorf("range %v km, the bridge says %s", km, w.car1("battery_range"))
		}
		if watts := e.number(e.of["car"].Power); watts != 11040 {
			t.Errorf("it takes %v W, want 16 A × 230 V × 3", watts)
		}
		if s := e.status(); s != "C" {
			t.Errorf("status %s while charging", s)
		}
		w.car.Unplug()
		w.pass(2 * time.Minute)
		if s := e.status(); s != "A" {
			t.Errorf("status %s without a cable", s)
		}
		if watts := e.number(e.of["car"].Power); watts != 0 {
			t.Errorf("it takes %v W without a cable", watts)
		}
	})
}

// TestEVCCCommands: evcc sets the current, stops, and starts. It publishes each command on its own, so that the start may
// come before the current that it belongs to.
func TestEVCCCommands(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.logIn()
		w.start()
		e := newEVCC(t, w)
		e.maxCurrent(8)
		w.pass(time.Minute)
		if w.car.Amps() != 8 || e.number(e.car.GetMaxCurrent) != 8 {
			t.Errorf("the car is at %d A, evcc reads %v", w.car.Amps(), e.number(e.car.GetMaxCurrent))
		}
		for i, startFirst := range []bool{false, true} {
			e.enable(false)
			w.pass(30 * time.Second)
			if w.car.Charging() || e.status() != "B" {
				t.Errorf("30 s after the stop: charging %v, status %s", w.car.Charging(), e.status())
			}
			amps := 10 + i
			if startFirst {
				e.enable(true)
				e.maxCurrent(amps)
			} else {
				e.maxCurrent(amps)
				e.enable(true)
			}
			w.pass(30 * time.Second)
			if !w.car.Charging() || w.car.Amps() != amps || e.status() != "C" {
				t.Errorf("start first %v: charging %v at %d A, status %s", startFirst, w.car.Charging(), w.car.Amps(), e.status())
			}
		}
		if n := e.statuses(); n["charge_amps ok"] != 3 || n["charging ok"] != 4 || len(n) != 2 {
			t.Errorf("results: %v", n)
		}
	})
}

// TestEVCCWakes: a car that sleeps is status B for evcc; its start wakes the car, and its impatience does not.
func TestEVCCWakes(t *testing.T) {
	inBubble(t, func(w *whole) {
		w.logIn()
		w.start()
		e := newEVCC(t, w)
		e.enable(false)
		w.pass(time.Minute)
		if !w.car.Sleep() {
			t.Fatal("the car does not sleep")
		}
		w.pass(2 * time.Minute)
		if s := e.status(); s != "B" {
			t.Errorf("status %s while asleep", s)
		}
		e.maxCurrent(6)
		e.enable(true)
		for range 6 { // evcc's wake-up timer
			w.pass(30 * time.Second)
			e.set(e.car.Wakeup, "wakeup", true)
		}
		w.pass(time.Minute)
		if !w.car.Charging() || w.car.Amps() != 6 || e.status() != "C" {
			t.Errorf("charging %v at %d A, status %s", w.car.Charging(), w.car.Amps(), e.status())
		}
		if n := w.tesla.Count("wake_up", ""); n != 1 {
			t.Errorf("the car was woken %d times", n)
		}
		if n := e.statuses(); n["charging ok"] != 2 || n["charge_amps ok"] != 1 || n["wake noop"] != 6 {
			t.Errorf("results: %v", n)
		}
	})
}
