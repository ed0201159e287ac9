package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"
)

// footprint measures what the program costs the machine that it runs on, beside one car, at the default intervals.
func footprint(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("footprint", flag.ContinueOnError)
	span := f.Duration("span", 10*time.Minute, "for how long")
	if err := f.Parse(args); err != nil {
		return err
	}
	r, err := newRig(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	file, err := os.Stat(r.binary)
	if err != nil {
		return err
	}
	r.add(1)
	config, err := r.configure(ctx, fmt.Sprintf("vehicles: [{vin: %s, name: car}]", r.cars[0].VIN()))
	if err != nil {
		return err
	}
	pid, _, err := r.run(config)
	if err != nil {
		return err
	}
	if err := eventually("the car is read", 20*time.Second, func() bool { return r.tesla.Count("vehicle_data", "") > 0 }); err != nil {
		return err
	}
	before, err := processorTime(pid)
	if err != nil {
		return err
	}
	began := time.Now()
	say("the program runs for %s beside a car that charges", *span)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(*span):
	}
	after, err := processorTime(pid)
	if err != nil {
		return err
	}
	rss, pss, err := memory(pid)
	if err != nil {
		return err
	}
	lasted := time.Since(began)
	reads := r.tesla.Count("vehicle_data", "")
	fmt.Printf("| resident memory after %s (%d reads) | %.1f MB (PSS %.1f MB) | 15 MB |\n", lasted.Round(time.Second), reads, mb(rss), mb(pss))
	fmt.Printf("| processor time | %.3f %% of one core (%s in %s; start: %s) | 0.1 %% |\n", 100*float64(after-before)/float64(lasted), after-before, lasted.Round(time.Second), before)
	fmt.Printf("| binary, stripped, CGO off | %.1f MB | 12 MB |\n", float64(file.Size())/1e6)
	return nil
}

func mb(kib int) float64 { return float64(kib) * 1024 / 1e6 }
