package contents

import (
	"context"
	"slices"
)

// Summary is what became of the names of one set, for people.
type Summary struct {
	Set string `json:"set"`
	// Removed, Changed and Added count all names.
	Removed int64 `json:"removed"`
	Changed int64 `json:"changed"`
	Added   int64 `json:"added"`
	// First are the first changes: those of names that were removed, then those of
	// names that changed, then the others, each in the order of names.
	First []Change `json:"first,omitempty"`
	// WithoutList are the repositories that have no contents list on one side or both, so
	// that nothing is known by name, and whose files differ.
	WithoutList []Counted `json:"withoutContentsList,omitempty"`
}

// Counted is a repository of which nothing is known by name: a bundle of a program that
// knew no contents lists described it in one of the states.
type Counted struct {
	Repository  string `json:"repository"`
	FilesBefore int64  `json:"filesBefore"`
	FilesAfter  int64  `json:"filesAfter"`
	BytesBefore int64  `json:"bytesBefore"`
	BytesAfter  int64  `json:"bytesAfter"`
}

// maxShown bounds Before and After of the changes in a summary.
const maxShown = 20

// All is the value for Summarise that keeps every change.
const All = -1

// Total returns the number of names that are not as they were.
func (s *Summary) Total() int64 { return s.Removed + s.Changed + s.Added }

// Empty reports whether there is nothing to report.
func (s *Summary) Empty() bool { return s.Total() == 0 && len(s.WithoutList) == 0 }

// Summarise compares two states of a set and keeps the first changes, at most keep of
// them (All: every one), each with at most maxShown versions of either side. Memory
// grows with keep, not with the lists.
func Summarise(ctx context.Context, set string, before, after []Repository, keep int) (*Summary, error) {
	s := &Summary{Set: set, WithoutList: WithoutList(before, after)}
	first := map[Kind][]Change{}
	for c, err := range Compare(ctx, before, after) {
		if err != nil {
			return nil, err
		}
		switch c.Kind {
		case Removed:
			s.Removed++
		case Changed:
			s.Changed++
		case Added:
			s.Added++
		}
		if keep == All || len(first[c.Kind]) < keep {
			c.Before, c.After = shown(c.Before), shown(c.After)
			first[c.Kind] = append(first[c.Kind], c)
		}
	}
	s.First = slices.Concat(first[Removed], first[Changed], first[Added])
	if keep != All {
		s.First = s.First[:min(keep, len(s.First))]
	}
	return s, nil
}

func shown(versions []Version) []Version {
	return slices.Clone(versions[:min(len(versions), maxShown)])
}

// ownKind is that of the repositories that gapbundle itself adds to a set: client files
// and keys. Nobody calls what is in them by a name.
const ownKind = "gapbundle"

// WithoutList returns the repositories that are not the same in both states and that
// Compare leaves out, because one of the states has no contents list of them.
func WithoutList(before, after []Repository) []Counted {
	var names []string
	all := map[string]*Counted{}
	content := map[string][2]string{}
	nameless := map[string]bool{}
	for i, state := range [][]Repository{before, after} {
		for _, r := range state {
			if r.Kind == ownKind {
				continue
			}
			if all[r.Name] == nil {
				all[r.Name], names = &Counted{Repository: r.Name}, append(names, r.Name)
			}
			c, both := all[r.Name], content[r.Name]
			both[i] = r.Content
			content[r.Name] = both
			nameless[r.Name] = nameless[r.Name] || r.Entries == nil
			if i == 0 {
				c.FilesBefore, c.BytesBefore = r.Files, r.Bytes
			} else {
				c.FilesAfter, c.BytesAfter = r.Files, r.Bytes
			}
		}
	}
	slices.Sort(names)
	var out []Counted
	for _, name := range names {
		if both := content[name]; nameless[name] && both[0] != both[1] {
			out = append(out, *all[name])
		}
	}
	return out
}
