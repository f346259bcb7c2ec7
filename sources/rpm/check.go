package rpm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/decompress"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// check asks for everything that dnf would ask for: repomd.xml and, where
// clients are told that there is one, its signature; each metadata file that it
// lists; each package of primary. Signatures are not verified again: bytes are
// held against the signed root of the bundle, and clients verify by themselves.
func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	c := &checking{ctx: ctx, tree: t}
	var errs []error
	for _, r := range t.Repositories() {
		errs = append(errs, c.repository(r))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return []bundle.CheckCount{
		{Name: "metadata", Count: c.metadata}, {Name: "packages", Count: c.packages}, {Name: "repositories", Count: c.repositories},
	}, errors.Join(errs...)
}

// checking counts what was looked at, and holds the list of one repository.
type checking struct {
	ctx                              context.Context
	tree                             sources.Tree
	repo                             bundle.Repository
	files                            map[string]listed
	repositories, metadata, packages int64
}

// listed is a file as the list has it.
type listed struct {
	size   int64
	digest bundle.Digest
}

func (c *checking) repository(r bundle.Repository) error {
	c.repo, c.files = r, make(map[string]listed, r.Count)
	for f, err := range c.tree.Files(r.Name) {
		if err != nil {
			return fmt.Errorf("source %s: %w", r.Name, err)
		}
		c.files[f.Path] = listed{f.Size, f.Digest}
	}
	all, err := layouts(r)
	if err != nil {
		return err
	}
	var errs []error
	for i := range all {
		errs = append(errs, c.folder(&all[i]))
		if r.Mode == modeRebuilt {
			errs = append(errs, c.evidence(&all[i]))
		}
		c.repositories++
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("source %s: %w", r.Name, err)
		}
	}
	return errors.Join(errs...)
}

// missing is a file that somebody would miss.
func (c *checking) missing(path, who string) error {
	return fmt.Errorf("%s/%s: is not there: %s would miss it: %w", c.repo.Mount, path, who, bundle.ErrIncomplete)
}

func (c *checking) has(path string) bool {
	_, ok := c.files[path]
	return ok
}

// repomd reads the index at a folder.
func (c *checking) repomd(dir, who string, signed bool) (*rpmmd.Repomd, error) {
	name := dir + nameRepomd
	if !c.has(name) {
		return nil, c.missing(name, who)
	}
	if signed && !c.has(dir+nameSignature) {
		return nil, c.missing(dir+nameSignature, who)
	}
	r, err := c.tree.Open(c.ctx, c.repo.Name, name)
	if err != nil {
		return nil, err
	}
	text, err := bundle.ReadAllBounded(r, name, rpmmd.MaxRepomd)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	index, err := rpmmd.ParseRepomd(text)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w: %w", c.repo.Mount, name, err, bundle.ErrCorrupt)
	}
	return index, nil
}

// folder checks what dnf is pointed at.
func (c *checking) folder(l *layout) error {
	who := "dnf makecache"
	index, err := c.repomd(l.Dir, who, l.Signed)
	if err != nil {
		return err
	}
	var errs []error
	whole := map[string]bool{}
	for i := range index.Data {
		d := &index.Data[i]
		if slices.Contains(l.Absent, d.Type) {
			continue
		}
		err := c.file(l.Dir, d.Location, d.BaseURL, d.Size, d.Checksum, fmt.Sprintf("%s (%s)", who, d.Type))
		errs, whole[d.Type] = append(errs, err), err == nil
		c.metadata++
	}
	if index.Find(typePrimary) == nil {
		errs = append(errs, fmt.Errorf("%s/%s%s: lists no primary: %w", c.repo.Mount, l.Dir, nameRepomd, bundle.ErrIncomplete))
	}
	for _, kind := range []string{typePrimary, typeDeltas, typeDeltasOld} {
		if whole[kind] {
			errs = append(errs, c.payload(l, index.Find(kind)))
		}
	}
	return errors.Join(errs...)
}

// evidence checks that what upstream said, and the selection was made from, is there.
func (c *checking) evidence(l *layout) error {
	who := "whoever looks at what upstream had"
	dir := upstreamFolder + l.Dir
	index, err := c.repomd(dir, who, l.Evidence)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range index.Data {
		if isRead(d.Type, true) && !slices.Contains(l.Absent, d.Type) {
			errs = append(errs, c.file(dir, d.Location, d.BaseURL, d.Size, d.Checksum, who))
		}
	}
	return errors.Join(errs...)
}

// file checks that the list has a file as an index has it. A checksum that is
// not SHA-256 was checked when the file was collected.
func (c *checking) file(dir, href, base string, size int64, sum rpmmd.Checksum, who string) error {
	at, err := locateHref(href, base)
	switch {
	case err != nil:
		return fmt.Errorf("%s/%s: %w: %w", c.repo.Mount, dir, err, bundle.ErrCorrupt)
	case at.foreign:
		return fmt.Errorf("%s/%s: leads to %s, where a client inside cannot go: %w", c.repo.Mount, dir, at.from, bundle.ErrIncomplete)
	}
	name := path.Join(dir, at.path)
	have, ok := c.files[name]
	want, known := sum.Digest()
	switch {
	case !ok:
		return c.missing(name, who)
	case size >= 0 && have.size != size || known && have.digest != want:
		return fmt.Errorf("%s/%s: want %s:%s (%d bytes), as the index says, got %s (%d bytes): %w",
			c.repo.Mount, name, sum.Type, sum.Hex, size, have.digest, have.size, bundle.ErrCorrupt)
	}
	return nil
}

// payload checks that every file that primary or prestodelta names is there.
func (c *checking) payload(l *layout, d *rpmmd.Data) (err error) {
	at, err := locateHref(d.Location, d.BaseURL)
	if err != nil {
		return err
	}
	name := path.Join(l.Dir, at.path)
	packed, err := c.tree.Open(c.ctx, c.repo.Name, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, packed.Close()) }()
	limit := int64(maxIndex)
	if d.OpenSize >= 0 {
		limit = min(limit, d.OpenSize)
	}
	r, err := decompress.Reader(packed, name, c.repo.Mount+"/"+name, limit)
	if err != nil {
		return fmt.Errorf("%w: %w", err, bundle.ErrCorrupt)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var errs []error
	if d.Type != typePrimary {
		for delta, err := range rpmmd.Deltas(r) {
			if err != nil {
				return errors.Join(append(errs, fmt.Errorf("%s/%s: %w: %w", c.repo.Mount, name, err, bundle.ErrCorrupt))...)
			}
			errs = append(errs, c.file(l.Dir, delta.Location, delta.BaseURL, delta.Size, delta.Checksum, "dnf upgrade by a delta"))
		}
		return errors.Join(errs...)
	}
	for pkg, err := range rpmmd.Primary(r, rpmmd.Files, &rpmmd.Interner{}) {
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("%s/%s: %w: %w", c.repo.Mount, name, err, bundle.ErrCorrupt))...)
		}
		c.packages++
		errs = append(errs, c.file(l.Dir, pkg.Location, pkg.BaseURL, pkg.PackageSize, pkg.Checksum, "dnf install "+pkg.NEVRA()))
	}
	return errors.Join(errs...)
}
