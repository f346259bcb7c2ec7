package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/all"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/urfave/cli/v2"
)

// mirrorOptions are the options of every command that opens a mirror.
func mirrorOptions(c *cli.Context, o *output, p bundle.Progress) unpack.Options {
	return unpack.Options{
		Jobs: c.Int("jobs"), Progress: p, RetryLock: spanOf(c, "retry-lock"), DryRun: c.Bool("dry-run"),
		Log: o.log, Tool: toolName(), Built: buildTime(),
	}
}

// makeMirror makes the folder of a mirror if it is not there.
func makeMirror(c *cli.Context, o *output, dir string) error {
	m, err := unpack.Create(dir, mirrorOptions(c, o, bundle.NoProgress))
	if err != nil {
		return err
	}
	return m.Close()
}

// withMirror opens a mirror, changes it by f and prints what was done.
func withMirror(c *cli.Context, o *output, dir string, f func(*unpack.Mirror) error, done string) error {
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
func showChange(c *cli.Context, o *output, done string) {
	o.show(map[string]any{"done": done, "dryRun": c.Bool("dry-run")}, func(w io.Writer) {
		fmt.Fprintf(w, "%s%s\n", wouldBe(c), done)
	})
}

// wouldBe begins the line that says what was done where nothing was.
func wouldBe(c *cli.Context) string {
	if c.Bool("dry-run") {
		return "dry run, nothing changed: "
	}
	return ""
}

func mirrorCommands() []*cli.Command {
	one := func(name, args, usage, example string, f func(*cli.Context, *output, *unpack.Mirror) error, flags ...cli.Flag) *cli.Command {
		return leaf(&cli.Command{Name: name, Usage: usage, ArgsUsage: args, UsageText: example, Flags: flags},
			func(c *cli.Context, o *output) error {
				p := o.startProgress()
				defer p.stop()
				m, err := unpack.Open(c.Args().First(), mirrorOptions(c, o, p))
				if err != nil {
					return err
				}
				defer m.Close()
				return f(c, o, m)
			})
	}
	return []*cli.Command{
		one("status", "MIRROR", "print what is published, what lapses, and what is waited for",
			"gapbundle status /srv/mirror", mirrorStatus),
		one("history", "MIRROR", "print the journal: every import, refusals included, and every change",
			"gapbundle history /srv/mirror --json", mirrorHistory),
		one("config", "MIRROR", "print the mirror's settings, or publish it with another base URL",
			"gapbundle config /srv/mirror --base-url https://mirror.lan", mirrorConfig,
			text("base-url", "`URL` at which clients reach the mirror; goes into the client files"), dryRunFlag(), retryLockFlag()),
		one("check", "MIRROR", "look whether everything that is published is there, and complete for its clients",
			"gapbundle check /srv/mirror --data=5%", mirrorCheck,
			parsed("data", "hash the content again, or a share of it such as `5%`", new(share)), jobsFlag()),
		one("rollback", "MIRROR", "publish an earlier content again",
			"gapbundle rollback /srv/mirror --set slurm-site --to 6", mirrorRollback,
			text("set", "only this set: its `NAME`"), text("to", "`N` of the generation whose content is wanted; default: the one before"),
			dryRunFlag(), retryLockFlag()),
		one("gc", "MIRROR", "remove what no kept generation, receipt or pending import needs",
			"gapbundle gc /srv/mirror --keep 3 --dry-run", mirrorGC,
			number("keep", "`N` newest generations to keep; 0: the usual number", 0), toggle("force", "also where more than 40 % would go"),
			dryRunFlag(), retryLockFlag()),
		one("forget", "MIRROR SET", "publish without a set, and let go of its paths",
			"gapbundle forget /srv/mirror slurm-site --dry-run", mirrorForget, dryRunFlag(), retryLockFlag()),
		clientsCommand(),
	}
}

func mirrorStatus(c *cli.Context, o *output, m *unpack.Mirror) error {
	s, err := m.Status(c.Context)
	if err != nil {
		return err
	}
	o.show(s, func(w io.Writer) { writeStatus(w, s, time.Now()) })
	return nil
}

func writeStatus(w io.Writer, s *unpack.Status, now time.Time) {
	rows := [][]string{{"mirror", s.Dir}, {"base URL", firstOf(s.BaseURL, "not set (gapbundle config MIRROR --base-url URL)")}}
	if s.Generation == 0 {
		rows = append(rows, []string{"published", "nothing yet"})
	} else {
		rows = append(rows, []string{"published", fmt.Sprintf("generation %d, %s (%s)", s.Generation, humanTime(s.Published), s.Reason)})
	}
	if s.Previous != 0 {
		rows = append(rows, []string{"fall-back", fmt.Sprintf("generation %d", s.Previous)})
	}
	if !s.ReceiptKey.IsZero() {
		rows = append(rows, []string{"receipt key", s.ReceiptKey.String()})
	}
	writeTable(w, rows)
	for _, set := range s.Sets {
		fmt.Fprintf(w, "\nset %s: sequence %d of stream %s\n", set.Set, set.Sequence, set.Stream)
		rows := [][]string{
			{"  content", fmt.Sprintf("%d files, %s in %d repositories", set.Files, humanBytes(set.Bytes), len(set.Repositories))},
			{"  state code", set.Code + "  (gapbundle export SPEC --base " + set.Code + ")"},
			{"  next", fmt.Sprintf("any bundle above sequence %d", set.Accepted)},
		}
		if !set.Imported.IsZero() {
			rows = append(rows, []string{"  imported", humanTime(set.Imported) + ", made " + humanTime(set.Created)})
		}
		if set.Expires != nil {
			rows = append(rows, []string{"  upstream lapses", humanTime(*set.Expires) + lapse(*set.Expires, now) + "; the client files have the option that deals with it"})
		}
		if set.Receipt != "" {
			rows = append(rows, []string{"  receipt", set.Receipt})
		}
		if len(set.Overrides) > 0 {
			rows = append(rows, []string{"  overrides", strings.Join(set.Overrides, ", ")})
		}
		writeTable(w, rows)
	}
	for _, p := range s.Pending {
		fmt.Fprintf(w, "\npending %s: %d of %d volumes placed, missing %s\n", p.Name, p.Placed, p.Volumes, strings.Join(p.Missing, ", "))
	}
	for _, a := range s.Ambiguous {
		fmt.Fprintf(w, "\nalias /v2/%s not made: claimed by %s\n", a.Alias, strings.Join(a.Images, " and "))
	}
	for _, n := range s.Notes {
		fmt.Fprintf(w, "\nnote: %s\n", n)
	}
	writeWaiting(w, s.Waiting)
}

// writeWaiting names the sources whose pages need the mirror's address.
func writeWaiting(w io.Writer, sources []string) {
	if len(sources) > 0 {
		fmt.Fprintf(w, "waiting for the mirror's address, their pages are not published: %s (gapbundle config MIRROR --base-url URL)\n", strings.Join(sources, ", "))
	}
}

// lapse says how long it is until t.
func lapse(t, now time.Time) string {
	if !t.After(now) {
		return " (LAPSED by the local clock)"
	}
	return fmt.Sprintf(" (in %d days by the local clock)", int(t.Sub(now).Hours()/24))
}

func mirrorHistory(_ *cli.Context, o *output, m *unpack.Mirror) error {
	entries, err := m.History()
	if err != nil {
		return err
	}
	o.show(map[string]any{"entries": entries}, func(w io.Writer) {
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
			rows = append(rows, []string{humanTime(e.Time), e.What, string(e.Outcome), firstOf(name, e.Set), generation, detail})
		}
		writeTable(w, rows)
	})
	return nil
}

func mirrorConfig(c *cli.Context, o *output, m *unpack.Mirror) error {
	if url := c.String("base-url"); url != "" {
		g, err := m.SetBaseURL(c.Context, url)
		if err == nil && g == nil {
			showChange(c, o, "base URL "+url+": the next import publishes it")
			return nil
		}
		return showGeneration(c, o, g, err)
	}
	s, err := m.Status(c.Context)
	if err != nil {
		return err
	}
	o.show(map[string]any{"baseURL": s.BaseURL}, func(w io.Writer) {
		fmt.Fprintf(w, "base-url %s\n", firstOf(s.BaseURL, "not set"))
	})
	return nil
}

// showGeneration prints what was published.
func showGeneration(c *cli.Context, o *output, g *unpack.Generation, err error) error {
	if err != nil {
		return err
	}
	o.show(g, func(w io.Writer) {
		fmt.Fprintf(w, "%spublished generation %d: %s\n", wouldBe(c), g.Number, g.Reason)
		for _, s := range g.Sets {
			fmt.Fprintf(w, "  %s\n", bundle.DirName(s.Set, s.Sequence))
		}
	})
	return nil
}

func mirrorRollback(c *cli.Context, o *output, m *unpack.Mirror) error {
	r := unpack.RollbackOptions{Set: c.String("set")}
	if to := c.String("to"); to != "" {
		n, err := strconv.Atoi(to)
		if err != nil || n < 1 {
			return &usageError{fmt.Sprintf("generation %q: not a number", to), "gapbundle history MIRROR shows the generations"}
		}
		r.To = n
	}
	g, err := m.Rollback(c.Context, r)
	return showGeneration(c, o, g, err)
}

func mirrorForget(c *cli.Context, o *output, m *unpack.Mirror) error {
	g, err := m.Forget(c.Context, c.Args().Get(1))
	return showGeneration(c, o, g, err)
}

func mirrorGC(c *cli.Context, o *output, m *unpack.Mirror) error {
	r, err := m.GC(c.Context, unpack.GCOptions{Keep: c.Int("keep"), Force: c.Bool("force")})
	if err != nil {
		return err
	}
	o.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "%sremoved %d generations, %d trees, %d blobs, %s; kept %d blobs, %s\n", wouldBe(c),
			len(r.Generations), r.Trees, r.Blobs, humanBytes(r.Bytes), r.KeptBlobs, humanBytes(r.KeptBytes))
	})
	return nil
}

// mirrorCheck looks at the files, and then asks every kind whether its
// clients would find what they need.
func mirrorCheck(c *cli.Context, o *output, m *unpack.Mirror) error {
	data := float64(*valueOf[*share](c, "data"))
	files, err := m.Check(c.Context, unpack.CheckOptions{Data: data})
	if files == nil {
		return err
	}
	counts, kindErr := checkKinds(c.Context, m)
	result := struct {
		*unpack.CheckResult
		Checks []bundle.CheckCount `json:"checks,omitempty"`
	}{files, counts}
	o.show(result, func(w io.Writer) {
		fmt.Fprintf(w, "generation %d: %d files, %s looked at, %d hashed again, %d damaged\n",
			files.Generation, files.Files, humanBytes(files.Bytes), files.Hashed, len(files.Damage))
		for _, n := range counts {
			fmt.Fprintf(w, "complete: %d %s\n", n.Count, n.Name)
		}
		writeWaiting(w, files.Waiting)
	})
	return errors.Join(err, kindErr)
}

func checkKinds(ctx context.Context, m *unpack.Mirror) ([]bundle.CheckCount, error) {
	var counts []bundle.CheckCount
	var found []error
	for _, kind := range all.Kinds() {
		if kind.Check == nil {
			continue
		}
		tree, err := m.Tree(kind.Name)
		if err != nil {
			return nil, err
		}
		if len(tree.Repositories()) == 0 {
			continue
		}
		n, err := kind.Check(ctx, tree)
		counts, found = append(counts, n...), append(found, err)
	}
	return counts, errors.Join(found...)
}
