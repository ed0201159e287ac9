package bridge

import (
	"context"
	"time"
)

// pulse tells how old a message may be that is delivered now. While the process stands still (a paused container, a machine
// that swaps, a debugger), commands wait in the socket; when it goes on they look new, and their time may have run out.
// What arrives right after a standstill therefore counts as come when that began.
type pulse struct {
	beat    time.Time // the last sign of life
	stopped time.Time // when the last standstill began
	until   time.Time // until then, what it left in the socket is being delivered
}

const (
	beatEvery  = time.Second
	standstill = beatEvery + beatEvery/2 // without a beat; a machine that is merely busy makes messages a little older
	draining   = time.Second
)

// next is the pulse after a beat at now, and how long nothing moved before, 0 if all is well.
func (p pulse) next(now time.Time) (pulse, time.Duration) {
	if gap := now.Sub(p.beat); gap > standstill {
		return pulse{now, p.beat, now.Add(draining)}, gap
	}
	p.beat = now
	return p, 0
}

// arrived is the time at which what is delivered now may have come.
func (p pulse) arrived(now time.Time) time.Time {
	switch {
	case now.Sub(p.beat) > standstill: // nobody has noticed yet
		return p.beat
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
			p, gap := b.pulse.Load().next(time.Now())
			b.pulse.Store(&p)
			if gap > 2*standstill {
				b.deps.Log.Warn("the program stood still; commands that came meanwhile count as that old", "for", gap.Round(time.Second))
			}
		case <-ctx.Done():
			return
		}
	}
}
