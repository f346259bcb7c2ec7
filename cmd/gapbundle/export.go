package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/sources/all"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/keys"
	"github.com/urfave/cli/v2"
)

// exportFlags are the flags of export, and of plan, which takes them all.
func exportFlags() []cli.Flag {
	return []cli.Flag{
		list("to", "`DIR` on a medium; its last element is made; several are filled one after the other"),
		list("key", "private key `FILE` that signs, instead of the spec's"),
		text("site-key", "OpenPGP key `FILE` of the site, instead of the spec's"),
		parsed("volume-size", "most bytes of a volume file, as in `1GiB` (the default)", new(byteSize)),
		text("destination", "`NAME` of the mirror this is for, in the ledger"),
		text("base", "build the delta on this `BASE`: a receipt, a bundle, a number, or a state code that status prints"),
		toggle("full", "carry everything: a bundle that needs no base"),
		list("only", "export this `SOURCE`; the others stay as the base has them"),
		list("hold", "leave this `SOURCE` as the base has it"),
		parsed("expires", "importers refuse the bundle after this `DURATION`, as in 90d", new(span)),
		text("adopt", "restore a lost state from this `FILE`: a receipt or a bundle"),
		toggle("update-lock", "accept content that differs from gapbundle.lock, and say what changed"),
		toggle("no-readback", "do not read media back past the page cache (recorded in the bundle)"),
		stateFlag(), passphraseFlag(), sitePassphraseFlag(), jobsFlag(), retryLockFlag(),
	}
}

func planCommand() *cli.Command {
	return leaf(&cli.Command{
		Name: "plan", Usage: "say what an export would carry; writes nothing", ArgsUsage: "[SPEC]",
		Description: `Asks upstream for what the spec names: per source the files, how much of it is new,
and what vouches for it; the base and its age; the volumes, the free space of the
targets, and what the mirror will need. No payload is read and nothing is written.`,
		UsageText: `gapbundle plan
gapbundle plan site.yaml --to /media/usb --json`,
		Flags: append(exportFlags(), toggle("dry-run", "has no effect: a plan writes nothing anyway")),
	}, plan)
}

func exportCommand() *cli.Command {
	return leaf(&cli.Command{
		Name: "export", Usage: "gather what the spec names into a signed bundle", ArgsUsage: "[SPEC]",
		Description: `Makes DIR/<set>-<six digits>/ and prints its path; prints nothing when there is
nothing new. An export that was interrupted goes on where it stopped when the same
command is given again. What the base has is neither downloaded nor carried.`,
		UsageText: `gapbundle export gapbundle.yaml --to /media/usb
gapbundle export --to /media/usb1 --to /media/usb2 --volume-size 4000MiB
gapbundle export --to /media/usb --only slurm --destination ship-2`,
		Flags: append(exportFlags(), dryRunFlag()),
	}, runExport)
}

func exportOptions(c *cli.Context, o *output) export.Options {
	return export.Options{
		SpecPath: c.Args().First(), Targets: c.StringSlice("to"), Keys: c.StringSlice("key"), SiteKey: c.String("site-key"),
		VolumeSize: int64(*valueOf[*byteSize](c, "volume-size")), Destination: c.String("destination"), Base: c.String("base"),
		Full: c.Bool("full"), Only: c.StringSlice("only"), Hold: c.StringSlice("hold"), Expires: spanOf(c, "expires"),
		Adopt: c.String("adopt"), StateDir: c.String("state"), UpdateLock: c.Bool("update-lock"), NoReadback: c.Bool("no-readback"),
		Jobs: c.Int("jobs"), RetryLock: spanOf(c, "retry-lock"), Now: judgingTime(), Log: o.log, Kinds: all.Kinds(), Tool: toolName(),
		Passphrase:     passphraseOf(c, o, "passphrase-fd", keys.PassphraseEnv, false),
		SitePassphrase: passphraseOf(c, o, "site-passphrase-fd", keys.SitePassphraseEnv, false),
		Env:            os.Getenv,
	}
}

// judgingTime is the time that a bundle bears: the local clock, or what
// SOURCE_DATE_EPOCH says, so that an export can be made again byte for byte.
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

func plan(c *cli.Context, o *output) error {
	targets, err := targetsOf(c.StringSlice("to"))
	if err != nil {
		return err
	}
	report, err := export.Plan(c.Context, exportOptions(c, o))
	if err != nil {
		return err
	}
	noteStrange(o, report.Unknown)
	o.show(planResult{report, targets}, func(w io.Writer) { writePlan(w, report, targets, time.Now()) })
	return nil
}

func runExport(c *cli.Context, o *output) error {
	if c.Bool("dry-run") {
		return plan(c, o)
	}
	targets, err := targetsOf(c.StringSlice("to"))
	if err != nil {
		return err
	}
	for _, t := range targets {
		o.note("target %s", t.String())
		if t.SameAsRoot {
			o.log.Warn("target " + t.Dir + ": " + sameAsRoot)
		}
	}
	options := exportOptions(c, o)
	p := o.startProgress()
	defer p.stop()
	options.Progress = p
	if terminalOf(c.App.Reader) >= 0 {
		options.NextMedium = func(_ context.Context, need int64) (string, error) {
			answer, _, err := ask(c, o, fmt.Sprintf("All targets are full, %s more are needed. Mount the next medium and type its directory (nothing: stop): ", humanBytes(need)))
			return answer, err
		}
		options.Absent = func(_ context.Context, number int, dir string) (bool, error) {
			answer, _, err := ask(c, o, fmt.Sprintf("Medium %d was taken out of %s. Mount it again for its copy of the signed root and type y (nothing: it goes without one): ", number, dir))
			return answer == "y", err
		}
	}
	r, err := export.Run(c.Context, options)
	p.stop()
	if err != nil {
		return err
	}
	noteExport(o, r)
	o.show(r, func(w io.Writer) {
		for _, dir := range r.Dirs {
			fmt.Fprintln(w, dir)
		}
	})
	return nil
}

// noteExport says what was done; the path alone is the result.
func noteExport(o *output, r *export.Result) {
	for _, url := range r.Pinned {
		o.note("pinned on first sight: %s", url)
	}
	for _, change := range r.Changed {
		o.note("pin changed: %s", change.URL)
	}
	noteStrange(o, r.Unknown)
	if r.Outdated != nil {
		o.log.Warn(outdated(r.Outdated))
	}
	for _, dir := range r.Without {
		o.note("%s has no copy of the signed root: inside, import a medium that has one first", dir)
	}
	for _, dir := range r.Left {
		o.note("left over from an export that was given up, may be deleted: %s", dir)
	}
	for _, n := range r.Notes {
		o.note("%s: %s", n.Source, n.Text)
	}
	if r.Nothing {
		o.note("%s", r.Message)
		return
	}
	what := "full"
	if !r.Full {
		what = fmt.Sprintf("delta on %d", r.Base)
	}
	o.note("%s, bundle %d of set %s: %d files, %s; %s carried in %d volumes; read back: %s",
		what, r.Sequence, r.Set, r.Files, humanBytes(r.Bytes), humanBytes(r.Carried), r.Volumes, firstOf(r.Readback, "no"))
	if r.Assumed {
		o.note("  assumes that %d arrived; if it was lost: %s", r.Base, otherBase(r.Before))
	}
	if r.Unpinned > 0 {
		o.log.Warn(fmt.Sprintf("%d files are vouched for by nothing but the connection", r.Unpinned))
	}
}

// noteStrange points out a destination that nothing was ever exported to.
func noteStrange(o *output, others []string) {
	if len(others) > 0 {
		o.log.Warn("this destination was never exported to before, so nothing is taken for granted there; known: " + strings.Join(others, ", "))
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
		fmt.Fprintf(w, "set %s, bundle %d: delta on %d (state %s, %d days old)\n", r.Set, r.Sequence, r.Base.Sequence, r.Base.Code, int(now.Sub(r.Base.Created).Hours()/24))
		if !r.Base.Acknowledged {
			fmt.Fprintf(w, "  assumes that %d arrived; if it was lost: %s\n", r.Base.Sequence, otherBase(r.Base.Before))
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
			rest += " upstream lapses " + humanTime(*s.Expires)
		}
		rows = append(rows, []string{s.Name, s.Kind, fmt.Sprint(s.Files), humanBytes(s.Bytes), fmt.Sprint(s.Fetch),
			humanBytes(s.FetchBytes) + unsized(s.Unsized), fmt.Sprint(s.Files - s.Fetch), fmt.Sprint(s.Unpinned), rest})
	}
	writeTable(w, rows)
	for _, s := range r.Sources {
		for _, note := range s.Notes {
			fmt.Fprintf(w, "%s: %s\n", s.Name, note)
		}
	}
	fmt.Fprintf(w, "to carry: %s in %d volumes%s; the mirror will need %s\n", humanBytes(r.CarryBytes), r.Volumes, unsized(r.Total.Unsized), humanBytes(r.MirrorBytes))
	if len(r.Requires) > 0 {
		fmt.Fprintf(w, "requires inside: a gapbundle that reads %s\n", strings.Join(r.Requires, ", "))
	}
	if r.Outdated != nil {
		fmt.Fprintln(w, outdated(r.Outdated))
	}
	if r.ScratchBytes > 0 {
		fmt.Fprintf(w, "needed here meanwhile: %s\n", humanBytes(r.ScratchBytes))
	}
	free := int64(0)
	for _, t := range targets {
		fmt.Fprintf(w, "target %s\n", t.String())
		if t.SameAsRoot {
			fmt.Fprintf(w, "  %s\n", sameAsRoot)
		}
		free += max(t.Free, 0)
	}
	if len(targets) > 0 && free < r.CarryBytes {
		fmt.Fprintf(w, "the targets may be too small: %s before compression, %s free; a further --to takes what does not fit, volume by volume (--volume-size)\n",
			humanBytes(r.CarryBytes), humanBytes(free))
	}
}

func otherBase(before int64) string {
	if before > 0 {
		return fmt.Sprintf("--base %d", before)
	}
	return "--full"
}

func unsized(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d of unknown size", n)
}

func receiptsCommand() *cli.Command {
	flags := func(more ...cli.Flag) []cli.Flag {
		return append(more, &cli.StringFlag{Name: "spec", Usage: "the spec `FILE`", Value: defaultSpec}, stateFlag())
	}
	return &cli.Command{
		Name: "receipts", Usage: "what each destination is known to hold: the exporting side's ledger", HideHelp: true,
		UsageText: `gapbundle receipts add slurm-site-000007.receipt.json --destination ship-2
gapbundle receipts list`,
		Subcommands: []*cli.Command{
			leaf(&cli.Command{
				Name: "add", Usage: "record a receipt; it is the base of the next delta", ArgsUsage: "FILE",
				Description: `The first receipt of a destination brings its key along, whose fingerprint is shown
and has to be confirmed: gapbundle status prints it inside.`,
				UsageText: "gapbundle receipts add slurm-site-000007.receipt.json --destination ship-2",
				Flags:     flags(append(confirmFlags(), needed("destination", "`NAME` of the mirror the receipt came from"), dryRunFlag(), retryLockFlag())...),
			}, receiptsAdd),
			leaf(&cli.Command{
				Name: "list", Usage: "print the destinations with what was exported to and acknowledged by them",
				UsageText: "gapbundle receipts list --spec site.yaml",
				Flags:     flags(),
			}, receiptsList),
		},
	}
}

func receiptsAdd(c *cli.Context, o *output) error {
	name := c.String("destination")
	r, err := export.AddReceipt(c.Context, export.ReceiptOptions{
		SpecPath: c.String("spec"), StateDir: c.String("state"), File: c.Args().First(), Destination: name,
		RetryLock: spanOf(c, "retry-lock"), DryRun: c.Bool("dry-run"),
		Confirm: func(fingerprint string) (bool, error) {
			return true, confirmFingerprint(c, o, "receipt key of destination "+name, fingerprint)
		},
	})
	if err != nil {
		return err
	}
	o.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "%s%s holds bundle %d of set %s, state %s, imported %s\n", wouldBe(c), name, r.Sequence, r.Set, r.State.Short(), humanTime(r.Imported))
	})
	if len(r.Overrides) > 0 {
		o.log.Warn("that import set rules aside: " + strings.Join(r.Overrides, ", "))
	}
	return nil
}

func receiptsList(c *cli.Context, o *output) error {
	known, err := export.Receipts(c.Context, export.ReceiptOptions{SpecPath: c.String("spec"), StateDir: c.String("state")})
	if err != nil {
		return err
	}
	o.show(map[string]any{"destinations": slices.Concat([]export.DestinationState{}, known)}, func(w io.Writer) {
		rows := [][]string{{"DESTINATION", "EXPORTED", "ACKNOWLEDGED", "RECEIPT KEY"}}
		for _, d := range known {
			rows = append(rows, []string{firstOf(d.Name, "(unnamed)"), fmt.Sprint(d.Exported), fmt.Sprint(d.Acknowledged), firstOf(d.ReceiptKey, "none yet")})
		}
		writeTable(w, rows)
	})
	return nil
}
