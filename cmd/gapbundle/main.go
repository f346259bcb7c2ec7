// Command gapbundle carries everything a disconnected site needs over a gap:
// one command gathers it into a signed bundle, one checks and publishes it.
//
// This package turns flags into the options of the packages that do the work,
// and their results into text: it decides nothing itself. What is printed and
// how is in print.go, exit codes and hints are in exit.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/sources/helm/child"
	chart "github.com/gapbundle/gapbundle/sources/helm/render"
)

// gcPercent lets the collector run earlier than by Go's default: memory has a
// bound that people plan with (docs/benchmarks.md), and the time it costs is
// little, because most of what is live are buffers that hold no pointers. GOGC
// in the environment overrides it.
const gcPercent = 25

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx := withSignals(context.Background())
	os.Exit(run(ctx, os.Args, os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// interrupted is the cause of a context that a signal cancelled.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return "interrupted (" + i.signal.String() + ")" }
func (i interrupted) exit() int     { return 128 + int(i.signal) }

// withSignals is a context that the first SIGINT or SIGTERM cancels, so that
// work stops at a place from which it can go on. The second one ends the
// process at once: what is on disk then is what a power cut would leave, and
// that is safe too.
func withSignals(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		first, _ := (<-signals).(syscall.Signal)
		cancel(interrupted{first})
		second, _ := (<-signals).(syscall.Signal)
		os.Exit(interrupted{second}.exit())
	}()
	return ctx
}

// run is the program without its process: it gives the exit code. A panic is
// an internal error; the Go runtime's own exit code for it means usage here.
func run(ctx context.Context, argv []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(stderr, "%s\n", debug.Stack())
			o := &output{stdout: stdout, stderr: stderr, json: wantsJSON(argv, getenv)}
			o.useLog("text", "error")
			code = o.finish(ctx, fmt.Errorf("panic: %v", p))
		}
	}()
	if len(argv) == 2 && argv[1] == child.Command {
		return chart.Main(stdin, stdout)
	}
	root := program()
	if len(argv) > 1 && argv[1] == completeCommand {
		writeCandidates(stdout, root, argv[2:])
		return exitDone
	}
	inv, err := sortArgs(root, argv[1:], getenv)
	if err != nil {
		o := &output{stdout: stdout, stderr: stderr, json: wantsJSON(argv[1:], getenv)}
		o.useLog("text", "error")
		return o.finish(ctx, err)
	}
	if inv.help {
		writeHelp(stdout, root, inv.path)
		return exitDone
	}
	app := newApp(root)
	app.Reader, app.Writer, app.ErrWriter = stdin, stdout, stderr
	err = app.RunContext(ctx, inv.argv("gapbundle"))
	var done exitStatus
	if errors.As(err, &done) {
		return int(done)
	}
	o := &output{stdout: stdout, stderr: stderr, json: wantsJSON(inv.flags, getenv)}
	o.useLog("text", "error")
	return o.finish(ctx, err)
}

// newApp hands the table to the flag library, with everything switched off
// that it would print, guess or cut apart by itself.
func newApp(root *cli.Command) *cli.App {
	return &cli.App{
		Name: "gapbundle", Commands: root.Subcommands, HideHelp: true, HideVersion: true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {},
	}
}

// exitStatus is what an action returns: everything about it was printed.
type exitStatus int

func (e exitStatus) Error() string { return "exit" }

// wantsJSON says, where flags could not be read, how the error is to be told.
func wantsJSON(argv []string, getenv func(string) string) bool {
	for _, a := range argv {
		if a == "--json" || a == "--json=true" {
			return true
		}
	}
	return getenv(envName("json")) == "true" || getenv(envName("json")) == "1"
}

// act makes the action of a command from what it does.
func act(f func(c *cli.Context, o *output) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		o := newOutput(c)
		return exitStatus(o.finish(c.Context, f(c, o)))
	}
}

// leaf completes a command: every one has the output flags and takes errors
// of the flag library as errors of usage.
func leaf(c *cli.Command, f func(c *cli.Context, o *output) error) *cli.Command {
	c.Flags = append(c.Flags, outputFlags()...)
	c.Action = act(f)
	c.HideHelp = true
	c.OnUsageError = func(ctx *cli.Context, err error, _ bool) error {
		return &usageError{strings.Replace(err.Error(), "flag -", "flag --", 1), "see gapbundle " + strings.TrimPrefix(ctx.Command.HelpName, "gapbundle ") + " --help"}
	}
	return c
}

// program is the whole command line as a table.
func program() *cli.Command {
	return &cli.Command{
		Usage: "files, packages and images over an air gap: export, verify, import, serve",
		Description: `Everything a disconnected site needs is gathered by one command on the connected
side, carried on removable media, and checked and published by one command
inside the gap.`,
		UsageText: `gapbundle export gapbundle.yaml --to /media/usb
gapbundle import /media/usb --to /srv/mirror`,
		Subcommands: slices.Concat([]*cli.Command{
			keygenCommand(), planCommand(), exportCommand(), verifyCommand(), inspectCommand(),
			trustCommand(), importCommand(), receiptsCommand(),
		}, mirrorCommands(), []*cli.Command{
			pushCommand(), serveCommand(), versionCommand(), completionCommand(), manCommand(),
		}),
	}
}

// toolName is how this program names itself in what it writes.
func toolName() string { return "gapbundle " + toolVersion() }

// buildTime is the time of the commit this program was built from: no clock
// inside the gap can rightly be before it. Zero where it is not recorded.
func buildTime() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, _ := time.Parse(time.RFC3339, s.Value)
			return t
		}
	}
	return time.Time{}
}

// toolVersion is the version of this program as the Go tool recorded it: the
// tag, or the commit, it was built from.
func toolVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
