package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"
)

func (a *app) refreshToken(ctx context.Context, cmd *cli.Command) (err error) {
	if err := takes(cmd, 0, 0); err != nil {
		return err
	}
	c, log, err := a.load(cmd, "warn")
	if err != nil {
		return err
	}
	if err := a.needless(c); err != nil {
		return err
	}
	source, _, err := openAccount(c, log)
	if err != nil {
		return err
	}
	defer closeAccount(source, &err)
	if err := source.Refresh(ctx); err != nil {
		return fmt.Errorf("renew the login: %w", err)
	}
	expires := source.Status().AccessExpires
	fmt.Fprintf(a.out, "renewed, the access token lasts until %s\n", expires.Local().Format(time.RFC3339))
	return nil
}
