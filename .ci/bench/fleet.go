package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fleet measures memory and punctuality beside many cars that all charge, so that each is looked at and read every minute. A
// poll is late by its arrival at Tesla's side less the end of the one before and the interval.
func fleet(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("fleet", flag.ContinueOnError)
	sizes := f.String("cars", "1,100,10000", "how many cars, one run for each number")
	discovery := f.Bool("discovery", true, "announce the cars to Home Assistant, which keeps 9 kB for each in memory")
	span := f.Duration("span", 5*time.Minute, "for how long each, from the moment that every car was read")
	if err := f.Parse(args); err != nil {
		return err
	}
	var one int
	for text := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		v, err := fleetOf(ctx, n, *span, *discovery)
		if err != nil {
			return fmt.Errorf("%d cars: %w", n, err)
		}
		each := "."
		if one == 0 {
			one = v.rss
		} else {
			each = fmt.Sprintf("%.1f KB", (mb(v.rss)-mb(one))*1000/float64(n-1))
		}
		fmt.Printf("| %d | %s | %.1f MB | %s | %.1f %% | %.1f %% | %d | %.0f ms | %.0f ms |\n", n, v.ready.Round(time.Second), mb(v.rss), each,
			v.ours, v.teslas, len(v.late), ms(quantile(v.late, 0.5)), ms(quantile(v.late, 0.99)))
	}
	return nil
}

// fleetFigures is what one run gave.
type fleetFigures struct {
	ready        time.Duration // from the start until every car was read
	rss          int
	ours, teslas float64 // of one core, in %
	late         []time.Duration
}

// pollEvery is the default interval of looks and, while a car charges, of reads.
const pollEvery = 60 * time.Second

func fleetOf(ctx context.Context, n int, span time.Duration, discovery bool) (v fleetFigures, err error) {
	r, err := newRig(ctx)
	if err != nil {
		return v, err
	}
	defer r.close()
	r.add(n)
	// No vehicles are named: each car of the account is served under its VIN.
	config, err := r.configure(ctx, fmt.Sprintf("homeassistant: {discovery: %v}", discovery))
	if err != nil {
		return v, err
	}
	p := newPunctuality()
	r.tap.listen(p.arrived, p.answered)
	began := time.Now()
	pid, _, err := r.run(config)
	if err != nil {
		return v, err
	}
	err = eventually("every car is read", 10*time.Minute, func() bool { return ctx.Err() != nil || p.cars() == n })
	if err != nil {
		return v, fmt.Errorf("%w (%d are); the log ends with\n%s", err, p.cars(), r.tail())
	}
	v.ready = time.Since(began)
	say("%d cars were read within %s; now %s of polls", n, v.ready, span)
	p.reset()
	before, err := processorTime(pid)
	self, err2 := processorTime(os.Getpid())
	if err != nil || err2 != nil {
		return v, fmt.Errorf("the program ended: %w", err)
	}
	select {
	case <-ctx.Done():
		return v, context.Cause(ctx)
	case <-time.After(span):
	}
	after, err := processorTime(pid)
	if err != nil {
		return v, fmt.Errorf("the program ended: %w", err)
	}
	selfAfter, err := processorTime(os.Getpid())
	if err != nil {
		return v, err
	}
	v.ours, v.teslas = 100*float64(after-before)/float64(span), 100*float64(selfAfter-self)/float64(span)
	v.late = p.lateness()
	v.rss, _, err = memory(pid)
	return v, err
}

// punctuality compares when polls come with when they should.
type punctuality struct {
	mu   sync.Mutex
	ends map[string]time.Time // of the last poll of each kind and car
	read map[string]bool      // the cars that were read
	late []time.Duration
}

func newPunctuality() *punctuality {
	return &punctuality{ends: map[string]time.Time{}, read: map[string]bool{}}
}

func (p *punctuality) arrived(c call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, known := p.ends[c.id+c.what]; known && c.id != "" {
		p.late = append(p.late, c.began.Sub(last)-pollEvery)
	}
}

func (p *punctuality) answered(c call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends[c.id+c.what] = c.end
	if c.what == "vehicle_data" {
		p.read[c.id] = true
	}
}

func (p *punctuality) cars() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.read)
}

func (p *punctuality) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = nil
}

func (p *punctuality) lateness() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.late
}
