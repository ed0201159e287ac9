package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tesla2mqtt/bridge"
	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/bridge/mqtt/mqtttest"
	"tesla2mqtt/tesla/sim"
)

// household is what the real program lives among, for the fault campaigns: a simulated Tesla and a broker on loopback, and
// an ear that hears everything that is said there.
type household struct {
	t     *testing.T
	tesla *sim.Tesla
	car   *sim.CarHandle
	url   string // of Tesla
	*ear
}

const vin = "5YJ3E1EA7KF000001"

// newHousehold needs the address of a broker that lets everybody in.
func newHousehold(t *testing.T, broker string) *household {
	t.Helper()
	h := &household{t: t, tesla: &sim.Tesla{}}
	h.car = h.tesla.Add(sim.Car{VIN: vin, Level: 40, PluggedIn: true, Phases: 3, MaxAmps: 32, Amps: 16})
	server := httptest.NewServer(h.tesla)
	t.Cleanup(server.Close)
	h.url = server.URL
	if broker != "" {
		h.ear = listen(t, mqtt.Options{URL: broker, ClientID: "ear"})
	}
	return h
}

// lightHousehold has the embedded broker, where no real one is needed.
type lightHousehold struct {
	*household
	settings string // the mqtt section of its residents
}

func newLightHousehold(t *testing.T) *lightHousehold {
	t.Helper()
	broker, err := mqtttest.NewBroker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	url, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &lightHousehold{newHousehold(t, url), `url: "` + url + `"`}
}

// resident is one running bridge of a household: the real program, as a process.
type resident struct {
	h       *household
	program string
	config  string
	level   string
	env     []string
	log     *lockedText
	cmd     *exec.Cmd
}

// resident makes one with a state folder of its own and a login. mqtt is the content of that section.
func (h *household) resident(mqtt string) *resident {
	h.t.Helper()
	dir := h.t.TempDir()
	r := &resident{h: h, program: "tesla2mqtt", config: filepath.Join(dir, "config.yaml"), level: "info", log: &lockedText{}}
	yaml := fmt.Sprintf(`mqtt: {%s}
tesla: {auth_url: %q, api_url: %q}
poll: {state: 1s, online: 1s, charging: 1s}
commands: {amps: {settle: 50ms, raise_gap: 300ms, lower_gap: 100ms}}
vehicles: [{vin: %s, name: car}]
`, mqtt, h.url, h.url, vin)
	if err := os.WriteFile(r.config, []byte(yaml), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (r *resident) command(words ...string) *exec.Cmd {
	cmd := exec.Command(r.program, append([]string{"-config", r.config, "-log", r.level}, words...)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = r.log, r.log, append(os.Environ(), r.env...)
	return cmd
}

// logIn pastes a refresh token.
func (r *resident) logIn() *resident {
	r.h.t.Helper()
	_, refresh := r.h.tesla.Login()
	cmd := r.command("login")
	cmd.Stdin = strings.NewReader("refresh_token=" + refresh + "\n")
	if err := cmd.Run(); err != nil {
		r.h.t.Fatalf("login: %v\n%s", err, r.log.text())
	}
	return r
}

func (r *resident) start() {
	r.h.t.Helper()
	r.cmd = r.command("run")
	if err := r.cmd.Start(); err != nil {
		r.h.t.Fatal(err)
	}
	cmd := r.cmd
	r.h.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if r.h.t.Failed() {
			r.h.t.Logf("%s said:\n%s", r.config, tail(r.log.text(), 6000))
		}
	})
}

func (r *resident) signal(s os.Signal) {
	r.h.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.h.t.Fatal(err)
	}
}

// end stops the process and returns its exit code, -1 if the signal itself ended it.
func (r *resident) end(s os.Signal) int {
	r.h.t.Helper()
	r.signal(s)
	_ = r.cmd.Wait() // what it was is in the exit code
	return r.cmd.ProcessState.ExitCode()
}

func (r *resident) says(text string) bool { return strings.Contains(r.log.text(), text) }

// checkNeighbours holds what no campaign may break: no secret in a log or a topic, nothing that a careful client does not do.
func (h *household) checkNeighbours(residents ...*resident) {
	h.t.Helper()
	said := h.everything()
	for _, r := range residents {
		said += r.log.text()
	}
	for _, secret := range append(h.tesla.Secrets(), "hunter2") {
		if strings.Contains(said, secret) {
			h.t.Errorf("a log or a topic holds the secret %.12s…", secret)
		}
	}
	for _, v := range h.tesla.Violations() {
		h.t.Error("the simulator complains:", v)
	}
}

// ear is a client of the broker that hears all of the bridge's topics and says what a test wants said.
type ear struct {
	client *mqtt.Client

	mu    sync.Mutex
	heard []heard
	last  map[string]string
}

type heard struct {
	at             time.Time
	topic, payload string
}

func listen(t *testing.T, o mqtt.Options) *ear {
	t.Helper()
	e := &ear{last: map[string]string{}}
	o.Subscribe, o.Handler = []string{"tesla2mqtt/#"}, e.take
	client, err := mqtt.New(o)
	if err != nil {
		t.Fatal(err)
	}
	e.client = client
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- client.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return e
}

func (e *ear) take(m mqtt.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	topic := strings.TrimPrefix(m.Topic, "tesla2mqtt/")
	e.heard = append(e.heard, heard{time.Now(), topic, string(m.Payload)})
	e.last[topic] = string(m.Payload)
}

// says is what was last heard on a topic below the base topic.
func (e *ear) says(topic string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last[topic]
}

// everything is all that was heard so far, one message a line.
func (e *ear) everything() string {
	if e == nil {
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var all strings.Builder
	for _, h := range e.heard {
		fmt.Fprintf(&all, "%s %s\n", h.topic, h.payload)
	}
	return all.String()
}

// since counts a payload on a topic from a time on.
func (e *ear) since(at time.Time, topic, payload string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.heard {
		if h.at.After(at) && h.topic == topic && h.payload == payload {
			n++
		}
	}
	return n
}

// results are the different payloads that answered each id.
func (e *ear) results() map[string][]bridge.Result {
	e.mu.Lock()
	defer e.mu.Unlock()
	seen := map[string]bool{}
	all := map[string][]bridge.Result{}
	for _, h := range e.heard {
		var r bridge.Result
		if !strings.HasSuffix(h.topic, "/result") || seen[h.payload] || json.Unmarshal([]byte(h.payload), &r) != nil {
			continue
		}
		seen[h.payload] = true
		all[r.ID] = append(all[r.ID], r)
	}
	return all
}

func (e *ear) send(thing, payload string) {
	e.client.Publish("tesla2mqtt/car/"+thing+"/set", []byte(payload), false)
}

// healthOf is the part of bridge/health that campaigns look at.
type healthOf struct {
	MQTT struct{ State, Message string }
	Auth struct{ Status, Message string }
	API  struct{ Status, Message string }
}

func (e *ear) health() (h healthOf) {
	_ = json.Unmarshal([]byte(e.says("bridge/health")), &h) // nothing yet is the zero value
	return h
}

// well tells that the retained topics say what is true: the bridge is online, and the set point is the car's.
func (h *household) well() bool {
	return h.says("bridge/state") == "online" && h.says("car/charge_amps") == strconv.Itoa(h.car.Amps()) &&
		h.health().MQTT.State == mqtt.StateConnected
}

// drawn returns the rounds of a campaign and what is drawn in them. CAMPAIGN_COUNT and CAMPAIGN_SEED set both; a campaign
// that was not asked for by count is short.
func drawn(t *testing.T, short int) (rounds int, long bool, random *rand.Rand) {
	t.Helper()
	number := func(name string, otherwise int) int {
		text := os.Getenv(name)
		if text == "" {
			return otherwise
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	rounds = number("CAMPAIGN_COUNT", short)
	seed := number("CAMPAIGN_SEED", int(time.Now().UnixNano()&0xffffff))
	t.Logf("CAMPAIGN_COUNT=%d CAMPAIGN_SEED=%d", rounds, seed)
	return rounds, os.Getenv("CAMPAIGN_COUNT") != "", rand.New(rand.NewPCG(uint64(seed), 0))
}

// within waits for what another process does, and returns how long that took.
func within(t *testing.T, limit time.Duration, what string, f func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !f() {
		if time.Since(began) > limit {
			t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond) // another process has no channel to wait on
	}
	return time.Since(began).Round(10 * time.Millisecond)
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }

// serves sends a command and waits until the car has it.
func (h *household) serves(when string) {
	h.t.Helper()
	value := 50 + (h.car.Limit()-50+1)%50
	h.send("charge_limit", strconv.Itoa(value))
	within(h.t, 20*time.Second, "it serves "+when, func() bool { return h.car.Limit() == value })
}
