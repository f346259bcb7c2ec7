package main

import (
	"os"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/sources/all"
	"github.com/gapbundle/gapbundle/sources/export"
)

func listCommand() *cli.Command {
	return command.ListCommand(listSpec, stateFlag(), command.Text("site-key", "OpenPGP key `FILE` of the site, instead of the spec's; only for a spec"))
}

// listSpec plans what a spec names, whole: no base is looked at.
func listSpec(c *cli.Context, o *command.Output) (*command.Listed, error) {
	repos, done, err := export.Contents(c.Context, export.Options{
		SpecPath: c.Args().First(), SiteKey: c.String("site-key"), StateDir: c.String("state"), Now: judgingTime(), Log: o.Log,
		Kinds: all.Kinds(), Tool: command.ToolName(), Program: programPath(), Env: os.Getenv,
	})
	if err != nil {
		return nil, err
	}
	return &command.Listed{Repositories: repos, State: command.StatePlanned, Close: done}, nil
}
