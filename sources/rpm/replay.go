package rpm

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

// Annotations of a repomd.xml: what it was planned for, and the types that it
// lists and upstream lacks.
const (
	configurationKey = "configuration"
	absentKey        = "absent"
)

// planVersion changes when the same repomd.xml and configuration give another
// list of files than before.
const planVersion = 1

// configuration identifies what a repository was planned for, and by what.
func (g *gathered) configuration(l *located) string {
	text, err := json.Marshal(struct {
		Version                             int
		Bases                               []string
		Mirrorlist, Metalink, Folder, Trust string
		Signature                           string
	}{planVersion, l.repo.bases, l.mirrorlist, l.metalink, l.folder, g.trust.mark, bundle.DigestOf(l.signature).Hex()})
	if err != nil {
		return "" // strings always marshal
	}
	return bundle.DigestOf(text).Hex()[:32]
}

// compare finds out whether the base was made of the very repomd.xml that were
// just judged, for the same configuration: then its list is the plan, and nothing
// more is asked of upstream. A signature that the base has and upstream no
// longer is refused: whoever takes it off can change what it stood for.
func (p *planner) compare(g *gathered) error {
	if p.env.Base == nil || g.rebuilt {
		return nil
	}
	digests := map[string]bundle.Digest{} // by configuration
	dirs := map[string]string{}
	absent := map[string][]string{}
	signed := map[string]bool{}
	count := 0
	for r, err := range p.env.Base.Files(g.name) {
		if err != nil {
			return err
		}
		if dir, ok := strings.CutSuffix(r.File.Path, nameSignature); ok && !strings.HasPrefix(dir, upstreamFolder) {
			signed[r.Origin] = true
		}
		mark := r.File.Annotations[configurationKey]
		if mark == "" {
			continue
		}
		digests[mark], dirs[mark] = r.File.Digest, strings.TrimSuffix(r.File.Path, nameRepomd)
		absent[mark] = list(r.File.Annotations[absentKey])
		count++
	}
	same := count == len(g.repos)
	for _, l := range g.repos {
		if where := l.at(nameSignature); l.signature == nil && signed[where] {
			return fmt.Errorf("%s: is not there any more: the last export had it, and a repository that was signed stays so: %w", where, fetch.ErrRefused)
		}
		same = same && digests[l.mark] == bundle.DigestOf(l.repomd)
	}
	if g.unchanged = same; same {
		for _, l := range g.repos {
			l.dir, l.absent = dirs[l.mark], absent[l.mark]
		}
	}
	return nil
}

// replayed plans a source whose upstream is what the base has.
func (p *planner) replayed(g *gathered) (sources.Repository, error) {
	repo, err := g.repository(modeVerbatim)
	own := map[string]*extra{}
	metadata := map[string]bool{}
	for _, l := range g.repos {
		own[l.dir+nameRepomd] = &extra{content: l.repomd}
		if l.signature != nil {
			own[l.dir+nameSignature] = &extra{content: l.signature}
		}
		for _, d := range l.index.Data {
			if at, err := locateHref(d.Location, d.BaseURL); err == nil {
				metadata[l.dir+at.path] = true
			}
		}
	}
	repo.Artifacts = func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) {
			for r, err := range p.env.Base.Files(g.name) {
				a := p.recalled(g, r)
				switch x := own[r.File.Path]; {
				case x != nil:
					a.Open, a.Evidence.Reason = inMemory(x.content), reasonRepomd
				case metadata[r.File.Path]:
					a.Evidence.Reason = reasonMetadata
				}
				if !yield(a, err) || err != nil {
					return
				}
			}
		}
	}
	return repo, err
}

// recalled is an artifact that the base recorded.
func (p *planner) recalled(g *gathered, r sources.Recorded) sources.Artifact {
	a := sources.Artifact{
		File:     r.File,
		Evidence: bundle.Evidence{Path: r.File.Path, Origin: r.Origin, Vouched: r.Vouched, Reason: reasonWhole},
		Open:     overNetwork(p.env.Fetch, []string{r.Origin}),
	}
	if strings.HasPrefix(r.Validator, g.trust.mark) {
		want := expectation{where: r.Origin, size: r.File.Size}
		want.checksum.Type, want.checksum.Hex = "sha256", r.File.Digest.Hex()
		a.Validator, a.Open = r.Validator, want.open(p.env.Fetch, []string{r.Origin}, g.trust)
	}
	return a
}
