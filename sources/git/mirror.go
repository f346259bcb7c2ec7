package git

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitrepo"
	"github.com/gapbundle/gapbundle/sources/git/relay"
)

// mirror is one git repository on its way into the mirror.
type mirror struct {
	*planner
	address
	wants []want // sorted
	past  *past  // what the last export published of it; nil: nothing

	// What upstream said.
	relay  *relay.Relay
	refs   []gitfile.Ref
	symref string
	head   gitfile.ID

	// What is chosen of it.
	chosen []gitfile.Ref // sorted, pins included
	main   string        // content of HEAD

	// What was fetched.
	repo   *gitrepo.Repo // nil: nothing had to be
	folder string        // of repo and the packs
	whole  bool          // everything that is chosen is in repo
	fresh  map[gitfile.ID]bool
	dates  map[gitfile.ID]int64         // of fetched objects that refs name, Unix time
	sub    map[gitfile.ID][]gitfile.Pin // submodules of commits that refs lead to
	notes  []string

	// What is made of it.
	record  gitfile.Record
	commits [][]gitfile.ID                 // of each pack of record
	commit  map[gitfile.ID]gitfile.ID      // that fetched objects lead to
	packs   map[gitfile.ID]*gitrepo.Packed // made here
	vouched string
	lfs     []object
}

func (m *mirror) note(format string, args ...any) {
	m.notes = append(m.notes, m.dir+": "+fmt.Sprintf(format, args...))
}

func (m *mirror) close() {
	if m.relay != nil {
		_ = m.relay.Close() // of loopback
		m.relay = nil
	}
}

// pinRef is the branch that holds on to a commit that is recorded as a
// submodule and that no chosen ref names: a clone brings every branch, and so
// the commit that "git submodule update" looks for.
func pinRef(id gitfile.ID) string { return pinRefs + id.String() }

const pinRefs = "refs/heads/gapbundle/"

// read reads upstream's refs, chooses, fetches what is new, and returns the
// submodules that the chosen commits record.
func (m *mirror) read(ctx context.Context) ([]want, error) {
	if m.relay == nil {
		if err := m.begin(ctx); err != nil {
			return nil, err
		}
	}
	if err := m.choose(); err != nil {
		return nil, err
	}
	if err := m.fetch(ctx); err != nil {
		return nil, err
	}
	if err := m.peel(ctx); err != nil {
		return nil, err
	}
	return m.submodules(ctx)
}

// begin asks for the refs, and reads what the last export kept.
func (m *mirror) begin(ctx context.Context) (err error) {
	if m.relay, err = relay.New(ctx, m.env.Fetch, m.url); err != nil {
		return err
	}
	if m.refs, m.symref, m.head, err = gitrepo.Advertised(ctx, m.git, m.relay); err != nil {
		return err
	}
	if m.past == nil {
		return nil
	}
	ok, err := m.past.load(m.env)
	if err == nil && !ok {
		m.note("what the last export kept about it is gone: one new pack of everything")
		m.past = nil
	}
	return err
}

// choose chooses refs by the wants, and HEAD.
func (m *mirror) choose() error {
	refs := map[string]gitfile.Ref{}
	for _, w := range m.wants {
		if err := m.take(w, m.patterns(w), refs); err != nil {
			return err
		}
	}
	named := map[gitfile.ID]bool{}
	for _, r := range refs {
		named[r.Commit()] = true
	}
	for _, w := range m.wants {
		if !w.pin.IsZero() && !named[w.pin] {
			refs[pinRef(w.pin)] = gitfile.Ref{Name: pinRef(w.pin), ID: w.pin}
		}
	}
	m.chosen = m.chosen[:0]
	for _, r := range refs {
		m.chosen = append(m.chosen, r)
	}
	slices.SortFunc(m.chosen, func(a, b gitfile.Ref) int { return strings.Compare(a.Name, b.Name) })
	if len(m.chosen) == 0 {
		return m.wants[0].pos.Errorf("source %s: %s: no ref of it is chosen by %s; it has %d: %s", m.owner().name, m.url, m.wants[0].choice(), len(m.refs), m.someRefs())
	}
	m.main = m.headOf(refs)
	return nil
}

// patterns are the refs that a want is about.
func (m *mirror) patterns(w want) []string {
	switch {
	case w.every:
		return []string{"refs/heads/*", "refs/tags/*"}
	case w.depth > 0:
		return nil
	case len(w.refs) > 0:
		return w.refs
	case m.symref != "":
		return []string{"refs/tags/*", m.symref}
	}
	return []string{"refs/tags/*"}
}

// take adds the refs that one want chooses. A pattern without a star has to be there.
func (m *mirror) take(w want, patterns []string, refs map[string]gitfile.Ref) error {
	for _, r := range m.refs {
		if takes(patterns, w.exclude, r.Name) {
			refs[r.Name] = r
		}
	}
	if err := m.everyPattern(w); err != nil {
		return err
	}
	for _, p := range w.refs {
		if _, ok := refs[p]; !ok && !strings.Contains(p, "*") && !matchesAny(w.exclude, p) {
			return fmt.Errorf("%s: has no %s: %w", m.url, p, fetch.ErrUpstream)
		}
	}
	return nil
}

// choice is what a want says of refs, for people.
func (w want) choice() string {
	var parts []string
	for _, one := range []struct {
		option string
		list   []string
	}{{"refs", w.refs}, {"exclude", w.exclude}} {
		if len(one.list) > 0 {
			parts = append(parts, one.option+" "+strings.Join(one.list, ", "))
		}
	}
	return cmp.Or(strings.Join(parts, " and "), "the default, HEAD's branch and all tags")
}

// someRefs are refs of upstream, for people.
func (m *mirror) someRefs() string {
	const most = 10
	var names []string
	for _, r := range m.refs[:min(len(m.refs), most)] {
		names = append(names, r.Name)
	}
	if more := len(m.refs) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// everyPattern refuses a pattern of an entry of one repository that matches no ref: it is not
// what its writer meant. Of several repositories each may have other refs.
func (m *mirror) everyPattern(w want) error {
	if !w.alone {
		return nil
	}
	for _, one := range []struct {
		option string
		list   []string
	}{{"refs", w.refs}, {"exclude", w.exclude}, {"signed", w.signedRefs}} {
		for _, p := range one.list {
			found := func(r gitfile.Ref) bool { return matchesAny([]string{p}, r.Name) }
			if strings.Contains(p, "*") && !slices.ContainsFunc(m.refs, found) {
				return w.pos.Errorf("%s: %s %s: no ref matches it; it has %d: %s", m.url, one.option, p, len(m.refs), m.someRefs())
			}
		}
	}
	return nil
}

// headOf is the content of HEAD: upstream's if it names a chosen branch, else
// the first branch, else the commit of the first ref.
func (m *mirror) headOf(refs map[string]gitfile.Ref) string {
	if _, ok := refs[m.symref]; ok && strings.HasPrefix(m.symref, "refs/heads/") {
		return "ref: " + m.symref + "\n"
	}
	for _, r := range m.chosen {
		if strings.HasPrefix(r.Name, "refs/heads/") {
			return "ref: " + r.Name + "\n"
		}
	}
	return m.chosen[0].Commit().String() + "\n"
}

// mark identifies what of the spec the content depends on, apart from refs.
func (m *mirror) mark() string { return markOf(m.lfsMode(), m.hasSubmodules(), m.rules()) }

func (m *mirror) lfsMode() (most mode) {
	for _, w := range m.wants {
		most = max(most, w.entry.lfs)
	}
	return most
}

func (m *mirror) hasSubmodules() bool {
	return slices.ContainsFunc(m.wants, func(w want) bool { return w.entry.submodules != modeNone })
}
