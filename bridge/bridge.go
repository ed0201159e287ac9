// Package bridge decides when a car is read and what becomes of each command, and says on MQTT what is so.
//
// It knows Tesla's types and the MQTT contract, but neither HTTP nor an MQTT library: cars are reached through Reader and
// Commander, and the broker through Publisher. One goroutine owns each car, another the account; they talk by channel
// and share nothing. Decisions take the time as an argument. Two promises shape all of it: reading never wakes a car nor
// keeps an idle one awake, and every accepted command message gets exactly one result.
package bridge

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tesla2mqtt/tesla"
)

// Deps is what the bridge works with.
type Deps struct {
	Account   Account
	Publisher Publisher
	Memory    Memory
	Log       *slog.Logger
	// Changes tells that the MQTT part of bridge/health has changed; nil for never.
	Changes <-chan struct{}
	// Online tells whether the broker can be reached.
	Online func() bool
	// Suspended returns for how long this machine has been suspended since it started; nil where that is not known.
	Suspended func() time.Duration
	// Auth returns the login's status in a word and in full, MQTT and Usage their parts of bridge/health.
	Auth  func() (status string, detail any)
	MQTT  func() any
	Usage func() any
	// Pace tells what the budget asks of the cars whose reads and commands cost money; nil if none do.
	Pace func(now time.Time) Pace
}

// Bridge serves the cars of one account.
type Bridge struct {
	cfg       Config
	deps      Deps
	instance  string
	startedAt time.Time
	previous  string // the instance before us, by our own memory

	inbox                    chan message
	received, dropped, empty atomic.Int64
	pulse                    atomic.Pointer[pulse]
	closed                   atomic.Bool  // nobody will look at the inbox again
	delivering               atomic.Int64 // calls of Deliver that may not know yet

	// What follows belongs to Run's goroutine.
	record      bridgeRecord
	cars        map[string]*car // by alias
	reports     map[string]report
	told        chan report
	listed      chan roster
	listError   error
	asked       bool
	unknownCars int64
	lost        map[string]bool  // VINs that left the account
	cleared     map[string]bool  // topics that were cleared
	sweep       <-chan time.Time // when the rest of them is to be, nil for never
	login       string           // the status of the login that bridge/health said last
	healthAt    time.Time        // when it did
	later       *time.Timer      // for news that came too soon after
	saidInfo    string
	running     sync.WaitGroup
}

const (
	// inboxSize bounds the commands that wait to be looked at; a car looks within microseconds.
	inboxSize = 256
	carInbox  = 64
	// toldSize is how many cars may report while health is being published, without waiting for that.
	toldSize    = 256
	healthEvery = 60 * time.Second
	// stagger is between the first looks of two cars.
	stagger = 20 * time.Millisecond
)

// New returns a bridge; Run makes it work.
func New(cfg Config, deps Deps) *Bridge {
	b := &Bridge{
		cfg: cfg, deps: deps, instance: rand.Text()[:12], startedAt: time.Now().UTC().Truncate(time.Millisecond),
		inbox: make(chan message, inboxSize), told: make(chan report, toldSize), listed: make(chan roster),
		cars: map[string]*car{}, reports: map[string]report{}, lost: map[string]bool{}, cleared: map[string]bool{},
	}
	if b.deps.Suspended == nil {
		b.deps.Suspended = func() time.Duration { return 0 }
	}
	b.pulse.Store(&pulse{beat: time.Now(), slept: b.deps.Suspended()})
	b.recall()
	return b
}

func (b *Bridge) recall() {
	data, err := b.deps.Memory.Load(bridgeFile)
	if err == nil && len(data) > 0 {
		err = json.Unmarshal(data, &b.record)
	}
	if err != nil {
		b.deps.Log.Warn("what was remembered cannot be read; going on without", "file", bridgeFile, "err", err)
		b.record = bridgeRecord{}
	}
	b.previous, b.record.Instance = b.record.Instance, b.instance
}

// Deliver takes a message that came on a command topic. It never blocks; what finds no room is dropped and counted.
func (b *Bridge) Deliver(topic string, payload []byte, retained bool) {
	alias, thing, ok := b.topics().parseSet(topic)
	if !ok {
		return
	}
	b.received.Add(1)
	if len(payload) == 0 {
		b.empty.Add(1)
		return
	}
	b.delivering.Add(1)
	defer b.delivering.Add(-1)
	if b.closed.Load() {
		b.dropped.Add(1)
		b.deps.Log.Warn("a command came when the bridge had stopped; it was dropped", "topic", topic)
		return
	}
	slept := b.deps.Suspended()
	m := message{alias, thing, slices.Clone(payload[:min(len(payload), maxPayload+1)]), retained, b.pulse.Load().arrived(time.Now(), slept), slept}
	select {
	case b.inbox <- m:
	default:
		b.dropped.Add(1)
		b.deps.Log.Warn("too many commands at once; one was dropped", "topic", topic)
	}
}

// Foreign tells whether payload is the bridge/info of another process that was started after this one.
func (b *Bridge) Foreign(payload []byte) bool {
	var other info
	if json.Unmarshal(payload, &other) != nil || other.Instance == "" {
		return false
	}
	if other.Instance == b.instance || other.Instance == b.previous {
		return false
	}
	return other.StartedAt.After(b.startedAt) || other.StartedAt.Equal(b.startedAt) && other.Instance > b.instance
}

// Run serves until ctx ends; then it waits for the cars to answer what is open and to save what they know.
func (b *Bridge) Run(ctx context.Context) {
	b.later = time.NewTimer(healthEvery)
	b.later.Stop()
	b.open(ctx)
	b.running.Go(func() { b.list(ctx) })
	b.running.Go(func() { b.watchPulse(ctx) })
	ticker := time.NewTicker(healthEvery)
	defer ticker.Stop()
	for {
		select {
		case m := <-b.inbox:
			b.route(m)
		case r := <-b.told:
			if b.hear(r) {
				b.news(time.Now())
			}
		case l := <-b.listed:
			b.reconcile(ctx, l)
			b.news(time.Now())
		case <-b.sweep:
			b.unpublish(func(string) bool { return true })
		case <-b.deps.Changes:
			b.news(time.Now())
		case <-b.later.C:
			b.publishHealth(time.Now())
		case <-ticker.C:
			b.publishHealth(time.Now())
		case <-ctx.Done():
			b.running.Wait()
			b.turnAway(time.Now())
			if b.deps.Online() {
				b.record.Topics = slices.DeleteFunc(b.record.Topics, func(topic string) bool { return b.cleared[topic] })
			}
			b.save()
			return
		}
	}
}

// open says hello, and starts with the cars that are remembered, so that a restart without Tesla loses nothing.
func (b *Bridge) open(ctx context.Context) {
	b.save()
	if b.cfg.Discovery {
		topic, payload := bridgeDiscovery(b.cfg)
		b.publish(topic, payload)
	}
	for _, v := range b.record.Vehicles {
		b.startCar(ctx, v)
	}
	for _, cfg := range b.cfg.Cars {
		if b.cars[cfg.Name] == nil {
			b.publish(b.topics().car(cfg.Name, "availability"), []byte("offline"))
		}
	}
	b.publishInfo()
	b.publishHealth(time.Now())
}

func (b *Bridge) route(m message) {
	c := b.cars[m.alias]
	if c == nil && b.awaited(m.alias) {
		b.answerForAbsent(m, time.Now())
		return
	}
	if c == nil {
		b.unknownCars++
		about := []any{"car", clip(m.alias), "thing", clip(m.thing), "known", b.aliases()}
		if m.retained {
			about = append(about, "message", retainedWords(b.topics().set(m.alias, m.thing)))
		}
		b.deps.Log.Warn("a command for an unknown car", about...)
		return
	}
	select {
	case c.inbox <- &m:
	default:
		b.dropped.Add(1)
		b.deps.Log.Warn("too many commands at once; one was dropped", "car", m.alias, "thing", clip(m.thing))
	}
}

// turnAway answers what came too late for the cars, whose goroutines have ended, and takes nothing more.
func (b *Bridge) turnAway(now time.Time) {
	b.closed.Store(true)
	for b.delivering.Load() > 0 || len(b.inbox) > 0 {
		select {
		case m := <-b.inbox:
			if c := b.cars[m.alias]; c != nil {
				c.turnAway(m, now)
			} else if b.awaited(m.alias) {
				b.answerForAbsent(m, now)
			}
		default:
			runtime.Gosched() // a Deliver is between its first line and its last
		}
	}
	for _, c := range b.cars {
		for len(c.inbox) > 0 {
			c.turnAway(*<-c.inbox, now)
		}
	}
}

// awaited tells whether the configuration names a car that Tesla has not shown yet.
func (b *Bridge) awaited(alias string) bool {
	for vin := range b.cfg.Cars {
		if cfg, _ := b.cfg.car(vin); cfg.Name == alias {
			return true
		}
	}
	return false
}

// answerForAbsent refuses a command for such a car.
func (b *Bridge) answerForAbsent(m message, now time.Time) {
	v := verdict{status: statusRejected, reason: "unreachable", message: "the account's cars are not known yet"}
	if b.listError != nil {
		v = judge(tesla.Thing(m.thing), 0, b.listError)
	} else if b.asked {
		v.reason, v.message = "not_found", "the configuration names this car, but the account does not have it"
	}
	if m.retained {
		v.reason, v.message = "retained", retainedWords(b.topics().set(m.alias, m.thing))
	}
	v.status = statusRejected
	c := &car{cfg: CarConfig{Name: m.alias}, out: newCarTopics(b.cfg, m.alias, b.deps.Publisher), log: b.deps.Log}
	req, _ := parse(m.thing, m.payload)
	if req.id == "" {
		req.id = rand.Text()[:12]
	}
	c.report(req, m, "", v, now)
}

// info is the payload of bridge/info.
type info struct {
	Version   string        `json:"version"`
	Commit    string        `json:"commit"`
	Instance  string        `json:"instance"`
	StartedAt time.Time     `json:"started_at"`
	API       string        `json:"api"`
	Vehicles  []infoVehicle `json:"vehicles"`
}

type infoVehicle struct {
	Name  string `json:"name"`
	VIN   string `json:"vin"`
	Topic string `json:"topic"`
}

func (b *Bridge) publishInfo() {
	i := info{b.cfg.Version, b.cfg.Commit, b.instance, b.startedAt, b.cfg.API, []infoVehicle{}}
	for _, v := range b.record.Vehicles {
		if cfg, served := b.cfg.car(v.VIN); served {
			i.Vehicles = append(i.Vehicles, infoVehicle{v.Name, v.VIN, b.cfg.BaseTopic + "/" + cfg.Name})
		}
	}
	payload, err := json.Marshal(i)
	if err != nil {
		b.deps.Log.Error("bridge/info could not be written", "err", err)
		return
	}
	if b.saidInfo != string(payload) {
		b.saidInfo = string(payload)
		b.publish(b.topics().bridge("info"), payload)
	}
}

func (b *Bridge) publish(topic string, payload []byte) {
	b.deps.Publisher.Publish(topic, payload, true)
}

func (b *Bridge) topics() topics { return topics{b.cfg.BaseTopic} }

func (b *Bridge) aliases() []string { return slices.Sorted(maps.Keys(b.cars)) }

// startCar starts the goroutine of a car that the configuration wants served, unless it runs already.
func (b *Bridge) startCar(ctx context.Context, v tesla.Vehicle) {
	cfg, served := b.cfg.car(v.VIN)
	if !served || b.cars[cfg.Name] != nil {
		return
	}
	reader, commander := b.deps.Account.Car(v)
	// Many cars are not looked at in the same instant, now and at each interval from now on.
	begin := time.Now().Add(time.Duration(len(b.cars)) * stagger % cfg.Poll.State)
	c := &car{
		vin: v.VIN, vehicle: v, cfg: cfg, source: cmp.Or(cfg.Source, b.cfg.API), reader: reader, commander: commander, watch: watch{}.on(reader),
		out: newCarTopics(b.cfg, cfg.Name, b.deps.Publisher), memory: b.deps.Memory, log: b.deps.Log,
		suspended: b.deps.Suspended, slept: b.deps.Suspended(),
		inbox: make(chan *message, carInbox), vehicles: make(chan listing, 1), done: make(chan outcome, 1), reports: b.told,
		schedule: schedule{poll: cfg.Poll, begin: begin}, desk: desk{}, failures: failures{}, judged: map[attempt]bool{}, sentOf: map[tesla.Thing]time.Time{}, acked: map[tesla.Thing]acked{},
	}
	if c.source == BilledAPI || cfg.Billed {
		c.pace = b.deps.Pace
	}
	b.cars[cfg.Name] = c
	b.running.Go(func() { c.run(ctx) })
}
