package git

import (
	"os"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitsig"
)

// Name is the kind's name in a spec file, and its part of client paths.
const Name = "git"

// mount is shared by all sources of this kind.
const mount = "git"

// Kind returns the kind of git repositories.
func Kind() sources.Kind {
	return sources.Kind{
		Name:    Name,
		Doc:     "git repositories with submodules and Git LFS, cloned inside from any web server",
		Options: func() any { return new(options) },
		New:     newSource,
		Check:   check,
		Compare: compareVersions,
		Deep:    deep,
		Clients: clients,
	}
}

// options are the kind's own part of an entry of the spec file.
type options struct {
	Pos          strictyaml.Pos
	URL          string       `yaml:"url" doc:"Repository to carry: https or http; ssh stands for https on a host that hosts: names."`
	Repositories []string     `yaml:"repositories,single" doc:"More repositories with the same options."`
	Refs         []string     `yaml:"refs,single" doc:"Refs such as refs/heads/main or refs/tags/v2*; absent: HEAD's branch and all tags."`
	Exclude      []string     `yaml:"exclude,single" doc:"Refs that are left out; refs of pull requests and reviews always are, unless refs names them."`
	Submodules   string       `yaml:"submodules" doc:"pinned (the commits that the chosen refs record), all (every branch and tag of them) or none; absent: pinned."`
	LFS          string       `yaml:"lfs" doc:"Objects of Git LFS: none, tips (those of the commits that refs name) or all; absent: none."`
	Signed       signedOption `yaml:"signed" doc:"Refs that are refused unless their tag, or commit, is signed."`
	Repack       string       `yaml:"repack" doc:"When all packs become one again: auto (20 packs, or the later ones are a third of the first), now or never; absent: auto."`
}

type signedOption struct {
	Pos  strictyaml.Pos
	Keys []string `yaml:"keys,single,required" doc:"Files with OpenPGP keys, or allowed-signers files of ssh-keygen."`
	Refs []string `yaml:"refs,single" doc:"Which of the chosen refs have to be signed; absent: all."`
}

// How much of submodules and of LFS is wanted. The modes ascend, and of two
// sources with one repository the higher one counts.
type mode int

const (
	modeNone mode = iota
	modePinned
	modeAll
)

// When to repack.
const (
	repackAuto  = "auto"
	repackNow   = "now"
	repackNever = "never"
)

// entry is one spec: a repository of the mirror, with one git repository or more.
type entry struct {
	name       string
	number     int // in the order of the specs
	dir        string
	pos        strictyaml.Pos
	urls       []string
	refs       []string
	exclude    []string
	submodules mode
	lfs        mode
	signed     *rule
	repack     string
}

// rule is what has to be signed, and by whom.
type rule struct {
	pos   strictyaml.Pos
	files []string // of keys
	refs  []string // patterns; empty: all
	keys  gitsig.Keys
	mark  string // identifies the keys
}

// source is all sources of this kind in a set.
type source struct{ entries []*entry }

func newSource(specs []sources.Spec) (sources.Source, error) {
	entries, err := sources.Entries(specs, newEntry)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		e.number = i
	}
	return &source{entries}, nil
}

func newEntry(spec sources.Spec, o options) (*entry, error) {
	e := &entry{name: spec.Name, dir: spec.Dir, pos: o.Pos, refs: o.Refs, exclude: o.Exclude, urls: o.Repositories, repack: o.Repack}
	c := sources.Checks{Pos: o.Pos}
	if o.URL != "" {
		e.urls = append([]string{o.URL}, e.urls...)
	}
	if len(e.urls) == 0 {
		c.Refuse("source %s: want url or repositories", spec.Name)
	}
	for _, raw := range e.urls {
		// Whether hosts: has the host of an ssh address is known when it is planned.
		if _, err := parseAddress(raw, func(string) bool { return true }); err != nil {
			c.Refuse("%w", err)
		}
	}
	for _, list := range [][]string{o.Refs, o.Exclude, o.Signed.Refs} {
		for _, p := range list {
			if err := checkPattern(p); err != nil {
				c.Refuse("%w", err)
			}
		}
	}
	c.Word("submodules", &o.Submodules, "pinned", "all", "none")
	c.Word("lfs", &o.LFS, "none", "tips", "all")
	c.Word("repack", &e.repack, repackAuto, repackNow, repackNever)
	modes := map[string]mode{"none": modeNone, "pinned": modePinned, "tips": modePinned, "all": modeAll}
	e.submodules, e.lfs = modes[o.Submodules], modes[o.LFS]
	if len(o.Signed.Keys) > 0 {
		e.signed = &rule{pos: o.Signed.Pos, files: o.Signed.Keys, refs: o.Signed.Refs}
		for _, file := range o.Signed.Keys {
			if _, err := os.Stat(sources.Within(spec.Dir, file)); err != nil {
				c.Add(o.Signed.Pos.Errorf("signed: keys: %w", err))
			}
		}
	}
	return e, c.Err()
}

// signedRefs returns the patterns of refs that have to be signed.
func (e *entry) signedRefs() []string {
	if e.signed == nil {
		return nil
	}
	return e.signed.refs
}

// checkPattern checks a pattern of refs: at most one star, as in git's refspecs.
func checkPattern(p string) error {
	if !strings.HasPrefix(p, "refs/") {
		return &patternError{p, "want it from refs/ on, such as refs/heads/" + strings.TrimPrefix(p, "/")}
	}
	if strings.Count(p, "*") > 1 {
		return &patternError{p, "want one star at most"}
	}
	if err := gitfile.CheckRefName(strings.Replace(p, "*", "x", 1)); err != nil {
		return &patternError{p, "not the name of a ref"}
	}
	return nil
}

type patternError struct{ pattern, why string }

func (e *patternError) Error() string { return "ref " + e.pattern + ": " + e.why }

// matches reports whether a pattern takes a ref: its star stands for any text,
// slashes included.
func matches(pattern, ref string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == ref
	}
	return len(ref) >= len(before)+len(after) && strings.HasPrefix(ref, before) && strings.HasSuffix(ref, after)
}

func matchesAny(patterns []string, ref string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, ref) })
}

// reviews returns the refs that hosting services make for each proposed change:
// many, unreviewed, and of people from anywhere.
func reviews() []string {
	return []string{"refs/pull/", "refs/merge-requests/", "refs/changes/", "refs/pull-requests/", "refs/keep-around/"}
}

// takes reports whether refs and exclude of an entry choose a ref.
func takes(refs, exclude []string, ref string) bool {
	if !matchesAny(refs, ref) || matchesAny(exclude, ref) {
		return false
	}
	for _, r := range reviews() {
		if strings.HasPrefix(ref, r) && !slices.ContainsFunc(refs, func(p string) bool { return strings.HasPrefix(p, r) }) {
			return false
		}
	}
	return true
}
