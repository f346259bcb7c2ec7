package git

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/replay"
)

// want is what somebody wants of one git repository: an entry of the spec, or
// a commit that records it as a submodule.
type want struct {
	entry   *entry
	pos     strictyaml.Pos
	by      string // the URL
	why     string // what wants it, of a submodule
	depth   int    // 0: the spec names it
	refs    []string
	exclude []string
	every   bool // all branches and tags
	// alone means that the entry names one repository, and signedRefs which of its refs have to be
	// signed: each pattern then has to match.
	alone      bool
	signedRefs []string
	pin        gitfile.ID // zero: none
}

// wants are all that is wanted of one git repository, in the order of the spec.
type wants []want

// ofSpec returns the wants of the spec.
func ofSpec(entries []*entry) (all wants) {
	for _, e := range entries {
		for _, url := range e.urls {
			all = append(all, want{entry: e, pos: e.pos, by: url, refs: e.refs, exclude: e.exclude, alone: len(e.urls) == 1, signedRefs: e.signedRefs()})
		}
	}
	return all
}

// with returns the wants and one more. ok is false if it is one of them.
func (all wants) with(w want) (_ wants, ok bool) {
	for _, have := range all {
		if have.entry == w.entry && have.every == w.every && have.pin == w.pin && slices.Equal(have.refs, w.refs) &&
			slices.Equal(have.exclude, w.exclude) && have.depth == 0 == (w.depth == 0) {
			return all, false
		}
	}
	all = append(all, w)
	// Whatever was found first, the same wants are in the same order.
	slices.SortStableFunc(all, func(a, b want) int {
		return cmp.Or(cmp.Compare(a.entry.number, b.entry.number), cmp.Compare(a.depth, b.depth), bytes.Compare(a.pin[:], b.pin[:]), strings.Compare(a.by, b.by))
	})
	return all, true
}

// owner returns the first source in the order of the spec that wants the repository:
// its repository of the mirror has the files.
func (all wants) owner() *entry { return all[0].entry }

func (all wants) lfs() (most mode) {
	for _, w := range all {
		most = max(most, w.entry.lfs)
	}
	return most
}

func (all wants) submodules() bool {
	return slices.ContainsFunc(all, func(w want) bool { return w.entry.submodules != modeNone })
}

// rules returns the rules of the sources that name the repository.
func (all wants) rules() (rules []*rule) {
	for _, w := range all {
		if w.depth == 0 && w.entry.signed != nil && !slices.Contains(rules, w.entry.signed) {
			rules = append(rules, w.entry.signed)
		}
	}
	return rules
}

// planVersion changes when the same refs and options lead to other files.
const planVersion = 1

// mark identifies what of the spec the content of a repository depends on,
// apart from refs: where it changes, refs that did not are looked at again.
func (all wants) mark() string {
	var signed []string
	for _, r := range all.rules() {
		signed = append(signed, r.mark)
	}
	return replay.Configuration(struct {
		Version    int
		LFS        mode
		Submodules bool
		Signed     []string
	}{planVersion, all.lfs(), all.submodules(), signed})
}

// whoPins returns what wants a commit, for people.
func (all wants) whoPins(id gitfile.ID) string {
	for _, w := range all {
		if w.pin == id {
			return w.why
		}
	}
	return "a submodule"
}

// of returns the wants that choose a ref; symref is the branch that upstream's HEAD names.
func (all wants) of(ref gitfile.Ref, symref string) (some wants) {
	for _, w := range all {
		if w.pin == ref.Commit() || w.depth == 0 && w.takes(ref.Name, symref) || w.every && !strings.HasPrefix(ref.Name, pinRefs) {
			some = append(some, w)
		}
	}
	return some
}

// takes reports whether a want chooses a ref by its name.
func (w *want) takes(ref, symref string) bool { return takes(w.patterns(symref), w.exclude, ref) }

// patterns returns the refs that a want is about.
func (w *want) patterns(symref string) []string {
	switch {
	case w.every:
		return []string{"refs/heads/*", "refs/tags/*"}
	case w.depth > 0:
		return nil
	case len(w.refs) > 0:
		return w.refs
	case symref != "":
		return []string{"refs/tags/*", symref}
	}
	return []string{"refs/tags/*"}
}

// choice describes the refs that a want selects, for people.
func (w *want) choice() string {
	var parts []string
	for _, list := range w.lists()[:2] {
		if len(list.patterns) > 0 {
			parts = append(parts, list.option+" "+strings.Join(list.patterns, ", "))
		}
	}
	return cmp.Or(strings.Join(parts, " and "), "the default, HEAD's branch and all tags")
}

// patternList is an option of the spec that has patterns of refs.
type patternList struct {
	option   string
	patterns []string
}

func (w *want) lists() []patternList {
	return []patternList{{"refs", w.refs}, {"exclude", w.exclude}, {"signed", w.signedRefs}}
}
