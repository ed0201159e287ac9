package bridge

import (
	"encoding/json"
	"errors"
	"maps"
	"time"

	"tesla2mqtt/tesla"
)

// carTopics is what one car says on MQTT. The MQTT client remembers it, sends only what is new, and repeats everything by
// itself when the broker may have forgotten.
type carTopics struct {
	cfg   Config
	alias string
	pub   Publisher
	last  json.RawMessage // what last_command says, nil for nothing yet
}

func newCarTopics(cfg Config, alias string, pub Publisher) *carTopics {
	return &carTopics{cfg: cfg, alias: alias, pub: pub}
}

func (t *carTopics) retained(topic string, payload []byte) {
	t.pub.Publish(topic, payload, true)
}

func (t *carTopics) topics() topics { return topics{t.cfg.BaseTopic} }

func (t *carTopics) own(name string) string { return t.topics().car(t.alias, name) }

func (t *carTopics) state(d Document) {
	t.retained(t.own("state"), d.JSON())
	if !t.cfg.Scalars {
		return
	}
	for _, s := range d.Scalars() {
		t.retained(t.own(s.Key), []byte(s.Value))
	}
}

func (t *carTopics) availability(online bool) {
	word := "offline"
	if online {
		word = "online"
	}
	t.retained(t.own("availability"), []byte(word))
}

// result publishes what became of a command on thing, the word of the topic it came on.
func (t *carTopics) result(thing string, r Result) {
	payload := r.JSON()
	t.pub.Publish(t.topics().result(t.alias, thing), payload, false)
	if r.lasting() {
		t.last = payload
		t.retained(t.own("last_command"), payload)
	}
}

// retainedTopics lists every topic that a car of this name and VIN keeps on the broker.
func retainedTopics(c Config, alias, vin string) []string {
	t := topics{c.BaseTopic}
	names := []string{"state", "availability", "last_command"}
	if c.Scalars {
		names = append(names, documentKeys()...)
	}
	var list []string
	for _, name := range names {
		list = append(list, t.car(alias, name))
	}
	if c.Discovery {
		list = append(list, deviceConfig(c.DiscoveryPrefix, haCarID(vin)))
	}
	return list
}

// discoveryGap keeps Home Assistant from rebuilding a device more than once a minute.
const discoveryGap = time.Minute

// announce publishes what the car's topics say before anything was read.
func (c *car) announce() {
	last := []byte(c.out.last)
	if len(last) == 0 || string(last) == "null" {
		last = []byte(`{"status":"none"}`)
	}
	c.out.retained(c.out.own("last_command"), last)
	c.out.state(c.doc)
	c.publish()
}

// publish says what has changed.
func (c *car) publish() {
	c.discover(time.Now())
	c.out.availability(c.available())
	if c.doc != c.said {
		c.said = c.doc
		c.out.state(c.doc)
	}
}

// discover shows the car in Home Assistant. Where it has lost components, that takes two publishes: one that removes them,
// and later one that no longer names them.
func (c *car) discover(now time.Time) {
	if !c.out.cfg.Discovery {
		return
	}
	d := c.device()
	if d == c.shown && !c.removing {
		return
	}
	// What Home Assistant could not show does not wait: it would be unknown there meanwhile.
	tooHigh := d.Amps > numberMax(c.shown)
	if !tooHigh && !c.discovered.IsZero() && now.Sub(c.discovered) < discoveryGap {
		return
	}
	topic, payload := carDiscovery(c.out.cfg, d, c.components)
	c.out.retained(topic, payload)
	has := carComponents(c.out.cfg, d).platforms()
	c.removing = has.lacks(c.components)
	c.unsaved = c.unsaved || !maps.Equal(has, c.components)
	c.discovered, c.shown, c.components = now, d, has
}

func (c *car) device() device {
	low, high := c.limits.orDefault()
	d := device{
		VIN: c.vehicle.VIN, Alias: c.alias(), Name: c.vehicle.Name, AmpsMax: c.ampsMax, LimitMin: low, LimitMax: high,
		Writable: c.writable() == nil, ChargePort: c.cfg.Commands.ChargePort, Wake: c.cfg.Commands.Wake,
	}
	if c.doc.ChargeAmps != nil {
		d.Amps = *c.doc.ChargeAmps
	}
	return d
}

// Both are what the owner wants.
var (
	errTurnedOff = errors.New("the configuration says commands.enabled: false")
	errUntouched = errors.New("the configuration says write: none for this car")
)

// writable returns nil, or why the car takes no commands from us.
func (c *car) writable() error {
	switch {
	case !c.cfg.Commands.Enabled:
		return errTurnedOff
	case c.cfg.ReadOnly:
		return errUntouched
	}
	return c.commander.Can(tesla.ChargeAmps)
}

// patience is how many polls in a row may fail before the car counts as unavailable.
const patience = 3

// available tells whether the way to the car works. A car that sleeps is available.
func (c *car) available() bool {
	if c.gone {
		return false
	}
	for _, class := range []error{tesla.ErrLoginRequired, tesla.ErrNotFound, tesla.ErrNoRadio} {
		if errors.Is(c.lastError, class) {
			return false
		}
	}
	return c.schedule.worst() < patience
}
