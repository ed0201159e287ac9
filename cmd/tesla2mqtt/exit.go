package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla"
)

// The exit codes that scripts rely on.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // or the configuration
	exitLogin  = 3 // only a person can help: tesla2mqtt login
	exitAsleep = 4 // or the car cannot be reached
)

// usageError is a call that cannot be meant so, with what to do instead.
type usageError struct{ message, hint string }

func (e *usageError) Error() string { return e.message }

// adviceError is a failure of our own making, with what to do about it.
type adviceError struct {
	err    error
	advice string
}

func (e *adviceError) Error() string { return e.err.Error() }
func (e *adviceError) Unwrap() error { return e.err }

// errUnreachable is for a car that could only be read if it were woken first.
var errUnreachable = errors.New("it was not woken")

func unreachable(s tesla.VehicleState) error { return fmt.Errorf("it is %s; %w", s, errUnreachable) }

// toldError was printed when it happened, and is only for the exit code.
type toldError struct{ error }

func (e toldError) Unwrap() error { return e.error }

// quietly marks an error as told; nil stays nil.
func quietly(err error) error {
	if err == nil {
		return nil
	}
	return toldError{err}
}

// ours puts what the command line's library makes itself into our words: a help that there is not.
func ours(err error) error {
	const noHelpTopic = 3 // the library's exit code for it
	if e, ok := errors.AsType[cli.ExitCoder](err); ok && e.ExitCode() == noHelpTopic {
		return &usageError{"there is no help on that", "see: tesla2mqtt -help"}
	}
	return err
}

// exitCode maps what a subcommand returned.
func exitCode(err error) int {
	var usage *usageError
	var config *configError
	var login interface{ LoginRequired() bool }
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.As(err, &config):
		return exitUsage
	case errors.Is(err, tesla.ErrLoginRequired), errors.As(err, &login) && login.LoginRequired():
		return exitLogin
	case errors.Is(err, errUnreachable), errors.Is(err, tesla.ErrAsleep), errors.Is(err, tesla.ErrInService),
		errors.Is(err, tesla.ErrOutOfRange), errors.Is(err, tesla.ErrNoLink):
		return exitAsleep
	}
	return exitFailed
}

// complain prints an error and what to do about it, each on lines of its own.
func complain(w io.Writer, err error) {
	var config *configError
	if errors.As(err, &config) {
		fmt.Fprintf(w, "%v\n", err) // each line names its file and line already, as editors like it
		return
	}
	if told, ok := errors.AsType[toldError](err); !ok || told.Error() != err.Error() {
		fmt.Fprintf(w, "tesla2mqtt: %v\n", err)
	}
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(w, "  hint: %s\n", hint)
	}
}

func hintFor(err error) string {
	var usage *usageError
	var own *adviceError
	var login interface{ LoginRequired() bool }
	switch {
	case errors.As(err, &usage):
		return usage.hint
	case errors.As(err, &own):
		return own.advice
	case errors.As(err, &login) && login.LoginRequired():
		return tesla.Advice(tesla.ErrLoginRequired)
	}
	return tesla.Advice(err)
}
