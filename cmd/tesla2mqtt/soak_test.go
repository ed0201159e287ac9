package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tesla2mqtt/internal/draw"
	"tesla2mqtt/tesla/sim"
)

// TestSoak lets three cars live for days while commands come and the broker goes away once a day. What the program holds at
// the end of a day must not grow. SOAK_TEST_DAYS sets how many, SOAK_TEST_SEED what happens.
func TestSoak(t *testing.T) {
	days := draw.Count(t, "SOAK_TEST_DAYS", 2)
	random := draw.Random(draw.Seed(t, "SOAK_TEST_SEED"), 0)
	inBubbleOf(t, &sim.Tesla{Strict: true}, func(w *whole) {
		s := &soak{whole: w, random: random}
		s.cars = []*sim.CarHandle{w.car,
			w.tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000002", Level: 60, PluggedIn: true, Amps: 10}),
			w.tesla.Add(sim.Car{VIN: "5YJ3E1EA7KF000003", SelfChecks: true, Asleep: true})}
		w.logIn()
		w.start()
		for range days {
			s.day()
		}
		s.check()
	})
}

// soak is what is left at the end of each day.
type soak struct {
	*whole
	random *rand.Rand
	cars   []*sim.CarHandle

	commands, results        int
	heap, goroutines, topics []int
}

func (s *soak) day() {
	s.t.Helper()
	end := time.Now().Add(24 * time.Hour)
	away := time.Now().Add(time.Duration(s.random.IntN(20*3600)) * time.Second)
	s.cars[1].DriveAway()
	for time.Now().Before(end) {
		s.pass(time.Duration(60+s.random.IntN(240)) * time.Second)
		switch now := time.Now(); {
		case !away.IsZero() && now.After(away):
			away = time.Time{}
			s.broker.Stop()
			s.pass(time.Duration(s.random.IntN(600)) * time.Second)
			if err := s.broker.Restart(s.random.IntN(2) == 0); err != nil {
				s.t.Error(err)
			}
			s.pass(3 * time.Minute)
			s.cars[1].Arrive("home", 12)
			s.cars[1].PlugIn(16, 3)
		default:
			s.command()
		}
	}
	s.pass(10 * time.Minute) // all results are out
	s.measure()
}

func (s *soak) command() {
	s.t.Helper()
	car := s.cars[s.random.IntN(len(s.cars))]
	thing, value := "charge_amps", fmt.Sprint(5+s.random.IntN(12))
	switch s.random.IntN(8) {
	case 0:
		thing, value = "charging", `"ON"`
	case 1:
		thing, value = "charging", `"OFF"`
	case 2:
		thing, value = "charge_limit", fmt.Sprint(50+s.random.IntN(51))
	case 3:
		thing, value = "refresh", "1"
	}
	payload := fmt.Sprintf(`{"value":%s,"id":"soak-%d"}`, value, s.commands)
	s.commands++
	if err := s.broker.Publish("tesla2mqtt/"+car.VIN()+"/"+thing+"/set", payload, false); err != nil {
		s.t.Error(err)
	}
}

// measure notes what the program holds. What only broker, simulator and log remember for tests is looked through, and
// thrown away.
func (s *soak) measure() {
	s.t.Helper()
	s.checkSecrets()
	for _, m := range s.broker.Published() {
		if strings.HasSuffix(m.Topic, "/result") {
			s.results++
		}
	}
	s.broker.Forget()
	s.tesla.Forget()
	s.log.forget()
	runtime.GC()
	runtime.GC() // the first one only empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.heap = append(s.heap, int(m.HeapAlloc))
	s.goroutines = append(s.goroutines, runtime.NumGoroutine())
	s.topics = append(s.topics, len(s.broker.Retained()))
}

// check compares the days with the first one.
func (s *soak) check() {
	s.t.Helper()
	for day, n := range s.goroutines {
		if n != s.goroutines[0] || s.topics[day] != s.topics[0] {
			s.t.Errorf("day %d: %d goroutines and %d topics, on the first day %d and %d", day+1, n, s.topics[day], s.goroutines[0], s.topics[0])
		}
	}
	first, last := s.heap[0], s.heap[len(s.heap)-1]
	if last > first+first/10 {
		s.t.Errorf("the heap grew from %d to %d bytes", first, last)
	}
	// A result that was under way when the broker stopped comes again.
	if s.results < s.commands {
		s.t.Errorf("%d results for %d commands", s.results, s.commands)
	}
	if h := s.health(); h.MQTT.State != "connected" || h.Auth.Status != "ok" || h.API.Status != "ok" {
		s.t.Errorf("at the end health says %+v", h)
	}
	median := slices.Sorted(slices.Values(s.heap))[len(s.heap)/2]
	s.t.Logf("summary: %d days; heap after GC %d kB on the first, %d kB median, %d kB on the last; %d goroutines and %d topics each day; %d commands, %d results, %d token requests",
		len(s.heap), first>>10, median>>10, last>>10, s.goroutines[0], s.topics[0], s.commands, s.results, s.tesla.Count("token", ""))
}
