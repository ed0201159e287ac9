package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"time"

	"tesla2mqtt/tesla"
)

// roster is an answer of the account's list of cars.
type roster struct {
	vehicles []tesla.Vehicle
	err      error
}

// relist is how often the list of cars is asked again: for a car that was bought or sold.
const relist = time.Hour

// list asks for the cars of the account, patiently, until ctx ends.
func (b *Bridge) list(ctx context.Context) {
	failures := 0
	for {
		answer := make(chan roster, 1)
		go func() {
			vehicles, err := b.deps.Account.Vehicles(ctx)
			answer <- roster{vehicles, err}
		}()
		var l roster
		select {
		case l = <-answer:
		case <-ctx.Done():
			// A token that is being renewed does not stop for us; the program waits for it when it closes the login.
			return
		}
		select {
		case b.listed <- l:
		case <-ctx.Done():
			return
		}
		wait := relist
		if err := l.err; err != nil {
			failures++
			wait = waitFor(err, failures)
		} else {
			failures = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// plainVIN is what may become part of a topic and of a file name.
var plainVIN = regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`)

// reconcile brings the running cars in line with what the account has.
func (b *Bridge) reconcile(ctx context.Context, l roster) {
	b.asked = true
	if l.err != nil {
		if !sameTrouble(b.listError, l.err) {
			b.deps.Log.Warn("the account's cars could not be listed", "err", l.err, "todo", tesla.Advice(l.err))
		}
		b.listError = l.err
		b.meetAnyway(ctx, l.vehicles)
		return
	}
	b.listError = nil
	seen := map[string]bool{}
	l.vehicles = slices.DeleteFunc(l.vehicles, func(v tesla.Vehicle) bool {
		drop := seen[v.VIN] || !plainVIN.MatchString(v.VIN)
		seen[v.VIN] = seen[v.VIN] || !drop
		return drop
	})
	before := b.record.Vehicles
	b.record.Vehicles = slices.Clone(l.vehicles)
	for _, v := range before {
		if !seen[v.VIN] && !b.lost[v.VIN] {
			// One list without it may be a slip of Tesla's; it is forgotten when the next one says so too.
			b.record.Vehicles = append(b.record.Vehicles, v)
		}
	}
	for _, alias := range b.aliases() {
		if c := b.cars[alias]; !seen[c.vin] && !b.lost[c.vin] {
			b.lost[c.vin] = true
			b.deps.Log.Warn("the car is no longer in this account", "car", alias)
			b.pass(ctx, c, listing{})
		}
	}
	b.save()
	for _, v := range l.vehicles {
		b.meet(ctx, v, slices.Contains(before, v) && !b.lost[v.VIN])
		delete(b.lost, v.VIN)
	}
	for vin := range b.cfg.Cars {
		if !seen[vin] {
			b.deps.Log.Warn("the configuration names a car that is not in this account", "vin", vin)
		}
	}
	b.clear()
	b.publishInfo()
}

// meetAnyway starts the cars that are known without the account's list. Of the others the list would tell; until then nothing
// is said of them.
func (b *Bridge) meetAnyway(ctx context.Context, vehicles []tesla.Vehicle) {
	for _, v := range vehicles {
		known := slices.Contains(b.record.Vehicles, v)
		if !known {
			b.record.Vehicles = append(b.record.Vehicles, v)
			b.save()
		}
		b.meet(ctx, v, known)
	}
	b.publishInfo()
}

// meet tells a car that runs what the list says of it, and starts one that does not.
func (b *Bridge) meet(ctx context.Context, v tesla.Vehicle, known bool) {
	cfg, served := b.cfg.car(v.VIN)
	if !served {
		return
	}
	c := b.cars[cfg.Name]
	if c == nil {
		b.startCar(ctx, v)
		return
	}
	if known {
		return
	}
	reader, commander := b.deps.Account.Car(v)
	b.pass(ctx, c, listing{&v, reader, commander})
}

func (b *Bridge) pass(ctx context.Context, c *car, l listing) {
	// Only the newest counts. Waiting could be for ever: the car may be waiting to report to us.
	select {
	case <-c.vehicles:
	default:
	}
	select {
	case c.vehicles <- l:
	case <-ctx.Done():
	}
}

// ourTopics lists every topic that we keep on the broker.
func (b *Bridge) ourTopics() []string {
	vins := slices.AppendSeq(slices.Collect(maps.Keys(b.lost)), maps.Keys(b.cfg.Cars))
	for _, v := range b.record.Vehicles {
		vins = append(vins, v.VIN)
	}
	return keptTopics(b.cfg, vins)
}

// setOf is a list to look things up in: a fleet has some 30 topics a car.
func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, s := range list {
		set[s] = true
	}
	return set
}

// sweepGap is the time that Home Assistant gets to forget a device before the topics that its entities read are cleared: it
// logs an empty state as an error, and so it does for a car that got another name until it has learnt of the new topics.
const sweepGap = 5 * time.Second

// clear removes from the broker what an earlier configuration or a car that left has put there: what shows a car in Home
// Assistant at once, the rest when Run sweeps.
func (b *Bridge) clear() {
	b.unpublish(isDiscovery)
	b.sweep = time.After(sweepGap)
}

// unpublish clears the topics that are no longer ours, if they are such.
func (b *Bridge) unpublish(such func(topic string) bool) {
	ours := setOf(b.ourTopics())
	for _, topic := range b.record.Topics {
		if !ours[topic] && !b.cleared[topic] && such(topic) {
			b.cleared[topic] = true
			b.deps.Log.Info("a topic of ours is no longer used and is cleared", "topic", topic)
			b.publish(topic, nil)
		}
	}
}

// save remembers the cars and every topic that may come to be on the broker, before it does.
func (b *Bridge) save() {
	known := setOf(b.record.Topics)
	for _, topic := range b.ourTopics() {
		if !known[topic] {
			b.record.Topics = append(b.record.Topics, topic)
		}
	}
	data, err := json.Marshal(b.record)
	if err == nil {
		err = b.deps.Memory.Save(bridgeFile, data)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		b.deps.Log.Warn("what must be remembered could not be saved", "file", bridgeFile, "err", err)
	}
}
