package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// relay measures an amps command's way from the call of publish to the arrival of its request at Tesla's side, beside two
// relays that do nothing else. Each round sends to all of them in turn, in bursts of one command a car of ours, one command
// after the other; the figures are the medians of the rounds.
func relay(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("relay", flag.ContinueOnError)
	n := f.Int("n", 500, "commands in a round")
	rounds := f.Int("rounds", 5, "rounds")
	cars := f.Int("cars", 100, "cars of ours; each gets a command only when it was read since its last one, as in daily use")
	row := f.Bool("row", false, "one car, and no wait for its read: so the program reads first")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *row {
		*cars = 1
	}
	r, err := newRig(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	b := &relays{rig: r, row: *row, read: map[string]bool{}, turns: map[string]int{}, posts: make(chan call, 1), ends: make(chan call, 1), results: make(chan string, 1)}
	if err := b.start(ctx, *cars); err != nil {
		return err
	}
	samples := map[string][]figure{}
	for round := range *rounds + 1 {
		took, err := b.round(ctx, *n)
		if err != nil {
			return err
		}
		if round == 0 { // to warm up
			continue
		}
		line := fmt.Sprintf("round %d:", round)
		for _, l := range b.lanes {
			v := figure{quantile(took[l.name], 0.5), quantile(took[l.name], 0.99)}
			samples[l.name] = append(samples[l.name], v)
			line += fmt.Sprintf("  %s %.2f / %.2f ms", l.name, ms(v.p50), ms(v.p99))
		}
		say("%s", line)
	}
	rows(b.lanes, samples, *n, *cars, *row)
	return nil
}

// figure is one round of one relay.
type figure struct{ p50, p99 time.Duration }

// lane is a way for commands: to a program, by a topic for each of its cars.
type lane struct {
	name   string
	topics []string
	ids    []string // of the cars, as they are in the requests
	ours   bool
}

// relays is the rig with all that is compared on it.
type relays struct {
	*rig
	row     bool
	client  paho.Client
	lanes   []lane
	turns   map[string]int // how many commands each topic had
	posts   chan call      // the arrival of the command that is on its way
	ends    chan call      // and its answer
	results chan string

	mu   sync.Mutex
	read map[string]bool // since its last command, by the car's id
}

func (b *relays) start(ctx context.Context, cars int) error {
	b.add(cars + 2)
	b.tap.listen(func(c call) {
		if c.what == "command" {
			b.posts <- c
		}
	}, func(c call) {
		switch c.what {
		case "command":
			b.mu.Lock()
			delete(b.read, c.id)
			b.mu.Unlock()
			b.ends <- c
		case "vehicle_data":
			b.mu.Lock()
			defer b.mu.Unlock()
			b.read[c.id] = true
		}
	})
	b.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + b.broker).SetClientID("bench"))
	if t := b.client.Connect(); t.Wait() && t.Error() != nil {
		return t.Error()
	}
	b.undo = append(b.undo, func() { b.client.Disconnect(100) })
	token, _ := b.tesla.Login()
	for i, peer := range []func(topic, id string) (*exec.Cmd, error){b.bare, b.python} {
		name := []string{"bare", "python"}[i]
		id := fmt.Sprint(b.cars[cars+i].ID())
		cmd, err := peer(name+"/set", id)
		if err != nil {
			return err
		}
		cmd.Env, cmd.Stderr = append(os.Environ(), "BENCH_TOKEN="+token), os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		b.undo = append(b.undo, func() { end(cmd) })
		b.lanes = append(b.lanes, lane{name: name, topics: []string{name + "/set"}, ids: []string{id}})
	}
	if err := b.startOurs(ctx, cars); err != nil {
		return err
	}
	for _, l := range b.lanes {
		if err := b.untilItAnswers(l); err != nil {
			return err
		}
	}
	return nil
}

func (b *relays) startOurs(ctx context.Context, cars int) error {
	ours := lane{name: "tesla2mqtt", ours: true}
	extra := "commands: {amps: {settle: 0s, raise_gap: 0s, lower_gap: 0s}}\nvehicles:\n"
	for i, car := range b.cars[:cars] {
		extra += fmt.Sprintf("  - {vin: %s, name: car%d}\n", car.VIN(), i)
		ours.topics = append(ours.topics, fmt.Sprintf("tesla2mqtt/car%d/charge_amps/set", i))
		ours.ids = append(ours.ids, fmt.Sprint(car.ID()))
	}
	if cars == 1 {
		extra += "poll: {state: 1s, online: 1s, charging: 1s}\n" // so that the round does not wait 5 s for each read
	}
	config, err := b.configure(ctx, extra)
	if err != nil {
		return err
	}
	t := b.client.Subscribe("tesla2mqtt/+/charge_amps/result", 1, func(_ paho.Client, m paho.Message) {
		b.results <- string(m.Payload())
	})
	if t.Wait() && t.Error() != nil {
		return t.Error()
	}
	if _, _, err := b.run(config); err != nil {
		return err
	}
	b.lanes = append(b.lanes, ours)
	return b.untilRead(ours)
}

func (b *relays) bare(topic, id string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.Command(self, "bare", b.broker, topic, b.commandURL(id)), nil
}

// python runs the relay with Debian's interpreter, for which the packages are.
func (b *relays) python(topic, id string) (*exec.Cmd, error) {
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import paho.mqtt.client, requests").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("apt-get install python3-paho-mqtt python3-requests: %w\n%s", err, out)
	}
	host, port, _ := strings.Cut(b.broker, ":")
	return exec.Command(python, filepath.Join(".ci", "bench", "relay.py"), host, port, topic, b.commandURL(id)), nil
}

func (b *relays) commandURL(id string) string {
	return b.url + "/api/1/vehicles/" + id + "/command/set_charging_amps"
}

// untilItAnswers sends until the first command arrives: nobody tells when a relay has subscribed.
func (b *relays) untilItAnswers(l lane) error {
	return eventually(l.name+" relays", 20*time.Second, func() bool {
		_, err := b.command(l, 0, 500*time.Millisecond)
		return err == nil
	})
}

// untilRead waits until every car of the lane has been read since its last command.
func (b *relays) untilRead(l lane) error {
	err := eventually("every car is read", 90*time.Second, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, id := range l.ids {
			if !b.read[id] {
				return false
			}
		}
		return true
	})
	time.Sleep(50 * time.Millisecond) // for the program to publish what it has read
	return err
}

// round sends n commands to each relay, in bursts of as many as we have cars.
func (b *relays) round(ctx context.Context, n int) (map[string][]time.Duration, error) {
	took := map[string][]time.Duration{}
	burst := len(b.lanes[len(b.lanes)-1].topics)
	if b.row {
		burst = n
	}
	for sent := 0; sent < n; sent += burst {
		for _, l := range b.lanes {
			began := time.Now()
			for i := sent; i < min(sent+burst, n); i++ {
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				d, err := b.command(l, i%len(l.topics), 10*time.Second)
				if err != nil {
					return nil, err
				}
				took[l.name] = append(took[l.name], d)
			}
			if l.ours && !b.row {
				if err := b.untilRead(l); err != nil {
					return nil, err
				}
			}
			say("  %d to %s in %s", min(burst, n-sent), l.name, time.Since(began).Round(time.Millisecond))
		}
	}
	return took, nil
}

// command publishes one command and returns how long it took until its request arrived. It also waits for what comes after
// that, so that the next one finds everything at rest.
func (b *relays) command(l lane, car int, patience time.Duration) (time.Duration, error) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	topic := l.topics[car]
	b.turns[topic]++
	payload := fmt.Sprint(10 + b.turns[topic]%2) // another value than before, or it would be a noop
	began := time.Now()
	b.client.Publish(topic, 1, false, payload)
	var took time.Duration
	for waits := map[string]bool{"arrival": true, "answer": true, "result": l.ours}; waits["arrival"] || waits["answer"] || waits["result"]; {
		select {
		case c := <-b.posts:
			if c.id != l.ids[car] {
				return 0, fmt.Errorf("%s: a command for another car arrived", l.name)
			}
			took, waits["arrival"] = c.began.Sub(began), false
		case <-b.ends:
			waits["answer"] = false
		case result := <-b.results:
			if !strings.Contains(result, `"status":"ok"`) {
				return 0, fmt.Errorf("%s: %s", l.name, result)
			}
			waits["result"] = false
		case <-limit.C:
			return 0, fmt.Errorf("%s: no request within %s", l.name, patience)
		}
	}
	time.Sleep(rest)
	return took, nil
}

// rest is between two commands, for every relay to finish what it does with the answer.
const rest = 2 * time.Millisecond

// rows prints one row for each relay. Ratios are taken round by round, beside the bare limit of the same round.
func rows(lanes []lane, samples map[string][]figure, n, cars int, row bool) {
	how := fmt.Sprintf("%d cars, read since their last command", cars)
	if row {
		how = "one car, not read since its last command"
	}
	for _, l := range lanes {
		name := map[string]string{"bare": "the bare limit: paho in, POST out, one Go process", "python": "Python: paho-mqtt and a requests session", "tesla2mqtt": "tesla2mqtt, " + how}[l.name]
		var p50, p99 []time.Duration
		var over50, over99 []float64
		for i, v := range samples[l.name] {
			limit := samples["bare"][i]
			p50, p99 = append(p50, v.p50), append(p99, v.p99)
			over50, over99 = append(over50, ms(v.p50)/ms(limit.p50)), append(over99, ms(v.p99)/ms(limit.p99))
		}
		fmt.Printf("| %s | %.2f ms | %.2f ms | %.2f | %.2f | %d x %d |\n", name, ms(median(p50)), ms(median(p99)), median(over50), median(over99), len(p50), n)
	}
}
