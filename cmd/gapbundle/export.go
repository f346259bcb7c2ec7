package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/sources/all"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// exportFlags returns the flags of export, and of plan, which takes them all.
func exportFlags() []cli.Flag {
	return append(command.ConfirmFlags(), []cli.Flag{
		command.List("to", "`DIR` on a medium; the last directory is created if missing; several are filled one after the other"),
		command.List("key", "private key `FILE` that signs, instead of the spec's"),
		command.Text("site-key", "OpenPGP key `FILE` of the site, instead of the spec's"),
		command.Parsed("volume-size", "most bytes of a volume file, as in `1GiB`, which is the default; absent: less if the free space of the targets needs it", new(byteSize)),
		command.Text("destination", "`NAME` of the mirror this is for, in the ledger; absent: the only one that the ledger knows by a name"),
		command.Toggle("new-destination", "the destination is a new one, although others are known"),
		command.Text("base", "build the delta on this `BASE`: a receipt, a bundle, a number, or a state code that status prints"),
		command.Text("repair", "include the content that a damaged mirror requests in this `FILE`, which gapbundle repair wrote there"),
		command.Toggle("full", "carry everything: a bundle that needs no base"),
		command.List("only", "export this `SOURCE`; the others stay as the base has them"),
		command.List("hold", "keep this `SOURCE` as it is in the base"),
		command.Parsed("expires", "importers refuse the bundle after this `DURATION`, as in 90d", new(command.Span)),
		command.Text("adopt", "restore a lost state from this `FILE`: a receipt or a bundle"),
		command.Toggle("update-lock", "accept content that differs from gapbundle.lock, and report changes"),
		command.List("allow-shrink", "export this `SOURCE` although it lost more than 40 % of its files (recorded in the bundle)"),
		command.List("allow-older", "export this `SOURCE` although upstream shows an older state than before (recorded in the bundle)"),
		compressFlag(),
		command.Toggle("no-readback", "do not read media back past the page cache (recorded in the bundle)"),
		command.ChangesFlag(), stateFlag(), passphraseFlag(), sitePassphraseFlag(), command.JobsFlag(), command.RetryLockFlag(),
	}...)
}

func planCommand() *cli.Command {
	return command.Leaf(&cli.Command{
		Name: "plan", Usage: "show what an export would carry; writes nothing", ArgsUsage: "[SPEC]",
		Description: `Reads upstream's metadata and prints for each source its files, how much is new, and
what vouches for it; the base and its age; which volumes fit on which target, and how
many media are needed; and the space that the mirror will need. No payload is
downloaded and nothing is written.

With --offline no request is sent: the spec, the keys and lists that it names, the lock
and the base are read and checked. Exit 0 means that they are valid.`,
		UsageText: `gapbundle plan
gapbundle plan site.yaml --to /media/usb --json
gapbundle plan site.yaml --offline`,
		Flags: append(exportFlags(), command.Toggle("offline", "send no request: only check that the spec is valid"), command.Toggle("dry-run", "has no effect: a plan writes nothing anyway")),
	}, plan)
}

func exportCommand() *cli.Command {
	return command.Leaf(&cli.Command{
		Name: "export", Usage: "download everything that the spec names into a signed bundle", ArgsUsage: "[SPEC]",
		Description: `Makes DIR/<set>-<six digits>/ and prints its path; prints nothing if there is nothing
new. Repeat the same command to continue an interrupted export. Content of the base is
neither downloaded nor carried again. When all targets are full, you are asked for the
next medium on a terminal; elsewhere the export ends (exit 5), and the same command
with one more --to goes on.`,
		UsageText: `gapbundle export gapbundle.yaml --to /media/usb
gapbundle export --to /media/usb1 --to /media/usb2 --volume-size 4000MiB
gapbundle export --to /media/usb --only slurm --destination ship-2`,
		Flags: append(exportFlags(), command.DryRunFlag()),
	}, runExport)
}

// noteNewState prints a note if the folder that was named for the state does not exist: it may be misspelt.
func noteNewState(c *cli.Context, o *command.Output) {
	dir := c.String("state")
	if _, err := os.Stat(dir); dir != "" && errors.Is(err, fs.ErrNotExist) {
		o.Note("state %s: not there yet, so a new stream of bundles begins; if the set was exported before, name the folder that was used then", dir)
	}
}

func exportOptions(c *cli.Context, o *command.Output) export.Options {
	noteNewState(c, o)
	return export.Options{
		SpecPath: c.Args().First(), Targets: c.StringSlice("to"), Keys: c.StringSlice("key"), SiteKey: c.String("site-key"),
		VolumeSize: int64(*command.ValueOf[*byteSize](c, "volume-size")), Destination: c.String("destination"), NewDestination: c.Bool("new-destination"), Base: c.String("base"),
		Repair: c.String("repair"), Full: c.Bool("full"), Only: c.StringSlice("only"), Hold: c.StringSlice("hold"), Expires: command.SpanOf(c, "expires"),
		Adopt: c.String("adopt"), StateDir: c.String("state"), UpdateLock: c.Bool("update-lock"), AllowShrink: c.StringSlice("allow-shrink"), AllowOlder: c.StringSlice("allow-older"), NoReadback: c.Bool("no-readback"),
		Compression: compressions[command.ValueOf[*command.Choice](c, "compress").Value()],
		Changes:     command.ChangesOf(c), Jobs: c.Int("jobs"), RetryLock: command.SpanOf(c, "retry-lock"), Now: judgingTime(), Log: o.Log, Kinds: all.Kinds(), Tool: command.ToolName(), Program: programPath(),
		Passphrase:     passphraseOf(c, o, "passphrase-fd", keys.PassphraseEnv, false),
		SitePassphrase: passphraseOf(c, o, "site-passphrase-fd", keys.SitePassphraseEnv, false),
		Env:            os.Getenv,
		ConfirmReceipt: func(fingerprint string) (bool, error) {
			return true, command.ConfirmFingerprint(c, o, "receipt key of destination "+strconv.Quote(c.String("destination")), fingerprint)
		},
	}
}

// programPath returns where this program is, for kinds that run it as a child; "" where the
// system does not know.
func programPath() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}

// judgingTime returns the time that a bundle bears: the local clock, or what
// SOURCE_DATE_EPOCH states, so that an export can be made again byte for byte.
func judgingTime() time.Time {
	if epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(epoch, 0).UTC()
	}
	return time.Now().UTC()
}

type planResult struct {
	*export.PlanReport
	Targets []target `json:"targets,omitempty"`
}

func plan(c *cli.Context, o *command.Output) error {
	targets, err := targetsOf(c.StringSlice("to"))
	if err != nil {
		return err
	}
	if c.Bool("offline") {
		return planOffline(c, o)
	}
	options := exportOptions(c, o)
	p := o.StartProgress()
	defer p.Stop()
	showProgress(&options, p)
	report, err := export.Plan(c.Context, options)
	p.Stop()
	if err != nil {
		return err
	}
	if c.String("adopt") != "" {
		o.Note("a plan takes nothing over: number and base are those of the state without %s", c.String("adopt"))
	}
	noteDestination(c, o, report.Destination)
	noteStrange(o, report.Unknown)
	o.Show(planResult{report, targets}, func(w io.Writer) { writePlan(w, report, targets, time.Now()) })
	return nil
}

// showProgress lets an export or a plan show what it does, and what it reads of which source.
func showProgress(options *export.Options, p *command.Progress) {
	options.Progress = p
	p.Open("asking the sources")
	options.Reading = func(source, file string, size int64) {
		text := fmt.Sprintf("reading index of %s: %s", source, file)
		if size >= 0 {
			text += ", " + command.HumanBytes(size)
		}
		p.Open(text)
	}
	options.Choosing = func(source string) {
		p.Open("") // what was read before is shown no longer
		p.Open("choosing what is carried of " + source)
	}
}

func planOffline(c *cli.Context, o *command.Output) error {
	r, err := export.Offline(c.Context, exportOptions(c, o))
	if err != nil {
		return err
	}
	o.Show(r, func(w io.Writer) {
		fmt.Fprintf(w, "set %s: %s checked, valid as far as can be known offline; no request was sent\n", r.Set, bundle.Count(r.Sources+r.Held, "source"))
	})
	return nil
}

func runExport(c *cli.Context, o *command.Output) error {
	if c.Bool("dry-run") {
		return plan(c, o)
	}
	targets, err := targetsOf(c.StringSlice("to"))
	if err != nil {
		return err
	}
	for _, t := range targets {
		o.Note("target %s", t.String())
		if t.SameAsRoot {
			o.Log.Warn("target " + t.Dir + ": " + sameAsRoot)
		}
	}
	options := exportOptions(c, o)
	p := o.StartProgress()
	defer p.Stop()
	showProgress(&options, p)
	options.Media = func(m *export.MediaPlan) {
		for _, line := range mediaLines(m) {
			o.Note("%s", line)
		}
	}
	if command.TerminalOf(c.App.Reader) >= 0 {
		options.NextMedium = func(_ context.Context, q media.NextMedium) (string, error) { return nextMedium(c, o, q) }
		options.Absent = func(_ context.Context, number int, dir string) (bool, error) {
			answer, _, err := command.Ask(c, o, fmt.Sprintf("Medium %d was taken out of %s. Mount it again for its copy of the signed root, then type y (Enter alone: without a copy): ", number, dir))
			return answer == "y", err
		}
	}
	r, err := export.Run(c.Context, options)
	p.Stop()
	if err != nil {
		return err
	}
	noteDestination(c, o, r.Destination)
	noteAdopted(o, r.Adopted)
	noteExport(o, r)
	o.Show(r, func(w io.Writer) {
		for _, dir := range r.Dirs {
			fmt.Fprintln(w, dir)
		}
	})
	return nil
}

// noteExport reports what was done; the path alone is the result.
func noteExport(o *command.Output, r *export.Result) {
	for _, url := range r.Pinned {
		o.Note("pinned on first sight: %s", url)
	}
	for _, change := range r.Changed {
		o.Note("pin changed: %s", change.URL)
	}
	noteStrange(o, r.Unknown)
	if r.Outdated != nil {
		o.Log.Warn(outdated(r.Outdated))
	}
	for _, dir := range r.Without {
		o.Note("%s has no copy of the signed root: inside, import a medium that has one first", dir)
	}
	for _, dir := range r.Left {
		o.Note("left over from an export that was given up, may be deleted: %s", dir)
	}
	var notes []string
	for _, n := range r.Notes {
		notes = append(notes, n.Source+": "+n.Text)
	}
	defer func() { o.Notes(notes) }() // at the end, after everything about the bundle
	for _, s := range r.Changes {
		o.Note("%s: %s", s.Source, command.Changes(s.Changes))
	}
	for _, g := range r.Gone {
		o.Note("%s", gone(g))
	}
	if r.Nothing {
		o.Note("%s", r.Message)
		return
	}
	if r.Asked > 0 {
		o.Note("blobs and lists that the mirror asked for: %d, carried: %d; what no list names any more is not needed there", r.Asked, r.Answered)
	}
	what := "full"
	if !r.Full {
		what = fmt.Sprintf("delta on %d", r.Base)
	}
	o.Note("%s, bundle %d of set %s: %s, %s; %s carried in %s; %s",
		what, r.Sequence, r.Set, bundle.Count(r.Files, "file"), command.HumanBytes(r.Bytes), command.HumanBytes(r.Carried), bundle.Count(r.Volumes, "volume"), readBack(r.Readback))
	command.NoteChanges(o, r.Names...)
	if r.Assumed {
		o.Note("  assumes that %d arrived; if it was lost: %s", r.Base, command.OtherBase(r.Before))
	}
	if r.Unpinned > 0 {
		o.Log.Warn("vouched for by nothing but the connection: " + bundle.Count(r.Unpinned, "file"))
	}
}

// readBack returns how the volumes were read back, for people.
func readBack(method string) string {
	switch method {
	case media.ReadbackDirect, media.ReadbackDropped:
		return "read back from the medium"
	case media.ReadbackCached:
		return "read back, perhaps from this machine's memory and not from the medium"
	}
	return "not read back"
}

// noteDestination reports which destination was taken where none was named.
func noteDestination(c *cli.Context, o *command.Output, taken string) {
	if c.String("destination") == "" && taken != "" {
		o.Note("for destination %s, the only one that is known by a name", taken)
	}
}

// noteAdopted reports what was taken over from a bundle or a receipt.
func noteAdopted(o *command.Output, a *export.Adopted) {
	switch {
	case a == nil:
	case a.State:
		o.Note("taken over: stream %s up to bundle %d, and what that bundle describes: deltas build on it", a.Stream, a.Sequence)
	default:
		o.Note("taken over: stream %s up to bundle %d, and no lists to build on, so this bundle carries everything: a receipt has no lists, and a delta has them all only together with the bundles before it, next to it", a.Stream, a.Sequence)
	}
}

// noteStrange points out a destination that nothing was ever exported to.
func noteStrange(o *command.Output, others []string) {
	if len(others) > 0 {
		o.Log.Warn("this destination was never exported to before, so nothing is assumed to be there; known: " + strings.Join(others, ", "))
	}
}

// outdated names what has to be done inside before the bundle is of use there.
func outdated(d *export.Outdated) string {
	return fmt.Sprintf("update gapbundle inside first: by its receipt for bundle %d the mirror %q does not read what this bundle requires (%s)",
		d.Sequence, d.Destination, strings.Join(d.Features, ", "))
}

func writePlan(w io.Writer, r *export.PlanReport, targets []target, now time.Time) {
	switch {
	case r.Base == nil:
		fmt.Fprintf(w, "set %s, bundle %d: full\n", r.Set, r.Sequence)
	default:
		fmt.Fprintf(w, "set %s, bundle %d: delta on %d (state %s, %s old)\n", r.Set, r.Sequence, r.Base.Sequence, r.Base.Code, bundle.Count(int(now.Sub(r.Base.Created).Hours()/24), "day"))
		if !r.Base.Acknowledged {
			fmt.Fprintf(w, "  assumes that %d arrived; if it was lost: %s\n", r.Base.Sequence, command.OtherBase(r.Base.Before))
		}
	}
	if r.Resumes > 0 {
		fmt.Fprintf(w, "  an interrupted export of bundle %d waits to be finished\n", r.Resumes)
	}
	rows := [][]string{{"SOURCE", "KIND", "FILES", "BYTES", "NEW", "TO FETCH", "UNCHANGED", "UNPINNED", ""}}
	for _, s := range r.Sources {
		rest := ""
		if s.Held {
			rest = "held"
		}
		if s.Mode != "" {
			rest = strings.TrimSpace(rest + " " + s.Mode)
		}
		if s.Expires != nil {
			rest += " upstream lapses " + command.HumanTime(*s.Expires)
		}
		rows = append(rows, []string{s.Name, s.Kind, fmt.Sprint(s.Files), command.HumanBytes(s.Bytes), fmt.Sprint(s.Fetch),
			command.HumanBytes(s.FetchBytes) + unsized(s.Unsized), fmt.Sprint(s.Files - s.Fetch), fmt.Sprint(s.Unpinned), rest})
	}
	command.WriteTable(w, rows)
	for _, s := range r.Sources {
		if r.Base != nil && s.Any() {
			fmt.Fprintf(w, "%s: %s\n", s.Name, command.Changes(s.Changes))
		}
	}
	for _, g := range r.Gone {
		fmt.Fprintln(w, gone(g))
	}
	for _, s := range r.Shrunk {
		if !s.Allowed {
			fmt.Fprintf(w, "%s: has %s and had %d in the base: an export stops, unless it is meant: --allow-shrink %s\n", s.Source, bundle.Count(s.After, "file"), s.Before, s.Source)
		}
	}
	var notes []string
	for _, s := range r.Sources {
		for _, note := range s.Notes {
			notes = append(notes, s.Name+": "+note)
		}
		writeLines(w, s)
	}
	fmt.Fprintf(w, "to carry: %s%s in %s; the mirror will need %s\n", command.HumanBytes(r.CarryBytes), unsized(r.Total.Unsized), bundle.Count(r.Volumes, "volume"), command.HumanBytes(r.MirrorBytes))
	if len(r.Requires) > 0 {
		fmt.Fprintf(w, "requires inside: a gapbundle that reads %s\n", strings.Join(r.Requires, ", "))
	}
	if r.Outdated != nil {
		fmt.Fprintln(w, outdated(r.Outdated))
	}
	command.WriteChanges(w, r.Names...)
	if r.ScratchBytes > 0 {
		fmt.Fprintf(w, "needed here meanwhile: %s\n", command.HumanBytes(r.ScratchBytes))
	}
	for _, t := range targets {
		fmt.Fprintf(w, "target %s\n", t.String())
		if t.SameAsRoot {
			fmt.Fprintf(w, "  %s\n", sameAsRoot)
		}
	}
	for _, line := range mediaLines(r.Media) {
		fmt.Fprintln(w, line)
	}
	command.WriteNotes(w, notes)
}

// writeLines prints how large each line of a source's lists is: what is not used can
// be dropped by it.
func writeLines(w io.Writer, s export.PlanSource) {
	if len(s.Lines) == 0 {
		return
	}
	fmt.Fprintf(w, "%s, by line (an image counts with all its layers):\n", s.Name)
	rows := [][]string{{"  BYTES", "FILES", "LINE"}}
	for _, l := range s.Lines {
		rows = append(rows, []string{"  " + command.HumanBytes(l.Bytes) + unsized(l.Unsized), fmt.Sprint(l.Files), l.Line})
	}
	command.WriteTable(w, rows)
}

// gone reports what becomes of a source that the spec does not have any more.
func gone(g export.Gone) string {
	return fmt.Sprintf("%s: is not in the spec any more, which removes %s", g.Source, bundle.Count(g.Files, "file"))
}

func unsized(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %s of unknown size", bundle.Count(n, "file"))
}

func receiptsCommand() *cli.Command {
	flags := func(more ...cli.Flag) []cli.Flag {
		return append(more, &cli.StringFlag{Name: "spec", Usage: "the spec `FILE`", Value: command.DefaultSpec}, stateFlag())
	}
	return &cli.Command{
		Name: "receipts", Usage: "record and show what each destination holds: the exporting side's ledger", HideHelp: true,
		UsageText: `gapbundle receipts add slurm-site-000007.receipt.json --destination ship-2
gapbundle receipts list`,
		Subcommands: []*cli.Command{
			command.Leaf(&cli.Command{
				Name: "add", Usage: "record a receipt; it is the base of the next delta", ArgsUsage: "FILE",
				Description: `The first receipt of a destination brings its key along, whose fingerprint is shown
and has to be confirmed: gapbundle status prints it inside.`,
				UsageText: "gapbundle receipts add slurm-site-000007.receipt.json --destination ship-2",
				Flags:     flags(append(command.ConfirmFlags(), command.Needed("destination", "`NAME` of the mirror the receipt came from"), command.DryRunFlag(), command.RetryLockFlag())...),
			}, receiptsAdd),
			command.Leaf(&cli.Command{
				Name: "list", Usage: "print the destinations with what was exported to and acknowledged by them",
				UsageText: "gapbundle receipts list --spec site.yaml",
				Flags:     flags(),
			}, receiptsList),
		},
	}
}

func receiptsAdd(c *cli.Context, o *command.Output) error {
	name := c.String("destination")
	r, err := export.AddReceipt(c.Context, export.ReceiptOptions{
		SpecPath: c.String("spec"), StateDir: c.String("state"), File: c.Args().First(), Destination: name,
		RetryLock: command.SpanOf(c, "retry-lock"), DryRun: c.Bool("dry-run"),
		Confirm: func(fingerprint string) (bool, error) {
			return true, command.ConfirmFingerprint(c, o, "receipt key of destination "+name, fingerprint)
		},
	})
	if err != nil {
		return err
	}
	o.Show(r, func(w io.Writer) {
		fmt.Fprintf(w, "%s%s holds bundle %d of set %s, state %s, imported %s\n", command.WouldBe(c), name, r.Sequence, r.Set, r.State.Short(), command.HumanTime(r.Imported))
	})
	if len(r.Overrides) > 0 {
		o.Log.Warn("that import set rules aside: " + strings.Join(r.Overrides, ", "))
	}
	return nil
}

func receiptsList(c *cli.Context, o *command.Output) error {
	known, err := export.Receipts(c.Context, export.ReceiptOptions{SpecPath: c.String("spec"), StateDir: c.String("state")})
	if err != nil {
		return err
	}
	o.Show(map[string]any{"destinations": slices.Concat([]export.DestinationState{}, known)}, func(w io.Writer) {
		rows := [][]string{{"DESTINATION", "EXPORTED", "ACKNOWLEDGED", "RECEIPT KEY"}}
		for _, d := range known {
			rows = append(rows, []string{command.FirstOf(d.Name, "(unnamed)"), fmt.Sprint(d.Exported), fmt.Sprint(d.Acknowledged), command.FirstOf(d.ReceiptKey, "none yet")})
		}
		command.WriteTable(w, rows)
	})
	return nil
}
