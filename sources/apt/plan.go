package apt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/replay"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Plan reads the Releases of all suites and the indexes that it needs, chooses over all
// sources together, and lays out a repository for each.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	if err := keyring.NeedSites(env, s.entries, func(e *entry) (strictyaml.Pos, string, bool) { return e.pos, e.name, e.rebuilt }); err != nil {
		return nil, err
	}
	r, err := read(ctx, env, s.entries)
	if err != nil {
		return nil, err
	}
	return choiceAndLayout(ctx, env, r)
}

// choiceAndLayout returns the second and third step of a plan.
func choiceAndLayout(ctx context.Context, env *sources.Env, r *reading) (*sources.Plan, error) {
	chosen, err := choose(ctx, env, r)
	if err != nil {
		return nil, err
	}
	return lay(ctx, env, r, chosen)
}

// lay lays out a repository for each source.
func lay(ctx context.Context, env *sources.Env, r *reading, chosen []*selection) (*sources.Plan, error) {
	plan := &sources.Plan{}
	again := replay.NewAgain(func(ctx context.Context) (*sources.Plan, error) { return remake(ctx, env, r) })
	for i, l := range r.all {
		scratch := l.scratch
		var repo sources.Repository
		var err error
		switch {
		case l.unchanged:
			repo, err = layUnchanged(env, l, again)
		case l.rebuilt:
			var made int64
			repo, made, err = layRebuilt(ctx, env, l, chosen[i], r.mark)
			scratch += made
		default:
			repo, err = layVerbatim(env, l)
		}
		if err != nil {
			return nil, sources.InSource(l.pos, l.name, err)
		}
		plan.Repositories = append(plan.Repositories, repo)
		plan.Scratch += scratch
	}
	return plan, nil
}

// remake plans once more what the base was found to stand for: it reads the indexes of
// all sources and chooses again, by the Releases that the plan was made of.
func remake(ctx context.Context, env *sources.Env, r *reading) (*sources.Plan, error) {
	fresh := &reading{keys: r.keys, mark: r.mark}
	for _, l := range r.all {
		fresh.all = append(fresh.all, &loaded{entry: l.entry, suites: l.suites, moved: l.moved})
	}
	fresh, err := readIndexes(ctx, env, fresh)
	if err != nil {
		return nil, err
	}
	return choiceAndLayout(ctx, env, fresh)
}

// layUnchanged lays out a source whose upstream is what the base has.
func layUnchanged(env *sources.Env, l *loaded, again *replay.Again) (sources.Repository, error) {
	repo, err := l.repository(env)
	under := ""
	if l.rebuilt {
		under = upstreamFolder
		repo.Notes = append(repo.Notes, "nothing changed since the last export: its choice stands")
	}
	p := replay.Plan{Again: again}
	for _, s := range l.suites {
		p.Fresh = append(p.Fresh, s.signedFiles(under)...)
	}
	repo.Artifacts = p.Artifacts(env, l.name)
	return repo, err
}

// repository returns everything about a source besides its files.
func (l *loaded) repository(env *sources.Env) (sources.Repository, error) {
	repo := sources.Repository{Name: l.name, Mode: modeVerbatim, Mount: l.mount, Annotations: map[string]string{}, Notes: l.notes(env.Now)}
	layouts := make([]layout, len(l.suites))
	var signers keyring.Keys
	var refs []*keyring.Ref
	for i, s := range l.suites {
		refs = append(refs, s.keys)
		layouts[i] = s.layout()
		signers = signers.Union(s.signers)
		if upstream.IsLocalAddress(s.root.url) {
			continue
		}
		public, err := bundle.ParsePublic(s.root.url, s.root.prefix)
		if err != nil {
			return repo, s.pos.Errorf("suite %s: %w", s.name, err)
		}
		repo.Public = append(repo.Public, public)
	}
	if err := sources.Annotate(repo.Annotations, layoutKey, layouts); err != nil {
		return repo, err
	}
	if !l.rebuilt {
		path := keyring.Path(l.name)
		repo.Annotations[keysKey], repo.Expires = path, l.expires()
		repo.Public = append(repo.Public, keyring.Public(path, refs...)...)
		var err error
		if repo.Keys, err = signers.Publish(keyring.RoleUpstream, path); err != nil {
			return repo, err
		}
		return repo, keyring.WithoutArmor(repo.Keys) // debootstrap's gpgv reads no armor
	}
	repo.Mode = modeRebuilt
	if until := l.validUntil(env.Now); !until.IsZero() {
		repo.Expires = &until
	}
	// The site's key alone signs what clients get. Upstream's is not published: nobody inside
	// has to trust it. The evidence names it by its fingerprint.
	var err error
	if _, repo.Keys, err = keyring.Site(env); err != nil {
		return repo, err
	}
	repo.Annotations[keysKey] = keyring.SitePath(env)
	// A client that asks for upstream's key needs the one that signs what it gets.
	repo.Public = append(repo.Public, keyring.Public(keyring.SitePath(env), refs...)...)
	return repo, keyring.WithoutArmor(repo.Keys)
}

// expires returns when the first of a source's Releases lapses for its clients; nil: never.
func (l *loaded) expires() *time.Time {
	if l.options.AllowExpired {
		return nil
	}
	var first *time.Time
	for _, s := range l.suites {
		if until := s.release.ValidUntil.UTC(); !s.release.ValidUntil.IsZero() && (first == nil || until.Before(*first)) {
			first = &until
		}
	}
	return first
}

// notes returns remarks that hold whatever is done with the source.
func (l *loaded) notes(now time.Time) []string {
	notes := slices.Clone(l.remarks)
	if l.moved != "" {
		notes = append(notes, l.moved)
	}
	if has := l.translated(); len(l.options.Languages) > 0 && !slices.Contains(l.options.Languages, noLanguage) && len(has) == 0 {
		notes = append(notes, "languages is set, and upstream has no translations")
	}
	if until := l.expires(); until != nil && !l.rebuilt {
		notes = append(notes, fmt.Sprintf("valid until %s (%s left); clients that are to use it longer: Check-Valid-Until: no in their .sources entry, or mode: rebuilt here",
			until.Format(timeForm), bundle.Count(int(until.Sub(now).Hours()/24), "day")))
	}
	for _, s := range l.suites {
		notes = append(notes, s.oddities(now)...)
		if s.files[0].name == nameRelease {
			notes = append(notes, fmt.Sprintf("%s %s: no InRelease, Release.gpg was checked", s.root.place.Where(""), s.name))
		}
	}
	return notes
}
