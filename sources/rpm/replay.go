package rpm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
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

// stillSigned refuses a repository that has no signature any more and had one
// in the last export: whoever takes it off can change what it stood for.
func (p *planner) stillSigned(g *gathered) error {
	if p.env.Base == nil {
		return nil
	}
	signed := make([]bool, len(g.repos))
	for r, err := range p.env.Base.Files(g.name) {
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(r.File.Path, upstreamFolder)
		if !strings.HasSuffix(path, nameSignature) || r.Vouched == bundle.VouchedMade {
			continue
		}
		for i, l := range g.repos {
			// One of several mirrors has another address each time.
			listed := (l.mirrorlist+l.metalink != "" || len(l.repo.bases) > 1) && strings.HasPrefix(path, l.folder)
			signed[i] = signed[i] || listed || r.Origin == l.at(nameSignature)
		}
	}
	var errs []error
	for i, l := range g.repos {
		if where := l.at(nameSignature); l.signature == nil && signed[i] {
			errs = append(errs, fmt.Errorf("%s: is not there any more: the last export had it, and a repository that was signed stays so: %w", where, fetch.ErrRefused))
		}
	}
	return errors.Join(errs...)
}

// recognize finds the sources whose files the base has: then its list is the
// plan, and nothing more is asked of upstream. Where packages are chosen, what
// is chosen in one source depends on every other: all of them, or none.
func (p *planner) recognize(all []*gathered) error {
	if p.env.Base == nil {
		return nil
	}
	mark, err := p.markOf(all)
	if err != nil {
		return err
	}
	same := true
	for _, g := range all {
		if err := p.compare(g, mark); err != nil {
			return err
		}
		same = same && g.unchanged
	}
	for _, g := range all {
		if p.lists && !same {
			g.unchanged, g.scratch = false, 0
			for _, l := range g.repos {
				l.dir, l.absent = l.folder, nil
			}
		}
	}
	return nil
}

// markOf identifies everything that the choice over all sources is a function
// of: every repomd.xml, what the spec asks for, the site's key, and this program.
func (p *planner) markOf(all []*gathered) (string, error) {
	if !p.lists {
		return "", nil
	}
	type sourceMark struct {
		Name    string
		Rebuilt bool
		Options options
		Repos   []string
	}
	var key bytes.Buffer
	err := p.env.Site.Serialize(&key)
	whole := struct {
		Version       int
		Tool, SiteKey string
		Sources       []sourceMark
	}{planVersion, p.env.Tool, bundle.DigestOf(key.Bytes()).Hex(), nil}
	for _, g := range all {
		m := sourceMark{Name: g.name, Rebuilt: g.rebuilt, Options: g.options}
		m.Options.Pos, m.Options.GPGKey = strictyaml.Pos{}, nil
		for _, l := range g.repos {
			m.Repos = append(m.Repos, l.mark, bundle.DigestOf(l.repomd).Hex())
		}
		whole.Sources = append(whole.Sources, m)
	}
	text, jsonErr := json.Marshal(whole)
	return bundle.DigestOf(text).Hex(), errors.Join(err, jsonErr)
}

// compare finds out whether the base was made of the very repomd.xml that were
// just judged, for the same configuration, and of the same choice, which the
// ledger has as the validator of each repomd.xml that was made. It counts what
// has to be read and made again if somebody asks for what was made.
func (p *planner) compare(g *gathered, mark string) error {
	base := map[string]*loaded{} // what the base has, by configuration
	digests := map[string]bundle.Digest{}
	count, marked := 0, 0
	for r, err := range p.env.Base.Files(g.name) {
		if err != nil {
			return err
		}
		if g.rebuilt && (r.Vouched == bundle.VouchedMade || r.Reason == reasonMetadata) {
			g.scratch += r.File.Size
		}
		if r.Vouched == bundle.VouchedMade && r.Validator == mark {
			marked++
		}
		if own := r.File.Annotations[configurationKey]; own != "" {
			dir := strings.TrimPrefix(strings.TrimSuffix(r.File.Path, nameRepomd), upstreamFolder)
			base[own] = &loaded{dir: dir, absent: list(r.File.Annotations[absentKey])}
			digests[own] = r.File.Digest
			count++
		}
	}
	g.unchanged = count == len(g.repos) && (!g.rebuilt || marked == len(g.repos))
	for _, l := range g.repos {
		g.unchanged = g.unchanged && digests[l.mark] == bundle.DigestOf(l.repomd)
	}
	if g.unchanged {
		for _, l := range g.repos {
			l.dir, l.absent = base[l.mark].dir, base[l.mark].absent
		}
	}
	return nil
}

// replayed plans a source whose upstream is what the base has.
func (p *planner) replayed(g *gathered, again *remaking) (repo sources.Repository, err error) {
	under := ""
	if g.rebuilt {
		under = upstreamFolder
		repo, err = p.rebuiltRepository(g)
		repo.Notes = append(repo.Notes, "nothing changed since the last export: what it chose stands")
	} else {
		repo, err = g.repository(modeVerbatim)
	}
	own := map[string][]byte{}
	for _, l := range g.repos {
		own[under+l.dir+nameRepomd] = l.repomd
		if l.signature != nil {
			own[under+l.dir+nameSignature] = l.signature
		}
	}
	repo.Artifacts = func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) {
			for r, err := range p.env.Base.Files(g.name) {
				a := p.recalled(g, r)
				if content, ok := own[r.File.Path]; ok {
					a.Open = sources.InMemory(content, "")
				} else if r.Vouched == bundle.VouchedMade {
					a.Open, a.Validator = again.open(g.name, r.File.Path), r.Validator
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
		Evidence: bundle.Evidence{Path: r.File.Path, Origin: r.Origin, Vouched: r.Vouched, Reason: r.Reason},
	}
	urls := g.mirrors(r)
	a.Open = overNetwork(p.env.Fetch, urls, r.File.Size)
	if strings.HasPrefix(r.Validator, g.trust.mark) {
		want := expectation{where: r.Origin, size: r.File.Size}
		want.checksum.Type, want.checksum.Hex = "sha256", r.File.Digest.Hex()
		a.Validator, a.Open = r.Validator, want.open(p.env.Fetch, urls, g.trust)
		a.Open = markedAs(a.Open, r.Validator)
	}
	return a
}

// mirrors are where a file that the base recorded is to be had: where it came from
// then, and where its repository is now.
func (g *gathered) mirrors(r sources.Recorded) []string {
	urls := []string{r.Origin}
	for _, l := range g.repos {
		name, ok := strings.CutPrefix(strings.TrimPrefix(r.File.Path, upstreamFolder), l.folder)
		if !ok || strings.HasPrefix(name, foreignFolder) {
			continue
		}
		rel, err := filepath.Rel("/"+strings.TrimPrefix(l.dir, l.folder), "/"+name)
		if err != nil {
			continue
		}
		for _, u := range l.urls(escape(filepath.ToSlash(rel))) {
			if !slices.Contains(urls, u) {
				urls = append(urls, u)
			}
		}
	}
	return urls
}

// markedAs gives content the validator that it had.
func markedAs(open bundle.Open, validator string) bundle.Open {
	return func(ctx context.Context, at int64, known string) (*bundle.Content, error) {
		c, err := open(ctx, at, known)
		if err == nil {
			c.Validator = validator
		}
		return c, err
	}
}

// remaking makes what the base recorded as made once more, when somebody opens
// it: a full bundle, or one for a destination that does not have it yet.
type remaking struct {
	*planner
	all []*gathered

	mu   sync.Mutex
	made map[string]sources.Artifact // by source and path; nil: not yet
}

func (m *remaking) open(source, name string) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.made == nil {
			if err := m.remake(ctx); err != nil {
				return nil, err
			}
		}
		a, ok := m.made[source+" "+name]
		if !ok {
			return nil, fmt.Errorf("%s: made for the last export, and not any more: %w", name, fetch.ErrUpstream)
		}
		return a.Open(ctx, at, validator)
	}
}

// remake reads the metadata of all sources and chooses again, from the
// repomd.xml that the plan was made of.
func (m *remaking) remake(ctx context.Context) error {
	fresh := &planner{env: m.env, lists: true, mark: m.mark, inventories: map[string]*inventory{}, listed: rpmmd.Interner{Limit: m.listed.Limit}}
	all := make([]*gathered, len(m.all))
	entries := make([]*entry, len(m.all))
	for i, g := range m.all {
		all[i], entries[i] = &gathered{entry: g.entry, trust: g.trust}, g.entry
		for _, l := range g.repos {
			all[i].repos = append(all[i].repos, &loaded{located: l.located, dir: l.folder, mark: l.mark})
		}
	}
	if err := sourceEach(entries, func(i int) error { return fresh.read(ctx, all[i]) }); err != nil {
		return err
	}
	plan, err := fresh.plan(ctx, all)
	if err != nil {
		return err
	}
	made := map[string]sources.Artifact{}
	for _, r := range plan.Repositories {
		for a, err := range r.Artifacts() {
			if err != nil {
				return err
			}
			if a.Evidence.Vouched == bundle.VouchedMade {
				made[r.Name+" "+a.File.Path] = a
			}
		}
	}
	m.made = made
	return nil
}
