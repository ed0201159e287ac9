package main

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt/mqtttest"
	"tesla2mqtt/internal/draw"
	"tesla2mqtt/tesla/sim"
)

const (
	// faultsEach is how many faults one bridge lives through. Then a new one starts, so that logs stay small.
	faultsEach = 50
	driven     = "5YJ3E1EA7KF000001" // is plugged in and gets all commands
	parked     = "5YJ3E1EA7KF000002" // sleeps unless its owner wakes it
	shortLife  = 30 * time.Minute    // of an access token, so that faults meet renewals
)

// TestFaults draws Tesla's faults at random while commands and reads go on, and takes each away again: the bridge must
// recover by itself. FAULTS_TEST_COUNT sets how many, FAULTS_TEST_SEED which.
func TestFaults(t *testing.T) {
	t.Parallel()
	count := draw.Count(t, "FAULTS_TEST_COUNT", 60)
	seed := draw.Seed(t, "FAULTS_TEST_SEED")
	total := &trials{worst: map[string]time.Duration{}}
	t.Run("bridges", func(t *testing.T) {
		for i := 0; i*faultsEach < count; i++ {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				inBubbleOf(t, &sim.Tesla{ExpiresIn: shortLife}, func(w *whole) {
					f := newTrials(w, draw.Random(seed, i))
					for n := min(faultsEach, count-i*faultsEach); n > 0 && !t.Failed(); n-- {
						f.trial()
					}
					f.finish()
					total.add(f)
				})
			})
		}
	})
	t.Logf("summary: %s", total)
	for _, name := range slices.Sorted(maps.Keys(total.worst)) {
		t.Logf("%s: well again after %s at the latest", name, total.worst[name].Round(time.Second))
	}
}

// trials are faults that follow each other in the life of one bridge.
type trials struct {
	*whole
	random *rand.Rand
	second *sim.CarHandle
	sent   []issued // by id; guarded by mu
	calls  []sim.Call

	mu                                sync.Mutex
	faults, commands, results, renews int
	executed, logins, restarts        int
	lived                             time.Duration
	latest                            time.Duration            // between the expiry of a command and its execution
	worst                             map[string]time.Duration // how long it took to recover, by fault
}

func newTrials(w *whole, random *rand.Rand) *trials {
	w.t.Helper()
	f := &trials{whole: w, random: random, worst: map[string]time.Duration{}}
	f.second = w.tesla.Add(sim.Car{VIN: parked, Asleep: true})
	w.broker.Subscribe("tesla2mqtt/+/+/result", f.hear)
	w.logIn()
	w.start()
	w.pass(2 * time.Minute)
	if lie := f.lie(); lie != "" {
		w.t.Errorf("at the start: %s", lie)
	}
	return f
}

func (t *trials) add(o *trials) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults, t.commands, t.results, t.renews = t.faults+o.faults, t.commands+o.commands, t.results+o.results, t.renews+o.renews
	t.executed, t.logins, t.restarts, t.lived = t.executed+o.executed, t.logins+o.logins, t.restarts+o.restarts, t.lived+o.lived
	t.latest = max(t.latest, o.latest)
	for name, took := range o.worst {
		t.worst[name] = max(t.worst[name], took)
	}
}

func (t *trials) String() string {
	return fmt.Sprintf("%d faults in %.1f days; %d commands, %d results, %d executed; %d token requests; %d new logins and %d restarts were needed; a command came %s after its expiry at the latest",
		t.faults, t.lived.Hours()/24, t.commands, t.results, t.executed, t.renews, t.logins, t.restarts, max(0, t.latest).Round(time.Millisecond))
}

// trial is one fault: for a while, and gone.
func (f *trials) trial() {
	f.t.Helper()
	kinds := sim.Faults()
	kind := kinds[f.random.IntN(len(kinds))]
	name, opts := kind.Name, f.options(kind)
	began, asked := time.Now(), f.tesla.Count("token", "")
	if err := f.tesla.Fault(name, opts...); err != nil {
		f.t.Fatal(err)
	}
	f.faults++
	if f.random.IntN(8) == 0 {
		f.second.Wake()
	}
	// Most faults are short; some last for hours.
	while := time.Duration(1+f.random.IntN(300)) * time.Second
	if f.random.IntN(10) == 0 {
		while *= 24
	}
	for gone := time.Duration(0); gone < while; {
		step := time.Duration(1+f.random.IntN(60)) * time.Second
		f.command(f.draw())
		f.pass(step)
		gone += step
	}
	f.tesla.ClearFaults()
	took := f.recover(kind)
	f.worst[name] = max(f.worst[name], took)
	lived, tokens := time.Since(began), f.tesla.Count("token", "")-asked
	f.lived, f.renews = f.lived+lived, f.renews+tokens
	// While its renewal fails a token is asked for after 30 s, 1, 2 and 4 min, then each 5 min; a login needs one more.
	if limit := 6 + int(lived/(5*time.Minute)); tokens > limit {
		f.t.Errorf("%s: %d token requests in %s", name, tokens, lived)
	}
}

// options draws which requests a fault hits, and how many.
func (f *trials) options(kind sim.FaultKind) (opts []sim.FaultOption) {
	if scopes := []string{"token", "products", "vehicle", "vehicle_data", "command", "wake_up"}; kind.Scope == "api" && f.random.IntN(2) == 0 {
		opts = append(opts, sim.On(scopes[f.random.IntN(len(scopes))]))
	}
	if f.random.IntN(4) == 0 {
		opts = append(opts, sim.Times(1+f.random.IntN(5)))
	}
	if kind.Name == "slow" {
		opts = append(opts, sim.Wait(time.Duration(1+f.random.IntN(40))*time.Second))
	}
	return opts
}

// draw is a random command for the driven car. Currents below 5 A are left out: those are sent twice, on purpose.
func (f *trials) draw() (thing, value string) {
	switch f.random.IntN(12) {
	case 0:
		return "charge_limit", fmt.Sprint(60 + f.random.IntN(40))
	case 1:
		return "charging", `"OFF"`
	case 2, 3:
		return "charging", `"ON"`
	case 4:
		return "refresh", "1"
	}
	return "charge_amps", fmt.Sprint(5 + f.random.IntN(12))
}

// command sends one and returns its number.
func (f *trials) command(thing, value string) (n int) {
	f.t.Helper()
	n = f.commands
	f.commands++
	c := issued{thing: thing, at: time.Now(), life: time.Duration(5+f.random.IntN(56)) * time.Second}
	if c.value = map[string]int{`"ON"`: 1}[value]; thing != "charging" {
		c.value, _ = strconv.Atoi(value)
	}
	f.mu.Lock()
	f.sent = append(f.sent, c)
	f.mu.Unlock()
	payload := fmt.Sprintf(`{"value":%s,"id":"%d","ttl":%d}`, value, n, int(c.life.Seconds()))
	if err := f.broker.Publish("tesla2mqtt/"+driven+"/"+thing+"/set", payload, false); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// holds are how long Tesla, or good sense, keeps us away after a fault; the package tesla says so in hold.go.
var holds = map[string]time.Duration{
	"403-forbidden-client": time.Hour, "403-exceeded-limit": 15 * time.Minute, "402": 15 * time.Minute, "429-bare": 5 * time.Minute, "429": time.Minute,
}

// recover waits until all is well, does what a person has to do where only a person can, and returns how long it took.
func (f *trials) recover(kind sim.FaultKind) time.Duration {
	f.t.Helper()
	began := time.Now()
	// A token is asked for again after five minutes at most, a car after ten; one that idles and could not be read, at its
	// next turn in 21.
	limit := holds[kind.Name] + 25*time.Minute
	switch kind.Name {
	case "login_required", "invalid_grant":
		if f.pass(35 * time.Second); f.health().Auth.Status == "login_required" {
			f.logins++
			f.logIn()
		}
	case "403-signing-required", "unsigned_cmds_hardlocked":
		// That a car wants signed commands is believed for as long as the program runs.
		f.restarts++
		f.stop()
		f.start()
	}
	for f.lie() != "" || !f.obeys() {
		if time.Since(began) > limit {
			f.t.Errorf("%s: not well %s after it ended at %s: %s", kind.Name, time.Since(began), began.Format(time.TimeOnly), f.lie())
			return limit
		}
		f.pass(10 * time.Second)
	}
	return time.Since(began)
}

// obeys sends the car another set point.
func (f *trials) obeys() bool {
	f.car.Wake()
	f.pass(time.Minute) // one poll
	amps := 5 + (f.car.Amps()-4+f.random.IntN(11))%12
	n := f.command("charge_amps", fmt.Sprint(amps))
	f.pass(30 * time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sent[n].results) > 0 && f.sent[n].results[0].Status == "ok" && f.car.Amps() == amps
}

// lie is what a topic says that is not so, "" for nothing.
func (f *trials) lie() string {
	if h := f.health(); h.Auth.Status != "ok" || h.API.Status != "ok" {
		return fmt.Sprintf("health says %+v", h)
	}
	said := f.broker.Retained()
	for topic, truth := range map[string]string{
		parked + "/availability": "online", driven + "/availability": "online", driven + "/vehicle_state": f.car.State(),
		driven + "/charge_amps": fmt.Sprint(f.car.Amps()), driven + "/charge_limit": fmt.Sprint(f.car.Limit()),
		driven + "/charging": fmt.Sprint(f.car.Charging()),
	} {
		if got := said["tesla2mqtt/"+topic]; got != truth {
			return fmt.Sprintf("%s says %s where it is %s", topic, got, truth)
		}
	}
	return ""
}

// issued is a command that was sent, and what came of it.
type issued struct {
	thing   string
	value   int
	at      time.Time
	life    time.Duration
	results []bridge.Result
}

// hear takes a result. It is called by the broker.
func (f *trials) hear(m mqtttest.Message) {
	var r bridge.Result
	if json.Unmarshal([]byte(m.Payload), &r) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if n, err := strconv.Atoi(r.ID); err == nil && n < len(f.sent) {
		f.sent[n].results = append(f.sent[n].results, r)
	}
}

// finish checks what became of all commands of a bridge.
func (f *trials) finish() {
	f.t.Helper()
	f.pass(4 * time.Minute)
	f.calls = f.tesla.Log()
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.sent {
		f.results += len(c.results)
		if len(c.results) != 1 {
			f.t.Errorf("command %d, %s %d, has %d results", id, c.thing, c.value, len(c.results))
		}
	}
	f.assign(f.car.Executed())
	if n := len(f.second.Executed()); n > 0 {
		f.t.Errorf("the parked car executed %d commands", n)
	}
	for _, by := range f.second.WokenBy() {
		if by != "app" {
			f.t.Errorf("the parked car was woken by %s", by)
		}
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// assign gives each execution to the one command that it belongs to: first to those that the car acknowledged, then to
// those that nobody could tell of. One that is left over means that a command was executed twice.
func (f *trials) assign(list []sim.Executed) {
	f.t.Helper()
	f.executed += len(list)
	sure := func(c issued) bool {
		return len(c.results) == 1 && c.results[0].Status == "ok" && text(c.results[0].Message) == "" && c.thing != "refresh"
	}
	byAnswer := func(a, b issued) int { return a.results[0].FinishedAt.Compare(b.results[0].FinishedAt) }
	for _, c := range slices.SortedFunc(filter(f.sent, sure), byAnswer) {
		i := len(list) - 1
		for i >= 0 && !c.fits(list[i]) {
			i--
		}
		if i < 0 {
			f.t.Errorf("%s %d is said to be executed at %s, and was not", c.thing, c.value, c.results[0].FinishedAt.Format(time.TimeOnly))
			continue
		}
		f.punctual(c, list[i])
		list = slices.Delete(list, i, i+1)
	}
	open := slices.Collect(filter(f.sent, func(c issued) bool { return len(c.results) == 1 && !sure(c) && c.maybe() }))
	for _, e := range list {
		i := slices.IndexFunc(open, func(c issued) bool { return c.fits(e) })
		if i < 0 {
			f.t.Errorf("%s %d at %s belongs to no command, or to one that was executed before", e.Name, e.Asked, e.At.Format(time.TimeOnly))
			continue
		}
		f.punctual(open[i], e)
		open = slices.Delete(open, i, i+1)
	}
}

func filter(list []issued, keep func(issued) bool) iter.Seq[issued] {
	return func(yield func(issued) bool) {
		for _, c := range list {
			if keep(c) && !yield(c) {
				return
			}
		}
	}
}

// maybe tells that a command may have been executed, by its result.
func (c issued) maybe() bool {
	return slices.Contains([]string{"ok", "unknown", "error"}, c.results[0].Status)
}

// fits tells whether an execution can be this command's: the same thing and value, after it came and before its answer.
func (c issued) fits(e sim.Executed) bool {
	thing, value := map[string]string{"set_charging_amps": "charge_amps", "set_charge_limit": "charge_limit"}[e.Name], e.Asked
	switch e.Name {
	case "charge_start":
		thing, value = "charging", 1
	case "charge_stop":
		thing, value = "charging", 0
	}
	return c.thing == thing && c.value == value && !e.At.Before(c.at) && !e.At.After(c.results[0].FinishedAt)
}

// punctual notes how late a command reached Tesla. One that waited for a car to wake up, in its own cause or with ON, has
// got more time.
func (f *trials) punctual(c issued, e sim.Executed) {
	f.t.Helper()
	arrived := e.At
	for _, call := range slices.Backward(f.calls) {
		if call.At.Before(c.at) {
			break
		}
		if call.VIN == driven && call.Endpoint == "command/"+e.Name && call.At.Before(e.At) {
			arrived = call.At // and Tesla was slow
			break
		}
	}
	late := arrived.Sub(c.at) - c.life
	if late <= 0 || f.woken(c.at.Add(-3*time.Minute), arrived) {
		return
	}
	f.latest = max(f.latest, late)
	f.t.Logf("%s %d reached Tesla %s after its expiry, at %s", c.thing, c.value, late, arrived.Format(time.TimeOnly))
	f.t.Error("that is too late")
}

func (f *trials) woken(from, to time.Time) bool {
	return slices.ContainsFunc(f.calls, func(c sim.Call) bool { return c.Endpoint == "wake_up" && !c.At.Before(from) && !c.At.After(to) })
}
