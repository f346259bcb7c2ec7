package closure

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// defaultPriority is dnf's of a repository.
const defaultPriority = 99

// entry is one package that clients of the universe's architecture can have.
type entry struct {
	pkg       *rpmmd.Package
	at        place
	priority  int // of its repository: the lowest is the best
	rank      int // of its architecture
	order     int // by name, version and architecture: the same whatever the lists' order
	installed bool
	node      *node // of a solver that has looked at it
}

// provider is an entry with what it provides.
type provider struct {
	*entry
	relation *rpmmd.Relation
}

// universe is everything that clients of one base architecture can choose from.
type universe struct {
	groups   [][]string
	sources  []string // names, by index
	requests map[string]*Request
	entries  []*entry
	byName   map[string][]*entry // newest first; the installed are apart
	host     map[string][]*entry // the installed, by name
	hosts    []*entry            // the installed, in their order
	// provides has who provides a name that some relation or request has, and
	// files who has such a path. All others are of no interest, and are too many
	// to be kept: most of what packages provide nobody asks for.
	provides map[string][]provider
	// obsoletedBy has for a name those that obsolete some version of it;
	// supplements those that supplement anything.
	obsoletedBy map[string][]*entry
	supplements []*entry
	files       map[string][]*entry
	// rich has the parsed form of every rich dependency.
	rich map[string]*rpmmd.Rich
	// plain has the leaf of every other relation that was looked at.
	plain map[*rpmmd.Relation]*rpmmd.Rich
	// excluded names are in the errors.
	excluded map[string]bool
}

const (
	// maxEntries bounds the packages of all indexes together: a hostile archive
	// may not exhaust the memory. All of Fedora has 75,000.
	maxEntries = 1 << 21
	// maxPairs bounds the pairs of a relation and a package that may meet it,
	// which are listed once it is looked at, 8 bytes each: a hundred thousand
	// relations to a name that a hundred thousand packages provide are few in
	// primary. Names that no more than few provide are not counted.
	maxPairs = 1 << 25
	few      = 8
)

func newUniverse(base string, indexes []Index, requests []Request) (*universe, error) {
	u := &universe{
		groups: archGroups(base), requests: map[string]*Request{}, byName: map[string][]*entry{}, host: map[string][]*entry{},
		provides: map[string][]provider{}, files: map[string][]*entry{}, rich: map[string]*rpmmd.Rich{}, plain: map[*rpmmd.Relation]*rpmmd.Rich{}, obsoletedBy: map[string][]*entry{}, excluded: map[string]bool{},
	}
	for i := range requests {
		if u.requests[requests[i].Source] != nil {
			return nil, fmt.Errorf("source %s: two requests: %w", requests[i].Source, bundle.ErrUsage)
		}
		u.requests[requests[i].Source] = &requests[i]
	}
	named := map[string]bool{}
	eachRelation(indexes, requests, func(r *rpmmd.Relation) { named[r.Name] = true })
	for i := range indexes {
		u.sources = append(u.sources, indexes[i].Source)
		u.addIndex(i, &indexes[i], named)
		if len(u.entries) > maxEntries {
			return nil, fmt.Errorf("more than %d packages: %w", maxEntries, bundle.ErrMalformed)
		}
	}
	for i := range requests {
		if slices.Contains(requests[i].Architectures, base) {
			for _, p := range requests[i].Installed {
				if rank := archRank(u.groups, p.Arch); rank >= 0 {
					u.add(&entry{pkg: p, at: place{-1, -1}, rank: rank, installed: true}, named)
				}
			}
		}
	}
	u.provideFiles(indexes, named)
	if err := u.checkPairs(indexes, requests); err != nil {
		return nil, err
	}
	for _, all := range u.byName {
		slices.SortStableFunc(all, func(a, b *entry) int {
			return cmp.Or(b.pkg.EVR.Compare(a.pkg.EVR), cmp.Compare(a.rank, b.rank))
		})
	}
	return u, nil
}

func (u *universe) addIndex(i int, x *Index, named map[string]bool) {
	r := u.requests[x.Source]
	var exclude []form
	if r != nil {
		for _, spec := range r.Exclude {
			exclude = append(exclude, forms(spec)...)
		}
	}
	for at, p := range x.Packages {
		rank := archRank(u.groups, p.Arch)
		if rank < 0 || p.IsSource() {
			continue
		}
		if matchesAny(exclude, p) {
			u.excluded[p.Name] = true
			continue
		}
		e := &entry{pkg: p, at: place{i, at}, priority: cmp.Or(x.Priority, defaultPriority), rank: rank}
		u.entries = append(u.entries, e)
		u.add(e, named)
	}
}

func (u *universe) add(e *entry, named map[string]bool) {
	if e.installed {
		u.host[e.pkg.Name] = append(u.host[e.pkg.Name], e)
		u.hosts = append(u.hosts, e)
	} else {
		for _, r := range e.pkg.Obsoletes {
			u.obsoletedBy[r.Name] = append(u.obsoletedBy[r.Name], e)
		}
		if len(e.pkg.Supplements) > 0 {
			u.supplements = append(u.supplements, e)
		}
		u.byName[e.pkg.Name] = append(u.byName[e.pkg.Name], e)
	}
	for _, r := range e.pkg.Provides {
		if named[r.Name] {
			u.provides[r.Name] = append(u.provides[r.Name], provider{e, r})
		}
	}
}

// provideFiles finds who has the paths that are named.
func (u *universe) provideFiles(indexes []Index, named map[string]bool) {
	has := func(e *entry, path string) {
		if all := u.files[path]; named[path] && (len(all) == 0 || all[len(all)-1] != e) {
			u.files[path] = append(all, e)
		}
	}
	at := make([][]*entry, len(indexes)) // by place
	for i := range indexes {
		at[i] = make([]*entry, len(indexes[i].Packages))
	}
	for _, e := range u.entries {
		at[e.at.index][e.at.at] = e
	}
	for _, all := range [][]*entry{u.entries, u.hosts} {
		for _, e := range all {
			for _, path := range e.pkg.Files {
				has(e, path)
			}
		}
	}
	for i := range indexes {
		for path, all := range indexes[i].Files {
			for _, place := range all {
				if e := at[i][place]; e != nil {
					has(e, path)
				}
			}
		}
	}
}

// checkPairs refuses what maxPairs bounds.
func (u *universe) checkPairs(indexes []Index, requests []Request) error {
	pairs := 0
	eachRelation(indexes, requests, func(r *rpmmd.Relation) {
		if n := len(u.provides[r.Name]) + len(u.files[r.Name]); n > few {
			pairs += n
		}
	})
	if pairs > maxPairs {
		return fmt.Errorf("relations with %s that may meet them, at most %d: %w", bundle.Count(pairs, "package"), maxPairs, bundle.ErrMalformed)
	}
	return nil
}

// eachRelation calls visit with every relation by which packages are tied to
// others, and with what is requested by name; with one that many packages have
// once.
func eachRelation(indexes []Index, requests []Request, visit func(*rpmmd.Relation)) {
	seen := map[*rpmmd.Relation]bool{}
	for i := range indexes {
		for _, p := range indexes[i].Packages {
			relationsOf(p, seen, visit)
		}
	}
	for i := range requests {
		for _, want := range requests[i].Packages {
			visit(&rpmmd.Relation{Name: want})
			if words := strings.Fields(want); len(words) == 3 { // with a version
				visit(&rpmmd.Relation{Name: words[0]})
			}
		}
		for _, p := range requests[i].Installed {
			relationsOf(p, seen, visit)
		}
	}
}

// relationsOf calls visit with every relation of p that is not in seen, elements
// of rich dependencies included. Those that cannot be read are passed over here:
// they are an error when the package is chosen.
func relationsOf(p *rpmmd.Package, seen map[*rpmmd.Relation]bool, visit func(*rpmmd.Relation)) {
	for _, all := range [...][]*rpmmd.Relation{p.Requires, p.Recommends, p.Supplements, p.Suggests, p.Enhances, p.Conflicts} {
		for _, r := range all {
			if seen[r] {
				continue
			}
			seen[r] = true
			if !r.IsRich() {
				visit(r)
			} else if rich, err := rpmmd.ParseRich(r.Name); err == nil {
				leaves(rich, visit)
			}
		}
	}
}

// WantedFiles returns the paths that relations and requests name and that primary
// does not have for sure: the caller looks them up in filelists and fills in
// Index.Files. Sorted.
func WantedFiles(indexes []Index, requests []Request) []string {
	wanted := map[string]bool{}
	eachRelation(indexes, requests, func(r *rpmmd.Relation) {
		if r.IsFile() && !inPrimary(r.Name) {
			wanted[r.Name] = true
		}
	})
	return slices.Sorted(maps.Keys(wanted))
}

// inPrimary reports whether createrepo puts a path into primary.
func inPrimary(path string) bool {
	return strings.HasPrefix(path, "/etc/") || strings.Contains(path, "bin/") || path == "/usr/lib/sendmail"
}

// parsed returns the tree of a relation; a plain one is a leaf.
func (u *universe) parsed(r *rpmmd.Relation) (*rpmmd.Rich, error) {
	if !r.IsRich() {
		leaf := u.plain[r]
		if leaf == nil {
			leaf = &rpmmd.Rich{Relation: r}
			u.plain[r] = leaf
		}
		return leaf, nil
	}
	if rich := u.rich[r.Name]; rich != nil {
		return rich, nil
	}
	rich, err := rpmmd.ParseRich(r.Name)
	if err != nil {
		return nil, err
	}
	u.rich[r.Name] = rich
	return rich, nil
}

// providersOf returns the providers that meet a relation, in the order of the indexes;
// the installed ones are among them.
func (u *universe) providersOf(r *rpmmd.Relation) []*entry {
	var all []*entry
	for _, p := range u.provides[r.Name] {
		if r.Meets(p.relation) && (len(all) == 0 || all[len(all)-1] != p.entry) {
			all = append(all, p.entry)
		}
	}
	if r.IsFile() && r.Op == rpmmd.Any {
		in := setOf(all)
		for _, e := range u.files[r.Name] {
			if !in(e) {
				all = append(all, e)
			}
		}
	}
	if cap(all)-len(all) > few { // they are kept
		all = slices.Clone(all)
	}
	return all
}

// setOf reports what is in all, which may be long.
func setOf(all []*entry) func(*entry) bool {
	if len(all) <= few {
		return func(e *entry) bool { return slices.Contains(all, e) }
	}
	set := make(map[*entry]bool, len(all))
	for _, e := range all {
		set[e] = true
	}
	return func(e *entry) bool { return set[e] }
}

// members returns the packages that a literal's set has.
func (u *universe) members(r *rpmmd.Rich) []*entry {
	switch r.Op {
	case rpmmd.Leaf:
		return u.providersOf(r.Relation)
	case rpmmd.With, rpmmd.Without:
		all := u.members(r.Args[0])
		for _, arg := range r.Args[1:] {
			other := setOf(u.members(arg))
			all = slices.DeleteFunc(all, func(e *entry) bool { return other(e) == (r.Op == rpmmd.Without) })
		}
		return all
	case rpmmd.And: // below With nothing but or makes sense
		return nil
	}
	var all []*entry
	for _, arg := range r.Args {
		in := setOf(all)
		for _, e := range u.members(arg) {
			if !in(e) {
				all = append(all, e)
			}
		}
	}
	return all
}

// obsoletes reports whether a obsoletes b: by name, not by what b provides.
func obsoletes(a, b *entry) bool {
	return a.pkg.Name != b.pkg.Name && slices.ContainsFunc(a.pkg.Obsoletes, func(r *rpmmd.Relation) bool {
		return r.Name == b.pkg.Name && r.Meets(&rpmmd.Relation{Op: rpmmd.EQ, EVR: b.pkg.EVR})
	})
}
