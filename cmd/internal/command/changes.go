package command

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
)

// How many changes by name are printed of each set, unless --changes sets it.
const (
	changeLines = 20   // for people
	changesJSON = 1000 // with --json
)

// ChangeCount is the value of --changes: a number, all or none.
type ChangeCount struct {
	count int
	given bool
}

func (n *ChangeCount) String() string {
	switch {
	case !n.given:
		return strconv.Itoa(changeLines)
	case n.count == contents.All:
		return "all"
	case n.count == 0:
		return "none"
	}
	return strconv.Itoa(n.count)
}

// Set takes a number, all or none.
func (n *ChangeCount) Set(s string) error {
	switch count, err := strconv.ParseUint(s, 10, 31); {
	case s == "all":
		n.count = contents.All
	case s == "none":
		n.count = 0
	case err != nil:
		return fmt.Errorf("want a number, all or none")
	default:
		n.count = int(count)
	}
	n.given = true
	return nil
}

func (n *ChangeCount) candidates() []string { return []string{"all", "none"} }

// ChangesFlag returns the flag --changes.
func ChangesFlag() cli.Flag {
	return Parsed("changes", "print what is added, changed and removed by name: at most `N` names for each set, all or none; with --json 1000", new(ChangeCount))
}

// ChangesOf returns how many changes by name a command is to find.
func ChangesOf(c *cli.Context) int {
	switch n := ValueOf[*ChangeCount](c, "changes"); {
	case n == nil:
		return 0
	case n.given:
		return n.count
	case c.Bool("json"):
		return changesJSON
	}
	return changeLines
}

// WriteChanges prints what was added, changed and removed by name.
func WriteChanges(w io.Writer, all ...*contents.Summary) {
	for _, s := range all {
		if s == nil {
			continue
		}
		fmt.Fprintf(w, "set %s: by name %d removed, %d changed, %d added\n", s.Set, s.Removed, s.Changed, s.Added)
		rows := make([][]string, len(s.First))
		for i := range s.First {
			rows[i] = changeRow(&s.First[i])
		}
		WriteTable(w, rows)
		if more := s.Total() - int64(len(s.First)); more > 0 && len(s.First) > 0 {
			fmt.Fprintf(w, "  and %d more (--changes all)\n", more)
		}
		for _, r := range s.WithoutList {
			fmt.Fprintf(w, "  repository %s: %s before, %d after; one of its bundles has no contents list, so names cannot be compared\n", r.Repository, bundle.Count(r.FilesBefore, "file"), r.FilesAfter)
		}
	}
}

// NoteChanges works like WriteChanges, for a command whose standard output is kept for a path.
func NoteChanges(o *Output, all ...*contents.Summary) {
	var text strings.Builder
	WriteChanges(&text, all...)
	for line := range strings.Lines(text.String()) {
		o.Note("%s", strings.TrimRight(line, "\n"))
	}
}

// changeRow returns one change as a row of a table.
func changeRow(c *contents.Change) []string {
	what := changeText(c)
	both := slices.Concat(c.Before, c.After)
	where := c.Type
	if repos := some(both, func(v contents.Version) string { return v.Repository }); repos != "" {
		where += " in " + repos
	}
	return []string{"  " + string(c.Kind), c.Name, what, where}
}

// shortCommit is how many digits of a commit's name are printed.
const shortCommit = 12

// changeText reports which versions went and came. Where versions do not distinguish the two
// states, it reports what does.
func changeText(c *contents.Change) string {
	version := func(v contents.Version) string { return v.Version }
	arch := func(v contents.Version) string { return v.Arch }
	switch c.Kind {
	case contents.Removed:
		return strings.TrimSpace(some(c.Before, version) + " " + some(c.Before, arch))
	case contents.Added:
		return strings.TrimSpace(some(c.After, version) + " " + some(c.After, arch))
	}
	var stays []contents.Version
	for _, v := range c.Stays {
		stays = append(stays, contents.Version{Version: v})
	}
	before, after := some(slices.Concat(stays, c.Before), version), some(slices.Concat(stays, c.After), version)
	if before != after {
		text := FirstOf(before, "none") + " -> " + FirstOf(after, "none")
		if c.Older {
			text += " (older)"
		}
		return text
	}
	text := []string{}
	if changed := some(slices.Concat(c.Before, c.After), version); changed != "" {
		text = append(text, changed+":")
	}
	for _, part := range []struct {
		what string
		of   func(contents.Version) string
	}{
		{"", arch},
		{"repository", func(v contents.Version) string { return v.Repository }},
		{"commit", func(v contents.Version) string { return v.Revision[:min(len(v.Revision), shortCommit)] }},
		{"content", func(v contents.Version) string {
			if v.Digest.IsZero() {
				return "known after it is fetched"
			}
			return v.Digest.Short()
		}},
	} {
		if was, is := some(c.Before, part.of), some(c.After, part.of); was != is {
			return strings.Join(append(text, strings.TrimSpace(part.what+" "+FirstOf(was, "none")+" -> "+FirstOf(is, "none"))), " ")
		}
	}
	return strings.Join(append(text, "other files"), " ")
}

// some names the distinct values, at most a few of them.
func some(versions []contents.Version, of func(contents.Version) string) string {
	const most = 4
	var all []string
	for _, v := range versions {
		if text := of(v); text != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most-1], ", "), len(all)-most+1)
	}
	return strings.Join(all, ", ")
}
