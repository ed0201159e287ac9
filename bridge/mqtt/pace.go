package mqtt

import (
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	firstPause  = time.Second
	longestPace = 40 * time.Second // with half of it as jitter, 60 s is never passed
	stableAfter = 30 * time.Second // a connection that lived this long starts the pauses anew; less than inUsePause, see there
	inUsePause  = time.Minute      // a twin that steps back so long must find the other one back at once when it ends its session
	lossLimit   = 3                // within lossWindow
	lossWindow  = time.Minute
)

// errForeign says that a newer instance has taken our place on the broker.
var errForeign = errors.New("a newer instance publishes under the same base topic")

// lostError is the end of a working connection that we did not end ourselves.
type lostError struct{ err error }

func (e *lostError) Error() string { return "connection lost: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// RefusedError is the broker's answer to a login that it does not accept. Trying again helps once the cause is mended;
// its text says where.
type RefusedError struct{ Code byte }

func (e *RefusedError) Error() string {
	switch e.Code {
	case packets.ErrRefusedBadUsernameOrPassword:
		return "the broker refused user name or password; check mqtt.username and mqtt.password_file"
	case packets.ErrRefusedNotAuthorised:
		return "the broker refused the login; check mqtt.username, mqtt.password_file and the broker's access rules"
	case packets.ErrRefusedIDRejected:
		return "the broker refused the client id; set another mqtt.client_id"
	case packets.ErrRefusedBadProtocolVersion:
		return "the broker does not speak MQTT 3.1.1; allow that version on the broker"
	}
	return fmt.Sprintf("the broker refused the connection with code %d", e.Code)
}

// connected turns paho's answer to a connect into one that says what to do.
func (s *session) connected(token paho.Token) error {
	err := token.Error()
	if err == nil {
		return nil
	}
	if t, ok := token.(*paho.ConnectToken); ok {
		switch code := t.ReturnCode(); code {
		case packets.ErrRefusedBadProtocolVersion, packets.ErrRefusedIDRejected,
			packets.ErrRefusedBadUsernameOrPassword, packets.ErrRefusedNotAuthorised:
			return &RefusedError{Code: code}
		}
	}
	return s.client.o.explain(err, s.client.encrypted())
}

// pacer decides what to say and how long to wait after each connection. One goroutine owns it.
type pacer struct {
	pause  *backoff.ExponentialBackOff
	losses []time.Time // of the last lossWindow
	waited bool        // the last pause was for a foreign instance, and nothing was lost since
	newer  bool        // and that one has told us that it is newer
}

func newPacer() *pacer {
	b := &backoff.ExponentialBackOff{
		InitialInterval: firstPause, MaxInterval: longestPace, Multiplier: 2, RandomizationFactor: 0.5,
	}
	b.Reset()
	return &pacer{pause: b}
}

// verdict is what follows from the end of a connection.
type verdict struct {
	state, message string
	wait           time.Duration
}

// after judges a connection that ended with err at now and had lasted for d (0: it never came about).
func (p *pacer) after(err error, d time.Duration, now time.Time, clientID string) verdict {
	lost, wasLost := errors.AsType[*lostError](err)
	takenBack := p.newer && wasLost && d < 2*probation
	p.waited, p.newer = false, false
	if wasLost {
		p.forget(now)
		p.losses = append(p.losses, now)
	} else if !errors.Is(err, errForeign) {
		p.losses = nil // a broker that does not even answer is away, and nobody else has our client id there
	}
	if d >= stableAfter {
		p.pause.Reset()
	}
	_, refused := errors.AsType[*RefusedError](err)
	switch {
	case errors.Is(err, errForeign), takenBack:
		p.newer = true
		return p.stepBack("a newer instance runs under the same mqtt.base_topic; stop one, or give each its own " +
			"mqtt.client_id and mqtt.base_topic")
	case wasLost && len(p.losses) >= lossLimit:
		return p.stepBack(fmt.Sprintf("the broker ended the connection %d times within a minute: another program seems to "+
			"use the client id %q; give each its own mqtt.client_id (last: %v)", len(p.losses), clientID, lost.err))
	case refused:
		return verdict{StateRefused, err.Error(), p.pause.NextBackOff()}
	}
	return verdict{StateConnecting, err.Error(), p.pause.NextBackOff()}
}

func (p *pacer) stepBack(message string) verdict {
	p.waited, p.losses = true, nil
	return verdict{StateInUse, message, inUsePause}
}

func (p *pacer) forget(now time.Time) {
	for len(p.losses) > 0 && now.Sub(p.losses[0]) > lossWindow {
		p.losses = p.losses[1:]
	}
}
