package apt

import (
	"iter"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// isUnchanged says whether the base was made of the very Releases that were
// just verified, for the same configuration: then its list is the plan, and
// nothing more is asked of upstream.
func (p *planner) isUnchanged(l *loaded) (bool, error) {
	if p.lists {
		return false, nil // packages are chosen somewhere: every index is needed
	}
	type want struct {
		path   string
		digest bundle.Digest
		mark   string
	}
	var wants []want
	for _, s := range l.suites {
		for _, f := range s.files {
			w := want{path: s.at(f.name), digest: bundle.DigestOf(f.content)}
			if f.name != nameDetached {
				w.mark = s.configuration()
			}
			wants = append(wants, w)
		}
	}
	slices.SortFunc(wants, func(a, b want) int { return bundle.ComparePaths(a.path, b.path) })
	base := p.env.Cursor(l.name)
	defer base.Close()
	for _, w := range wants {
		r, ok, err := base.Lookup(w.path)
		if err != nil || !ok {
			return false, err
		}
		if r.File.Digest != w.digest || r.File.Annotations[configurationKey] != w.mark {
			return false, nil
		}
	}
	known, err := p.signedFiles(l.name)
	return known == len(wants), err
}

// signedFiles counts the signed files of the base: another suite there means
// that the configuration was another one.
func (p *planner) signedFiles(repo string) (n int, err error) {
	if p.env.Base == nil {
		return 0, nil
	}
	for r, err := range p.env.Base.Files(repo) {
		if err != nil {
			return 0, err
		}
		if isSigned(r.File.Path) {
			n++
		}
	}
	return n, nil
}

// isSigned says that a path of a verbatim repository is a Release or its
// signature; the ones in binary-*/ and source/ are indexes.
func isSigned(p string) bool {
	folder, base, _ := cutLast("/"+p, "/")
	if base == nameInRelease || base == nameDetached {
		return true
	}
	_, last, _ := cutLast(folder, "/")
	return base == nameRelease && last != "source" && (len(last) < 7 || last[:7] != "binary-")
}

// replayed plans a source whose upstream is what the base has.
func (p *planner) replayed(l *loaded) (sources.Repository, error) {
	repo, err := l.repository(modeVerbatim, keyPath(l.name))
	repo.Expires, repo.Notes = l.expires(), l.notes(p.env.Now)
	if err == nil {
		repo.Keys, err = l.keyFiles()
	}
	own := l.ownFiles()
	repo.Artifacts = func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) {
			for r, err := range p.env.Base.Files(l.name) {
				if !yield(p.recalled(r, own), err) || err != nil {
					return
				}
			}
		}
	}
	return repo, err
}

// ownFiles are the signed files and the indexes of a source's suites, by path.
func (l *loaded) ownFiles() map[string]file {
	own := map[string]file{}
	for _, s := range l.suites {
		for _, g := range s.want.wanted(s.release, s.flat) {
			for _, f := range g.candidates() {
				for _, name := range append(f.ByHash(), f.Path) {
					own[s.at(name)] = file{reason: reasonIndex}
				}
			}
		}
		for _, f := range s.files {
			own[s.at(f.name)] = file{reason: reasonSigned, more: &extra{content: f.content, vouched: s.vouched()}}
		}
	}
	return own
}

// recalled is an artifact that the base recorded.
func (p *planner) recalled(r sources.Recorded, own map[string]file) sources.Artifact {
	a := sources.Artifact{
		File:     r.File,
		Evidence: bundle.Evidence{Path: r.File.Path, Origin: r.Origin, Vouched: r.Vouched, Reason: reasonWhole},
		Open:     overNetwork(p.env.Fetch, []string{r.Origin}),
	}
	f, ok := own[r.File.Path]
	if ok {
		a.Evidence.Reason = f.reason
	}
	if f.more != nil {
		a.Open, a.Evidence.Vouched = inMemory(f.more.content), f.more.vouched
	}
	return a
}
