// Command addon runs tesla2mqtt as an add-on of Home Assistant, which calls add-ons apps since 2026.2. It asks the Supervisor
// for the broker, writes the configuration from the add-on's options, starts the bridge, and lets a person log in by the
// container's standard input, which Home Assistant's action hassio.app_stdin writes to.
//
// It is a program of its own so that tesla2mqtt need not know the Supervisor: that one talks to Tesla and to the broker
// only, and is not given the Supervisor's token.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tesla2mqtt/internal/secret"
)

// addon is where things are: in the container, or in a test.
type addon struct {
	supervisor string // its address
	token      secret.Text
	options    string        // what the person has set, written by the Supervisor
	own        string        // a whole configuration of the person's, which wins if it is there
	data       string        // the add-on's folder, which outlives it
	program    string        // tesla2mqtt
	pause      time.Duration // between two questions to the Supervisor
	settle     time.Duration // a bridge that refuses its configuration has ended by then
	stdin      io.Reader
	log        io.Writer
}

func main() {
	log.SetOutput(io.Discard) // net/http quotes there what a peer sent, which may echo the Supervisor's token
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	a := &addon{
		supervisor: "http://supervisor", token: secret.Hide(os.Getenv("SUPERVISOR_TOKEN")),
		options: "/data/options.json", own: "/config/config.yaml", data: "/data", program: "/tesla2mqtt",
		pause: 10 * time.Second, settle: time.Second, stdin: os.Stdin, log: os.Stdout,
	}
	os.Exit(a.run(ctx))
}

// run returns the exit code: that of the bridge, 0 after a signal, 1 if it could not be started.
func (a *addon) run(ctx context.Context) int {
	c, err := a.configure(ctx)
	switch {
	case ctx.Err() != nil:
		return 0
	case err != nil:
		a.say("%v", err)
		return 1
	}
	return a.serve(ctx, c)
}

// say writes a line to the log, which Home Assistant shows on the add-on's page.
func (a *addon) say(format string, args ...any) { fmt.Fprintf(a.log, "addon: "+format+"\n", args...) }
