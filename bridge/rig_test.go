package bridge

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/meter"
	"tesla2mqtt/tesla/signed"
	"tesla2mqtt/tesla/sim"
)

const vin = "5YJ3E1EA7KF000001"

// rig is a bridge beside a simulated Tesla, in fake time and without a network.
type rig struct {
	t      *testing.T
	tesla  *sim.Tesla
	car    *sim.CarHandle
	client *tesla.Client
	cfg    Config
	memory memory
	said   *recorder
	logged *strings.Builder
	token  string
	login  func() time.Time                        // when it last became another, nil for never
	list   func([]tesla.Vehicle) []tesla.Vehicle   // what becomes of the list of cars, nil for nothing
	slip   atomic.Bool                             // whether it does
	meter  *meter.Meter                            // where calls cost money, else nil
	slept  atomic.Int64                            // for how long the machine was suspended
	reader func(vin string, api *tesla.Car) Reader // who reads a car, nil for the API
	near   *signed.Car                             // the car where it is reached without the cloud, else nil

	bridge *Bridge
	cancel context.CancelFunc
	done   chan struct{}
}

func defaults() CarConfig {
	return CarConfig{
		Name: "model3",
		Poll: Poll{State: time.Minute, Online: time.Minute, Charging: time.Minute, IdleAfter: 15 * time.Minute, Suspend: 21 * time.Minute},
		Commands: Commands{
			Enabled: true, Wake: true, TTL: time.Minute,
			Amps: Amps{Min: 1, Max: 48, Settle: 2 * time.Second, RaiseGap: 15 * time.Second, LowerGap: 5 * time.Second},
		},
	}
}

// inBubble runs f with a rig in a bubble of fake time. The bridge is not started yet.
func inBubble(t *testing.T, car sim.Car, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, tesla: &sim.Tesla{ExpiresIn: 365 * 24 * time.Hour}, memory: memory{}, logged: &strings.Builder{}}
		if car.VIN == "" {
			car.VIN = vin
		}
		r.car = r.tesla.Add(car)
		r.token, _ = r.tesla.Login()
		r.cfg = Config{
			BaseTopic: "tesla2mqtt", ClientID: "tesla2mqtt", Scalars: true, Discovery: true, DiscoveryPrefix: "homeassistant",
			API: "owner", Version: "test", Cars: map[string]CarConfig{vin: defaults()}, AllCars: true, Default: defaults(),
		}
		r.cfg.Default.Name = ""
		f(r)
		if r.cancel != nil {
			r.stop()
		}
		for _, v := range r.tesla.Violations() {
			t.Errorf("the simulator complains: %s", v)
		}
	})
}

// RoundTrip adds the token, as the login's client does.
func (r *rig) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("User-Agent", "tesla2mqtt/test")
	return r.tesla.RoundTripper().RoundTrip(req)
}

func (r *rig) Vehicles(ctx context.Context) ([]tesla.Vehicle, error) {
	if r.near != nil {
		return []tesla.Vehicle{{VIN: vin}}, nil
	}
	v, err := r.client.Vehicles(ctx)
	if r.slip.Load() {
		v = r.list(v)
	}
	return v, err
}

func (r *rig) Car(v tesla.Vehicle) (Reader, Commander) {
	if r.near != nil {
		return r.near, r.near
	}
	c := r.client.Car(v)
	if r.reader != nil {
		return r.reader(v.VIN, c), c
	}
	return c, c
}

// start starts a bridge with what an earlier one remembered.
func (r *rig) start() {
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h := &http.Client{Transport: r, CheckRedirect: noRedirect}
	r.client = tesla.NewClient(h, func() string { return "https://owner-api.teslamotors.com" })
	if r.cfg.API == "fleet" {
		r.client = tesla.NewFleetClient(h, func() string { return "https://fleet-api.prd.eu.vn.cloud.tesla.com" })
	}
	r.client.Renewed = r.login
	var pace func(time.Time) Pace
	if r.meter != nil {
		r.client.Meter = r.meter
		pace = func(now time.Time) Pace { read, command := r.meter.Pace(now); return Pace{read, command} }
	}
	r.said = &recorder{retained: map[string]string{}}
	log := slog.New(slog.NewTextHandler(&guarded{w: r.logged}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.bridge = New(r.cfg, Deps{
		Account: r, Publisher: r.said, Memory: r.memory, Log: log,
		Online: func() bool { return true }, Suspended: func() time.Duration { return time.Duration(r.slept.Load()) },
		Auth: func() (string, any) { return "ok", map[string]string{"status": "ok"} },
		MQTT: func() any { return nil }, Usage: func() any { return r.client.Usage() }, Pace: pace,
	})
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan struct{})
	go func() { r.bridge.Run(ctx); close(r.done) }()
	synctest.Wait()
}

func (r *rig) stop() {
	r.cancel()
	<-r.done
	r.cancel = nil
}

// pass lets fake time go by.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) send(thing, payload string) {
	r.bridge.Deliver("tesla2mqtt/model3/"+thing+"/set", []byte(payload), false)
	synctest.Wait()
}

// only returns the one result that came on thing, and forgets it.
func (r *rig) only(thing string) Result {
	r.t.Helper()
	all := r.said.take(thing)
	if len(all) != 1 {
		r.t.Fatalf("%s has %d results, want 1: %+v", thing, len(all), all)
	}
	return all[0]
}

func (r *rig) retained(name string) string { return r.said.get("tesla2mqtt/" + name) }

func (r *rig) wantResult(got Result, status, reason string) {
	r.t.Helper()
	if text(got.Reason) != reason || got.Status != status {
		r.t.Errorf("%s is %s/%s (%s), want %s/%s", got.Thing, got.Status, text(got.Reason), text(got.Message), status, reason)
	}
}

func (r *rig) wantExecuted(names ...string) {
	r.t.Helper()
	var got []string
	for _, e := range r.car.Executed() {
		got = append(got, e.Name)
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		r.t.Errorf("the car executed %v, want %v", got, names)
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// recorder keeps what was published.
type recorder struct {
	mu       sync.Mutex
	retained map[string]string
	order    []string
	results  []said
	count    int
}

type said struct{ topic, payload string }

func (r *recorder) Publish(topic string, payload []byte, retain bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if !retain {
		r.results = append(r.results, said{topic, string(payload)})
		return
	}
	if len(payload) == 0 {
		delete(r.retained, topic)
		r.order = append(r.order, "-"+topic)
		return
	}
	r.retained[topic] = string(payload)
	r.order = append(r.order, topic)
}

// published lists the retained topics in the order of their publishes, with - before one that was cleared.
func (r *recorder) published() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.order)
}

func (r *recorder) get(topic string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.retained[topic]
}

// forget drops what was published without being retained.
func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results, r.order = nil, nil
}

// words tells of the results of a thing in words, and forgets them.
func (r *recorder) words(thing string) (all []string) {
	for _, got := range r.take(thing) {
		all = append(all, got.Status+"/"+text(got.Reason)+": "+text(got.Message))
	}
	return all
}

func (r *recorder) take(thing string) []Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Result
	var rest []said
	for _, s := range r.results {
		if !strings.HasSuffix(s.topic, "/"+thing+"/result") {
			rest = append(rest, s)
			continue
		}
		var res Result
		if err := json.Unmarshal([]byte(s.payload), &res); err != nil {
			panic(err)
		}
		out = append(out, res)
	}
	r.results = rest
	return out
}

// memory is a Memory that forgets with the test.
type memory map[string][]byte

var memoryLock sync.Mutex

func (m memory) Load(name string) ([]byte, error) {
	memoryLock.Lock()
	defer memoryLock.Unlock()
	return m[name], nil
}

func (m memory) Save(name string, data []byte) error {
	memoryLock.Lock()
	defer memoryLock.Unlock()
	m[name] = data
	return nil
}

type guarded struct {
	mu sync.Mutex
	w  *strings.Builder
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.w.Write(p)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
