package bridge

import (
	"context"
	"time"
)

// pulse tells how old a message may be that is delivered now. While the process stands still (a paused container, a machine
// that swaps or is suspended, a debugger), commands wait in the socket; when it goes on they look new, and their time may
// have run out. What arrives right after a standstill therefore counts as come when that began.
type pulse struct {
	beat    time.Time     // the last sign of life
	slept   time.Duration // for how long the machine had been suspended then, in all
	stopped time.Time     // when the last standstill began
	until   time.Time     // until then, what it left in the socket is being delivered
}

const (
	beatEvery  = time.Second
	standstill = beatEvery + beatEvery/2 // without a beat; a machine that is merely busy makes messages a little older
	draining   = time.Second
)

// gap is how long ago the last beat was. Go's clock does not count the time for which the machine was suspended.
func (p pulse) gap(now time.Time, slept time.Duration) time.Duration {
	return now.Sub(p.beat) + slept - p.slept
}

// next is the pulse after a beat at now, and how long nothing moved before, 0 if all is well.
func (p pulse) next(now time.Time, slept time.Duration) (pulse, time.Duration) {
	if gap := p.gap(now, slept); gap > standstill {
		return pulse{now, slept, now.Add(-gap), now.Add(draining)}, gap
	}
	p.beat, p.slept = now, slept
	return p, 0
}

// arrived is the time at which what is delivered now may have come.
func (p pulse) arrived(now time.Time, slept time.Duration) time.Time {
	gap := p.gap(now, slept)
	switch {
	case gap > standstill: // nobody has noticed yet
		return now.Add(-gap)
	case now.Before(p.until):
		return p.stopped
	}
	return now
}

// watchPulse beats until ctx ends. It has a goroutine of its own: nothing else that is slow must look like a standstill.
func (b *Bridge) watchPulse(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p, gap := b.pulse.Load().next(time.Now(), b.deps.Suspended())
			b.pulse.Store(&p)
			if gap > 2*standstill {
				b.deps.Log.Warn("the program stood still; commands that came meanwhile count as that old", "for", gap.Round(time.Second))
			}
		case <-ctx.Done():
			return
		}
	}
}
