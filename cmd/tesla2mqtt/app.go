package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
)

// app is what every subcommand is given.
type app struct {
	in       io.Reader
	out, err io.Writer // results, and talk
	getenv   func(string) string
}

// command is the command line. Its flags may stand before or after the subcommand.
func (a *app) command() *cli.Command {
	root := &cli.Command{
		Name: "tesla2mqtt", CustomRootCommandHelpTemplate: usage, CustomHelpTemplate: usage, HideHelpCommand: true,
		Reader: a.in, Writer: a.out, ErrWriter: a.err,
		Flags:  []cli.Flag{&cli.StringFlag{Name: "config"}, &cli.StringFlag{Name: "log"}},
		Action: a.noCommand,
		Commands: []*cli.Command{
			{Name: "run", Action: a.run},
			{Name: "login", Action: a.login, Flags: []cli.Flag{&cli.StringFlag{Name: "issuer"}}},
			{Name: "refresh-token", Action: a.refreshToken},
			{Name: "vehicles", Action: a.vehicles, Flags: jsonFlag()},
			{Name: "status", Action: a.status, Flags: jsonFlag()},
			{Name: "set-amps", Action: a.setAmps},
			a.bleCommand(),
			a.fleetCommand(),
			{Name: "check", Action: a.check, Flags: jsonFlag()},
			{Name: "healthcheck", Action: a.healthcheck},
			{Name: "version", Action: a.version, Flags: jsonFlag()},
		},
		EnableShellCompletion: true, ConfigureShellCompletionCommand: a.completion,
		// The library would print and exit by itself.
		ExitErrHandler: func(context.Context, *cli.Command, error) {},
		OnUsageError:   wrongUsage,
	}
	for _, c := range root.Commands {
		c.CustomHelpTemplate, c.OnUsageError = usageOf(c.Name), wrongUsage
	}
	return root
}

func jsonFlag() []cli.Flag { return []cli.Flag{&cli.BoolFlag{Name: "json"}} }

func wrongUsage(_ context.Context, c *cli.Command, err error, _ bool) error {
	hint := "see: " + c.FullName() + " -help"
	if _, flag, unknown := strings.Cut(err.Error(), "not defined: -"); unknown {
		hint = hintForFlag(strings.TrimLeft(flag, "-"), c, hint)
	}
	return &usageError{err.Error(), hint}
}

// hintForFlag says what may have been meant by a flag that there is not.
func hintForFlag(flag string, c *cli.Command, otherwise string) string {
	if flag == "v" || flag == "V" || flag == "version" {
		return "did you mean: tesla2mqtt version"
	}
	var names []string
	for _, f := range slices.Concat(c.Flags, c.Root().Flags) {
		names = append(names, f.Names()...)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return len(name) == 1 }) // near to any other letter
	if near := nearest(flag, names); near != "" {
		return "did you mean: -" + near
	}
	return otherwise
}

// noCommand is what runs without a subcommand, or with one that there is not.
func (a *app) noCommand(_ context.Context, c *cli.Command) error {
	name := c.Args().First()
	if name == "help" {
		text := usage
		if about := c.Args().Get(1); usages[about] != "" {
			text = usageOf(about)
		}
		_, err := io.WriteString(a.out, text)
		return err
	}
	if name == "" {
		fmt.Fprintf(a.err, "%s\n", usage)
		return &usageError{"no subcommand was given", "see: tesla2mqtt -help"}
	}
	var names []string
	for _, sub := range c.Commands {
		names = append(names, sub.Name)
	}
	hint := "see: tesla2mqtt -help"
	if near := nearest(name, names); near != "" {
		hint = "did you mean: tesla2mqtt " + near
	}
	return &usageError{fmt.Sprintf("there is no subcommand %s", plain(name)), hint}
}

// load reads the configuration. Without -log, quiet is the level of commands that answer once; "" is that of the file.
func (a *app) load(c *cli.Command, quiet string) (*Config, *slog.Logger, error) {
	level := c.String("log")
	if level != "" && !slices.Contains(levels, level) {
		return nil, nil, &usageError{"-log must be one of " + strings.Join(levels, ", "), ""}
	}
	path, err := findConfig(c.String("config"))
	if err != nil {
		return nil, nil, err
	}
	cfg, err := loadConfig(path, a.getenv)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range []string{quiet, cfg.Log.Level} {
		if level == "" {
			level = l
		}
	}
	return cfg, newLogger(a.err, level, cfg.Log.Format), nil
}

// levels are those of the log, the most talkative first.
var levels = []string{"debug", "info", "warn", "error"}

func newLogger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // levels has none that this knows not
	}
	o := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// takes refuses arguments that a subcommand does not have.
func takes(c *cli.Command, least, most int) error {
	n := c.Args().Len()
	if n >= least && n <= most {
		return nil
	}
	many := map[bool]string{true: "few", false: "many"}[n < least]
	are := map[bool]string{true: "is", false: "are"}[n == 1]
	hint := "see: " + c.FullName() + " -help"
	if form, _, _ := strings.Cut(usages[c.Name], "\n"); strings.HasPrefix(form, "Usage: "+c.FullName()) {
		hint = "the form is: " + strings.TrimPrefix(form, "Usage: ")
	}
	return &usageError{fmt.Sprintf("%s: %s %s too %s", c.Name, counted(n, "argument"), are, many), hint}
}
