package mqtt

import (
	"context"
	"errors"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	// window is how many packets may await their acknowledgement. paho writes them in order and a broker handles one
	// connection in order, so that a newer value never overtakes an older one.
	window = 16
	// ackTimeout is how long a broker may take to acknowledge before the connection is given up and built anew.
	ackTimeout = 10 * time.Second
)

var errNoAck = errors.New("the broker did not acknowledge within 10 s")

// job is one packet that the broker acknowledges: a publish, or a subscription if filters is not nil.
type job struct {
	item    *item // what of the outbox this sends; nil for what the session itself has to say
	topic   string
	payload []byte
	retain  bool
	filters map[string]byte // topic filter to QoS
}

// outcome is a job whose acknowledgement came, or will not come.
type outcome struct {
	job
	token paho.Token
	sent  time.Time
	err   error
}

// pipeline hands jobs to paho, whose methods may block on a stalled connection, and reports their outcomes in the same
// order. The owner keeps at most window jobs, and one for the farewell, on the way; so no channel here ever fills up and
// the owner never waits for anything but what it selects on.
type pipeline struct {
	todo chan job
	done chan outcome
}

// newPipeline starts the two goroutines. They end with ctx; one that is inside paho then, when paho's write timeout is up.
func newPipeline(ctx context.Context, c paho.Client) *pipeline {
	p := &pipeline{todo: make(chan job, window+1), done: make(chan outcome, window+1)}
	sent := make(chan outcome, window+1)
	go p.send(ctx, c, sent)
	go p.await(ctx, sent)
	return p
}

func (p *pipeline) send(ctx context.Context, c paho.Client, sent chan<- outcome) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-p.todo:
			o := outcome{job: j, sent: time.Now()}
			if j.filters != nil {
				o.token = c.SubscribeMultiple(j.filters, nil)
			} else {
				o.token = c.Publish(j.topic, 1, j.retain, j.payload)
			}
			sent <- o
		}
	}
}

func (p *pipeline) await(ctx context.Context, sent <-chan outcome) {
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-sent:
			o.err = acknowledged(ctx, o.token, ackTimeout-time.Since(o.sent))
			p.done <- o
		}
	}
}

// acknowledged waits for a token, at most for d.
func acknowledged(ctx context.Context, token paho.Token, d time.Duration) error {
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-limit.C:
		return errNoAck
	}
}
