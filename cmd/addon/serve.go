package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// grace is how long a stop may take: a renewal of the login that is under way is waited for. config.yaml of the add-on
// gives the container a little more.
const grace = 70 * time.Second

// serve runs the bridge until it ends, and logins beside it: without a login the bridge stays up, says so on MQTT, and goes
// on by itself when there is one.
func (a *addon) serve(ctx context.Context, c configuration) int {
	bridge, err := a.start(ctx, c, nil, "run")
	if err != nil {
		a.say("the bridge cannot be started: %v", err)
		return 1
	}
	l := &logins{addon: a, config: c, ended: make(chan error, 1)}
	defer l.close()
	settled := time.After(a.settle) // nobody is asked to log in for a configuration that is refused
	lines := readLines(a.stdin, a.say)
	for {
		select {
		case err := <-bridge:
			return a.bridgeEnded(c, err)
		case <-settled:
			if _, err := os.Stat(filepath.Join(a.stateDir(), "token.json")); errors.Is(err, os.ErrNotExist) && l.stdin == nil {
				a.say("there is no Tesla login yet")
				l.begin(ctx)
			}
		case line, open := <-lines:
			if !open {
				lines = nil
				continue
			}
			l.take(ctx, line)
		case err := <-l.ended:
			l.over(ctx, err)
		}
	}
}

// bridgeEnded tells what the person can do, and the exit code.
func (a *addon) bridgeEnded(c configuration, err error) int {
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return 0
	case ok && exit.ExitCode() == 2 && c.file != a.own:
		a.say("%s is made of the options on the page Configuration: correct them there, and start the add-on again", c.file)
		return 2
	case ok && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	a.say("the bridge ended: %v", err)
	return 1
}

// start runs a subcommand until it ends by itself or by ctx. It hears of that by SIGTERM.
func (a *addon) start(ctx context.Context, c configuration, stdin io.Reader, word string) (<-chan error, error) {
	cmd := exec.CommandContext(ctx, a.program, "-config", c.file, word)
	cmd.Env = c.env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, a.log, a.log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if cmd.ProcessState != nil && cmd.ProcessState.Success() {
			err = nil // that it was told to end is no fault
		}
		done <- err
	}()
	return done, nil
}
