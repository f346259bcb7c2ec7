// Command gapbundle carries everything a disconnected site needs over a gap:
// one command gathers it into a signed bundle, one checks and publishes it.
//
// This package has the commands of the connected side: it turns flags into the
// options of the packages that do the work, and their results into text. The
// commands of the side inside the gap, and everything about printing, flags and
// exit codes, are in cmd/internal/command, which cmd/gapbundle-inside shares.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/all"
	"github.com/gapbundle/gapbundle/sources/config"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/helm/child"
	chart "github.com/gapbundle/gapbundle/sources/helm/render"
	"github.com/gapbundle/gapbundle/sources/ledger"
	"github.com/gapbundle/gapbundle/sources/upstream"
	"github.com/gapbundle/gapbundle/unpack"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == child.Command {
		command.SetMemory()
		os.Exit(chart.Main(os.Stdin, os.Stdout))
	}
	command.Program{Table: program, Hint: exportHint, Values: flagValues()}.Main()
}

// program returns the whole command line as a table.
func program() *cli.Command {
	return &cli.Command{
		Usage: "files, packages and images over an air gap: export, verify, import, serve",
		Description: `Everything a disconnected site needs is gathered by one command on the connected
side, carried on removable media, and checked and published by one command
inside the gap.`,
		UsageText: `gapbundle export gapbundle.yaml --to /media/usb
gapbundle import /media/usb --to /srv/mirror`,
		Subcommands: slices.Concat([]*cli.Command{
			keygenCommand(), planCommand(), exportCommand(), command.VerifyCommand(), command.InspectCommand(),
			command.TrustCommand(), command.ImportCommand(), receiptsCommand(), listCommand(), mediaCommand(),
		}, command.MirrorCommands(checkKinds, checkDeep), []*cli.Command{
			command.PushCommand(), command.ServeCommand(), command.VersionCommand(), command.CompletionCommand(), command.ManCommand(program),
		}),
	}
}

// exportHint returns what to do about errors of the connected side.
func exportHint(err error) string {
	var missing *config.MissingError
	if errors.As(err, &missing) {
		return "name the spec file, as in gapbundle plan site.yaml; without a name it is " + command.DefaultSpec + " in this folder; docs/spec.md shows how to write one"
	}
	var other *export.OtherMirrorError
	if errors.As(err, &other) {
		return "nothing was recorded; give the destination it came from, or a new name if that mirror was set up again: --destination NAME"
	}
	var older *upstream.OlderError
	if errors.As(err, &older) {
		return fmt.Sprintf("--hold %[1]s carries on with what the base has of this source; --allow-older %[1]s takes the older state, which is recorded; somebody between here and upstream may be replaying it", older.Source)
	}
	var gone *media.GoneError
	if errors.As(err, &gone) {
		return "nothing was written in its place; plug the medium in again, mount it at " + gone.Dir + " and repeat the same command: it goes on where it stopped"
	}
	var full *media.FullError
	if errors.As(err, &full) {
		return fullHint(full)
	}
	var strange *export.NewDestinationError
	if errors.As(err, &strange) {
		return "is it spelled right? for a site that gets its first bundle: --new-destination"
	}
	var notKept *ledger.NotKeptError
	if errors.As(err, &notKept) {
		return notKeptHint(notKept)
	}
	return thingHint(err)
}

// notKeptHint names what a delta can build on in place of a state that the ledger does not have.
func notKeptHint(e *ledger.NotKeptError) string {
	hint := fmt.Sprintf("build on bundle %d from its medium: --base DIR (a full bundle, or one that export --adopt took over); or carry everything: --full", e.Sequence)
	for _, n := range slices.Backward(e.Kept) {
		if n < e.Sequence {
			return hint + fmt.Sprintf("; or on an earlier one that the destination has, too: --base %d", n)
		}
	}
	return hint
}

// checkKinds asks every kind whether its clients would find what they need.
func checkKinds(ctx context.Context, m *unpack.Mirror) ([]bundle.CheckCount, error) {
	return eachKind(m, func(kind sources.Kind, tree sources.AtHand) ([]bundle.CheckCount, error) {
		if kind.Check == nil {
			return nil, nil
		}
		return kind.Check(ctx, tree)
	})
}

// checkDeep has clients' own programs look at what is published, of kinds that
// have such a program.
func checkDeep(ctx context.Context, m *unpack.Mirror) ([]bundle.CheckCount, error) {
	return eachKind(m, func(kind sources.Kind, tree sources.AtHand) ([]bundle.CheckCount, error) {
		if kind.Deep == nil {
			return nil, nil
		}
		return kind.Deep(ctx, filepath.Join(m.Dir(), "current"), tree)
	})
}

// eachKind calls look for every kind of which something is published.
func eachKind(m *unpack.Mirror, look func(sources.Kind, sources.AtHand) ([]bundle.CheckCount, error)) ([]bundle.CheckCount, error) {
	var counts []bundle.CheckCount
	var found []error
	for _, kind := range all.Kinds() {
		tree, err := m.Tree(kind.Name)
		if err != nil {
			return nil, err
		}
		if len(tree.Repositories()) == 0 {
			continue
		}
		n, err := look(kind, tree)
		counts, found = append(counts, n...), append(found, bundle.About(bundle.AboutMirror, err))
	}
	return counts, errors.Join(found...)
}
