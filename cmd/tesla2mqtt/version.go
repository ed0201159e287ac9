package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v3"
)

// version is that of the next or of this release; the commit tells which.
const version = "0.1.0"

// build is what the binary knows about itself.
type build struct {
	Version  string   `json:"version"`
	Commit   string   `json:"commit"`
	Modified bool     `json:"modified"` // the tree differed from the commit
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Modules  []module `json:"modules"`
}

type module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

func (a *app) version(_ context.Context, cmd *cli.Command) error {
	if err := takes(cmd, 0, 0); err != nil {
		return err
	}
	info, _ := debug.ReadBuildInfo()
	b := readBuild(info)
	if cmd.Bool("json") {
		return printJSON(a.out, b)
	}
	modified := ""
	if b.Modified {
		modified = ", modified"
	}
	fmt.Fprintf(a.out, "tesla2mqtt %s\ncommit %s%s\n%s %s\n", b.Version, b.Commit, modified, b.Go, b.Platform)
	for _, m := range b.Modules {
		fmt.Fprintf(a.out, "%s %s\n", m.Path, m.Version)
	}
	return nil
}

// buildCommit returns the commit that this binary was built from, "unknown" without git.
func buildCommit() string {
	info, _ := debug.ReadBuildInfo()
	return readBuild(info).Commit
}

// readBuild takes nil for a binary without any information.
func readBuild(info *debug.BuildInfo) build {
	b := build{Version: version, Commit: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Modules: []module{}}
	if info == nil {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		b.Modules = append(b.Modules, module{m.Path, m.Version})
	}
	return b
}
