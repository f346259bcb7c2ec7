package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/unpack"
)

// mirrorOptions returns the options of every command that opens a mirror.
func mirrorOptions(c *cli.Context, o *Output, p bundle.Progress) unpack.Options {
	return unpack.Options{
		Jobs: c.Int("jobs"), Progress: p, RetryLock: SpanOf(c, "retry-lock"), DryRun: c.Bool("dry-run"),
		Log: o.Log, Tool: ToolName(), Built: buildTime(),
	}
}

// makeMirror makes the folder of a mirror if it is not there.
func makeMirror(c *cli.Context, o *Output, dir string) error {
	m, err := createMirror(c, o, dir, bundle.NoProgress)
	if err != nil {
		return err
	}
	return m.Close()
}

// withMirror opens a mirror, changes it by f and prints what was done.
func withMirror(c *cli.Context, o *Output, dir string, f func(*unpack.Mirror) error, done string) error {
	o.mirror = dir
	m, err := unpack.Open(dir, mirrorOptions(c, o, bundle.NoProgress))
	if err != nil {
		return err
	}
	defer m.Close()
	if err := f(m); err != nil {
		return err
	}
	showChange(c, o, done)
	return nil
}

// showChange prints what was changed, or would be.
func showChange(c *cli.Context, o *Output, done string) {
	o.Show(map[string]any{"done": done, "dryRun": c.Bool("dry-run")}, func(w io.Writer) {
		fmt.Fprintf(w, "%s%s\n", WouldBe(c), done)
	})
}

// WouldBe returns the beginning of a result's line in a dry run, and "" otherwise.
func WouldBe(c *cli.Context) string {
	if c.Bool("dry-run") {
		return "dry run, nothing changed: "
	}
	return ""
}

// Completeness asks whether the clients of what a mirror publishes would find
// what they need, and returns what was counted.
type Completeness func(ctx context.Context, m *unpack.Mirror) ([]bundle.CheckCount, error)

// MirrorCommands returns the commands on one mirror. complete is the half of check
// that knows kinds, and deep what check --deep does besides; nil: this program
// has none.
func MirrorCommands(complete, deep Completeness) []*cli.Command {
	checkFlags := []cli.Flag{
		Parsed("data", "hash the content again, or a share of it such as `5%`", new(Share)),
		Toggle("repair", "where something is damaged, go on as gapbundle repair MIRROR does"), JobsFlag(), RetryLockFlag(),
	}
	if deep != nil {
		checkFlags = append(checkFlags, Toggle("deep", "have the git program follow every link of every git repository; needs git on this machine"))
	}
	help := mirrorHelp()
	one := func(name, args, usage, example string, f func(*cli.Context, *Output, *unpack.Mirror) error, flags ...cli.Flag) *cli.Command {
		return Leaf(&cli.Command{Name: name, Usage: usage, ArgsUsage: args, UsageText: example, Description: help[name], Flags: flags},
			func(c *cli.Context, o *Output) error {
				o.mirror = c.Args().First()
				p := o.StartProgress()
				defer p.Stop()
				m, err := unpack.Open(c.Args().First(), mirrorOptions(c, o, p))
				if err != nil {
					return err
				}
				defer m.Close()
				return f(c, o, m)
			})
	}
	return []*cli.Command{
		one("status", "MIRROR", "print what is published, what expires, and what is still missing",
			"gapbundle status /srv/mirror", mirrorStatus),
		one("history", "MIRROR", "print the journal: every import, refusals included, and every change",
			"gapbundle history /srv/mirror --json", mirrorHistory),
		one("config", "MIRROR", "print the mirror's settings, or change one of them",
			"gapbundle config /srv/mirror --base-url https://mirror.lan\ngapbundle config /srv/mirror --group mirror", mirrorConfig,
			Text("base-url", "`URL` at which clients reach the mirror; goes into the client files"),
			groupFlag("let the group `NAME` read the state: status, check, history, trust list; private keys stay the owner's"), DryRunFlag(), RetryLockFlag()),
		one("check", "MIRROR", "check that everything published is present and complete for its clients",
			"gapbundle check /srv/mirror --data=5%", mirrorCheck(complete, deep), checkFlags...),
		one("repair", "MIRROR [PATH...]", "read everything again and repair what is damaged, from any bundle at hand",
			"gapbundle repair /srv/mirror /media/usb", mirrorRepair, JobsFlag(), DryRunFlag(), RetryLockFlag()),
		stateCommand(),
		one("rollback", "MIRROR", "publish earlier content again",
			"gapbundle rollback /srv/mirror --set slurm-site --to 6", mirrorRollback,
			Text("set", "only this set: its `NAME`"), Text("to", "`N` of the generation whose content is wanted; default: the one before"),
			Toggle("withdraw", "make the published content unreachable at once: servers do not fall back to it"),
			ChangesFlag(), DryRunFlag(), RetryLockFlag()),
		one("gc", "MIRROR", "remove what no kept generation, receipt or pending import needs",
			"gapbundle gc /srv/mirror --keep 3 --dry-run", mirrorGC,
			Number("keep", "`N` newest generations to keep; 0: the default, 3", 0), Toggle("force", "allow it to remove more than 40 % of the store"),
			DryRunFlag(), RetryLockFlag()),
		one("forget", "MIRROR SET", "publish without a set, and release its paths",
			"gapbundle forget /srv/mirror slurm-site --dry-run", mirrorForget,
			Toggle("pending", "drop bundles of the set that wait for volumes, and nothing else"), DryRunFlag(), RetryLockFlag()),
		clientsCommand(),
	}
}

func mirrorStatus(c *cli.Context, o *Output, m *unpack.Mirror) error {
	s, err := m.Status(c.Context)
	if err != nil {
		return err
	}
	o.Show(s, func(w io.Writer) { writeStatus(w, s, time.Now()) })
	return nil
}

// unpinned reports how many files nothing but a connection vouched for when they were
// exported, and of which sources.
func unpinned(repositories []bundle.Repository) string {
	var total int64
	var names []string
	for _, r := range repositories {
		if total += r.Unpinned; r.Unpinned > 0 {
			names = append(names, fmt.Sprintf("%s %d", r.Name, r.Unpinned))
		}
	}
	if total == 0 {
		return "no file"
	}
	return fmt.Sprintf("%s, vouched for by nothing but the connection: %s", bundle.Count(total, "file"), strings.Join(names, ", "))
}

func writeStatus(w io.Writer, s *unpack.Status, now time.Time) {
	rows := [][]string{{"mirror", s.Dir}, {"base URL", FirstOf(s.BaseURL, "not set (gapbundle config MIRROR --base-url URL)")}}
	if s.Generation == 0 {
		rows = append(rows, []string{"published", "nothing yet"})
	} else {
		rows = append(rows, []string{"published", fmt.Sprintf("generation %d, %s (%s)", s.Generation, HumanTime(s.Published), s.Reason)})
	}
	if s.Previous != 0 {
		rows = append(rows, []string{"fall-back", fmt.Sprintf("generation %d", s.Previous)})
	}
	if !s.ReceiptKey.IsZero() {
		rows = append(rows, []string{"receipt key", s.ReceiptKey.String()})
	}
	WriteTable(w, rows)
	for _, set := range s.Sets {
		fmt.Fprintf(w, "\nset %s: sequence %d of stream %s\n", set.Set, set.Sequence, set.Stream)
		rows := [][]string{
			{"  content", fmt.Sprintf("%s, %s in %s", bundle.Count(set.Files, "file"), HumanBytes(set.Bytes), bundle.Count(len(set.Repositories), "repository"))},
			{"  not pinned", unpinned(set.Repositories)},
			{"  state code", set.Code + "  (gapbundle export SPEC --base " + set.Code + ")"},
			{"  next", fmt.Sprintf("any bundle above sequence %d", set.Accepted)},
		}
		if !set.Imported.IsZero() {
			rows = append(rows, []string{"  imported", HumanTime(set.Imported) + ", made " + HumanTime(set.Created)})
		}
		if set.Forward != "" {
			rows = append(rows, []string{"  ROLLED BACK", set.Forward})
		}
		if set.Expires != nil {
			rows = append(rows, []string{"  upstream lapses", HumanTime(*set.Expires) + lapse(*set.Expires, now) + "; the client files have the option that deals with it"})
		}
		if set.Receipt != "" {
			rows = append(rows, []string{"  receipt", set.Receipt})
		}
		if len(set.Overrides) > 0 {
			rows = append(rows, []string{"  overrides", strings.Join(set.Overrides, ", ")})
		}
		WriteTable(w, rows)
		writeRepositories(w, set.Repositories)
		writeReach(w, set, s.Dir)
	}
	writePublic(w, s.Public)
	writeUnbounded(w, s.Unbounded, s.Dir)
	for _, p := range s.Pending {
		fmt.Fprintf(w, "\npending %s: %d of %s placed, missing %s\n", p.Name, p.Placed, bundle.Count(p.Volumes, "volume"), strings.Join(p.Missing, ", "))
	}
	writeDistrusted(w, s.Distrusted)
	for _, a := range s.Ambiguous {
		fmt.Fprintf(w, "\nalias /v2/%s not made: claimed by %s\n", a.Alias, strings.Join(a.Images, " and "))
	}
	if len(s.Dropped) > 0 {
		fmt.Fprintf(w, "\nnot made any more since this generation; only images of docker.io have a name without the registry:\n")
		for _, d := range s.Dropped {
			fmt.Fprintf(w, "  /v2/%s is now /v2/%s\n", d.Alias, d.Image)
		}
	}
	writeWaiting(w, s.Waiting)
	if len(s.Notes) > 0 {
		fmt.Fprintln(w)
		WriteNotes(w, s.Notes)
	}
}

// writeReach prints what a set's client files do without a signature, and what it has
// that its next bundle must not have, with the command for it.
func writeReach(w io.Writer, set unpack.SetStatus, mirror string) {
	for _, line := range set.Allowed {
		fmt.Fprintf(w, "  unsigned: %s\n", line)
	}
	for _, o := range set.Outside {
		if o.Path == "" {
			fmt.Fprintf(w, "  outside: %s\n", strings.ReplaceAll(o.Problem, "\n", "\n           "))
		} else {
			fmt.Fprintf(w, "  outside: /%s: %s\n", o.Path, o.Problem)
		}
		switch {
		case o.Host != "":
			fmt.Fprintf(w, "    gapbundle trust set-mounts %s --host %s --mirror %s, with the hosts that it has\n", o.Key.Short(), o.Host, mirror)
		case o.Pattern != "":
			fmt.Fprintf(w, "    gapbundle trust set-mounts %s %s --mirror %s, with the patterns that it has\n", o.Key.Short(), o.Pattern, mirror)
		case o.Give:
			fmt.Fprintf(w, "    gapbundle trust give %s SET --mirror %s decides whose it is\n", o.Path, mirror)
		default:
			fmt.Fprintf(w, "    refused when it comes again: the exporting side has to correct it; gapbundle forget %s %s takes it out now\n", mirror, set.Set)
		}
	}
}

// writeRepositories prints a line for each repository.
func writeRepositories(w io.Writer, repos []bundle.Repository) {
	rows := [][]string{{"  REPOSITORY", "KIND", "ENTRIES", "FILES", "SIZE"}}
	for _, r := range repos {
		rows = append(rows, []string{"  " + r.Name, r.Kind, entriesText(&r), fmt.Sprint(r.Count), HumanBytes(r.Bytes)})
	}
	if len(repos) > 0 {
		WriteTable(w, rows)
	}
}

// writeDistrusted names what is published under keys that are trusted no longer.
func writeDistrusted(w io.Writer, all []unpack.Distrusted) {
	for _, d := range all {
		fmt.Fprintf(w, "NOT TRUSTED ANY MORE: %s is published, %s (gapbundle rollback or forget takes it away, trust add trusts the key again)\n",
			bundle.DirName(d.Set, d.Sequence), d.Key)
	}
}

// writeWaiting names the sources whose pages need the mirror's address.
func writeWaiting(w io.Writer, sources []string) {
	if len(sources) > 0 {
		fmt.Fprintf(w, "waiting for the mirror's address, their pages are not published: %s (gapbundle config MIRROR --base-url URL)\n", strings.Join(sources, ", "))
	}
}

// lapse returns how long it is until t, for people.
func lapse(t, now time.Time) string {
	if !t.After(now) {
		return " (LAPSED by the local clock)"
	}
	return fmt.Sprintf(" (in %s by the local clock)", bundle.Count(int(t.Sub(now).Hours()/24), "day"))
}

func mirrorHistory(_ *cli.Context, o *Output, m *unpack.Mirror) error {
	entries, err := m.History()
	if err != nil {
		return err
	}
	o.Show(map[string]any{"entries": entries}, func(w io.Writer) {
		rows := [][]string{{"TIME", "WHAT", "OUTCOME", "BUNDLE", "GENERATION", "DETAIL"}}
		for _, e := range entries {
			var name, generation string
			if e.Set != "" && e.Sequence > 0 {
				name = bundle.DirName(e.Set, e.Sequence)
			}
			if e.Generation > 0 {
				generation = strconv.Itoa(e.Generation)
			}
			detail := strings.ReplaceAll(e.Detail, "\n", "; ") // several findings: one row all the same
			if len(e.Overrides) > 0 {
				detail = strings.TrimSpace(detail + " overrides: " + strings.Join(e.Overrides, ", "))
			}
			rows = append(rows, []string{HumanTime(e.Time), e.What, string(e.Outcome), FirstOf(name, e.Set), generation, detail})
		}
		WriteTable(w, rows)
	})
	return nil
}

func mirrorConfig(c *cli.Context, o *Output, m *unpack.Mirror) error {
	if c.String("group") != "" {
		if c.IsSet("base-url") {
			return &UsageError{"--group and --base-url: one at a time", "give the command twice"}
		}
		return setGroup(c, o, m)
	}
	if url := c.String("base-url"); url != "" {
		g, err := m.SetBaseURL(c.Context, url)
		if err == nil && g == nil {
			showChange(c, o, "base URL "+url+": the next import publishes it")
			return nil
		}
		return showGeneration(c, o, g, nil, err)
	}
	s, err := m.Status(c.Context)
	if err != nil {
		return err
	}
	o.Show(map[string]any{"baseURL": s.BaseURL}, func(w io.Writer) {
		fmt.Fprintf(w, "base-url %s\n", FirstOf(s.BaseURL, "not set"))
	})
	return nil
}

// shownGeneration is what was published.
type shownGeneration struct {
	*unpack.Generation
	// Names are what is different by name from what was published before.
	Names []*contents.Summary `json:"names,omitempty"`
}

// showGeneration prints what was published.
func showGeneration(c *cli.Context, o *Output, g *unpack.Generation, changes []*contents.Summary, err error) error {
	if g == nil {
		return err
	}
	o.Show(shownGeneration{g, changes}, func(w io.Writer) {
		fmt.Fprintf(w, "%spublished generation %d: %s\n", WouldBe(c), g.Number, g.Reason)
		for _, s := range g.Sets {
			fmt.Fprintf(w, "  %s\n", bundle.DirName(s.Set, s.Sequence))
		}
		WriteChanges(w, changes...)
	})
	return err
}

func mirrorRollback(c *cli.Context, o *Output, m *unpack.Mirror) error {
	r := unpack.RollbackOptions{Set: c.String("set"), Withdraw: c.Bool("withdraw")}
	if to := c.String("to"); to != "" {
		n, err := strconv.Atoi(to)
		if err != nil || n < 1 {
			return &UsageError{fmt.Sprintf("generation %q: not a number", to), "gapbundle history MIRROR shows the generations"}
		}
		r.To = n
	}
	before, err := m.Current()
	if err != nil {
		return err
	}
	g, err := m.Rollback(c.Context, r)
	if err != nil {
		return err
	}
	changes, err := m.Names().Changes(c.Context, before, g, ChangesOf(c))
	return showGeneration(c, o, g, changes, err)
}

func mirrorForget(c *cli.Context, o *Output, m *unpack.Mirror) error {
	if c.Bool("pending") {
		names, err := unpack.ForgetPending(c.Context, m, c.Args().Get(1))
		if err == nil {
			showChange(c, o, "dropped what waited: "+strings.Join(names, ", "))
		}
		return err
	}
	g, err := m.Forget(c.Context, c.Args().Get(1))
	return showGeneration(c, o, g, nil, err)
}

// mirrorCheck looks at the files, and then asks whether clients would find what
// they need. Where this program cannot ask, it prints what the export counted.
func mirrorCheck(complete, deep Completeness) func(*cli.Context, *Output, *unpack.Mirror) error {
	return func(c *cli.Context, o *Output, m *unpack.Mirror) error {
		data := float64(*ValueOf[*Share](c, "data"))
		files, err := m.Check(c.Context, unpack.CheckOptions{Data: data})
		if files == nil {
			return err
		}
		if err != nil && c.Bool("repair") {
			noteDamage(o, files)
			return repairMirror(c, o, m, nil)
		}
		result, answerErr := checked{CheckResult: files}, error(nil)
		if err == nil { // what is damaged is not asked for as well
			result.Answered, answerErr = askServer(c.Context, c.Args().First(), m)
		}
		distrusted, trustErr := unpack.FindDistrusted(m)
		result.Distrusted = distrusted
		var kindErr error
		if complete != nil {
			result.Checks, kindErr = complete(c.Context, m)
		} else {
			result.Counted, kindErr = countedAtExport(m)
			result.Note = notAskedAgain
		}
		if deep != nil && c.Bool("deep") {
			more, deepErr := deep(c.Context, m)
			result.Checks, kindErr = append(result.Checks, more...), errors.Join(kindErr, deepErr)
		}
		o.Show(result, func(w io.Writer) { writeCheck(w, result) })
		_, journalErr := m.History()
		return errors.Join(err, answerErr, kindErr, trustErr, journalErr, unpack.Audit(m))
	}
}

// checked is the result of check.
type checked struct {
	*unpack.CheckResult
	// Answered is how the server answers to what is listed; nil: something is damaged, and
	// it was not asked.
	Answered *answers `json:"answered,omitempty"`
	// Checks are the counts of the kinds' checks now, Counted the export's counts, which are
	// in the roots.
	Checks  []bundle.CheckCount `json:"checks,omitempty"`
	Counted []counted           `json:"countedAtExport,omitempty"`
	Note    string              `json:"note,omitempty"`
	// Distrusted is published under keys that are not trusted any more.
	Distrusted []unpack.Distrusted `json:"distrusted,omitempty"`
}

// counted is what the export of a repository counted.
type counted struct {
	Set        string              `json:"set"`
	Sequence   int64               `json:"sequence"`
	Repository string              `json:"repository"`
	Checks     []bundle.CheckCount `json:"checks"`
}

// notAskedAgain is the note about the part of check that this program lacks.
const notAskedAgain = "completeness by the clients' rules was counted at export; gapbundle check, the whole program, asks it again"

// countedAtExport returns the counts that the roots of what is published have.
func countedAtExport(m *unpack.Mirror) ([]counted, error) {
	g, err := m.Current()
	if err != nil {
		return nil, err
	}
	var all []counted
	for _, s := range g.Sets {
		for _, r := range s.Repositories {
			if len(r.Checks) > 0 {
				all = append(all, counted{s.Set, s.Sequence, r.Name, r.Checks})
			}
		}
	}
	return all, nil
}

func writeCheck(w io.Writer, r checked) {
	fmt.Fprintf(w, "generation %d: %s, %s looked at, %d hashed again, %d damaged\n",
		r.Generation, bundle.Count(r.Files, "file"), HumanBytes(r.Bytes), r.Hashed, len(r.Damage))
	for _, d := range r.Damage {
		fmt.Fprintf(w, "  DAMAGED: %s\n", damageText(d))
	}
	if r.More > 0 {
		fmt.Fprintf(w, "  DAMAGED: %d more\n", r.More)
	}
	if r.Answered != nil {
		for _, d := range r.Answered.Wrong {
			fmt.Fprintf(w, "  NOT SERVED: %s\n", damageText(d))
		}
	}
	for _, n := range r.Checks {
		fmt.Fprintf(w, "complete: %s: %d\n", n.Name, n.Count)
	}
	for _, s := range r.Counted {
		for _, n := range s.Checks {
			fmt.Fprintf(w, "counted at export: %s: %d (%s, %s)\n", n.Name, n.Count, bundle.DirName(s.Set, s.Sequence), s.Repository)
		}
	}
	if r.Note != "" {
		fmt.Fprintf(w, "%s\n", r.Note)
	}
	writeDistrusted(w, r.Distrusted)
	writeWaiting(w, r.Waiting)
}
