package mqtt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrNoMessage says that the broker holds no retained message on the topic.
var ErrNoMessage = errors.New("no retained message")

// retainedWithin is how long after the subscription a retained message is waited for; brokers send it at once.
const retainedWithin = 2 * time.Second

// Fetch reads the retained message of one topic over a connection of its own, for tools beside a running bridge: it uses
// o.ClientID with a random end and has no will. The error is ErrNoMessage if there is none, a *RefusedError if the broker
// does not accept the login, and else says what could not be reached.
func Fetch(ctx context.Context, o Options, topic string) ([]byte, error) {
	got := make(chan []byte, 1)
	o = o.aside()
	o.Subscribe = []string{topic}
	o.Handler = func(m Message) {
		select {
		case got <- m.Payload:
		default:
		}
	}
	c, err := New(o)
	if err != nil {
		return nil, err
	}
	s := newSession(c, false)
	defer s.hangUp(true)
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	return s.fetch(ctx, got)
}

// aside returns the options of a tool beside a running bridge: an id of its own, no will, nothing announced or watched.
func (o Options) aside() Options {
	o.ClientID += "-" + strings.ToLower(rand.Text()[:8])
	o.StateTopic, o.InfoTopic, o.BirthTopic = "", "", ""
	o.Subscribe, o.Handler = nil, nil
	return o
}

func (s *session) fetch(ctx context.Context, got <-chan []byte) ([]byte, error) {
	token := s.paho.SubscribeMultiple(s.client.o.filters(), nil)
	if err := acknowledged(ctx, token, ackTimeout); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	if refused := refusals(token); len(refused) > 0 {
		return nil, fmt.Errorf("the broker refused to subscribe to %q; allow reading it in its access rules", refused)
	}
	limit := time.NewTimer(retainedWithin)
	defer limit.Stop()
	select {
	case payload := <-got:
		return payload, nil
	case err := <-s.lost:
		return nil, &lostError{err}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-limit.C:
		return nil, ErrNoMessage
	}
}
