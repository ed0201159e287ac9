package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCampaignTwins: two bridges with one client id, or with one base topic. The older one steps back; of one stream of
// commands each is carried out once, by one of them; the broker sees no storm; and when one goes, the other is well again.
func TestCampaignTwins(t *testing.T) {
	t.Parallel()
	rounds, long, random := drawn(t, 1)
	watch := 5 * time.Second
	if long {
		watch = 150 * time.Second
	}
	for _, row := range []struct{ name, second string }{
		{"one client id", "client_id: tesla2mqtt"},
		{"one base topic", "client_id: another"},
	} {
		random := rand.New(rand.NewPCG(random.Uint64(), 0))
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			broker := startMosquitto(t, false)
			url := "mqtt://" + broker.addr
			h := newHousehold(t, url)
			older := h.resident(fmt.Sprintf("url: %q", url)).logIn()
			newer := h.resident(fmt.Sprintf("url: %q, %s", url, row.second)).logIn()
			older.start()
			within(t, 20*time.Second, "the first is well", h.well)
			for round := range rounds {
				said := len(older.log.text())
				time.Sleep(time.Second) // started_at, which says who is older, has whole seconds
				newer.start()
				within(t, 30*time.Second, "the older one steps back", func() bool {
					return strings.Contains(older.log.text()[said:], "state=client_id_in_use")
				})
				sent := h.stream(random, round, watch)
				stopped, left := older, newer
				if random.IntN(2) == 0 && long {
					stopped, left = newer, older
				}
				how := []os.Signal{syscall.SIGTERM, syscall.SIGKILL}[random.IntN(2)]
				stopped.end(how)
				id := fmt.Sprintf("again-%d", round)
				took := within(t, 2*time.Minute, "the other one serves", func() bool {
					h.send("charge_limit", fmt.Sprintf(`{"value":%d,"id":%q}`, 50+round%40, id))
					time.Sleep(200 * time.Millisecond)
					return len(h.results()[id]) > 0
				})
				within(t, 20*time.Second, "all is well", h.well)
				t.Logf("round %d: %d commands; %s to the %s; the other serves after %s", round, sent, how, map[bool]string{true: "older", false: "newer"}[stopped == older], took)
				older, newer = left, stopped
			}
			checkConnections(t, broker.log.text())
			h.checkOnce(older, newer)
			h.checkNeighbours(older, newer)
		})
	}
}

// stream sends amps for a while, each other than the one before and with an id of its own.
func (h *household) stream(random *rand.Rand, round int, d time.Duration) (sent int) {
	for began := time.Now(); time.Since(began) < d; sent++ {
		h.send("charge_amps", fmt.Sprintf(`{"value":%d,"id":"%d-%d"}`, 6+sent%20, round, sent))
		time.Sleep(time.Duration(100+random.IntN(900)) * time.Millisecond) // the instant is the point
	}
	return sent
}

var carriedOut = regexp.MustCompile(`msg=command .* status=ok`)

// checkOnce compares what the bridges say they did with what the car did. No id has two answers, unless it was sent again.
func (h *household) checkOnce(residents ...*resident) {
	h.t.Helper()
	all := h.results()
	for id, results := range all {
		if len(results) != 1 && !strings.HasPrefix(id, "again-") {
			h.t.Errorf("%s has %d different results: %+v", id, len(results), results)
		}
	}
	ok := 0
	for _, r := range residents {
		ok += len(carriedOut.FindAllString(r.log.text(), -1))
	}
	executed := h.car.Executed()
	if len(executed) > ok {
		h.t.Errorf("the car carried out %d commands, the bridges say %d", len(executed), ok)
	}
	h.t.Logf("%d ids answered, %d carried out, the car did %d", len(all), ok, len(executed))
}

var connection = regexp.MustCompile(`(?m)^(\d+): New client connected from .* as (\S+) `)

// checkConnections counts what the broker logged: the two may not fight for their place.
func checkConnections(t *testing.T, log string) {
	t.Helper()
	var at []int
	for _, m := range connection.FindAllStringSubmatch(log, -1) {
		if m[2] == "ear" {
			continue
		}
		second, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, second)
	}
	most := 0
	for i := range at {
		n := 0
		for _, other := range at[i:] {
			if other-at[i] < 60 {
				n++
			}
		}
		most = max(most, n)
	}
	t.Logf("%d connections, at most %d in a minute", len(at), most)
	if most > 10 {
		t.Errorf("%d connections in one minute", most)
	}
	if len(at) == 0 {
		t.Error("the broker's log shows no connection")
	}
}

// TestTwinsInOneStateFolder: the second one ends at once and says what to do; the first is not disturbed.
func TestTwinsInOneStateFolder(t *testing.T) {
	broker := startMosquitto(t, false)
	url := "mqtt://" + broker.addr
	h := newHousehold(t, url)
	first := h.resident(fmt.Sprintf("url: %q", url)).logIn()
	first.start()
	within(t, 20*time.Second, "the first is well", h.well)
	began := time.Now()
	second := first.command("run")
	var said bytes.Buffer
	second.Stdout, second.Stderr = &said, &said
	if err := second.Run(); err == nil || second.ProcessState.ExitCode() != exitUsage {
		t.Errorf("the second ended with %v", err)
	}
	if !strings.Contains(said.String(), "give each its own state_dir and mqtt.client_id") {
		t.Errorf("the second said %s", said.String())
	}
	if !h.well() || h.since(began, "bridge/state", "offline") > 0 {
		t.Error("the first was disturbed")
	}
	first.end(syscall.SIGTERM)
	first.start()
	within(t, 20*time.Second, "the lock went with its owner", func() bool { return h.since(began, "bridge/state", "online") > 0 })
	h.checkNeighbours(first)
}
