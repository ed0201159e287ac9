// Command bench measures the program: each subcommand prints the rows of one table of docs/numbers.md, and on stderr what it
// is doing. The real binary runs beside a real Mosquitto and a simulated Tesla, all on loopback. It is run from the
// project's folder:
//
//	go run ./.ci/bench relay|start|footprint|fleet [-help]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	figures := map[string]func(context.Context, []string) error{
		"relay": relay, "start": start, "footprint": footprint, "fleet": fleet, "bare": bare,
	}
	if len(os.Args) < 2 || figures[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: go run ./.ci/bench relay|start|footprint|fleet [-help]")
		os.Exit(2)
	}
	err := figures[os.Args[1]](ctx, os.Args[2:])
	if errors.Is(err, flag.ErrHelp) {
		err = nil
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// say tells a person what goes on; the rows alone go to stdout.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
