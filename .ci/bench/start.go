package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// start measures the time from the start of the process to the arrival of a car's first state at a client of the broker,
// less the time that the simulated Tesla took for its answers.
func start(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("start", flag.ContinueOnError)
	n := f.Int("n", 20, "starts of each kind")
	if err := f.Parse(args); err != nil {
		return err
	}
	r, err := newRig(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	r.add(1)
	config, err := r.configure(ctx, fmt.Sprintf("vehicles: [{vin: %s, name: car}]", r.cars[0].VIN()))
	if err != nil {
		return err
	}
	s := &starts{rig: r, levels: make(chan time.Time, 16)}
	if err := s.listen(); err != nil {
		return err
	}
	var fresh, remembered []time.Duration
	for range *n {
		for _, kind := range []*[]time.Duration{&fresh, &remembered} {
			if kind == &fresh {
				if err := s.forget(); err != nil {
					return err
				}
			}
			took, err := s.once(config)
			if err != nil {
				return err
			}
			*kind = append(*kind, took)
		}
	}
	for _, row := range []struct {
		name string
		took []time.Duration
	}{{"nothing remembered: the list of cars, the look, the read", fresh}, {"the last state remembered", remembered}} {
		fmt.Printf("| start, %s | %.0f ms | %.0f ms | 200 ms | %d |\n", row.name, ms(median(row.took)), ms(quantile(row.took, 1)), *n)
	}
	return nil
}

// starts watches the topic of the car's level, which is published with a value when something is known.
type starts struct {
	*rig
	client paho.Client
	levels chan time.Time

	mu   sync.Mutex
	busy time.Duration // what the simulated Tesla spent since the start
}

func (s *starts) listen() error {
	s.tap.listen(nil, func(c call) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy += c.end.Sub(c.began)
	})
	s.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + s.broker).SetClientID("bench"))
	if t := s.client.Connect(); t.Wait() && t.Error() != nil {
		return t.Error()
	}
	s.undo = append(s.undo, func() { s.client.Disconnect(100) })
	t := s.client.Subscribe("tesla2mqtt/car/battery_level", 1, func(_ paho.Client, m paho.Message) {
		if now := time.Now(); string(m.Payload()) != "null" && len(m.Payload()) > 0 {
			s.levels <- now
		}
	})
	t.Wait()
	return t.Error()
}

// forget removes what the program remembers, but not the login. The broker is to forget the process before as well, or the
// next one takes it for a stranger with the same client id.
func (s *starts) forget() error {
	files, err := filepath.Glob(filepath.Join(s.dir, "state", "*.json"))
	if err != nil {
		return err
	}
	for _, name := range files {
		if filepath.Base(name) == "token.json" {
			continue
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	t := s.client.Publish("tesla2mqtt/bridge/info", 1, true, "")
	t.Wait()
	return t.Error()
}

func (s *starts) once(config string) (time.Duration, error) {
	for len(s.levels) > 0 {
		<-s.levels
	}
	s.mu.Lock()
	s.busy = 0
	s.mu.Unlock()
	began := time.Now()
	_, stop, err := s.run(config)
	if err != nil {
		return 0, err
	}
	defer stop()
	select {
	case at := <-s.levels:
		s.mu.Lock()
		defer s.mu.Unlock()
		return at.Sub(began) - s.busy, nil
	case <-time.After(20 * time.Second):
		return 0, fmt.Errorf("no state within 20 s; the log is %s", s.tail())
	}
}
