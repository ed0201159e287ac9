// Command tesla2mqtt publishes the charge state of Tesla cars to MQTT and takes commands from there. Each subcommand has a
// file of its own; serve.go joins the parts of the daemon.
//
// Results go to standard output, everything else to standard error. No argument and no output holds a secret: the login is
// read from standard input, and kept by package auth alone.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetOutput(io.Discard) // net/http quotes there what a peer sent, which may echo a token; our own log is another
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// run is the program without its surroundings. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{in: stdin, out: stdout, err: stderr, getenv: os.Getenv}
	err := ours(a.command().Run(ctx, args))
	if err != nil {
		complain(stderr, err)
	}
	return exitCode(err)
}
