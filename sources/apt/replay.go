package apt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// recognize finds the sources whose files the base has: then its list is the
// plan, and nothing more is asked of upstream. Where packages are chosen, what
// is chosen in one source depends on every other: all of them, or none.
func (p *planner) recognize(all []*loaded) error {
	if p.env.Base == nil {
		return nil
	}
	mark, err := p.markOf(all)
	if err != nil {
		return err
	}
	same := true
	for _, l := range all {
		if l.rebuilt {
			l.unchanged, err = p.isMarked(l, mark)
		} else {
			l.unchanged, err = p.isUnchanged(l)
		}
		if err != nil {
			return err
		}
		same = same && l.unchanged
	}
	for _, l := range all {
		if p.lists && !same {
			l.unchanged, l.scratch = false, 0
		}
	}
	return nil
}

// markOf identifies everything that the choice over all sources is a function
// of: the signed Releases, what the spec asks for, the status files, the
// site's key, the time until which the indexes are valid, and this program.
func (p *planner) markOf(all []*loaded) (string, error) {
	if !p.lists {
		return "", nil
	}
	type suiteMark struct {
		Configuration string
		Signed        []string
	}
	type sourceMark struct {
		Name                 string
		Rebuilt              bool
		Options              options
		Until                time.Time
		Installed, Reproduce string
		Suites               []suiteMark
	}
	var key bytes.Buffer
	err := p.env.Site.Serialize(&key)
	whole := struct {
		Version       int
		Tool, SiteKey string
		Sources       []sourceMark
	}{planVersion, p.env.Tool, bundle.DigestOf(key.Bytes()).Hex(), nil}
	for _, l := range all {
		m := sourceMark{Name: l.name, Rebuilt: l.rebuilt, Options: l.options, Until: l.validUntil(p.env.Now)}
		m.Options.Pos, m.Options.Keyring.Pos = strictyaml.Pos{}, strictyaml.Pos{}
		var errs [2]error
		m.Installed, errs[0] = l.statusDigest("installed", l.options.Installed)
		m.Reproduce, errs[1] = l.statusDigest("reproduce", l.options.Reproduce)
		err = errors.Join(err, errs[0], errs[1])
		for _, s := range l.suites {
			one := suiteMark{Configuration: s.configuration()}
			for _, f := range s.files {
				one.Signed = append(one.Signed, bundle.DigestOf(f.content).Hex())
			}
			m.Suites = append(m.Suites, one)
		}
		whole.Sources = append(whole.Sources, m)
	}
	text, jsonErr := json.Marshal(whole)
	return bundle.DigestOf(text).Hex(), errors.Join(err, jsonErr)
}

// statusDigest is that of a status file that the spec names; "" is none.
func (l *loaded) statusDigest(key, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	f, err := os.Open(within(l.dir, name))
	if err != nil {
		return "", l.pos.Errorf("%s: %w", key, err)
	}
	hash := bundle.NewHash()
	_, err = io.Copy(hash, io.LimitReader(f, maxStatus))
	return bundle.SumOf(hash).Hex(), errors.Join(err, f.Close())
}

// isMarked says whether the base was made of the same choice: the ledger has
// its mark on each Release that was made. It counts what has to be read and
// made again if somebody asks for what was made.
func (p *planner) isMarked(l *loaded, mark string) (bool, error) {
	made := map[string]bool{}
	for _, s := range l.suites {
		made[s.at(nameRelease)] = true
	}
	marked := 0
	for r, err := range p.env.Base.Files(l.name) {
		if err != nil {
			return false, err
		}
		if r.Vouched == bundle.VouchedMade || r.Reason == reasonIndex {
			l.scratch += r.File.Size
		}
		if made[r.File.Path] && r.Validator == mark {
			marked++
		}
	}
	return marked == len(made), nil
}

// isUnchanged says whether the base was made of the very Releases that were
// just verified, for the same configuration.
func (p *planner) isUnchanged(l *loaded) (bool, error) {
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
func (p *planner) replayed(l *loaded, again *remaking) (repo sources.Repository, err error) {
	under := ""
	if l.rebuilt {
		under = upstreamFolder
		repo, err = p.rebuiltRepository(l)
		repo.Notes = append(repo.Notes, "nothing changed since the last export: what it chose stands")
	} else if repo, err = l.repository(modeVerbatim, keyPath(l.name)); err == nil {
		repo.Expires, repo.Notes = l.expires(), l.notes(p.env.Now)
		repo.Keys, err = l.keyFiles()
	}
	own := map[string]extra{}
	for _, s := range l.suites {
		for _, f := range s.files {
			own[under+s.at(f.name)] = extra{content: f.content, vouched: s.vouched()}
		}
	}
	repo.Artifacts = func() iter.Seq2[sources.Artifact, error] {
		return func(yield func(sources.Artifact, error) bool) {
			for r, err := range p.env.Base.Files(l.name) {
				a := sources.Artifact{
					File:     r.File,
					Evidence: bundle.Evidence{Path: r.File.Path, Origin: r.Origin, Vouched: r.Vouched, Reason: r.Reason},
				}
				switch x, signed := own[r.File.Path]; {
				case signed:
					a.Open, a.Evidence.Vouched = sources.InMemory(x.content, ""), x.vouched
				case r.Vouched == bundle.VouchedMade:
					a.Open, a.Validator = again.open(l.name, r.File.Path), r.Validator
				default:
					a.Open = overNetwork(p.env.Fetch, []string{r.Origin})
				}
				if !yield(a, err) || err != nil {
					return
				}
			}
		}
	}
	return repo, err
}

// remaking makes what the base recorded as made once more, when somebody opens
// it: a full bundle, or one for a destination that does not have it yet.
type remaking struct {
	*planner
	all []*loaded

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

// remake reads the indexes of all sources and chooses again, from the Releases
// that the plan was made of.
func (m *remaking) remake(ctx context.Context) error {
	fresh := &planner{env: m.env, lists: true, mark: m.mark, keys: m.keys}
	all := make([]*loaded, len(m.all))
	entries := make([]*entry, len(m.all))
	for i, l := range m.all {
		all[i], entries[i] = &loaded{entry: l.entry, suites: l.suites}, l.entry
	}
	err := sourceEach(ctx, entries, func(ctx context.Context, i int) (err error) {
		all[i], err = fresh.read(ctx, all[i])
		return err
	})
	if err != nil {
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
