package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/internal/draw"
	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/sim"
)

// killsEach is how many times one broker is killed at most. After three losses in a minute the bridge waits for a minute,
// as it should; so many brokers with a bridge each die beside each other.
const killsEach = 20

// TestMosquittoKilledUnderCommands: real brokers die and come back, half of them without memory, while commands stream.
// Invariants 2, 6 and 7, by count. BROKER_TEST_KILLS sets how many times, BROKER_TEST_SEED the instants.
func TestMosquittoKilledUnderCommands(t *testing.T) {
	t.Parallel()
	kills := draw.Count(t, "BROKER_TEST_KILLS", 4)
	seed := draw.Seed(t, "BROKER_TEST_SEED")
	pairs := max(2, (kills+killsEach-1)/killsEach)
	total := &tally{}
	t.Run("brokers", func(t *testing.T) {
		for i := range pairs {
			t.Run(fmt.Sprintf("%d persistence %v", i, i%2 == 0), func(t *testing.T) {
				t.Parallel()
				k := newKilling(t, draw.Random(seed, i), i%2 == 0)
				k.run(kills/pairs + min(1, max(0, kills%pairs-i)))
				total.add(k.count())
			})
		}
	})
	t.Logf("summary: %s", total)
}

// tally is what the brokers have seen together.
type tally struct {
	mu                                       sync.Mutex
	kills, sent, accepted, results, executed int
	retained                                 int // commands that were delivered as retained, and refused
	slowest                                  time.Duration
}

func (t *tally) add(o *tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kills, t.sent, t.accepted, t.results = t.kills+o.kills, t.sent+o.sent, t.accepted+o.accepted, t.results+o.results
	t.executed, t.retained, t.slowest = t.executed+o.executed, t.retained+o.retained, max(t.slowest, o.slowest)
}

func (t *tally) String() string {
	return fmt.Sprintf("%d kills; %d commands sent, %d accepted, %d results, %d executed; %d retained ones refused; the topics were true %s after a connect at the latest",
		t.kills, t.sent, t.accepted, t.results, t.executed, t.retained, t.slowest.Round(time.Millisecond))
}

// killing is one bridge beside one broker that dies again and again.
type killing struct {
	t       *testing.T
	random  *rand.Rand
	broker  *mosquitto
	car     *sim.CarHandle
	log     *lockedText
	witness *witness
	topics  []string        // all that are retained
	lives   []time.Duration // of the commands, by id
	supply  int             // what the socket gives, in A
	tally
}

func newKilling(t *testing.T, random *rand.Rand, persistence bool) *killing {
	t.Helper()
	k := &killing{t: t, random: random, supply: 32, broker: startMosquitto(t, persistence), witness: &witness{results: map[string][]string{}}}
	k.witness.attend(t, k.broker)
	// It will come with every subscription for as long as the broker remembers it.
	k.witness.publish("tesla2mqtt/car/charge_limit/set", `{"value":55,"id":"old"}`, true)
	eventually(t, "the old command is retained", func() bool { return k.witness.topic("car/charge_limit/set") != "" })
	k.car, k.log = serving(t, k.broker.addr)
	k.await(1)
	for _, topic := range append(documentTopics(), "car/state", "car/availability", "car/last_command", "bridge/state", "bridge/info", "bridge/health") {
		if k.witness.topic(topic) == "" {
			t.Errorf("%s is not there at the start", topic)
		}
		k.topics = append(k.topics, topic)
	}
	return k
}

// documentTopics are the scalar topics of the car.
func documentTopics() (topics []string) {
	for _, s := range (bridge.Document{}).Scalars() {
		topics = append(topics, "car/"+s.Key)
	}
	return topics
}

func (k *killing) run(kills int) {
	for k.kills < kills {
		if k.random.IntN(4) > 0 { // else it is killed in the midst of what follows a connect
			k.stream(time.Duration(300+k.random.IntN(400)) * time.Millisecond)
		} else {
			k.stream(time.Duration(k.random.IntN(30)) * time.Millisecond)
		}
		k.broker.kill()
		k.kills++
		k.witness.leave()
		k.supply = 26 + k.random.IntN(7) // something is new when the bridge is back
		k.car.Supply(k.supply)
		time.Sleep(time.Duration(k.random.IntN(200)) * time.Millisecond)
		k.broker.start()
		k.witness.attend(k.t, k.broker)
		k.await(1 + k.kills)
	}
	k.stream(500 * time.Millisecond)
	// A car that goes out of reach is news for bridge/health, which so tells what was accepted at last.
	time.Sleep(time.Second)
	k.car.Offline(true)
	eventually(k.t, "every accepted command is answered", func() bool {
		return k.witness.topic("car/vehicle_state") == "offline" && k.health().Commands.Received == k.answers()
	})
	k.broker.kill()
	k.witness.leave()
}

// await waits until the bridge has connected for the nth time, which may take its minute of waiting, and then until all
// topics tell the truth: one poll, which takes a second here, and some for a busy machine.
func (k *killing) await(nth int) {
	k.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for strings.Count(k.log.text(), `msg="connected to the broker"`) < nth {
		if time.Now().After(deadline) {
			k.t.Fatalf("after kill %d the bridge did not come back", k.kills)
		}
		time.Sleep(10 * time.Millisecond)
	}
	began := time.Now()
	patience := 15 * time.Second
	if k.kills == 0 {
		patience = time.Minute // it has yet to find its car
	}
	for lie := k.lie(); lie != ""; lie = k.lie() {
		if time.Since(began) > patience {
			k.t.Fatalf("after kill %d a poll has passed, and %s", k.kills, lie)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if k.kills > 0 {
		k.slowest = max(k.slowest, time.Since(began))
	}
}

// lie is what a topic says that is not so, "" for nothing.
func (k *killing) lie() string {
	for _, topic := range k.topics {
		if k.witness.topic(topic) == "" {
			return topic + " is not there"
		}
	}
	for topic, truth := range map[string]string{
		"bridge/state": "online", "car/availability": "online", "car/charge_amps": strconv.Itoa(k.car.Amps()),
		"car/charge_amps_max": strconv.Itoa(k.supply), "car/charge_limit": strconv.Itoa(k.car.Limit()), "car/charging": strconv.FormatBool(k.car.Charging()),
	} {
		if said := k.witness.topic(topic); said != truth {
			return fmt.Sprintf("%s says %s where it is %s", topic, said, truth)
		}
	}
	if h := k.health(); h.MQTT.State != "connected" {
		return "bridge/health says " + h.MQTT.State
	}
	return ""
}

func (k *killing) health() (h struct {
	MQTT     struct{ State string }
	Commands struct{ Received, Dropped int }
}) {
	k.t.Helper()
	if text := k.witness.topic("bridge/health"); text != "" {
		if err := json.Unmarshal([]byte(text), &h); err != nil {
			k.t.Fatal(err)
		}
	}
	return h
}

// answers is how many results the bridge gave, by its log.
func (k *killing) answers() int { return strings.Count(k.log.text(), "msg=command ") }

// stream sends commands for a while.
func (k *killing) stream(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		thing, value := "charge_amps", strconv.Itoa(6+k.random.IntN(20))
		switch k.random.IntN(10) {
		case 0:
			thing, value = "charge_limit", strconv.Itoa(80+k.random.IntN(20))
		case 1:
			thing, value = "charging", []string{`"ON"`, `"OFF"`}[k.random.IntN(2)]
		}
		ttl := 1 + k.random.IntN(3)
		k.lives = append(k.lives, time.Duration(ttl)*time.Second)
		payload := fmt.Sprintf(`{"value":%s,"id":"%d","source":"%[2]d","ttl":%d}`, value, k.sent, ttl)
		k.witness.publish("tesla2mqtt/car/"+thing+"/set", payload, false)
		k.sent++
		time.Sleep(time.Duration(10+k.random.IntN(40)) * time.Millisecond)
	}
}

// count checks what became of all the commands. The witness connects before the bridge does, and so misses nothing.
func (k *killing) count() *tally {
	k.t.Helper()
	w := k.witness
	if w.offline > 0 {
		k.t.Errorf("the bridge was said to be offline %d times", w.offline)
	}
	k.accepted = k.health().Commands.Received
	if n := k.health().Commands.Dropped; n > 0 {
		k.t.Errorf("%d commands were dropped", n)
	}
	logged := map[string]int{}
	for _, m := range regexp.MustCompile(`msg=command .* source=(\d+)\n`).FindAllStringSubmatch(k.log.text(), -1) {
		logged[m[1]]++
	}
	oks := map[tesla.Thing][]bridge.Result{}
	for id, payloads := range w.results {
		k.results += len(payloads)
		if id == "old" {
			k.retained = len(payloads)
			k.refused(payloads)
			continue
		}
		if len(payloads) != 1 || logged[id] != 1 {
			k.t.Errorf("%s has %d results, %d different ones were delivered", id, logged[id], len(payloads))
		}
		var r bridge.Result
		if err := json.Unmarshal([]byte(payloads[0]), &r); err != nil {
			k.t.Fatal(err)
		}
		if r.Status == "ok" {
			oks[r.Thing] = append(oks[r.Thing], r)
		}
	}
	if k.results != k.accepted || len(logged) != len(w.results)-1 {
		k.t.Errorf("%d accepted, %d results delivered; %d commands answered by the log, %d by what was delivered", k.accepted, k.results, len(logged), len(w.results)-1)
	}
	k.compare(oks)
	return &k.tally
}

// refused checks what became of the retained command.
func (k *killing) refused(payloads []string) {
	k.t.Helper()
	for _, payload := range payloads {
		if !strings.Contains(payload, `"rejected"`) || !strings.Contains(payload, `"retained"`) {
			k.t.Errorf("the retained command came to this: %s", payload)
		}
	}
	if k.car.Limit() == 55 {
		k.t.Error("the retained command was executed")
	}
}

// inTime checks that a command was not executed after its expiry.
func (k *killing) inTime(r bridge.Result, e sim.Executed) {
	k.t.Helper()
	n, err := strconv.Atoi(r.ID)
	if err != nil {
		k.t.Fatal(err)
	}
	// Its request was on its way for a moment.
	if late := e.At.Sub(r.ReceivedAt); late > k.lives[n]+time.Second {
		k.t.Errorf("%s was executed %s after it came", r.ID, late)
	}
}

// compare holds what the car executed against the results that say ok: the same, in the same order, each in time.
func (k *killing) compare(oks map[tesla.Thing][]bridge.Result) {
	k.t.Helper()
	done := map[tesla.Thing][]sim.Executed{}
	things := map[string]tesla.Thing{"set_charging_amps": tesla.ChargeAmps, "set_charge_limit": tesla.ChargeLimit, "charge_start": tesla.Charging, "charge_stop": tesla.Charging}
	for _, e := range k.car.Executed() {
		k.executed++
		done[things[e.Name]] = append(done[things[e.Name]], e)
	}
	for _, thing := range []tesla.Thing{tesla.ChargeAmps, tesla.ChargeLimit, tesla.Charging} {
		said, did := oks[thing], done[thing]
		if len(said) != len(did) {
			k.t.Errorf("%s: %d results say ok, the car executed %d", thing, len(said), len(did))
			continue
		}
		slices.SortFunc(said, func(a, b bridge.Result) int { return a.FinishedAt.Compare(b.FinishedAt) })
		for i, e := range did {
			want := fmt.Sprint(said[i].Applied)
			got := strconv.Itoa(e.Value)
			if thing == tesla.Charging {
				got = map[string]string{"charge_start": "ON", "charge_stop": "OFF"}[e.Name]
			}
			if got != want {
				k.t.Errorf("%s: the car executed %s where the result %s says %s", thing, got, said[i].ID, want)
			}
			k.inTime(said[i], e)
		}
	}
}
