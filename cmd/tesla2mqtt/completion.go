package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"
)

// completion gives the library's subcommand of that name the manners of our own: our help, our errors, our exit codes.
func (a *app) completion(c *cli.Command) {
	var shells []string
	for _, shell := range c.Commands {
		shells = append(shells, shell.Name)
		shell.Hidden = true // or the library would show a help of its own
		shell.CustomHelpTemplate, shell.OnUsageError = usageOf(c.Name), wrongUsage
	}
	c.CustomHelpTemplate, c.OnUsageError = usageOf(c.Name), wrongUsage
	c.ShellComplete = func(context.Context, *cli.Command) { fmt.Fprintln(a.out, strings.Join(shells, "\n")) }
	c.Action = func(_ context.Context, c *cli.Command) error {
		message := "completion: no shell was given"
		if name := c.Args().First(); name != "" {
			message = "completion: there is none for " + plain(name)
		}
		return &usageError{message, "it is one of " + strings.Join(shells, ", ")}
	}
}
