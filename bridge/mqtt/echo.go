package mqtt

import (
	"fmt"
	"time"
)

// echoTimeout is how long our own introduction may take to come back from the broker.
const echoTimeout = 10 * time.Second

// echo notices a broker that accepts us and passes nothing on. MQTT 3.1.1 has no answer for a publish that is not allowed,
// and Mosquitto grants subscriptions that it will not serve; so the one sign that its access rules let us write and read is
// that our introduction, of which there is no second in the world, comes back.
type echo struct {
	heard  chan struct{}
	limit  *time.Timer
	missed string // the complaint, "" for none
}

func newEcho() *echo { return &echo{heard: make(chan struct{}, 1), limit: stoppedTimer()} }

// expect begins to wait for the echo of what is published from now on.
func (e *echo) expect() { e.limit.Reset(echoTimeout) }

// missing says that the echo did not come.
func (s *session) missing() {
	c := s.client
	if c.out.value(c.o.InfoTopic) == nil {
		return // we have not introduced ourselves
	}
	message := fmt.Sprintf("connected, but the broker does not pass on what we publish on %q; allow the user %q in its access rules to write and read all below the base topic",
		c.o.InfoTopic, c.o.Username)
	s.echo.missed = message
	c.gauge.update(func(g *Stats) { g.Message = message })
	c.log.Warn(message)
}

// came says that it did, and after a complaint that all is well now.
func (s *session) came() {
	s.echo.limit.Stop()
	if missed := s.echo.missed; missed != "" {
		s.echo.missed = ""
		s.client.gauge.update(func(g *Stats) {
			if g.Message == missed { // else it says something else by now
				g.Message = ""
			}
		})
		s.client.log.Info("the broker passes on what we publish")
		s.client.out.republish() // what was published before is lost
	}
}
