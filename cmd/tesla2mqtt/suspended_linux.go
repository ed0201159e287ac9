package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// suspended is for how long this machine has been suspended since it started: of its two clocks, one goes on meanwhile.
func suspended() time.Duration {
	var all, awake unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &all) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake) != nil {
		return 0
	}
	return (time.Duration(all.Nano()) - time.Duration(awake.Nano())).Round(time.Millisecond)
}
