package contents

import (
	"hash/maphash"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
)

// pair is one repository in two states, read name by name. Entries that both states have
// are skipped while they stream by; removed, added, kept and stays are those of the
// name that was taken last.
type pair struct {
	name   string
	number int
	states [2]*Repository // before and after; nil: it has no such repository
	// both is the list of a repository that has the same one in both states; else the
	// two others are set, or one of them.
	both, before, after *cursor

	removed, added []Version
	kept           bool // both states have something of that name
	stays          []string
	// common has a hash of each version that both states have: an entry of one state
	// may have the version, arch and digest of another entry of the other state, in
	// another group or at another path.
	common []versionHash
}

// versionHash is a hash of a version under two seeds that nobody can foresee.
type versionHash [2]uint64

var versionSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func hashOf(v *Version) (h versionHash) {
	for i, seed := range versionSeeds {
		h[i] = maphash.Comparable(seed, *v)
	}
	return h
}

func compareHashes(a, b versionHash) int { return slices.Compare(a[:], b[:]) }

func (p *pair) cursors() []*cursor {
	return slices.DeleteFunc([]*cursor{p.both, p.before, p.after}, func(c *cursor) bool { return c == nil })
}

// differs reports whether the two states may have different lists.
func (p *pair) differs() bool {
	before, after := p.states[0], p.states[1]
	return before == nil || after == nil || before.List == "" || before.List != after.List
}

// open opens the lists and goes to their first entries.
func (p *pair) open() error {
	before, after := p.states[0], p.states[1]
	switch {
	case !p.differs():
		p.both = openCursor(after, p.number)
	default:
		if before != nil {
			p.before = openCursor(before, p.number)
		}
		if after != nil {
			p.after = openCursor(after, p.number)
		}
	}
	for _, c := range p.cursors() {
		if err := c.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (p *pair) stop() {
	for _, c := range p.cursors() {
		c.stop()
	}
}

func (p *pair) done() bool {
	return (p.both == nil || p.both.done) && (p.before == nil || p.before.done) && (p.after == nil || p.after.done)
}

// first returns the first name that was not taken; the pair is not done.
func (p *pair) first() (name, typ string) {
	found := false
	for _, c := range []*cursor{p.both, p.before, p.after} {
		if c == nil || c.done || found && compareNames(c.entry.Name, c.entry.Type, name, typ) >= 0 {
			continue
		}
		name, typ, found = c.entry.Name, c.entry.Type, true
	}
	return name, typ
}

func (c *cursor) isAt(name, typ string) bool {
	return c != nil && !c.done && c.entry.Name == name && c.entry.Type == typ
}

// take reads everything of a name.
func (p *pair) take(name, typ string) error {
	p.removed, p.added, p.kept, p.stays, p.common = p.removed[:0], p.added[:0], false, p.stays[:0], p.common[:0]
	for p.both.isAt(name, typ) {
		p.keep(&p.both.entry)
		if err := p.both.advance(); err != nil {
			return err
		}
	}
	for p.before.isAt(name, typ) || p.after.isAt(name, typ) {
		order := 0
		switch {
		case !p.after.isAt(name, typ):
			order = -1
		case !p.before.isAt(name, typ):
			order = 1
		default:
			order = bundle.CompareEntries(&p.before.entry, &p.after.entry)
		}
		if err := p.step(order); err != nil {
			return err
		}
	}
	p.settle()
	return nil
}

// step takes the entry of the state before (order is negative), after (positive), or
// one of each that have the same place in the order of entries.
func (p *pair) step(order int) error {
	var was, is Version
	if order <= 0 {
		was = p.version(&p.before.entry)
	}
	if order >= 0 {
		is = p.version(&p.after.entry)
	}
	if order == 0 && p.after.entry.Type == bundle.TypeFolder && (p.before.entry.Revision == "" || p.after.entry.Revision == "") {
		// A folder of a list from before folders had a digest of their own.
		was.Digest, is.Digest = p.before.entry.Digest, p.after.entry.Digest
	}
	switch {
	case order == 0 && was == is:
		p.keep(&p.before.entry)
		p.common = append(p.common, hashOf(&was))
	case order == 0:
		p.removed, p.added = append(p.removed, was), append(p.added, is)
	case order < 0:
		p.removed = append(p.removed, was)
	default:
		p.added = append(p.added, is)
	}
	if order <= 0 {
		if err := p.before.advance(); err != nil {
			return err
		}
	}
	if order >= 0 {
		return p.after.advance()
	}
	return nil
}

func (p *pair) version(e *bundle.Entry) Version {
	v := Version{Version: e.Version, Arch: e.Arch, Digest: e.Digest, Repository: p.name}
	switch {
	case e.Revision == "":
	case e.Type == bundle.TypeBranch, e.Type == bundle.TypeTag:
		v.Revision, v.Digest = e.Revision, bundle.Digest{}
	case e.Type == bundle.TypeFolder:
		if all, err := bundle.ParseDigest(e.Revision); err == nil {
			v.Digest = all
		}
	}
	return v
}

// keep notes an entry that both states have.
func (p *pair) keep(e *bundle.Entry) {
	if e.Rank <= 1 || !p.kept {
		p.stays = stay(p.stays, e.Version)
	}
	p.kept = true
}

// settle makes sets of what was taken: a version that both states have in whatever
// place is neither removed nor added.
func (p *pair) settle() {
	if len(p.removed)+len(p.added) == 0 {
		return
	}
	for _, list := range []*[]Version{&p.removed, &p.added} {
		slices.SortFunc(*list, CompareVersions)
		*list = slices.Compact(*list)
	}
	slices.SortFunc(p.common, compareHashes)
	isCommon := func(v Version) bool {
		_, found := slices.BinarySearchFunc(p.common, hashOf(&v), compareHashes)
		return found
	}
	was := slices.Clone(p.removed)
	p.removed = slices.DeleteFunc(p.removed, func(v Version) bool {
		_, again := slices.BinarySearchFunc(p.added, v, CompareVersions)
		if again {
			p.kept = true
			p.stays = stay(p.stays, v.Version)
		}
		return again || isCommon(v)
	})
	p.added = slices.DeleteFunc(p.added, func(v Version) bool {
		_, before := slices.BinarySearchFunc(was, v, CompareVersions)
		return before || isCommon(v)
	})
}
