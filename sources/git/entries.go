package git

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
)

// maxNamedRefs is how many refs of one git repository have names in the contents list.
const maxNamedRefs = 1000

// dateForm is the form of a ref's date in the summary of its entry, after dateMark. It is the
// date of the tag, or else of the commit.
const (
	dateForm = time.RFC3339
	dateMark = "dated "
)

// named is an entry, and the date of its ref; the zero time where it is not known.
type named struct {
	sources.Entry
	date time.Time
}

// entries returns the branches and tags of a git repository; the file that lists them stands
// for all. If there are more than maxNamedRefs, they are the newest by date. Refs without a known
// date count as older than all others, and are ordered by the numbers in their names.
// files are those that a clone reads.
func entries(p *packed, files []sources.Artifact) sources.EntryList {
	size := int64(0)
	for _, a := range files {
		if strings.HasSuffix(a.File.Path, endPack) {
			size += max(0, a.File.Size)
		}
	}
	_, name, _ := strings.Cut(fetch.Redact(p.of.url), "://")
	var all []named
	for _, ref := range p.of.chosen.refs {
		e := named{Entry: sources.Entry{Name: name, Type: bundle.TypeBranch, Revision: ref.Commit().String(), Size: size}}
		var ok bool
		if e.Version, ok = strings.CutPrefix(ref.Name, "refs/heads/"); !ok {
			e.Type = bundle.TypeTag
			if e.Version, ok = strings.CutPrefix(ref.Name, "refs/tags/"); !ok {
				continue
			}
		}
		if e.date = dateOf(p, ref, &e.Entry); !e.date.IsZero() {
			e.Summary = dateMark + e.date.Format(dateForm)
		}
		all = append(all, e)
	}
	if len(all) > maxNamedRefs {
		slices.SortStableFunc(all, func(a, b named) int { // of one date branches first
			return cmp.Or(b.date.Compare(a.date), strings.Compare(a.Type, b.Type), compareVersions(a.Type, b.Version, a.Version))
		})
		all = all[:maxNamedRefs]
	}
	entries := make([]sources.Entry, len(all))
	for i := range all {
		entries[i] = all[i].Entry
	}
	return sources.NewEntries(entries...)
}

// dateOf returns the date of a ref: of what was fetched, or as the base recorded it.
func dateOf(p *packed, ref gitfile.Ref, e *sources.Entry) time.Time {
	if seconds, ok := p.dates[ref.ID]; ok {
		return time.Unix(seconds, 0).UTC()
	}
	if p.past == nil {
		return time.Time{}
	}
	return p.past.dates[datedRef{e.Type, e.Version, e.Revision}]
}

// datedRef is a ref as the base recorded it.
type datedRef struct{ typ, name, revision string }

// recallDates reads the dates that the base recorded of a source's refs.
func recallDates(env *sources.Env, source string, of func(dir string) *past) error {
	entries, ok := env.Entries(source)
	if !ok {
		return nil
	}
	for at, err := range entries {
		if err != nil {
			return err
		}
		dir, _, ok := cutDir(at.Path)
		if !ok {
			continue
		}
		p := of(dir)
		for e := range at.Entries.All() {
			text, ok := strings.CutPrefix(e.Summary, dateMark)
			if date, err := time.Parse(dateForm, text); ok && err == nil {
				p.dates[datedRef{e.Type, e.Version, e.Revision}] = date
			}
		}
	}
	return nil
}

// compareVersions orders tags by the numbers in their names, as git does for
// --sort=version:refname; branches have no order.
func compareVersions(typ, a, b string) int {
	if typ == bundle.TypeBranch {
		return 0
	}
	return gitfile.CompareNames(a, b)
}
