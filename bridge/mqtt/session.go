package mqtt

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	online  = "online"
	offline = "offline"

	drainTimeout   = 2 * time.Second        // for what is waiting when we stop
	offlineTimeout = 2 * time.Second        // for the broker to acknowledge "offline"
	goodbye        = 250 * time.Millisecond // for paho to write DISCONNECT
	repairPause    = time.Second            // between two repairs, should something keep overwriting us
	repeatPause    = time.Minute            // between two "online", where the broker does not let us read our state
)

// session is one connection. Its run goroutine owns it; receive, on paho's goroutine, only signals to it.
type session struct {
	client *Client
	waited bool // we just stepped back for a foreign instance
	paho   paho.Client
	line   line
	pipe   *pipeline
	stop   context.CancelFunc // of pipe

	probing bool // nobody may notice us yet but another instance

	lost    chan error
	foreign chan struct{} // a newer instance introduced itself
	birth   chan struct{} // Home Assistant started
	wrong   chan struct{} // the state topic does not say "online", or the info topic not who we are

	echo   *echo // of our own introduction
	front  []job // what precedes the outbox
	flying int   // jobs in pipe
}

func newSession(c *Client, waited bool) *session {
	return &session{
		client: c, waited: waited,
		lost:    make(chan error, 1),
		foreign: make(chan struct{}, 1),
		birth:   make(chan struct{}, 1),
		wrong:   make(chan struct{}, 1),
		echo:    newEcho(),
	}
}

// connect waits for the broker's answer. When it fails, nothing of it lives on after hangUp.
func (s *session) connect(ctx context.Context) error {
	o, err := s.pahoOptions(ctx)
	if err != nil {
		return err
	}
	s.paho = paho.NewClient(o)
	token := s.paho.Connect()
	limit := time.NewTimer(connectTimeout + time.Second) // paho keeps to its own limit; this one is for the day it does not
	defer limit.Stop()
	select {
	case <-token.Done():
		return s.connected(token)
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-limit.C:
		return fmt.Errorf("cannot connect to the broker: no answer within %v", connectTimeout)
	}
}

// hangUp ends the connection: clean with MQTT's goodbye, else by cutting it, so that the broker publishes the will.
func (s *session) hangUp(clean bool) {
	if s.stop != nil {
		s.stop()
	}
	if !clean {
		s.line.close()
	}
	if s.paho != nil {
		s.paho.Disconnect(uint(goodbye.Milliseconds()))
	}
	s.line.close()
}

// run serves the connection until it ends or ctx does. clean says whether the broker should take the end as a regular one.
func (s *session) run(ctx context.Context) (clean bool, err error) {
	pipeCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop, s.pipe = stop, newPipeline(pipeCtx, s.paho)
	again, mend, alone := stoppedTimer(), stoppedTimer(), stoppedTimer()
	if s.waited {
		s.probe()
		alone.Reset(probation)
	} else {
		s.open()
	}
	var mended time.Time
	repeat := time.NewTicker(repeatPause)
	defer repeat.Stop()
	for {
		s.fill()
		select {
		case <-ctx.Done():
			return s.farewell(), nil
		case err := <-s.lost:
			return false, &lostError{err}
		case <-s.foreign:
			return true, errForeign // a will would say "offline" over the other's "online"
		case o := <-s.pipe.done:
			if err := s.settle(o); err != nil {
				return false, err
			}
		case <-s.client.out.wake:
		case <-alone.C:
			s.open()
		case <-s.wrong:
			if !s.probing {
				mend.Reset(repairPause - time.Since(mended))
			}
		case <-mend.C:
			mended = time.Now()
			s.announce()
			s.client.out.resend(s.client.o.InfoTopic)
		case <-repeat.C:
			s.announce()
			if s.echo.missed != "" {
				s.client.out.resend(s.client.o.InfoTopic) // perhaps the rules were mended
			}
		case <-s.echo.heard:
			s.came()
		case <-s.echo.limit.C:
			s.missing()
		case <-s.birth:
			again.Reset(time.Second + rand.N(4*time.Second)) // every bridge of the house does the same now
		case <-again.C:
			s.announce()
			s.client.out.republish()
		}
	}
}

// stoppedTimer does not fire before it is reset.
func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// open begins the work of a connection.
func (s *session) open() {
	s.probing = false
	s.announce()
	s.subscribe(s.client.o.filters())
	s.client.out.restart()
	if s.client.o.InfoTopic != "" {
		s.echo.expect()
	}
}

func (s *session) announce() {
	if topic := s.client.o.StateTopic; topic != "" {
		s.front = append(s.front, job{topic: topic, payload: []byte(online), retain: true})
	}
}

// subscribe comes after "online", or the will of the session before would be read and repaired each time.
func (s *session) subscribe(filters map[string]byte) {
	if len(filters) > 0 {
		s.front = append(s.front, job{filters: filters})
	}
}

// filters are all topics to subscribe to, with their QoS.
func (o Options) filters() map[string]byte {
	filters := map[string]byte{}
	if o.BirthTopic != "" {
		filters[o.BirthTopic] = 0
	}
	for _, topic := range append([]string{o.StateTopic, o.InfoTopic}, o.Subscribe...) {
		if topic != "" {
			filters[topic] = 1
		}
	}
	return filters
}

// fill sends as much as the window allows.
func (s *session) fill() {
	for s.flying < window {
		var j job
		if len(s.front) > 0 {
			j, s.front = s.front[0], s.front[1:]
		} else if s.probing {
			return
		} else if next, ok := s.client.out.next(); ok {
			j = next
		} else {
			return
		}
		s.flying++
		s.pipe.todo <- j // does not block: there is room for the window and one more
	}
}

// settle takes note of a job's outcome. Its error ends the connection.
func (s *session) settle(o outcome) error {
	s.flying--
	if o.err != nil {
		s.client.gauge.update(func(g *Stats) { g.PublishErrors++ })
		if !s.paho.IsConnectionOpen() {
			return &lostError{o.err}
		}
		return fmt.Errorf("gave the connection up: %w", o.err)
	}
	if o.filters != nil {
		s.granted(o.token)
		return nil
	}
	s.client.gauge.update(func(g *Stats) { g.Published++ })
	if o.item != nil {
		s.client.out.acknowledged(o.item)
	}
	return nil
}

// granted says which subscriptions the broker refused; the others work.
func (s *session) granted(token paho.Token) {
	if refused := refusals(token); len(refused) > 0 {
		message := fmt.Sprintf("the broker refused to subscribe to %q; allow reading them in its access rules", refused)
		s.client.gauge.update(func(g *Stats) { g.Message = message })
		s.client.log.Warn("subscription refused", "topics", refused)
	}
}

// farewell sends what is waiting and then "offline", each within its time. It returns whether to say goodbye: if "offline"
// did not get through, the will has to say it.
func (s *session) farewell() (clean bool) {
	s.drain(drainTimeout, func() bool {
		s.fill()
		return s.flying == 0
	})
	if s.client.o.StateTopic == "" || s.probing { // then it is not ours to say that the bridge is offline
		return true
	}
	s.flying++
	s.pipe.todo <- job{topic: s.client.o.StateTopic, payload: []byte(offline), retain: true}
	return s.drain(offlineTimeout, func() bool { return s.flying == 0 })
}

// drain settles what comes back until finished says so, which it returns; it gives up after d or with the connection.
func (s *session) drain(d time.Duration, finished func() bool) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	for !finished() {
		select {
		case o := <-s.pipe.done:
			if s.settle(o) != nil {
				return false
			}
		case <-s.lost:
			return false
		case <-limit.C:
			return false
		}
	}
	return true
}
