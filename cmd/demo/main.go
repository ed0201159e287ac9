// Command demo shows tesla2mqtt without a car, a login or a broker of your own: an embedded MQTT broker on loopback, a
// simulated Tesla in the same process, and between them the same bridge, client and login code as the product's.
//
//	go run ./cmd/demo
//
// The simulated Tesla is reached by function calls, not by a network, so nothing outside can be reached.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"tesla2mqtt/tesla/sim"
)

const usage = `Usage: go run ./cmd/demo [-port PORT] [-speed N] [-road ROAD] [-fault NAME[,NAME]] [-log LEVEL]

Starts an MQTT broker on 127.0.0.1, two simulated cars (one charging, one asleep)
and the bridge between them, and prints each message as it is published.

Options:
`

// roads are the ways to the cars that can be shown.
var roads = []string{"owner", "fleet", "ble", "telemetry"}

// options are the command line's.
type options struct {
	port   int
	speed  float64
	road   string
	faults []string
	level  slog.Level
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 0 after Ctrl-C, 1 if the demo could not work, 2 for a wrong command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 2
	}
	if err := show(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.port, "port", 1883, "TCP port of the broker on 127.0.0.1; 0 for any free one")
	flags.Float64Var(&o.speed, "speed", 1, "how much faster the cars charge, 1 to 1000; the bridge's own times stay")
	flags.StringVar(&o.road, "road", "owner", "how the cars are reached: owner; fleet, with signed commands and a budget; ble, by the messages of\nBluetooth, without a radio; or telemetry, which they stream to the broker")
	fault := flags.String("fault", "", "let Tesla misbehave, see the names below")
	flags.TextVar(&o.level, "log", slog.LevelWarn, "level of the log on stderr: debug, info, warn, error")
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
		fmt.Fprintln(stderr, "\nFaults:")
		for _, k := range sim.Faults() {
			fmt.Fprintf(stderr, "  %-22s %s\n", k.Name, k.About)
		}
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected %q; see -help", flags.Arg(0))
	case o.port < 0 || o.port > 65535:
		return o, fmt.Errorf("-port %d is not a port", o.port)
	case !(o.speed >= 1 && o.speed <= 1000):
		return o, fmt.Errorf("-speed %v is not between 1 and 1000", o.speed)
	case !slices.Contains(roads, o.road):
		return o, fmt.Errorf("-road %s is none of %s", o.road, strings.Join(roads, ", "))
	}
	if *fault != "" {
		o.faults = strings.Split(*fault, ",")
	}
	for _, name := range o.faults {
		if err := new(sim.Tesla).Fault(name); err != nil {
			return o, fmt.Errorf("-fault: %w; see -help for the names", err)
		}
	}
	return o, nil
}
