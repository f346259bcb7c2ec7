package rpm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"golang.org/x/sync/errgroup"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/modulemd"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// parallel bounds how many repositories are read, and how many files of each
// are asked about, at once; the fetch client bounds each host.
const parallel = 8

// planner is one plan of all sources.
type planner struct {
	env *sources.Env
	// lists says that packages are chosen somewhere: every primary is read then,
	// or none.
	lists bool
	// mark identifies what the choice was made of; "": nothing is chosen.
	mark string
	// inventories are the files of the sources that are planned anew, by name.
	inventories map[string]*inventory
	// listed bounds what is known of all packages that are carried.
	listed rpmmd.Interner
}

// gathered is a source whose upstream was read.
type gathered struct {
	*entry
	trust *trust
	repos []*loaded
	// unchanged: the base has this very state; nothing but repomd.xml was read.
	unchanged bool
	scratch   int64
}

// loaded is a repository whose repomd.xml holds.
type loaded struct {
	*located
	// dir is its own folder in the mount: "" or ends with a slash. Locations
	// that climb are why it may be known only when primary is read.
	dir string
	// climb is how many folders above itself its packages begin.
	climb    int
	metadata []*metadata
	// absent are types that repomd.xml lists, upstream lacks, and dnf does without.
	absent []string
	// mark identifies what it was planned for.
	mark string
	// modules are what modules.yaml says, where packages are chosen; nil:
	// there is none, or it was not read.
	modules *modulemd.Index
}

// find gives a metadata file of a type; nil: there is none.
func (l *loaded) find(kind string) *metadata {
	for _, m := range l.metadata {
		if m.Type == kind {
			return m
		}
	}
	return nil
}

// Plan reads repomd.xml of all repositories and the metadata that it needs,
// and chooses over all sources together.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	p := &planner{env: env, inventories: map[string]*inventory{}, listed: rpmmd.Interner{Limit: s.limit}}
	var errs []error
	for _, e := range s.entries {
		p.lists = p.lists || e.rebuilt
		if e.rebuilt && env.Site == nil {
			errs = append(errs, e.pos.Errorf("source %s: rebuilt metadata needs a site key: gapbundle keygen --site --out DIR, then signing: site: in the spec, or --site-key", e.name))
		}
	}
	if err := strictyaml.Join(errs...); err != nil {
		return nil, err
	}
	all := make([]*gathered, len(s.entries))
	err := sourceEach(s.entries, func(i int) (err error) {
		all[i], err = p.locate(ctx, s.entries[i])
		return err
	})
	if err == nil {
		err = p.recognize(all)
	}
	if err == nil {
		err = sourceEach(s.entries, func(i int) (err error) {
			all[i], err = p.load(ctx, all[i])
			return err
		})
	}
	if err == nil {
		p.mark, err = p.markOf(all)
	}
	if err != nil {
		return nil, err
	}
	return p.plan(ctx, all)
}

// sourceEach calls f for each source, some at a time, and says of what goes
// wrong which one it was.
func sourceEach(entries []*entry, f func(i int) error) error {
	errs := make([]error, len(entries))
	_ = each(len(entries), func(i int) error {
		if err := f(i); err != nil {
			errs[i] = entries[i].pos.Wrap(fmt.Errorf("source %s: %w", entries[i].name, err))
		}
		return nil
	})
	return strictyaml.Join(errs...)
}

// plan makes repositories of what was read.
func (p *planner) plan(ctx context.Context, all []*gathered) (*sources.Plan, error) {
	plan := &sources.Plan{}
	chosen, err := p.choose(ctx, all)
	if err != nil {
		return nil, err
	}
	again := &remaking{planner: p, all: all}
	for i, g := range all {
		var repo sources.Repository
		switch {
		case g.unchanged:
			repo, err = p.replayed(g, again)
		case g.rebuilt:
			repo, err = p.rebuilt(ctx, g, chosen[i])
		default:
			repo, err = p.verbatim(g)
		}
		if err != nil {
			return nil, g.pos.Wrap(fmt.Errorf("source %s: %w", g.name, err))
		}
		plan.Repositories = append(plan.Repositories, repo)
		plan.Scratch += g.scratch
	}
	p.share()
	return plan, nil
}

// locate finds the repositories of a source, by keys and repomd.xml.
func (p *planner) locate(ctx context.Context, e *entry) (*gathered, error) {
	keys, err := e.keys.load(ctx, p.env.Fetch)
	if err != nil {
		return nil, err
	}
	g := &gathered{entry: e, trust: newTrust(keys, e.options.AllowUnsigned, p.env.Now), repos: make([]*loaded, len(e.repos))}
	if err := g.trust.usable(); err != nil {
		return nil, err
	}
	err = each(len(e.repos), func(i int) error {
		at, err := e.repos[i].locate(ctx, p.env.Fetch, keys, p.env.Now)
		if err != nil {
			return err
		}
		g.repos[i] = &loaded{located: at, dir: at.folder, mark: g.configuration(at)}
		return nil
	})
	if err == nil {
		err = p.stillSigned(g)
	}
	return g, err
}

// load reads the metadata of a source: once more from the top if upstream
// changed meanwhile.
func (p *planner) load(ctx context.Context, g *gathered) (*gathered, error) {
	if g.unchanged {
		return g, nil
	}
	err := p.read(ctx, g)
	var changed *mismatchError
	if !errors.As(err, &changed) || ctx.Err() != nil {
		return g, err
	}
	p.env.Log.Info("upstream changed while it was read: reading it once more", "source", g.name, "url", fetch.Redact(changed.file))
	g, err = p.locate(ctx, g.entry)
	if err == nil {
		err = p.read(ctx, g)
	}
	return g, err
}

func (p *planner) read(ctx context.Context, g *gathered) error {
	sizes := make([]int64, len(g.repos))
	err := each(len(g.repos), func(i int) error {
		var err error
		sizes[i], err = p.metadata(ctx, g, g.repos[i], fmt.Sprintf("%s-%s-%d", Name, strings.ReplaceAll(g.name, "/", "-"), i))
		return err
	})
	for _, size := range sizes {
		g.scratch += size
	}
	return err
}

// each calls f for 0 to n-1, some at a time, and joins what goes wrong.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	var group errgroup.Group
	group.SetLimit(parallel)
	for i := range n {
		group.Go(func() error {
			errs[i] = f(i)
			return nil // the others go on: everything that is wrong is reported
		})
	}
	_ = group.Wait()
	return errors.Join(errs...)
}

// metadata finds the files of repomd.xml that upstream has, and reads those
// that are needed, into scratch below prefix.
func (p *planner) metadata(ctx context.Context, g *gathered, l *loaded, prefix string) (scratch int64, err error) {
	if l.index.Find(typePrimary) == nil && l.index.Find(typePrimaryZck) != nil {
		return 0, fmt.Errorf("%s: lists primary as zchunk alone, which is not read here; createrepo_c writes both by default: %w", l.at(nameRepomd), fetch.ErrUpstream)
	}
	if l.index.Find(typePrimary) == nil {
		return 0, fmt.Errorf("%s: lists no primary: %w", l.at(nameRepomd), fetch.ErrUpstream)
	}
	found := make([]*metadata, len(l.index.Data))
	sizes := make([]int64, len(found))
	err = each(len(found), func(i int) error {
		m, err := p.file(ctx, g, l, &l.index.Data[i], fmt.Sprintf("%s-%d", prefix, i))
		if m != nil && m.local != "" {
			sizes[i] = max(m.Size, 0)
		}
		found[i] = m
		return err
	})
	for i, m := range found {
		switch {
		case m != nil:
			l.metadata = append(l.metadata, m)
		case isCarried(l.index.Data[i].Type, g.rebuilt):
			l.absent = append(l.absent, l.index.Data[i].Type)
		}
		scratch += sizes[i]
	}
	return scratch, err
}

// isCarried: metadata of a rebuilt source is made here, so that upstream's is
// carried only as far as it was read.
func isCarried(kind string, rebuilt bool) bool { return !rebuilt || isRead(kind, true) }

// file looks after one entry of repomd.xml: nil is one that is not carried, or
// not there and not needed.
func (p *planner) file(ctx context.Context, g *gathered, l *loaded, d *rpmmd.Data, local string) (*metadata, error) {
	if !isCarried(d.Type, g.rebuilt) {
		return nil, nil
	}
	at, err := locateHref(d.Location, d.BaseURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", l.at(nameRepomd), err)
	case at.foreign || climbs(at.path) > 0:
		return nil, fmt.Errorf("%s: %s lies at %s, outside of the repository: %w", l.at(nameRepomd), d.Type, fetch.Redact(d.BaseURL+d.Location), fetch.ErrUpstream)
	}
	m := &metadata{Data: d, path: at.path}
	if isRead(d.Type, g.rebuilt) {
		m.local = local
		_, err = l.download(ctx, p.env.Fetch, p.env.Scratch, m)
	} else {
		err = statFirst(ctx, p.env.Fetch, l.urls(at.from))
	}
	switch {
	case isGone(err) && isNeeded(d.Type, l.index):
		return nil, fmt.Errorf("%s: repomd.xml lists it, and dnf refuses a repository without it: %w", l.at(m.path), err)
	case isGone(err):
		return nil, nil
	case err == nil && newHash(d.Checksum.Type) == nil:
		err = fmt.Errorf("%s: checksum of type %s: not trusted: %w", l.at(m.path), d.Checksum.Type, fetch.ErrRefused)
	}
	return m, err
}

// notes are remarks that hold whatever is done with the source.
func (g *gathered) notes() []string {
	var notes []string
	for _, l := range g.repos {
		name := l.at("")
		if len(l.ignored) > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s of [%s] are not followed: it is carried whole", name, strings.Join(l.ignored, ", "), l.id))
		}
		if l.signature == nil {
			how := "packages' own signatures are what is trusted"
			if g.trust.unsigned {
				how = "nothing but the connection speaks for it"
			}
			notes = append(notes, fmt.Sprintf("%s: repomd.xml is not signed, %s", name, how))
		}
		if len(l.absent) > 0 {
			notes = append(notes, fmt.Sprintf("%s: repomd.xml lists %s, which upstream lacks; dnf does without", name, strings.Join(l.absent, ", ")))
		}
	}
	if g.trust.unsigned {
		notes = append(notes, "packages without a signature are let in (allow-unsigned)")
	}
	return notes
}

// keyPath is the file of a source's keys below keys/ of the mirror.
func keyPath(source string) string { return strings.ReplaceAll(source, "/", "-") + ".asc" }

// keyFiles are the keys of the source, in one file.
func (g *gathered) keyFiles() ([]sources.Key, error) {
	if len(g.trust.keys) == 0 {
		return nil, nil
	}
	return publish(g.trust.keys, "upstream", keyPath(g.name))
}

func publish(keys openpgp.EntityList, role, name string) ([]sources.Key, error) {
	text, err := pgpkeys.Armor(keys)
	if err != nil {
		return nil, err
	}
	var all []sources.Key
	for _, e := range keys {
		all = append(all, sources.Key{Fingerprint: pgpkeys.Fingerprint(e), Role: role, Armored: text, Path: name})
	}
	slices.SortFunc(all, func(a, b sources.Key) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
	return all, nil
}
