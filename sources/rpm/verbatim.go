package rpm

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// Why a file is in a verbatim mirror.
const (
	reasonRepomd   = "index of the repository"
	reasonMetadata = "metadata of the repository"
	reasonWhole    = "in the metadata of the repository"
)

// verbatim plans a source as upstream has it.
func (p *planner) verbatim(g *gathered) (sources.Repository, error) {
	v := &inventory{trust: g.trust}
	for _, l := range g.repos {
		if err := p.whole(v, l); err != nil {
			return sources.Repository{}, err
		}
		p.own(v, g, l, "")
	}
	if err := v.settle(); err != nil {
		return sources.Repository{}, err
	}
	p.inventories[g.name] = v
	repo, err := g.repository(modeVerbatim)
	repo.Artifacts = v.artifacts(p.env, g.name)
	return repo, err
}

// repository is what is told about a verbatim source besides its files.
func (g *gathered) repository(mode string) (sources.Repository, error) {
	repo := sources.Repository{Name: g.name, Mode: mode, Mount: g.mount, Annotations: map[string]string{}, Notes: g.notes()}
	for i, l := range g.repos {
		text, err := layout{
			ID: l.id, Title: l.title, Dir: l.dir, Signed: l.signature != nil || mode == modeRebuilt, Evidence: mode == modeRebuilt && l.signature != nil,
			Hotfixes: l.hotfixes, Cost: l.cost, Priority: l.priority, Absent: l.absent,
		}.marshal()
		if err != nil {
			return repo, g.pos.Errorf("repository %s: %w", l.id, err)
		}
		repo.Annotations[fmt.Sprintf("%s%02d", layoutKey, i)] = text
		public, err := l.public()
		if err != nil {
			return repo, g.pos.Errorf("repository %s: %w", l.id, err)
		}
		repo.Public = append(repo.Public, public...)
	}
	if g.trust.unsigned {
		repo.Annotations[bundle.AllowedKey] = allowedUnsigned
	}
	var err error
	if repo.Keys, err = g.keyFiles(); len(repo.Keys) > 0 {
		repo.Annotations[keysKey] = keyPath(g.name)
	}
	return repo, err
}

// public are the addresses that the spec or the .repo file has for the repository,
// or the folder above them that its packages climb to. Those of a list of mirrors
// are left out: which of them answer is another matter every day.
func (l *loaded) public() ([]sources.Public, error) {
	dir := strings.TrimSuffix(l.dir, "/")
	var all []sources.Public
	for _, base := range l.repo.bases {
		u, err := url.Parse(base)
		if err != nil {
			return nil, err
		}
		address, at := strings.TrimSuffix(u.Path, "/"), dir
		// What is climbed is in dir, also where primary was not read again.
		for range strings.Count(strings.TrimPrefix(l.dir, l.folder), "/") {
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

// parent is the folder that a folder is in; "" is that of all.
func parent(dir string) string { return dir[:max(0, strings.LastIndexByte(dir, '/'))] }

// own adds repomd.xml, its signature, and metadata files, below the folder under.
func (p *planner) own(v *inventory, g *gathered, l *loaded, under string) {
	at := under + l.dir
	annotations := map[string]string{configurationKey: l.mark}
	if len(l.absent) > 0 {
		annotations[absentKey] = strings.Join(l.absent, ",")
	}
	sum := func(b []byte) rpmmd.Checksum { return rpmmd.Checksum{Type: "sha256", Hex: bundle.DigestOf(b).Hex()} }
	v.add(file{
		path: at + nameRepomd, from: nameRepomd, repo: l, size: int64(len(l.repomd)), checksum: sum(l.repomd), reason: reasonRepomd,
		more: &extra{vouched: l.vouched(), content: l.repomd, annotations: annotations},
	})
	if l.signature != nil {
		v.add(file{
			path: at + nameSignature, from: nameSignature, repo: l, size: int64(len(l.signature)), checksum: sum(l.signature), reason: reasonRepomd,
			more: &extra{vouched: l.vouched(), content: l.signature},
		})
	}
	for _, m := range l.metadata {
		v.add(file{
			path: at + m.path, from: escape(m.path), repo: l, size: m.Size, checksum: m.Checksum, reason: reasonMetadata,
			more: &extra{vouched: l.vouchedIndex(), local: m.local, digest: m.digest},
		})
	}
}

// whole adds every package of a repository, and what its deltas need.
func (p *planner) whole(v *inventory, l *loaded) error {
	first := len(v.files)
	err := p.packages(l, rpmmd.Files, &p.listed, func(pkg *rpmmd.Package, at spot) error {
		if at.foreign {
			return fmt.Errorf("%s: lies at %s, where clients without that network cannot go: mode: rebuilt carries it and writes metadata that leads here: %w",
				pkg.NEVRA(), fetch.Redact(at.from), bundle.ErrUsage)
		}
		v.add(packageFile(l, pkg, at, reasonWhole))
		return nil
	})
	if err == nil {
		err = p.deltas(v, l)
	}
	if err == nil {
		err = l.place(v.files[first:])
	}
	return err
}

func packageFile(l *loaded, pkg *rpmmd.Package, at spot, reason string) file {
	arch := *pkg
	if arch.IsSource() {
		arch.Arch = "src" // headers do not tell nosrc
	}
	return file{path: at.path, from: at.from, repo: l, size: pkg.PackageSize, checksum: pkg.Checksum, identity: identityOf(&arch), reason: reason}
}

// place gives files whose paths are below the repository those in the mount.
func (l *loaded) place(files []file) error {
	for i := range files {
		l.climb = max(l.climb, climbs(files[i].path))
	}
	dir, err := tail(l.bases[0], l.climb)
	if err != nil {
		return err
	}
	l.dir = l.folder + dir
	for i := range files {
		f := &files[i]
		switch {
		case isURL(f.from): // below foreignFolder
			f.path = l.folder + f.path
		case l.dir != "":
			f.path = path.Join(l.dir, f.path)
		case f.path == f.from:
			f.path = f.from // one string is held, not two
		}
	}
	return nil
}

// packages reads primary, and where its packages lie.
func (p *planner) packages(l *loaded, detail rpmmd.Detail, in *rpmmd.Interner, add func(*rpmmd.Package, spot) error) (err error) {
	m := l.find(typePrimary)
	what := l.at(m.path)
	r, err := l.open(p.env.Scratch, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	seen := newResidents()
	for pkg, err := range rpmmd.Primary(r, detail, in) {
		if err != nil {
			return upstreamError(what, err)
		}
		if newHash(pkg.Checksum.Type) == nil {
			return fmt.Errorf("%s: %s: checksum of type %s: not trusted: %w", what, pkg.NEVRA(), pkg.Checksum.Type, fetch.ErrRefused)
		}
		at, err := locateHref(pkg.Location, pkg.BaseURL)
		if err == nil {
			err = seen.add(at.path, identityOf(pkg))
		}
		if err == nil {
			err = add(pkg, at)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", what, pkg.NEVRA(), err)
		}
	}
	return drained(r, what)
}

// drained reads what stands behind a document, so that a compression that is
// cut off is noticed.
func drained(r io.Reader, what string) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return upstreamError(what, err)
	}
	return nil
}

// costDelta is how many bytes of memory a delta package needs in a plan, at most,
// beside its location.
const costDelta = 1 << 10

// deltas adds the delta packages that prestodelta lists: dnf may ask for them.
func (p *planner) deltas(v *inventory, l *loaded) error {
	for _, kind := range []string{typeDeltas, typeDeltasOld} {
		m := l.find(kind)
		if m == nil {
			continue
		}
		r, err := l.open(p.env.Scratch, m)
		if err != nil {
			return err
		}
		for d, derr := range rpmmd.Deltas(r) {
			var at spot
			if derr == nil {
				at, derr = locateHref(d.Location, d.BaseURL)
			}
			if derr == nil && (at.foreign || newHash(d.Checksum.Type) == nil) {
				derr = fmt.Errorf("%.200s: elsewhere, or with a checksum that is not trusted: %w", d.Location, fetch.ErrUpstream)
			}
			if derr == nil {
				derr = p.listed.Hold(costDelta + 3*int64(len(d.Location)))
			}
			if derr != nil {
				err = upstreamError(l.at(m.path), derr)
				break
			}
			v.add(file{
				path: at.path, from: at.from, repo: l, size: d.Size, checksum: d.Checksum, reason: reasonWhole,
				more: &extra{vouched: l.vouchedIndex()},
			})
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}

// share marks packages whose content another source of the plan has as well,
// checked by the same keys: once is enough. Sources are collected in the order
// of their names.
func (p *planner) share() {
	if len(p.inventories) < 2 {
		return
	}
	type one struct { // a content that may be known is not known to be another package too
		digest   bundle.Digest
		identity identity
	}
	seen := map[string]map[one]bool{} // by mark
	for _, name := range slices.Sorted(maps.Keys(p.inventories)) {
		v := p.inventories[name]
		if seen[v.trust.mark] == nil {
			seen[v.trust.mark] = map[one]bool{}
		}
		for i := range v.files {
			f := &v.files[i]
			if d, ok := f.checksum.Digest(); ok && f.identity != "" {
				f.shared = seen[v.trust.mark][one{d, f.identity}]
				seen[v.trust.mark][one{d, f.identity}] = true
			}
		}
	}
}
