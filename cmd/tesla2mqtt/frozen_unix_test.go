//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"tesla2mqtt/tesla/sim"
)

// TestCampaignFrozen: the process stands still, as under a debugger, in a paused container or on a machine that swaps, for
// some seconds and for longer than the keep-alive, while commands go on. What has run out of time meanwhile is not carried
// out, though it waited in the socket's buffer; nothing is twice; the retained topics are true again; the login lives.
func TestCampaignFrozen(t *testing.T) {
	t.Parallel()
	rounds, long, random := drawn(t, 2)
	broker := startMosquitto(t, false)
	url := "mqtt://" + broker.addr
	h := newHousehold(t, url)
	h.tesla.ExpiresIn = 20 * time.Second // so that a renewal is often under way
	r := h.resident(fmt.Sprintf("url: %q", url)).logIn()
	r.start()
	within(t, 20*time.Second, "the bridge is well", h.well)
	c := &timedCommands{h: h, random: rand.New(rand.NewPCG(random.Uint64(), 0)), sent: map[string]timed{}}
	for round := range rounds {
		freeze := time.Duration(1500+random.IntN(4000)) * time.Millisecond
		if long {
			freeze = time.Duration(5+random.IntN(80)) * time.Second
		}
		stop := c.run(round)
		time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond) // the instant is the point
		frozen := time.Now()
		r.signal(syscall.SIGSTOP)
		time.Sleep(freeze) // so long it stands still
		said := h.since(frozen, "bridge/state", "offline") > 0
		r.signal(syscall.SIGCONT)
		if freeze > 50*time.Second && !said {
			t.Errorf("the broker did not publish the will within %s", freeze)
		}
		stop()
		took := within(t, 30*time.Second, "the bridge is well again", h.well)
		id := fmt.Sprintf("again-%d", round)
		within(t, 20*time.Second, "it serves", func() bool {
			h.send("charge_limit", fmt.Sprintf(`{"value":%d,"id":%q}`, 50+round%40, id))
			time.Sleep(200 * time.Millisecond)
			return len(h.results()[id]) > 0
		})
		t.Logf("round %d: frozen for %s, will %v, well after %s", round, freeze, said, took)
	}
	c.check()
	h.checkOnce(r)
	if a := h.health().Auth; a.Status != "ok" {
		t.Errorf("the login is %+v", a)
	}
	h.checkNeighbours(r)
}

// timedCommands sends commands with a short life and remembers when.
type timedCommands struct {
	h      *household
	random *rand.Rand

	mu   sync.Mutex
	n    int
	sent map[string]timed // by id
}

type timed struct {
	at   time.Time
	ttl  time.Duration
	amps int
}

// run sends until the function it returns is called.
func (c *timedCommands) run(round int) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c.mu.Lock()
			c.n++
			id := fmt.Sprintf("%d-%d", round, c.n)
			s := timed{time.Now(), time.Duration(1+c.random.IntN(10)) * time.Second, 6 + c.n%26}
			c.sent[id] = s
			pause := time.Duration(50+c.random.IntN(1500)) * time.Millisecond
			c.mu.Unlock()
			c.h.send("charge_amps", fmt.Sprintf(`{"value":%d,"id":%q,"ttl":%d}`, s.amps, id, int(s.ttl.Seconds())))
			select {
			case <-end:
				return
			case <-time.After(pause):
			}
		}
	}()
	return func() { close(end); <-ended }
}

// check holds each command that was carried out against what the car saw: one of its value, while it was alive.
func (c *timedCommands) check() {
	c.h.t.Helper()
	const slack = 500 * time.Millisecond // from the bridge's decision to the car, on a busy machine
	executed := c.h.car.Executed()
	statuses := map[string]int{}
	for id, results := range c.h.results() {
		s, ours := c.sent[id]
		if !ours {
			continue
		}
		statuses[results[0].Status]++
		if results[0].Status != "ok" {
			continue
		}
		if !inTime(executed, s, slack) {
			c.h.t.Errorf("%s was sent at %s for %s, and carried out later: %+v", id, s.at.Format("15:04:05.000"), s.ttl, results[0])
		}
	}
	c.h.t.Logf("%d sent; answered: %v; the car did %d", len(c.sent), statuses, len(executed))
}

func inTime(executed []sim.Executed, s timed, slack time.Duration) bool {
	for _, e := range executed {
		if e.Asked == s.amps && e.At.After(s.at) && e.At.Before(s.at.Add(s.ttl+slack)) {
			return true
		}
	}
	return false
}
