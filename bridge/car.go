package bridge

import (
	"context"
	"log/slog"
	"time"

	"tesla2mqtt/tesla"
)

// car is one vehicle. Its goroutine owns everything in here; messages and outcomes reach it by channel, and one
// operation at a time runs beside it, so that it always has an ear for the next message.
type car struct {
	vin       string // never changes, so the bridge may read it
	vehicle   tesla.Vehicle
	cfg       CarConfig
	source    string
	reader    Reader
	commander Commander
	out       *carTopics
	memory    Memory
	log       *slog.Logger
	pace      func(time.Time) Pace // nil where neither reads nor commands cost money

	suspended func() time.Duration // of the machine, in all
	slept     time.Duration        // what it was when this goroutine last looked
	resumed   time.Time            // when it was last seen to have been; what was told before is of unknown age

	inbox    chan *message
	vehicles chan listing // news of the car's place in the account
	done     chan outcome
	reports  chan<- report

	doc       Document
	limits    socLimits
	ampsMax   int       // highest ceiling of cable and socket ever seen
	carTime   time.Time // the car's own clock at the last read
	schedule  schedule
	watch     watch
	toldAt    map[tesla.Thing]time.Time // of the last read, where each thing is told by itself
	extraRead time.Time                 // a read that a command asked for, zero for none

	desk       desk
	joined     []*pending // uncertain or second sends that no longer own their thing
	inflight   *pending   // whose operation is running, nil for a poll
	busy       bool
	running    op                        // while busy
	said       Document                  // what was published last
	lastAmps   time.Time                 // when amps were last sent
	lastSent   time.Time                 // when any command was last sent
	acked      map[tesla.Thing]acked     // the set points the car acknowledged last
	sentOf     map[tesla.Thing]time.Time // when each thing was last sent
	marked     mark                      // before the command in flight
	judged     map[attempt]bool          // what was answered by a read, since the car last changed
	abort      func()                    // ends the read that runs
	resend     *resend                   // amps to be sent once more when charging has begun
	repeats    repeats
	failures   failures
	wakes      wakes
	savedAt    time.Time
	unsaved    bool
	gone       bool
	discovered time.Time // when discovery was last published
	shown      device    // what discovery said last
	components platforms // what Home Assistant knows of the car, over restarts
	removing   bool      // discovery names components only to remove them
	lastError  error
	success    time.Time
	told       carHealth // what the bridge was told last
}

// listing tells a car what the list of products says of it; nil means that it is gone.
type listing struct {
	vehicle   *tesla.Vehicle
	reader    Reader
	commander Commander
}

// acked is a set point that the car has acknowledged; a read older than it must not bring the old value back.
type acked struct {
	value int
	at    time.Time
}

// resend is the set point to repeat after a start: cars have been seen to accept amps while idle and then to start at 5
// (evcc#24456).
type resend struct {
	amps  int
	until time.Time
	begun time.Time // when the start was told, where each thing is told by itself
}

// BilledAPI is the API, and the source, whose calls Tesla bills; nearby the one that Tesla has no part in.
const (
	BilledAPI = "fleet"
	nearby    = "ble"
)

const (
	ackMemory     = time.Minute      // how long a late read may still be older than an acknowledged set point
	resendMemory  = time.Hour        // an acknowledged set point that is older is not repeated after ON
	resendWindow  = 5 * time.Minute  // within which the start must be seen
	freshFor      = 60 * time.Second // how old a read may be to judge a command by
	readAfterOK   = 4 * time.Second  // reads are free: show soon what became of a command, and before the next may go (lower_gap)
	refreshGap    = 10 * time.Second // between reads that messages ask for
	saveEvery     = 5 * time.Minute
	doTimeout     = 45 * time.Second
	shutdownGrace = 5 * time.Second
)

// run serves the car until ctx ends. Then it waits a little for the command in flight, answers what is left and saves.
func (c *car) run(ctx context.Context) {
	c.recall()
	c.announce()
	ops, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for {
		// First what is to be done, then what is to be said: a command does not wait for words.
		c.catchUp(time.Now())
		wake := c.act(ops, time.Now())
		c.publish()
		c.tell(ctx)
		timer := time.NewTimer(time.Until(wake))
		select {
		case m := <-c.inbox:
			c.catchUp(time.Now()) // m is no older than it says
			c.accept(*m, time.Now())
		case o := <-c.done:
			c.finish(o, time.Now())
		case l := <-c.vehicles:
			c.learn(l)
		case <-c.watch.changes:
			c.watch.fired(time.Now())
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			c.stop(cancel)
			return
		}
		timer.Stop()
	}
}

// suspension is how long the machine must have been suspended to count: the kernel's two clocks are read one after the other.
const suspension = time.Second

// catchUp takes from the commands that wait the time for which the machine was suspended. Go's clock stood still meanwhile, and
// would show what was read before as fresh.
func (c *car) catchUp(now time.Time) {
	slept := c.suspended()
	if c.desk.age(slept - c.slept); slept-c.slept >= suspension {
		c.resumed = now
	}
	c.slept = slept
}

// act expires what is late, starts the next operation if none is running, and returns when to look again.
func (c *car) act(ctx context.Context, now time.Time) time.Time {
	wake := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if t.Before(wake) {
			wake = t
		}
	}
	for {
		late, next := c.desk.expiry(now)
		if late == nil {
			if !next.IsZero() {
				sooner(next)
			}
			break
		}
		if late == c.inflight {
			// A read on its behalf is running; what it was to send will not be sent.
			c.inflight = nil
		}
		c.resolve(late, expired(), now)
	}
	if c.unsaved {
		if due := c.savedAt.Add(saveEvery); !now.Before(due) {
			c.save(now)
		} else {
			sooner(due)
		}
	}
	if c.busy {
		return wake
	}
	p, at := c.nextPending(now)
	if p != nil && !now.Before(at) {
		if c.step(ctx, p, now) {
			return wake
		}
		return now
	}
	if p != nil {
		sooner(at)
	}
	op, at := c.nextPoll(now)
	if op != opNone && !now.Before(at) {
		c.start(ctx, nil, op, tesla.Command{})
		return wake
	}
	sooner(at)
	return wake
}

// nextPending returns the command that may take its next step first: those that wait for a confirmation included.
func (c *car) nextPending(now time.Time) (*pending, time.Time) {
	best, at := c.desk.next(c.stretched(now), c.lastAmps, c.doc.ChargeAmps)
	for _, p := range c.joined {
		if best == nil || p.notBefore.Before(at) {
			best, at = p, p.notBefore
		}
	}
	return best, at
}

// nextPoll returns the read that is due next.
func (c *car) nextPoll(now time.Time) (op, time.Time) {
	c.schedule.pace = c.paced(now).Read
	kind, at := opState, c.schedule.nextState()
	if read, ok := c.schedule.nextRead(); ok && read.Before(at) {
		kind, at = opRead, read
	}
	if due := c.watch.due; !due.IsZero() && due.Before(at) {
		kind, at = opPushed, due
	}
	if !c.extraRead.IsZero() && c.extraRead.Before(at) {
		if c.schedule.state == tesla.StateOnline {
			return opRead, c.extraRead
		}
		c.extraRead = time.Time{}
	}
	if at.IsZero() {
		at = now
	}
	return kind, at
}

// stop ends the car's work: the command in flight gets a moment, the others are answered.
func (c *car) stop(cancel context.CancelFunc) {
	if c.busy && c.inflight != nil {
		timer := time.NewTimer(shutdownGrace)
		defer timer.Stop()
		select {
		case o := <-c.done:
			c.finish(o, time.Now())
		case <-timer.C:
		}
	}
	cancel()
	if c.busy {
		// It ends at once, unless a token is being renewed just now: that goes on beside us.
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		select {
		case o := <-c.done:
			c.finish(o, time.Now())
		case <-timer.C:
		}
	}
	now := time.Now()
	for _, p := range c.everyPending() {
		v := verdict{status: statusExpired, reason: "shutdown", message: "the bridge was stopped before it could be sent"}
		if p.phase == confirming || p.phase == secondSend || c.underWay(p) {
			v = verdict{status: statusUnknown, reason: "shutdown", message: "it was sent, but the bridge was stopped before it could be confirmed"}
		}
		c.resolve(p, v, now)
	}
	c.publish()
	c.save(now)
}

func (c *car) everyPending() []*pending {
	var all []*pending
	for _, thing := range order {
		if p := c.desk[thing]; p != nil {
			all = append(all, p)
		}
	}
	return append(all, c.joined...)
}

// learn takes what the list of products says.
func (c *car) learn(l listing) {
	if l.vehicle == nil {
		c.gone, c.lastError = true, tesla.ErrNotFound
		return
	}
	c.vehicle, c.reader, c.commander = *l.vehicle, l.reader, l.commander
	c.watch = c.watch.on(l.reader)
	if c.gone {
		c.gone, c.lastError = false, nil
		c.schedule.wait = 0
	}
	c.unsaved = true
}
