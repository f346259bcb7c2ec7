package rpm

import (
	"context"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/replay"
	"github.com/gapbundle/gapbundle/sources/stock"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Plan reads repomd.xml of all repositories and the metadata that it needs, chooses over
// all sources together, and lays out a repository for each.
func (s *source) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	if err := keyring.NeedSites(env, s.entries, func(e *entry) (strictyaml.Pos, string, bool) { return e.pos, e.name, e.rebuilt }); err != nil {
		return nil, err
	}
	r, err := read(ctx, env, s.entries, s.limit)
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
func lay(ctx context.Context, env *sources.Env, r *reading, chosen *choice) (*sources.Plan, error) {
	plan := &sources.Plan{}
	again := replay.NewAgain(func(ctx context.Context) (*sources.Plan, error) { return remake(ctx, env, r) })
	var made []stocked
	shared := sharedIDs(r.all)
	for _, l := range r.all {
		scratch := l.scratch
		var repo sources.Repository
		var files *stock.Stock
		var err error
		switch {
		case l.unchanged:
			repo, err = layUnchanged(env, l, again)
		case l.rebuilt:
			var bytes int64
			repo, files, bytes, err = layRebuilt(ctx, env, l, chosen, r.mark)
			scratch += bytes
		default:
			repo, files, err = layVerbatim(env, l, chosen.held)
		}
		if err != nil {
			return nil, sources.InSource(l.pos, l.name, err)
		}
		if files != nil {
			made = append(made, stocked{l, files})
			repo.Artifacts = files.Artifacts(env, l.name)
		}
		repo.Notes = append(repo.Notes, shared[l.name]...)
		plan.Repositories = append(plan.Repositories, repo)
		plan.Scratch += scratch
	}
	checkPackages(env, made)
	return plan, nil
}

// stocked is a source with its files.
type stocked struct {
	*loaded
	files *stock.Stock
}

// checkPackages has every package checked when it is collected: once, if several sources
// have the same content as the same package and trust the same keys. Sources are
// collected in the order of their names.
func checkPackages(env *sources.Env, all []stocked) {
	slices.SortFunc(all, func(a, b stocked) int { return strings.Compare(a.name, b.name) })
	type content struct {
		mark, identity string
		digest         bundle.Digest
	}
	known := map[content]bool{}
	for _, one := range all {
		shared := map[string]bool{}
		for i := range one.files.Files {
			f := &one.files.Files[i]
			if len(all) < 2 || f.Tag == "" || f.Digest.IsZero() {
				continue
			}
			key := content{one.trust.mark, f.Tag, f.Digest}
			if known[key] {
				shared[f.Path] = true
			}
			known[key] = true
		}
		one.files.Finish = func(f *stock.File, recorded *sources.Recorded, a *sources.Artifact) error {
			if f.Tag != "" {
				one.trust.finish(env, f, recorded, shared, a)
			}
			return nil
		}
	}
}

// remake plans once more what the base was found to stand for: it reads the metadata of
// all sources and chooses again, by the repomd.xml that the plan was made of.
func remake(ctx context.Context, env *sources.Env, r *reading) (*sources.Plan, error) {
	fresh := &reading{mark: r.mark, limit: r.limit}
	for _, l := range r.all {
		one := &loaded{entry: l.entry, trust: l.trust}
		for _, repo := range l.repos {
			one.repos = append(one.repos, &loadedRepo{head: repo.head})
		}
		fresh.all = append(fresh.all, one)
	}
	fresh, err := readMetadata(ctx, env, fresh)
	if err != nil {
		return nil, err
	}
	return choiceAndLayout(ctx, env, fresh)
}

// repository returns everything about a source besides its files. dirs are the folders of its
// repositories in the mount.
func (l *loaded) repository(env *sources.Env, dirs []string) (sources.Repository, error) {
	repo := sources.Repository{Name: l.name, Mode: modeVerbatim, Mount: l.mount, Annotations: map[string]string{}, Notes: append(l.notes(), l.remarks...)}
	if l.rebuilt {
		repo.Mode = modeRebuilt
	}
	layouts, ids := make([]layout, len(l.repos)), []string(nil)
	for i, r := range l.repos {
		layouts[i] = layout{
			ID: r.id, Title: r.title, Dir: dirs[i], Signed: r.signature != nil || l.rebuilt, Evidence: l.rebuilt && r.signature != nil,
			Hotfixes: r.hotfixes, Cost: r.cost, Priority: r.priority, Absent: r.absent, IDs: r.ids, As: l.options.As,
		}
		ids = append(ids, r.ids...)
		keys, err := l.signingKeys(env, r)
		if err != nil {
			return repo, err
		}
		if keys != nil {
			layouts[i].Key = bundle.DigestOf(keys).String()
		}
		public, err := r.public(dirs[i])
		if err != nil {
			return repo, l.pos.Errorf("repository %s: %w", r.id, err)
		}
		repo.Public = append(repo.Public, public...)
	}
	if err := sources.Annotate(repo.Annotations, layoutKey, layouts); err != nil {
		return repo, err
	}
	if len(ids) > 0 {
		repo.Annotations[bundle.ClientIDsKey] = strings.Join(ids, " ")
	}
	var allowed []string
	if l.trust.unsigned {
		allowed = append(allowed, allowedUnsigned)
	}
	if slices.ContainsFunc(l.repos, func(r *loadedRepo) bool { return r.unchecked }) {
		allowed = append(allowed, allowedIndex)
	}
	if len(allowed) > 0 {
		repo.Annotations[bundle.AllowedKey] = strings.Join(allowed, ", ")
	}
	var names []string
	if l.rebuilt {
		_, site, err := keyring.Site(env)
		if err != nil {
			return repo, err
		}
		names, repo.Keys = append(names, keyring.SitePath(env)), site
	}
	// Upstream's keys are for packages, and the root names what they signed.
	upstreams, err := l.trust.keys.Publish(keyring.RoleUpstream, keyring.Path(l.name))
	if len(upstreams) > 0 {
		names, repo.Keys = append(names, keyring.Path(l.name)), append(repo.Keys, upstreams...)
		repo.Public = append(repo.Public, keyring.Public(keyring.Path(l.name), l.keys...)...)
	}
	if len(names) > 0 {
		repo.Annotations[keysKey] = strings.Join(names, " ")
	}
	return repo, err
}

// public returns the addresses that the spec or the .repo file has for the repository, or the
// folder above them that its packages climb to. Those of a list of mirrors are left out,
// because other ones answer every day. dir is its folder in the mount.
func (h *head) public(dir string) ([]sources.Public, error) {
	var all []sources.Public
	for _, base := range h.bases {
		if upstream.IsLocalAddress(base) {
			continue
		}
		u, err := url.Parse(base)
		if err != nil {
			return nil, err
		}
		address, at := strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(dir, "/")
		// Climbed folders are in dir, also if primary was not read again.
		for range strings.Count(strings.TrimPrefix(dir, h.folder), "/") {
			if path.Base(address) != path.Base(at) {
				break // a mirror with other folders
			}
			address, at = parent(address), parent(at)
		}
		u.Path, u.RawPath = address, ""
		public, err := bundle.ParsePublic(u.String(), at)
		if err != nil {
			return nil, err
		}
		all = append(all, public)
	}
	return all, nil
}

// parent returns the folder that a folder is in; "" is that of all.
func parent(dir string) string { return dir[:max(0, strings.LastIndexByte(dir, '/'))] }
