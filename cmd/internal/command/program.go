package command

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
)

// gcPercent lets the collector run earlier than by Go's default: memory has a
// bound that people plan with (docs/benchmarks.md), and the time it costs is
// little, because most of what is live are buffers that hold no pointers. GOGC
// in the environment overrides it.
const gcPercent = 25

// Program is one of the programs that are made of this package.
type Program struct {
	// Table is its command line.
	Table func() *cli.Command
	// Hint returns what to do about an error that only this program knows;
	// empty: nothing special. nil: there are none.
	Hint func(err error) string
	// Values are what shells complete after flags that only this program has, by their
	// names. nil: there are none.
	Values map[string]Values
}

// Main runs the whole program; it does not return.
func (p Program) Main() {
	SetMemory()
	ctx := WithSignals(context.Background())
	os.Exit(p.run(ctx, os.Args, os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// SetMemory lets the collector run as gcPercent sets.
func SetMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// Interrupted is the cause of a context that a signal cancelled.
type Interrupted struct{ Signal syscall.Signal }

func (i Interrupted) Error() string { return "interrupted (" + i.Signal.String() + ")" }
func (i Interrupted) exit() int     { return 128 + int(i.Signal) }

// WithSignals returns a context that the first SIGINT or SIGTERM cancels, so that
// work stops at a place from which it can go on. The second one ends the
// process at once: what is on disk then is what a power cut would leave, and
// that is safe too.
func WithSignals(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		first, _ := (<-signals).(syscall.Signal)
		cancel(Interrupted{first})
		second, _ := (<-signals).(syscall.Signal)
		os.Exit(Interrupted{second}.exit())
	}()
	return ctx
}

// run runs the program, and returns its exit code instead of ending the process. A panic is
// an internal error; the Go runtime's own exit code for it means usage here.
func (p Program) run(ctx context.Context, argv []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if cause := recover(); cause != nil {
			fmt.Fprintf(stderr, "%s\n", debug.Stack())
			code = p.plainOutput(wantsJSON(argv, getenv), stdout, stderr).finish(ctx, fmt.Errorf("panic: %v", cause))
		}
	}()
	root := p.Table()
	if len(argv) > 1 && argv[1] == completeCommand {
		p.writeCandidates(stdout, argv[2:], getenv)
		return ExitDone
	}
	inv, err := Parse(root, argv[1:], getenv)
	if err != nil {
		return p.plainOutput(wantsJSON(argv[1:], getenv), stdout, stderr).finish(ctx, err)
	}
	if inv.help {
		WriteHelp(stdout, root, inv.Path)
		return ExitDone
	}
	app := NewApp(root)
	app.Metadata = map[string]any{hintKey: p.Hint, commandKey: strings.Join(inv.Path, " ")}
	app.Reader, app.Writer, app.ErrWriter = stdin, stdout, stderr
	err = app.RunContext(ctx, inv.Argv("gapbundle"))
	var done exitStatus
	if errors.As(err, &done) {
		return int(done)
	}
	return p.plainOutput(wantsJSON(inv.flags, getenv), stdout, stderr).finish(ctx, err)
}

// plainOutput returns an Output for errors that are met before the flags of a command are known.
func (p Program) plainOutput(asJSON bool, stdout, stderr io.Writer) *Output {
	o := &Output{stdout: stdout, stderr: stderr, json: asJSON, hint: p.Hint}
	o.useLog("text", "error")
	return o
}

// NewApp hands the table to the flag library, with everything switched off
// that it would print, guess or cut apart by itself.
func NewApp(root *cli.Command) *cli.App {
	return &cli.App{
		Name: "gapbundle", Commands: root.Subcommands, HideHelp: true, HideVersion: true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {},
	}
}

// hintKey is where an app has the hints of its program.
const hintKey = "hint"

// commandKey is where an app has the name of the command that runs, as in "trust add".
const commandKey = "command"

// exitStatus is what an action returns: everything about it was printed.
type exitStatus int

func (e exitStatus) Error() string { return "exit" }

// wantsJSON reports whether the error is to be printed as JSON, where flags
// could not be read.
func wantsJSON(argv []string, getenv func(string) string) bool {
	for _, a := range argv {
		if a == "--json" || a == "--json=true" {
			return true
		}
	}
	return getenv(EnvName("json")) == "true" || getenv(EnvName("json")) == "1"
}

// act makes the action of a command from what it does.
func act(f func(c *cli.Context, o *Output) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		o := newOutput(c)
		return exitStatus(o.finish(c.Context, f(c, o)))
	}
}

// Leaf completes a command: every one has the output flags and takes errors
// of the flag library as errors of usage.
func Leaf(c *cli.Command, f func(c *cli.Context, o *Output) error) *cli.Command {
	for _, flag := range outputFlags() {
		if findFlag(c.Flags, flag.Names()[0]) == nil { // a command may describe its own
			c.Flags = append(c.Flags, flag)
		}
	}
	c.Action = act(f)
	c.HideHelp = true
	c.OnUsageError = func(ctx *cli.Context, err error, _ bool) error {
		return &UsageError{strings.Replace(err.Error(), "flag -", "flag --", 1), "see gapbundle " + strings.TrimPrefix(ctx.Command.HelpName, "gapbundle ") + " --help"}
	}
	return c
}

// Inside returns the program for the side inside the gap: it knows no kind of
// repository and no key of an exporter, and reaches no upstream.
func Inside() Program { return Program{Table: insideTable} }

func insideTable() *cli.Command {
	return &cli.Command{
		Usage: "the importing side of gapbundle: verify, import, serve",
		Description: `Checks bundles that came over an air gap and publishes them as a mirror. It has the
commands of gapbundle for the side inside the gap and is called gapbundle in every
text: install it under that name. check looks at every file; completeness by the
rules of clients was counted at export, and the whole program asks it again.`,
		UsageText: `gapbundle verify /media/usb --mirror /srv/mirror
gapbundle import /media/usb --to /srv/mirror`,
		Subcommands: slices.Concat([]*cli.Command{
			VerifyCommand(), InspectCommand(), TrustCommand(), ImportCommand(), ListCommand(nil), MediaCommand(nil),
		}, MirrorCommands(nil, nil), []*cli.Command{
			PushCommand(), ServeCommand(), VersionCommand(), CompletionCommand(), ManCommand(insideTable),
		}),
	}
}

// ToolName returns how this program names itself in what it writes.
func ToolName() string { return "gapbundle " + toolVersion() }

// buildTime returns the time of the commit this program was built from: no clock
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

// toolVersion returns the version of this program as the Go tool recorded it: the
// tag, or the commit, it was built from.
func toolVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
