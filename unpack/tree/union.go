package tree

import (
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/unpack/state"
)

// ConflictError: two sets want different things at one place of the mirror. It
// matches bundle.ErrUsage: neither is wrong, and somebody has to choose.
type ConflictError struct {
	// Path is the web path, or the mount, that both want.
	Path string
	// Sets want it; Repositories are theirs.
	Sets, Repositories [2]string
	// Digests are what each would put there, zero when one of them needs a
	// folder of that name, or for mounts.
	Digests [2]bundle.Digest
	// Types are the media types of each, where the content is the same.
	Types [2]string
	// Bundles are what each comes from, empty where it is not known.
	Bundles [2]string
}

func (e *ConflictError) Error() string {
	who := func(i int) string {
		if e.Bundles[i] == "" {
			return e.Repositories[i]
		}
		return e.Repositories[i] + " of " + e.Bundles[i]
	}
	s := fmt.Sprintf("%s: wanted by set %s (%s) and by set %s (%s)", e.Path, e.Sets[0], who(0), e.Sets[1], who(1))
	switch {
	case e.Types != [2]string{}:
		s += fmt.Sprintf(" with different media types, %q and %q", e.Types[0], e.Types[1])
	case !e.Digests[0].IsZero() && !e.Digests[1].IsZero():
		s += fmt.Sprintf(" with different content, %s and %s", e.Digests[0], e.Digests[1])
	}
	return s
}

// Is makes it bundle.ErrUsage.
func (e *ConflictError) Is(target error) bool { return target == bundle.ErrUsage }

// member is one repository's part of the shared areas.
type member struct {
	set, repository, mount string
	next                   func() (bundle.File, error, bool)
	file                   bundle.File // the one that is due, with its whole web path
}

// advance takes the next file of the list; false: that was the last.
func (m *member) advance() (bool, error) {
	f, err, more := m.next()
	if err != nil || !more {
		return false, err
	}
	f.Path, f.Annotations = m.mount+"/"+f.Path, nil
	m.file = f
	return true, nil
}

type queue []*member

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return cmp.Or(bundle.ComparePaths(q[i].file.Path, q[j].file.Path), strings.Compare(q[i].set, q[j].set)) < 0
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*member)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// Part is what one repository has in the shared areas, for the union.
type Part struct {
	Set        string
	Repository bundle.Repository
	Files      iter.Seq2[bundle.File, error]
	// open opens Files for a reader that has thousands of lists open; nil: there is
	// no better way than iter.Pull2.
	open func() (next func() (bundle.File, error, bool), stop func(), err error)
}

// Parts returns the repositories of sets that have a part in the shared areas.
func (t *Trees) Parts(sets []GenerationSet) []Part {
	var all []Part
	for _, s := range sets {
		for _, r := range s.Repositories {
			if bundle.IsSharedMount(r.Mount) {
				p := Part{Set: s.Set, Repository: r.Repository, Files: t.Served(s.Set, &r)}
				if len(r.Without)+len(r.Aside) == 0 {
					p.open = func() (func() (bundle.File, error, bool), func(), error) { return t.openFiles(r.Repository) }
				}
				all = append(all, p)
			}
		}
	}
	return all
}

// Union returns what repositories have in the shared areas together, sorted by web
// path, each path once. Different content at one path, and a file where
// another needs a folder, end it with a ConflictError. Client files are left
// out: package site places them.
func Union(parts []Part) iter.Seq2[bundle.File, error] { return union(parts, nil) }

// Agree checks what Union checks, and for the sets that are
// coming also media types, which are part of what a client gets. before are the parts of
// the coming sets as they are published: what differs there already, from before media
// types were compared, is no reason to refuse the next bundle of either. It reports
// whether there is any such difference.
func Agree(parts []Part, coming map[string]bool, before []Part) (differs bool, err error) {
	have, stop, err := muster(before)
	defer stop()
	if err != nil {
		return false, err
	}
	t := &typing{coming: coming, have: have}
	for _, err := range union(parts, t) {
		if err != nil {
			return false, err
		}
	}
	return t.tolerated, nil
}

// typing compares the media types of sets that are coming.
type typing struct {
	coming map[string]bool
	have   queue // what they publish now
	// at is the last path that was looked up in have, and what each set has there.
	at        string
	known     map[string]bundle.File
	tolerated bool
}

// refuses reports whether two files of one content and different types cannot be
// published together: where either is of a coming set and is new.
func (t *typing) refuses(a, b *member) (bool, error) {
	if a.file.Path != t.at {
		known, err := t.have.upTo(a.file.Path)
		if err != nil {
			return false, err
		}
		t.at, t.known = a.file.Path, known
	}
	for _, m := range []*member{a, b} {
		f, published := t.known[m.set]
		if t.coming[m.set] && !(published && f.MediaType == m.file.MediaType && f.Digest == m.file.Digest) {
			return true, nil
		}
	}
	t.tolerated = t.tolerated || t.coming[a.set] || t.coming[b.set]
	return false, nil
}

func union(parts []Part, types *typing) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		due, stop, err := muster(parts)
		defer stop()
		if err != nil {
			yield(bundle.File{}, err)
			return
		}
		var last member
		for len(due) > 0 {
			now := *due[0]
			more, err := due[0].advance()
			if err == nil {
				err = now.conflict(&last, types)
			}
			if err != nil {
				yield(bundle.File{}, err)
				return
			}
			if more {
				heap.Fix(&due, 0)
			} else {
				heap.Pop(&due)
			}
			again := now.file.Path == last.file.Path
			last = now
			if !again && !site.Owns(now.file.Path) && !yield(now.file, nil) {
				return
			}
		}
	}
}

func (p *Part) pull() (next func() (bundle.File, error, bool), stop func(), err error) {
	if p.open != nil {
		return p.open()
	}
	next, stop = iter.Pull2(p.Files)
	return next, stop, nil
}

// muster opens every list at its first file. stop, never nil, closes them.
func muster(parts []Part) (due queue, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	for _, p := range parts {
		next, end, err := p.pull()
		if err != nil {
			return nil, stop, err
		}
		stops = append(stops, end)
		m := &member{set: p.Set, repository: p.Repository.Name, mount: p.Repository.Mount, next: next}
		more, err := m.advance()
		if err != nil {
			return nil, stop, err
		}
		if more {
			due = append(due, m)
		}
	}
	heap.Init(&due)
	return due, stop, nil
}

// conflict compares a file with the one before it in the union, its media type too by
// types, nil: not compared. Everything below a folder comes directly after a file of the
// folder's name.
func (m *member) conflict(before *member, types *typing) (err error) {
	same := m.file.Path == before.file.Path
	below := before.file.Path != "" && strings.HasPrefix(m.file.Path, before.file.Path+"/")
	otherType := types != nil && same && m.file.MediaType != before.file.MediaType && m.set != before.set
	if otherType && m.file.Digest == before.file.Digest {
		if otherType, err = types.refuses(m, before); err != nil {
			return err
		}
	}
	if !below && (!same || m.file.Digest == before.file.Digest && !otherType) {
		return nil
	}
	e := &ConflictError{
		Path:         before.file.Path,
		Sets:         [2]string{before.set, m.set},
		Repositories: [2]string{before.repository, m.repository},
	}
	if same {
		e.Digests = [2]bundle.Digest{before.file.Digest, m.file.Digest}
	}
	if same && m.file.Digest == before.file.Digest {
		e.Types = [2]string{before.file.MediaType, m.file.MediaType}
	}
	return e
}

// nested reports whether one mount is the other or is in it.
func nested(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// CheckMounts refuses a mount that another set owns, or has a part of. owned
// are the ratchets of all sets.
func CheckMounts(owned []state.Ratchet, sets []GenerationSet) error {
	for _, s := range sets {
		for _, r := range s.Repositories {
			for _, o := range owned {
				for _, mount := range o.Mounts {
					if o.Set != s.Set && !bundle.IsSharedMount(r.Mount) && nested(mount, r.Mount) {
						return mountConflict(r.Mount, o.Set, "owns "+mount, s.Set, r.Name)
					}
				}
			}
		}
	}
	for i, a := range sets {
		for _, b := range sets[:i] {
			if err := checkMountPair(a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkMountPair checks two sets that come in the same run: neither is in a
// ratchet yet.
func checkMountPair(a, b GenerationSet) error {
	for _, r := range a.Repositories {
		for _, q := range b.Repositories {
			if !bundle.IsSharedMount(r.Mount) && nested(r.Mount, q.Mount) {
				return mountConflict(r.Mount, b.Set, q.Name, a.Set, r.Name)
			}
		}
	}
	return nil
}

func mountConflict(mount, set, repository, otherSet, otherRepository string) error {
	return &ConflictError{
		Path:         mount,
		Sets:         [2]string{set, otherSet},
		Repositories: [2]string{repository, otherRepository},
	}
}
