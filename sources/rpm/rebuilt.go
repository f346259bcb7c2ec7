package rpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/reindex"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// upstreamFolder is where a rebuilt source carries upstream's own metadata and
// signatures, as evidence: no client asks for them.
const upstreamFolder = "_upstream/"

// reasonMade is why a file that was made here is in the mirror.
const reasonMade = "metadata of the selection"

// rebuilding is a source whose metadata is made anew.
type rebuilding struct {
	*planner
	*gathered
	chosen *selection
	signer *pgpkeys.Signer // nil: the key is not open, as in a plan
	v      inventory
}

// rebuilt plans a source of what was chosen.
func (p *planner) rebuilt(ctx context.Context, g *gathered, chosen *selection) (sources.Repository, error) {
	b := &rebuilding{planner: p, gathered: g, chosen: chosen, v: inventory{trust: g.trust}}
	if key := p.env.Site.PrivateKey; key != nil && !key.Encrypted {
		var err error
		if b.signer, err = pgpkeys.NewSigner(p.env.Site); err != nil {
			return sources.Repository{}, err
		}
	}
	for i, l := range g.repos {
		if err := errors.Join(ctx.Err(), b.repo(i, l)); err != nil {
			return sources.Repository{}, err
		}
	}
	if err := b.v.settle(); err != nil {
		return sources.Repository{}, err
	}
	p.inventories[g.name] = &b.v
	return b.repository()
}

func (b *rebuilding) repository() (sources.Repository, error) {
	repo, err := b.rebuiltRepository(b.gathered)
	repo.Artifacts = b.v.artifacts(b.env, b.name)
	repo.Notes = append(repo.Notes, b.chosen.notes...)
	return repo, err
}

// rebuiltRepository is what is told about a rebuilt source besides its files
// and what was chosen.
func (p *planner) rebuiltRepository(g *gathered) (sources.Repository, error) {
	repo, err := g.repository(modeRebuilt)
	if err != nil {
		return repo, err
	}
	name := p.env.Set + "-site.asc"
	site, err := publish(openpgp.EntityList{p.env.Site}, "site", name)
	// Upstream's keys are for packages, and the root names what they signed.
	repo.Keys = append(site, repo.Keys...)
	repo.Annotations[keysKey] = strings.TrimSpace(name + " " + repo.Annotations[keysKey])
	return repo, err
}

// repo adds one repository: its packages, what upstream has, and what is made.
func (b *rebuilding) repo(i int, l *loaded) error {
	c := &b.chosen.repos[i]
	first := len(b.v.files)
	for _, pkg := range c.packages {
		b.v.add(packageFile(l, pkg.Package, pkg.at, pkg.why))
	}
	if err := l.place(b.v.files[first:]); err != nil {
		return err
	}
	b.own(&b.v, b.gathered, l, upstreamFolder)
	date := time.Unix(l.index.Newest(), 0).UTC()
	if date.After(b.env.Now) {
		date = b.env.Now.UTC().Truncate(24 * time.Hour) // a signature of tomorrow holds nowhere
	}
	prefix := fmt.Sprintf("%s-%s-%d", Name, strings.ReplaceAll(b.name, "/", "-"), i)
	made := reindex.New(b.env.Scratch, prefix, l.index.Revision, l.index.Tags, date)
	if err := b.fill(made, l, c); err != nil {
		return err
	}
	files, err := made.Finish(b.signer)
	if err != nil {
		return err
	}
	for _, f := range files {
		b.scratch += f.Size
		mark := ""
		if f.Path == nameRepomd {
			mark = b.mark
		}
		b.v.add(file{
			path: l.dir + f.Path, size: f.Size, checksum: rpmmd.Checksum{Type: "sha256", Hex: f.Digest.Hex()}, reason: reasonMade,
			more: &extra{vouched: bundle.VouchedMade, content: f.Content, local: f.Local, validator: mark},
		})
	}
	if b.signer == nil {
		b.v.add(file{path: l.dir + nameSignature, size: -1, reason: reasonMade, more: &extra{vouched: bundle.VouchedMade, open: closedKey}})
	}
	return nil
}

// closedKey stands for what only an export signs.
func closedKey(context.Context, int64, string) (*bundle.Content, error) {
	return nil, fmt.Errorf("site key: not open: %w", bundle.ErrUsage)
}

// fill makes the metadata files of what was chosen of a repository.
func (b *rebuilding) fill(made *reindex.Builder, l *loaded, c *repoChoice) error {
	hrefs := map[string]string{} // new by checksum and old
	names, nevras := map[string]bool{}, map[string]bool{}
	for _, pkg := range c.packages {
		names[pkg.Name], nevras[pkg.NEVRA()] = true, true
		href := pkg.Location
		if pkg.at.foreign {
			href = strings.Repeat("../", strings.Count(strings.TrimPrefix(l.dir, l.folder), "/")) + escape(pkg.at.path)
		}
		hrefs[hrefKey(pkg.Checksum, pkg.Location, pkg.BaseURL)] = href
	}
	// Two entries of a list may be one: what was chosen counts once.
	left := map[string]bool{}
	for key := range hrefs {
		left[key] = true
	}
	err := b.filter(made, l, typePrimary, "primary.xml", func(w io.Writer, r io.Reader) error {
		return rpmmd.FilterPrimary(w, r, len(hrefs), func(sum rpmmd.Checksum, href, base string) (string, bool) {
			key := hrefKey(sum, href, base)
			ok := left[key]
			delete(left, key)
			return hrefs[key], ok
		})
	})
	ids := map[string]bool{}
	for _, pkg := range c.packages {
		ids[pkg.Checksum.Hex] = true
	}
	for _, kind := range []string{typeFilelists, typeOther} {
		err = errors.Join(err, b.filter(made, l, kind, kind+".xml", func(w io.Writer, r io.Reader) error {
			left := maps.Clone(ids)
			return rpmmd.FilterByID(w, r, len(ids), func(id string) bool {
				ok := left[id]
				delete(left, id)
				return ok
			})
		}))
	}
	err = errors.Join(err, b.filter(made, l, typeUpdates, "updateinfo.xml", func(w io.Writer, r io.Reader) error {
		_, err := rpmmd.FilterUpdates(w, r, func(name string, e rpmmd.EVR, arch string) bool {
			one := rpmmd.Package{Name: name, EVR: e, Arch: arch}
			return nevras[one.NEVRA()]
		})
		return err
	}))
	return errors.Join(err, b.groups(made, l, names), b.moduleFile(made, l, c))
}

func hrefKey(sum rpmmd.Checksum, href, base string) string {
	return strings.Join([]string{sum.Hex, href, base}, "\x00")
}

// filter makes a metadata file of upstream's, if it has one.
func (b *rebuilding) filter(made *reindex.Builder, l *loaded, kind, name string, filter func(io.Writer, io.Reader) error) error {
	m := l.find(kind)
	if m == nil {
		return nil
	}
	r, err := l.open(b.env.Scratch, m)
	if err != nil {
		return err
	}
	err = made.Put(kind, name, true, func(w io.Writer) error {
		if err := filter(w, r); err != nil {
			return upstreamError(l.at(m.path), err)
		}
		return drained(r, l.at(m.path))
	})
	return errors.Join(err, r.Close())
}

// groups makes comps.xml, as it is for yum and packed for dnf.
func (b *rebuilding) groups(made *reindex.Builder, l *loaded, names map[string]bool) error {
	m := l.comps()
	if m == nil {
		return nil
	}
	for _, kind := range []string{typeGroup, typeGroupGz} {
		err := made.Put(kind, "comps.xml", kind == typeGroupGz, func(w io.Writer) error {
			_, err := rpmmd.FilterGroups(w, func() (io.ReadCloser, error) { return l.open(b.env.Scratch, m) }, func(name string) bool { return names[name] })
			if err != nil {
				return upstreamError(l.at(m.path), err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
