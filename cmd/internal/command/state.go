package command

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack"
)

// stateCommand returns the command gapbundle state.
func stateCommand() *cli.Command {
	return &cli.Command{
		Name: "state", Usage: "restore the mirror's own state: what was accepted, and from whom", HideHelp: true,
		UsageText: "gapbundle state rebuild /srv/mirror --dry-run",
		Subcommands: []*cli.Command{
			Leaf(&cli.Command{
				Name: "rebuild", Usage: "restore a state that is missing, cut or older than what the mirror proves", ArgsUsage: "MIRROR",
				Description: `Every command that changes a mirror compares its state with the records of generations,
with receipts and with the signed roots of accepted bundles, and stops (exit 4) if the
state has less. This command restores the state from them and does not touch intact
files. The trusted keys cannot be restored: add them again with gapbundle trust add.`,
				UsageText: "gapbundle state rebuild /srv/mirror --dry-run",
				Flags:     []cli.Flag{DryRunFlag(), RetryLockFlag()},
			}, stateRebuild),
		},
	}
}

func stateRebuild(c *cli.Context, o *Output) error {
	o.mirror = c.Args().First()
	r, err := unpack.RebuildState(c.Context, c.Args().First(), mirrorOptions(c, o, bundle.NoProgress))
	if r != nil {
		o.Show(r, func(w io.Writer) {
			if len(r.Restored) == 0 && err == nil {
				fmt.Fprintln(w, "nothing is missing")
			}
			for _, line := range r.Restored {
				fmt.Fprintf(w, "%srestored %s\n", WouldBe(c), line)
			}
			WriteNotes(w, r.Notes)
		})
	}
	return err
}
