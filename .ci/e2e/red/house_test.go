package red

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// meterEvery is how often the meter speaks, in the time of the day.
const meterEvery = 10 * time.Second

// house has a roof, a load and a meter, which sees the car too.
type house struct {
	w       *world
	evening float64 // the minute from which on there is no sun

	mu     sync.Mutex
	spare  func(minute float64) float64 // W that the roof gives and the house does not need
	broken bool                         // the meter says words
	began  time.Time
	seen   []sample
}

// sample is one moment of the day.
type sample struct {
	at, spare, drawn float64 // minute of the day, W, W
	charging         bool
}

// live lets the house live from a minute of the day on, until the end of the test.
func (w *world) live(morning, evening float64, spare func(minute float64) float64) *house {
	h := &house{w: w, evening: evening, began: time.Now().Add(-w.scaled(time.Duration(morning * float64(time.Minute))))}
	h.spare = func(minute float64) float64 {
		if minute >= evening {
			return min(0, spare(minute))
		}
		return spare(minute)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	ticker := time.NewTicker(w.scaled(meterEvery))
	go func() {
		defer close(done)
		for {
			select {
			case <-ticker.C:
				h.measure()
			case <-stop:
				return
			}
		}
	}()
	w.t.Cleanup(func() { ticker.Stop(); close(stop); <-done })
	return h
}

// minute is the minute of the day.
func (h *house) minute() float64 { return time.Since(h.began).Minutes() * h.w.speed }

func (h *house) measure() {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := sample{at: h.minute(), drawn: 1000 * h.w.car.Drawn(), charging: h.w.car.Charging()}
	s.spare = h.spare(s.at)
	h.seen = append(h.seen, s)
	reading := strconv.FormatFloat(math.Round(s.drawn-s.spare), 'f', 0, 64)
	if h.broken {
		reading = "unavailable"
	}
	h.w.client.Publish("home/grid/power", []byte(reading), false)
}

// change is for what happens to the house.
func (h *house) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// day returns the spare power of the day in a file, or that of a made-up one.
func day(t *testing.T, path string) func(minute float64) float64 {
	t.Helper()
	if path == "" {
		t.Log("the day: a made-up one")
		return madeUp
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	spare := make([]float64, 0, len(rows))
	for _, row := range rows[1:] {
		var pv, load float64
		if _, err := fmt.Sscan(row[1]+" "+row[2], &pv, &load); err != nil {
			t.Fatalf("%s: %v in %q", path, err, row)
		}
		spare = append(spare, pv-load)
	}
	t.Logf("the day: %s", path)
	return func(minute float64) float64 { return spare[max(0, min(int(minute), len(spare)-1))] }
}

// madeUp is a day with 9 kW at noon, clouds in the afternoon, and somebody who cooks.
func madeUp(minute float64) float64 {
	m := math.Floor(minute)
	pv := 9000 * max(0, math.Sin(math.Pi*(m-400)/680))
	load := 350.0
	if m > 750 && int(m)%37 < 11 {
		pv *= 0.25
	}
	if m > 690 && m < 710 {
		load += 2200
	}
	return pv - load
}

// sums is what a day came to, in kWh.
type sums struct {
	sun    float64 // spare, up to the most that the car can take
	usable float64 // of it, while it was as much as the least that the flow sets
	solar  float64 // sun into the car
	bought float64 // for the car
	storm  float64 // the longest time with more than 1 kW bought for it, in minutes
	starts int
}

// Three phases of 230 V: the least that the flow sets, and the most that the car can take, in W.
const (
	least = 5 * 3 * 230
	most  = 16 * 3 * 230
)

// sum adds up the samples.
func sum(seen []sample) sums {
	var s sums
	since, charging := -1.0, false
	for i := 1; i < len(seen); i++ {
		now, hours := seen[i], (seen[i].at-seen[i-1].at)/60
		spare := max(0, now.spare)
		s.sun += min(most, spare) * hours / 1000
		if spare >= least {
			s.usable += min(most, spare) * hours / 1000
		}
		s.solar += min(now.drawn, spare) * hours / 1000
		s.bought += max(0, now.drawn-spare) * hours / 1000
		switch {
		case now.drawn-spare < 1000:
			since = -1
		case since < 0:
			since = now.at
		}
		if since >= 0 {
			s.storm = max(s.storm, now.at-since)
		}
		if now.charging && !charging {
			s.starts++
		}
		charging = now.charging
	}
	return s
}
