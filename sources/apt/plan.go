package apt

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// parallel bounds how many suites are read, and how many indexes of each are
// asked about, at once; the fetch client bounds each host.
const parallel = 8

// planner is one plan of all sources.
type planner struct {
	env *sources.Env
	// lists says that packages are chosen somewhere: every index is read then.
	lists bool
	// mark identifies what the choice was made from; "": there was none.
	mark string

	mu   sync.Mutex
	keys map[string]openpgp.EntityList // by keyring.key
}

// loaded is a source whose upstream was read.
type loaded struct {
	*entry
	suites []*loadedSuite
	// unchanged: the base has this very state; nothing but the signed Releases
	// was read.
	unchanged bool
	scratch   int64
}

// loadedSuite is a suite whose Release holds.
type loadedSuite struct {
	*suite
	*signed
	groups []*group
	forms  []*form
	// system: it has the package that every system has, so it is one's.
	system bool
	// absent are paths of forms that Release lists and upstream lacks, though
	// it has another form.
	absent []string
}

// form is an index in one compression, which upstream has.
type form struct {
	group *group
	file  *deb.ReleaseFile
	local string // name in scratch, if it was read
}

// Plan reads the Releases of all suites and the indexes that it needs, and
// chooses over all sources together.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	p := &planner{env: env, keys: map[string]openpgp.EntityList{}}
	var errs []error
	for _, e := range s.entries {
		p.lists = p.lists || e.rebuilt
		if e.rebuilt && env.Site == nil {
			errs = append(errs, e.pos.Errorf("source %s: rebuilt indexes need a site key: gapbundle keygen --site --out DIR, then signing: site: in the spec, or --site-key", e.name))
		}
	}
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	all, err := p.load(ctx, s.entries)
	if err != nil {
		return nil, err
	}
	return p.plan(ctx, all)
}

// plan makes repositories of what was read.
func (p *planner) plan(ctx context.Context, all []*loaded) (*sources.Plan, error) {
	plan := &sources.Plan{}
	chosen, err := p.choose(ctx, all)
	if err != nil {
		return nil, err
	}
	if p.mark, err = p.markOf(all); err != nil {
		return nil, err
	}
	again := &remaking{planner: p, all: all}
	for i, l := range all {
		var repo sources.Repository
		switch {
		case l.unchanged:
			repo, err = p.replayed(l, again)
		case l.rebuilt:
			repo, err = p.rebuilt(ctx, l, chosen[i])
		default:
			repo, err = p.verbatim(l)
		}
		if err != nil {
			return nil, l.pos.Wrap(fmt.Errorf("source %s: %w", l.name, err))
		}
		plan.Repositories = append(plan.Repositories, repo)
		plan.Scratch += l.scratch
	}
	return plan, nil
}

// load reads the Releases of all sources, and the indexes of those whose
// Releases are not those that the base was made of.
func (p *planner) load(ctx context.Context, entries []*entry) ([]*loaded, error) {
	all := make([]*loaded, len(entries))
	err := sourceEach(ctx, entries, func(ctx context.Context, i int) (err error) {
		all[i], err = p.releases(ctx, entries[i])
		return err
	})
	if err == nil {
		err = p.recognize(all)
	}
	if err != nil {
		return nil, err
	}
	return all, sourceEach(ctx, entries, func(ctx context.Context, i int) (err error) {
		if !all[i].unchanged {
			all[i], err = p.read(ctx, all[i])
		}
		return err
	})
}

// sourceEach calls f for each source, some at a time, and reports everything
// that is wrong, with the place of the source in the spec.
func sourceEach(ctx context.Context, entries []*entry, f func(ctx context.Context, i int) error) error {
	errs := make([]error, len(entries))
	_ = each(ctx, len(entries), func(ctx context.Context, i int) error {
		if err := f(ctx, i); err != nil {
			errs[i] = entries[i].pos.Wrap(fmt.Errorf("source %s: %w", entries[i].name, err))
		}
		return nil
	})
	return strictyaml.Join(errs...)
}

// releases gets the Releases of a source's suites and verifies them.
func (p *planner) releases(ctx context.Context, e *entry) (*loaded, error) {
	l := &loaded{entry: e, suites: make([]*loadedSuite, len(e.suites))}
	return l, each(ctx, len(e.suites), func(ctx context.Context, i int) error {
		keys, err := p.keyring(ctx, e.suites[i].keys)
		if err != nil {
			return err
		}
		s, err := fetchRelease(ctx, p.env.Fetch, e.suites[i], keys, p.env.Now)
		l.suites[i] = &loadedSuite{suite: e.suites[i], signed: s}
		return err
	})
}

// read reads the indexes of a source: once more, from the Releases on, if
// upstream changed meanwhile.
func (p *planner) read(ctx context.Context, l *loaded) (*loaded, error) {
	for again := false; ; again = true {
		sizes := make([]int64, len(l.suites))
		err := each(ctx, len(l.suites), func(ctx context.Context, i int) (err error) {
			sizes[i], err = p.indexes(ctx, l.suites[i], fmt.Sprintf("%s-%s-%d", Name, strings.ReplaceAll(l.name, "/", "-"), i))
			return err
		})
		var changed *mismatchError
		if !errors.As(err, &changed) || again || ctx.Err() != nil {
			for _, size := range sizes {
				l.scratch += size
			}
			return l, err
		}
		p.env.Log.Info("upstream changed while it was read: reading it once more", "source", l.name, "url", fetch.Redact(changed.index))
		if l, err = p.releases(ctx, l.entry); err != nil {
			return nil, err
		}
	}
}

// each calls f for 0 to n-1, some at a time, and joins what goes wrong.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	errs := make([]error, n)
	var group errgroup.Group
	group.SetLimit(parallel)
	for i := range n {
		group.Go(func() error {
			errs[i] = f(ctx, i)
			return nil // the others go on: everything that is wrong is reported
		})
	}
	_ = group.Wait()
	return errors.Join(errs...)
}

// keyring loads keys once for all suites that name them.
func (p *planner) keyring(ctx context.Context, k *keyring) (openpgp.EntityList, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if keys, ok := p.keys[k.key()]; ok {
		return keys, nil
	}
	keys, err := k.load(ctx, p.env.Fetch)
	if err == nil {
		p.keys[k.key()] = keys
	}
	return keys, err
}

// indexes finds the indexes that a suite's clients may ask for, and reads
// those that name files, into scratch below prefix.
func (p *planner) indexes(ctx context.Context, s *loadedSuite, prefix string) (scratch int64, err error) {
	s.groups = s.want.wanted(s.release, s.flat)
	if err := s.checkWanted(s.release, s.groups); err != nil {
		return 0, err
	}
	found := make([][]*form, len(s.groups))
	absent := make([][]string, len(s.groups))
	err = each(ctx, len(s.groups), func(ctx context.Context, i int) error {
		var err error
		found[i], absent[i], err = p.forms(ctx, s, s.groups[i], fmt.Sprintf("%s-%d", prefix, i))
		return err
	})
	for i := range found {
		s.forms = append(s.forms, found[i]...)
		s.absent = append(s.absent, absent[i]...)
		for _, f := range found[i] {
			if f.local != "" {
				scratch += f.file.Size
			}
		}
	}
	return scratch, err
}

// forms are those of an index that upstream has. One of an index that names
// files is read.
func (p *planner) forms(ctx context.Context, s *loadedSuite, g *group, local string) (found []*form, absent []string, err error) {
	candidates := g.candidates()
	lists := g.target == targetPackages || g.target == targetSources
	if s.entry.rebuilt && !lists {
		lists = g.target == targetTranslations || g.target == targetContents && s.entry.options.Contents && g.arch != "source"
		if !lists {
			return nil, nil, nil // a client of the rebuilt suite does not get to know of it
		}
	}
	read := false
	for _, f := range byEase(candidates) {
		if !lists || read {
			break
		}
		err := s.download(ctx, p.env.Fetch, p.env.Scratch, local, s.release, f)
		if err != nil && !isGone(err) {
			return nil, nil, err
		}
		if read = err == nil; read {
			found = append(found, &form{group: g, file: f, local: local})
		}
	}
	for _, f := range candidates {
		if _, err := digestOf(f); err != nil {
			return nil, nil, err
		}
		if len(found) > 0 && (found[0].file == f || s.entry.rebuilt) {
			continue
		}
		ok, err := s.has(ctx, p.env.Fetch, s.release, f)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			found = append(found, &form{group: g, file: f})
		} else {
			absent = append(absent, f.Path)
		}
	}
	if lists && !read || len(found) == 0 && g.target != targetLegacy {
		return nil, nil, fmt.Errorf("%s: Release lists it, and upstream has it in no form that gapbundle reads: %w",
			fetch.Redact(s.root.url+escape(s.dir)+g.name), fetch.ErrUpstream)
	}
	return found, absent, nil
}

// expires is when the first of a source's Releases lapses.
func (l *loaded) expires() *time.Time {
	var first *time.Time
	for _, s := range l.suites {
		if until := s.release.ValidUntil.UTC(); !s.release.ValidUntil.IsZero() && (first == nil || until.Before(*first)) {
			first = &until
		}
	}
	return first
}

// notes are remarks that hold whatever is done with the source.
func (l *loaded) notes(now time.Time) []string {
	var notes []string
	if until := l.expires(); until != nil && !l.rebuilt {
		notes = append(notes, fmt.Sprintf("valid until %s (%d days left); clients that shall use it longer: Check-Valid-Until: no in their .sources entry, or mode: rebuilt here",
			until.Format(time.RFC3339), int(until.Sub(now).Hours()/24)))
	}
	for _, s := range l.suites {
		if s.files[0].name == nameRelease {
			notes = append(notes, fmt.Sprintf("%s %s: no InRelease, Release.gpg was checked", fetch.Redact(s.root.url), s.name))
		}
	}
	return notes
}

// keyFiles are the keys that signed a source's Releases, in one file.
func (l *loaded) keyFiles() ([]sources.Key, error) {
	var signers openpgp.EntityList
	for _, s := range l.suites {
		for _, e := range s.signers {
			if !slices.ContainsFunc(signers, func(o *openpgp.Entity) bool { return fingerprint(o) == fingerprint(e) }) {
				signers = append(signers, e)
			}
		}
	}
	return publish(signers, "upstream", keyPath(l.name))
}

// keyPath is the file of a source's keys below keys/ of the mirror.
func keyPath(source string) string { return strings.ReplaceAll(source, "/", "-") + ".asc" }

func publish(keys openpgp.EntityList, role, name string) ([]sources.Key, error) {
	text, err := armorKeys(keys)
	if err != nil {
		return nil, err
	}
	var all []sources.Key
	for _, e := range keys {
		all = append(all, sources.Key{Fingerprint: fingerprint(e), Role: role, Armored: text, Path: name})
	}
	slices.SortFunc(all, func(a, b sources.Key) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
	return all, nil
}

// at is a path of the suite's folder, in the mount.
func (s *suite) at(name string) string { return path.Join(s.root.prefix, s.dir, name) }

// checkPlace says whether p can be a path of the mirror.
func checkPlace(p string) error {
	if err := bundle.CheckPath(p); err != nil {
		return fmt.Errorf("%w: %w", err, fetch.ErrUpstream)
	}
	return nil
}
