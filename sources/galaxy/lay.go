package galaxy

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/tarball"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// lay makes the artifacts of what was chosen: archives, and the pages that lead to them.
func (e *entry) lay(ctx context.Context, env *sources.Env, c *chosen) (sources.Repository, error) {
	repo := sources.Repository{Name: e.spec.Name, Mount: mountOf(e.spec.Name)}
	keys, err := keyring.Load(ctx, env, e.keys...)
	if err != nil {
		return repo, err
	}
	if err := c.fetchSignatures(ctx, env, e); err != nil {
		return repo, err
	}
	if repo.Keys, err = keys.Publish(keyring.RoleUpstream, keyring.Path(e.spec.Name)); err != nil {
		return repo, err
	}
	t := &trust{keys: keys, need: e.signatures, now: env.Now}
	var all []sources.Artifact
	for _, p := range c.collections {
		a, err := c.collection(env, t, p)
		if err != nil {
			return repo, err
		}
		all = append(all, a)
	}
	for _, p := range c.roles {
		all = append(all, role(env, p))
	}
	for file, archive := range c.archives {
		a := local(localRole(file), file, archive.digest, archive.size)
		a.Entries = sources.NewEntries(sources.Entry{Name: filepath.Base(file), Type: bundle.TypeRole})
		all = append(all, a)
	}
	pages, err := c.pages(repo.Mount, all)
	if err != nil {
		return repo, err
	}
	if err := recheck(env, repo.Name, all); err != nil {
		return repo, err
	}
	repo.Public, repo.Artifacts = c.public(all), sources.List(slices.Concat(all, pages))
	unpinned := 0
	for _, a := range all {
		if a.Evidence.Unpinned() {
			unpinned++
		}
	}
	repo.Notes = append(repo.Notes, fmt.Sprintf("%s of collections, %d of roles", bundle.Count(len(c.collections), "version"), len(c.roles)+len(c.archives)))
	if unpinned > 0 {
		repo.Notes = append(repo.Notes, fmt.Sprintf("nothing but the connection vouches for %d of %s; from now on they are pinned", unpinned, bundle.Count(len(all), "archive")))
	}
	return repo, nil
}

// requires returns the versions of Ansible that a collection is for, for people.
func requires(ansible string) string {
	if ansible == "" {
		return ""
	}
	return "requires ansible " + ansible
}

// compareVersions orders collections by semantic versions and roles as ansible-galaxy
// does. Versions that it cannot compare have no order.
func compareVersions(typ, a, b string) int {
	if typ == bundle.TypeRole {
		order, err := version.CompareTags(a, b)
		if err != nil {
			return 0
		}
		return order
	}
	x, errA := version.Parse(a)
	y, errB := version.Parse(b)
	if errA != nil || errB != nil {
		return strings.Compare(a, b)
	}
	return version.Compare(x, y)
}

// public returns the addresses that the mirror can answer for: the API's, and those of the folders that
// archives came from, where they have the same names.
func (c *chosen) public(archives []sources.Artifact) []sources.Public {
	var all []sources.Public
	add := func(address, at string) {
		if p, err := bundle.ParsePublic(address, at); err == nil && !slices.Contains(all, p) && len(all) < bundle.MaxPublic/2 {
			all = append(all, p)
		}
	}
	for _, address := range slices.Sorted(maps.Keys(c.catalog.servers)) {
		add(c.catalog.servers[address].Root(), "")
	}
	for _, a := range archives {
		if origin, ok := strings.CutSuffix(a.Evidence.Origin, "/"+path.Base(a.File.Path)); ok {
			add(origin, path.Dir(a.File.Path))
		}
	}
	return all
}

// mountOf returns where a source is published.
func mountOf(source string) string { return Name + "/" + sources.FileName(source) }

// collection returns the artifact of an archive.
func (c *chosen) collection(env *sources.Env, t *trust, p *pick) (sources.Artifact, error) {
	r := p.Release
	name := artifactPath(p.Name, r.Version.String())
	entries := sources.NewEntries(sources.Entry{Name: p.Name, Type: bundle.TypeCollection, Version: r.Version.String(), Summary: requires(r.RequiresAnsible)})
	if r.URL == "" { // on disk, and opened already
		a := local(name, r.Page, r.Digest, r.Size)
		a.Entries = entries
		return a, nil
	}
	pin, pinned := env.Lock.Lookup(r.Page)
	a := sources.Artifact{
		File:      bundle.File{Path: name, Size: r.Size, Digest: r.Digest},
		Evidence:  bundle.Evidence{Path: name, Origin: fetch.Redact(r.URL), Vouched: t.vouched(p, pinned && pin.Digest == r.Digest), Reason: "asked for by " + p.By},
		Validator: t.mark(p), Entries: entries,
	}
	want := upstream.Want{Sum: upstream.SHA256(r.Digest), Size: r.Size, Index: r.Page}
	a.Open = upstream.Validated(upstream.At(r.URL).OpenChecked(env, want, func(where string) upstream.Verifier {
		return &opened{tarball.NewVerifier(), t, p, where}
	}, ""), a.Validator)
	if a.Evidence.Vouched == bundle.VouchedIndex || strings.HasPrefix(a.Evidence.Vouched, bundle.VouchedOpenPGP) {
		return a, nil
	}
	if r.Size >= 0 {
		return a, env.Lock.Record(r.Page, r.Digest, r.Size)
	}
	a.Collected = func(f bundle.File) error { return env.Lock.Record(r.Page, f.Digest, f.Size) }
	return a, nil
}

// recheck lets archives that the base has be checked again, if they were collected under another mark.
func recheck(env *sources.Env, repo string, all []sources.Artifact) error {
	slices.SortFunc(all, func(a, b sources.Artifact) int { return bundle.ComparePaths(a.File.Path, b.File.Path) })
	base := env.Cursor(repo)
	defer base.Close()
	for i := range all {
		a := &all[i]
		recorded, known, err := base.Lookup(a.File.Path)
		if err != nil {
			return err
		}
		if a.Validator != "" && !(known && recorded.Validator == a.Validator && recorded.File.Digest == a.File.Digest) {
			a.Known = readThrough(a.Open)
		}
	}
	return nil
}

// role returns the artifact of an archive that is in scratch.
func role(env *sources.Env, p *rolePick) sources.Artifact {
	name := rolePath(p.full(), p.tag)
	vouched := bundle.VouchedNone
	switch {
	case p.pinned:
		vouched = bundle.VouchedPinned
	case p.secure:
		vouched = bundle.VouchedTLS
	}
	return sources.Artifact{
		File:     bundle.File{Path: name, Size: p.size, Digest: p.digest},
		Evidence: bundle.Evidence{Path: name, Origin: fetch.Redact(p.url), Vouched: vouched, Reason: "asked for by " + p.by},
		Open:     env.InScratch(p.local),
		Entries:  sources.NewEntries(sources.Entry{Name: p.full(), Type: bundle.TypeRole, Version: p.tag}),
	}
}

// local returns the artifact of an archive on disk.
func local(name, file string, digest bundle.Digest, size int64) sources.Artifact {
	return sources.Artifact{
		File:     bundle.File{Path: name, Size: size, Digest: digest},
		Evidence: bundle.Evidence{Path: name, Origin: "file:" + filepath.Base(file), Vouched: bundle.VouchedLocal, Reason: "named by a requirements file"},
		Open: func(context.Context, int64, string) (*bundle.Content, error) {
			f, err := os.Open(file)
			if err != nil {
				return nil, err
			}
			return &bundle.Content{Body: f}, nil
		},
	}
}
