package mqtt

import (
	"slices"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// receive is called by paho for every message, one at a time. It only looks and signals: paho acknowledges and reads on
// after it returned, and would never do so if it waited for a publish.
func (s *session) receive(_ paho.Client, m paho.Message) {
	c, topic, payload := s.client, m.Topic(), m.Payload()
	c.gauge.update(func(g *Stats) { g.Received++ })
	if len(payload) > maxPayload {
		c.gauge.update(func(g *Stats) { g.DroppedLarge++ })
		c.log.Warn("dropped a message of more than 64 KiB", "topic", topic)
		return
	}
	switch topic {
	case c.o.StateTopic:
		if string(payload) != online {
			signal(s.wrong) // the will of a half-open session before ours, or somebody's hand
		}
	case c.o.InfoTopic:
		s.introduced(payload, m.Retained())
	case c.o.BirthTopic:
		// A retained birth comes with every connect, which publishes everything anyway.
		if string(payload) == online && !m.Retained() {
			signal(s.birth)
		}
	}
	if c.o.Handler != nil && slices.ContainsFunc(c.o.Subscribe, func(f string) bool { return matches(f, topic) }) {
		c.o.Handler(Message{Topic: topic, Payload: payload, Retained: m.Retained()})
	}
}

// introduced looks at what came on the info topic. A newer instance makes us step back. If what it left on the broker is
// still there after we did so for a minute, it is gone, and we overwrite it. An older one is answered with our own
// introduction, so that it steps back.
func (s *session) introduced(payload []byte, retained bool) {
	c := s.client
	if c.o.Foreign != nil && len(payload) > 0 && c.o.Foreign(payload) {
		if !retained || !s.waited {
			signal(s.foreign)
		}
		return
	}
	switch differs := c.out.differs(c.o.InfoTopic, payload); {
	case !differs:
		signal(s.echo.heard)
	case !retained:
		signal(s.wrong)
	}
}
