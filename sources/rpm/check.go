package rpm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/complete"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// check asks for everything that dnf would ask for: repomd.xml and, where clients are
// told that there is one, its signature; each metadata file that it lists; each package
// of primary.
func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	var n counts
	err := complete.Walk(ctx, t, func(ctx context.Context, r *complete.Repo) error {
		all, err := layouts(r.Repository)
		errs := []error{err}
		for i := range all {
			errs = append(errs, checkFolder(ctx, r, &all[i], &n))
			if r.Mode == modeRebuilt {
				errs = append(errs, checkEvidence(ctx, r, &all[i]))
			}
			n.repositories++
		}
		return errors.Join(errs...)
	})
	return []bundle.CheckCount{
		{Name: "metadata", Count: n.metadata}, {Name: "packages", Count: n.packages}, {Name: "repositories", Count: n.repositories},
	}, err
}

// counts are what was looked at.
type counts struct{ repositories, metadata, packages int64 }

// readRepomd reads the index in a folder. who would miss it.
func readRepomd(ctx context.Context, r *complete.Repo, dir, who string, signed bool) (*rpmmd.Repomd, error) {
	name := dir + nameRepomd
	if !r.Has(name) {
		return nil, r.Missing(name, who)
	}
	if signed && !r.Has(dir+nameSignature) {
		return nil, r.Missing(dir+nameSignature, who)
	}
	text, err := r.Read(ctx, name, rpmmd.MaxRepomd)
	if err != nil {
		return nil, err
	}
	index, err := rpmmd.ParseRepomd(text)
	return index, r.Corrupt(name, err)
}

// checkFolder checks the folder that dnf is pointed at.
func checkFolder(ctx context.Context, r *complete.Repo, l *layout, n *counts) error {
	who := "dnf makecache"
	index, err := readRepomd(ctx, r, l.Dir, who, l.Signed)
	if err != nil {
		return err
	}
	var errs []error
	if l.Key != "" { // older mirrors have none
		digest, err := bundle.ParseDigest(l.Key)
		errs = append(errs, r.Corrupt(l.Dir+nameKey, err), r.Want(l.Dir+nameKey, -1, digest, "zypper refresh"))
	}
	whole := map[string]bool{}
	for i := range index.Data {
		d := &index.Data[i]
		if slices.Contains(l.Absent, d.Type) {
			continue
		}
		err := wantMetadata(r, l.Dir, d, fmt.Sprintf("%s (%s)", who, d.Type))
		errs, whole[d.Type] = append(errs, err), err == nil
		n.metadata++
	}
	if index.Find(typePrimary) == nil {
		errs = append(errs, fmt.Errorf("%s: lists no primary: %w", r.Where(l.Dir+nameRepomd), bundle.ErrIncomplete))
	}
	for _, kind := range []string{typePrimary, typeDeltas, typeDeltasOld} {
		if whole[kind] {
			errs = append(errs, checkPayload(ctx, r, l, index.Find(kind), n))
		}
	}
	return errors.Join(errs...)
}

// checkEvidence checks that upstream's metadata, which the selection was made from, is
// there.
func checkEvidence(ctx context.Context, r *complete.Repo, l *layout) error {
	who := "whoever looks at what upstream had"
	dir := upstreamFolder + l.Dir
	index, err := readRepomd(ctx, r, dir, who, l.Evidence)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range index.Data {
		if isCarried(d.Type, true) && !slices.Contains(l.Absent, d.Type) {
			errs = append(errs, wantMetadata(r, dir, &d, who))
		}
	}
	return errors.Join(errs...)
}

// wantMetadata checks that the list has a file as repomd.xml has it.
func wantMetadata(r *complete.Repo, dir string, d *rpmmd.Data, who string) error {
	at, err := locateMetadata(d.Location, d.BaseURL)
	return wantFile(r, dir, at, err, d.Size, d.Checksum, who)
}

// wantPackage checks that the list has a package as an index has it. An older mirror may have
// a location that was unescaped, as yum of EL7 reads it; dnf takes locations as they are.
func wantPackage(r *complete.Repo, dir, href, base string, size int64, sum rpmmd.Checksum, who string) error {
	at, err := locate(href, base)
	if err == nil && !at.isForeign() && !r.Has(path.Join(dir, at.path)) {
		if older, plainErr := locateMetadata(href, base); plainErr == nil && r.Has(path.Join(dir, older.path)) {
			at = older
		}
	}
	return wantFile(r, dir, at, err, size, sum, who)
}

// wantFile checks that the list has a file. A checksum that is not SHA-256 was checked when
// the file was collected.
func wantFile(r *complete.Repo, dir string, at location, err error, size int64, sum rpmmd.Checksum, who string) error {
	switch {
	case err != nil:
		return r.Corrupt(dir, err)
	case at.isForeign():
		return fmt.Errorf("%s: leads to %s, which clients inside cannot reach: %w", r.Where(dir), at.url, bundle.ErrIncomplete)
	}
	digest, _ := sum.Digest()
	return r.Want(path.Join(dir, at.path), size, digest, who)
}

// checkPayload checks that every file that primary or prestodelta names is there.
func checkPayload(ctx context.Context, r *complete.Repo, l *layout, d *rpmmd.Data, n *counts) error {
	at, err := locateMetadata(d.Location, d.BaseURL)
	if err != nil {
		return err
	}
	name := path.Join(l.Dir, at.path)
	in, err := r.Unpacked(ctx, name, openLimit(d))
	if err != nil {
		return err
	}
	var errs []error
	if d.Type == typePrimary {
		err = visit(rpmmd.Primary(in, rpmmd.Files, &rpmmd.Interner{}), func(p *rpmmd.Package) {
			n.packages++
			errs = append(errs, wantPackage(r, l.Dir, p.Location, p.BaseURL, p.PackageSize, p.Checksum, "dnf install "+p.NEVRA()))
		})
	} else {
		err = visit(rpmmd.Deltas(in), func(d rpmmd.Delta) {
			errs = append(errs, wantPackage(r, l.Dir, d.Location, d.BaseURL, d.Size, d.Checksum, "dnf upgrade by a delta"))
		})
	}
	return errors.Join(append(errs, r.Corrupt(name, err), in.Close())...)
}

// openLimit returns how many bytes a metadata file has at most when it is unpacked.
func openLimit(d *rpmmd.Data) int64 {
	if d.OpenSize >= 0 {
		return min(d.OpenSize, upstream.MaxIndex)
	}
	return upstream.MaxIndex
}

// visit calls f for each value up to the first error.
func visit[T any](all iter.Seq2[T, error], f func(T)) error {
	for v, err := range all {
		if err != nil {
			return err
		}
		f(v)
	}
	return nil
}
