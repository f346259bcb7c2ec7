package git

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// choice is what of a git repository is published.
type choice struct {
	refs []gitfile.Ref // by name; pins are among them
	head string        // content of HEAD
}

// pinRef returns the branch that holds on to a commit that is recorded as a
// submodule and that no chosen ref names: a clone brings every branch, and so
// the commit that "git submodule update" looks for.
func pinRef(id gitfile.ID) string { return pinRefs + id.String() }

const pinRefs = "refs/heads/gapbundle/"

// choose chooses refs of the repository at url, and HEAD. It does not know yet
// what tags lead to.
func choose(url string, all wants, up *gitfile.Advertised) (choice, error) {
	refs := map[string]gitfile.Ref{}
	for i := range all {
		if err := take(url, &all[i], up, refs); err != nil {
			return choice{}, err
		}
	}
	named := map[gitfile.ID]bool{}
	for _, r := range refs {
		named[r.Commit()] = true
	}
	for _, w := range all {
		if !w.pin.IsZero() && !named[w.pin] {
			refs[pinRef(w.pin)] = gitfile.Ref{Name: pinRef(w.pin), ID: w.pin}
		}
	}
	var c choice
	for _, r := range refs {
		c.refs = append(c.refs, r)
	}
	slices.SortFunc(c.refs, func(a, b gitfile.Ref) int { return strings.Compare(a.Name, b.Name) })
	if len(c.refs) == 0 {
		return c, all[0].pos.Errorf("source %s: %s: no ref of it is chosen by %s; it has %d: %s", all.owner().name, url, all[0].choice(), len(up.Refs), someRefs(up))
	}
	_, has := refs[up.Symref]
	c.head = headOf(c.refs, up.Symref, has)
	return c, nil
}

// take adds the refs that one want chooses. A pattern without a star has to be there.
func take(url string, w *want, up *gitfile.Advertised, refs map[string]gitfile.Ref) error {
	for _, r := range up.Refs {
		if w.takes(r.Name, up.Symref) {
			refs[r.Name] = r
		}
	}
	if err := everyPattern(url, w, up); err != nil {
		return err
	}
	for _, p := range w.refs {
		if _, ok := refs[p]; !ok && !strings.Contains(p, "*") && !matchesAny(w.exclude, p) {
			err := fmt.Errorf("%s: refs %s: no such ref; it has %d: %s", url, p, len(up.Refs), someRefs(up))
			if w.alone {
				return w.pos.Errorf("%w", err)
			}
			return upstream.Blame(url, err)
		}
	}
	return nil
}

// everyPattern refuses a pattern of an entry of one repository that matches no ref: it is not
// what its writer meant. In an entry of several repositories each may have other refs.
func everyPattern(url string, w *want, up *gitfile.Advertised) error {
	if !w.alone {
		return nil
	}
	for _, list := range w.lists() {
		for _, p := range list.patterns {
			found := func(r gitfile.Ref) bool { return matches(p, r.Name) }
			if strings.Contains(p, "*") && !slices.ContainsFunc(up.Refs, found) {
				return w.pos.Errorf("%s: %s %s: no ref matches it; it has %d: %s", url, list.option, p, len(up.Refs), someRefs(up))
			}
		}
	}
	return nil
}

// someRefs returns refs of upstream, for people.
func someRefs(up *gitfile.Advertised) string {
	const most = 10
	var names []string
	for _, r := range up.Refs[:min(len(up.Refs), most)] {
		names = append(names, r.Name)
	}
	if more := len(up.Refs) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// headOf returns the content of HEAD: upstream's if it names a chosen branch, else
// the first branch, else the commit of the first ref.
func headOf(chosen []gitfile.Ref, symref string, has bool) string {
	if has && strings.HasPrefix(symref, "refs/heads/") {
		return "ref: " + symref + "\n"
	}
	for _, r := range chosen {
		if strings.HasPrefix(r.Name, "refs/heads/") {
			return "ref: " + r.Name + "\n"
		}
	}
	return chosen[0].Commit().String() + "\n"
}
