package tree

import (
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// Some client files configure a client for a whole kind. Their names are the client's choice
// and have no source's name in them, so several sets may have the same one. The set that
// published a path first keeps it. The others' files are published below site.AsideDir and
// the set's name. So client files of sets never conflict, and no set can change what the
// clients of another one read.

// asidePath returns where a client file of a set is published that is aside.
func asidePath(set, path string) string { return site.AsideDir + "/" + set + "/" + path }

// Lists returns the file list of a set's repository by its index; nil: the list is among
// those that are kept.
type Lists func(set string, repository int) iter.Seq2[bundle.File, error]

// NoLists returns where all lists are kept.
func NoLists(string, int) iter.Seq2[bundle.File, error] { return nil }

// asideNotes returns a note for each client file that is published at another place than the
// one its set has for it.
func asideNotes(moved []string) (notes []string) {
	const some = 5
	for _, path := range moved[:min(some, len(moved))] {
		notes = append(notes, "another set has a client file of this name already; this one is at /"+path)
	}
	if more := len(moved) - some; more > 0 {
		notes = append(notes, fmt.Sprintf("and %s below /%s/%s/", bundle.Count(more, "more client file"), site.ClientsDir, site.AsideDir))
	}
	return notes
}

// StepAside decides which client files of sets are aside (GenerationRepository.Aside).
// before is what is published; rank orders sets by the time at which they came. It
// returns the web paths of those whose content is not that of the file in whose way they
// are, and that were not aside before.
func (t *Trees) StepAside(sets []GenerationSet, before *Generation, lists Lists, rank func(set string) int) (moved []string, err error) {
	var now []Part
	for i := range sets {
		sets[i].Repositories = slices.Clone(sets[i].Repositories)
		for j := range sets[i].Repositories {
			r := &sets[i].Repositories[j]
			if r.Aside = nil; r.Mount != site.ClientsDir {
				continue
			}
			files := t.listed(r)
			if list := lists(sets[i].Set, j); list != nil {
				files = list
			}
			now = append(now, Part{Set: sets[i].Set, Repository: r.Repository, Files: files})
		}
	}
	if len(now) < 2 {
		return nil, nil
	}
	s := &sorter{rank: rank, aside: map[string][]string{}, was: map[string]bool{}}
	held, err := t.heldClientFiles(before, s.was)
	if err != nil {
		return nil, err
	}
	if err := s.sort(now, held); err != nil {
		return nil, err
	}
	for i := range sets {
		for j := range sets[i].Repositories {
			if r := &sets[i].Repositories[j]; r.Mount == site.ClientsDir {
				r.Aside = s.aside[sets[i].Set]
			}
		}
	}
	return s.moved, nil
}

// heldClientFiles returns the parts of what is published that hold their paths. was gets what
// is aside, by set and path.
func (t *Trees) heldClientFiles(g *Generation, was map[string]bool) (held []Part, err error) {
	if g == nil {
		return nil, nil
	}
	for _, s := range g.Sets {
		for i := range s.Repositories {
			r := &s.Repositories[i]
			if r.Mount != site.ClientsDir {
				continue
			}
			for _, path := range r.Aside {
				was[asidePath(s.Set, path)] = true
			}
			aside, files := r.Aside, t.listed(r)
			held = append(held, Part{Set: s.Set, Repository: r.Repository, Files: func(yield func(bundle.File, error) bool) {
				for f, err := range files {
					if _, is := slices.BinarySearchFunc(aside, f.Path, bundle.ComparePaths); !is && !yield(f, err) {
						return
					}
				}
			}})
		}
	}
	return held, nil
}

// sorter goes through the client files of all sets in the order of their paths.
type sorter struct {
	rank  func(set string) int
	aside map[string][]string // by set: paths of its list
	moved []string
	was   map[string]bool

	file claim // the last file that has its own path
}

// claim is a client file that a set wants to have at its own path.
type claim struct {
	set, path string
	digest    bundle.Digest
	held      bool // the set has it there already
}

func (s *sorter) sort(now, held []Part) error {
	due, stop, err := muster(now)
	defer stop()
	if err != nil {
		return err
	}
	have, stopHave, err := muster(held)
	defer stopHave()
	if err != nil {
		return err
	}
	var claims []claim
	for len(due) > 0 {
		path := due[0].file.Path
		holders, err := have.upTo(path)
		if err != nil {
			return err
		}
		claims = claims[:0]
		for len(due) > 0 && due[0].file.Path == path {
			m := due[0]
			_, held := holders[m.set]
			claims = append(claims, claim{m.set, strings.TrimPrefix(path, m.mount+"/"), m.file.Digest, held})
			if err := due.advance(); err != nil {
				return err
			}
		}
		below := len(due) > 0 && strings.HasPrefix(due[0].file.Path, path+"/")
		s.decide(claims, below)
	}
	return nil
}

// decide chooses the set that publishes its file at one path. below means that other files
// need a folder there.
func (s *sorter) decide(claims []claim, below bool) {
	slices.SortStableFunc(claims, func(a, b claim) int {
		if a.held != b.held {
			return cmp.Or(-btoi(a.held), btoi(b.held))
		}
		return cmp.Or(cmp.Compare(s.rank(a.set), s.rank(b.set)), strings.Compare(a.set, b.set))
	})
	first := &claims[0]
	inFile := s.file.path != "" && strings.HasPrefix(first.path, s.file.path+"/")
	switch {
	case inFile, below && !first.held:
		first = nil // all are aside
	default:
		s.file = *first
	}
	for i := range claims {
		c := &claims[i]
		if c == first {
			continue
		}
		s.aside[c.set] = append(s.aside[c.set], c.path)
		if (first == nil || first.digest != c.digest) && !s.was[asidePath(c.set, c.path)] {
			s.moved = append(s.moved, site.ClientsDir+"/"+asidePath(c.set, c.path))
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// advance takes the first member on to its next file.
func (q *queue) advance() error {
	more, err := (*q)[0].advance()
	switch {
	case err != nil:
		return err
	case more:
		heap.Fix(q, 0)
	default:
		heap.Pop(q)
	}
	return nil
}

// upTo advances to a path and returns each set's file there.
func (q *queue) upTo(path string) (sets map[string]bundle.File, err error) {
	sets = map[string]bundle.File{}
	for len(*q) > 0 {
		m := (*q)[0]
		order := bundle.ComparePaths(m.file.Path, path)
		if order > 0 {
			break
		}
		if order == 0 {
			sets[m.set] = m.file
		}
		if err := q.advance(); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// WithAside returns the client files of a set as they are published: those of aside, sorted by
// path, in the folder of the set. It reads files twice, and holds the lines of aside.
func WithAside(set string, files iter.Seq2[bundle.File, error], aside []string) iter.Seq2[bundle.File, error] {
	if len(aside) == 0 {
		return files
	}
	is := func(f *bundle.File) bool {
		_, found := slices.BinarySearchFunc(aside, f.Path, bundle.ComparePaths)
		return found
	}
	return func(yield func(bundle.File, error) bool) {
		own := make([]bundle.File, 0, len(aside))
		for f, err := range files {
			if err != nil {
				yield(bundle.File{}, err)
				return
			}
			if is(&f) {
				f.Path = asidePath(set, f.Path)
				own = append(own, f)
			}
		}
		for f, err := range files {
			for ; err == nil && len(own) > 0 && bundle.ComparePaths(own[0].Path, f.Path) < 0; own = own[1:] {
				if !yield(own[0], nil) {
					return
				}
			}
			if (err != nil || !is(&f)) && !yield(f, err) || err != nil {
				return
			}
		}
		for _, f := range own {
			if !yield(f, nil) {
				return
			}
		}
	}
}
