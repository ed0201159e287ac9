package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"tesla2mqtt/tesla"
)

// checkDeadline is for everything together.
const checkDeadline = 90 * time.Second

// The verdicts of a check.
const (
	statusOK   = "ok"
	statusWarn = "warn" // works, or could not be found out
	statusFail = "fail"
)

// finding is one thing that was looked at.
type finding struct {
	Area    string `json:"area"`
	Name    string `json:"name"`
	Status  string `json:"status"` // ok, warn, fail
	Message string `json:"message"`
	Fix     string `json:"fix"` // what to do, "" if nothing is
	login   bool   // a failure that only a new login mends
}

// checkup collects what is found, and shows it at once: a person should not have to wait for the slowest part.
type checkup struct {
	config *Config
	out    io.Writer // nil: shown in the end
	area   string    // that is being looked at
	found  []finding

	registration registration // of the Fleet application
}

func (a *app) check(ctx context.Context, cmd *cli.Command) error {
	if err := takes(cmd, 0, 0); err != nil {
		return err
	}
	c, log, err := a.load(cmd, "error")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, checkDeadline, fmt.Errorf("the check took more than %s", checkDeadline))
	defer cancel()
	k := &checkup{config: c, out: a.out}
	if cmd.Bool("json") {
		k.out = nil
	}
	k.configuration(cmd.String("config"))
	usable := k.stateFolder()
	vins := k.needed(ctx, usable, log)
	k.budget(usable, vins)
	k.bluetooth(ctx)
	k.broker(ctx, vins)
	if ctx.Err() != nil {
		k.fail("check", "stopped before the end: "+context.Cause(ctx).Error(), "what is above stands; run it again")
	}
	if k.out == nil {
		if err := printJSON(a.out, k.found); err != nil {
			return err
		}
	} else {
		k.summary()
	}
	return k.verdict()
}

// configuration says which file counts. Its faults have ended the program before.
func (k *checkup) configuration(path string) {
	k.begin("configuration")
	path, err := findConfig(path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		k.fail("file", err.Error(), "") // it was there a moment ago
		return
	}
	k.ok("file", path+" is complete and without a fault")
	for _, w := range k.config.Warnings {
		k.add(statusWarn, "setting", errors.New(w))
	}
}

func (k *checkup) begin(area string) {
	k.area = area
	if k.out != nil {
		fmt.Fprintln(k.out, area)
	}
}

func (k *checkup) ok(name, message string) {
	k.note(finding{Name: name, Status: statusOK, Message: message})
}
func (k *checkup) warn(name, message, fix string) {
	k.note(finding{Name: name, Status: statusWarn, Message: message, Fix: fix})
}
func (k *checkup) fail(name, message, fix string) {
	k.note(finding{Name: name, Status: statusFail, Message: message, Fix: fix})
}

// untried is for what an earlier failure left no way to look at.
func (k *checkup) untried(name, why string) { k.warn(name, "not tried: "+why, "") }

// add takes an error or a warning that says what happened and, after a semicolon, what to do.
func (k *checkup) add(status, name string, err error) {
	message, fix, _ := strings.Cut(err.Error(), "; ")
	k.note(finding{Name: name, Status: status, Message: message, Fix: fix})
}

func (k *checkup) note(f finding) {
	f.Area = k.area
	f.Message, f.Fix = oneLine(f.Message), oneLine(f.Fix)
	k.found = append(k.found, f)
	if k.out == nil {
		return
	}
	const column = 17 // a VIN's
	fmt.Fprintf(k.out, "  %-4s  %-*s  %s\n", f.Status, column, f.Name, f.Message)
	if f.Fix != "" {
		fmt.Fprintf(k.out, "  %-4s  %-*s  -> %s\n", "", column, "", f.Fix)
	}
}

// oneLine keeps what a server sent from breaking the table.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func (k *checkup) summary() {
	n := map[string]int{}
	for _, f := range k.found {
		n[f.Status]++
	}
	fmt.Fprintf(k.out, "\n%d ok, %d warn, %d fail\n", n[statusOK], n[statusWarn], n[statusFail])
}

// verdict is nil if nothing failed. All has been told already; the error is for the exit code.
func (k *checkup) verdict() error {
	failed, logins := 0, 0
	for _, f := range k.found {
		if f.Status == statusFail {
			failed++
		}
		if f.login {
			logins++
		}
	}
	switch failed {
	case 0:
		return nil
	case logins:
		return quietly(tesla.ErrLoginRequired)
	}
	return quietly(fmt.Errorf("%d checks failed", failed))
}
