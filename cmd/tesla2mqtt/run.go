package main

import (
	"context"
	"runtime/debug"

	"github.com/urfave/cli/v3"
)

func (a *app) run(ctx context.Context, cmd *cli.Command) error {
	if err := takes(cmd, 0, 0); err != nil {
		return err
	}
	c, log, err := a.load(cmd, "")
	if err != nil {
		return err
	}
	for _, w := range c.Warnings {
		log.Warn("configuration", "warning", w)
	}
	if a.getenv("GOGC") == "" {
		// Memory is what a small machine lacks; processor time is not. See docs/numbers.md.
		debug.SetGCPercent(50)
	}
	return serve(ctx, c, log)
}
