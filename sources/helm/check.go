package helm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/complete"
	"github.com/gapbundle/gapbundle/sources/helm/index"
	"github.com/gapbundle/gapbundle/sources/helm/pack"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// check reads the index as helm does, and looks whether every package that it names
// is there, whole, with its provenance and its dependencies, and whether images.json is
// about these very packages.
func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
	var c counts
	err := complete.Walk(ctx, t, c.look)
	return []bundle.CheckCount{{Name: "charts", Count: c.charts}, {Name: "images", Count: c.images}, {Name: "provenance files", Count: c.provenance}}, err
}

type counts struct{ charts, images, provenance int64 }

func (c *counts) look(ctx context.Context, r *complete.Repo) error {
	content, err := r.Read(ctx, indexName, index.MaxSize)
	switch {
	case !r.Has(indexName):
		return r.Missing(indexName, "helm repo add")
	case errors.Is(err, sources.ErrNotAtHand):
		return nil // held back, with everything in it
	case err != nil:
		return err
	}
	x, err := index.Read(content, func(string) bool { return true })
	if err != nil {
		return r.Corrupt(indexName, err)
	}
	errs := []error{}
	for _, text := range x.Skipped {
		errs = append(errs, fmt.Errorf("%s: %s: %w", r.Where(indexName), text, bundle.ErrCorrupt))
	}
	named := map[string]*index.Entry{}
	for _, versions := range x.Charts {
		for _, e := range versions {
			c.charts++
			named[pack.File(e.Name, e.Version)] = e
			errs = append(errs, c.chart(ctx, r, e))
		}
	}
	return errors.Join(append(errs, c.list(ctx, r, named))...)
}

// chart checks what a client of one chart asks for.
func (c *counts) chart(ctx context.Context, r *complete.Repo, e *index.Entry) error {
	file, who := pack.File(e.Name, e.Version), "helm pull "+e.Name+" --version "+e.Version
	if len(e.URLs) != 1 || e.URLs[0] != file {
		return fmt.Errorf("%s: chart %s %s: want the address %s, got %s: %w", r.Where(indexName), e.Name, e.Version, file, strings.Join(e.URLs, " "), bundle.ErrCorrupt)
	}
	digest, err := pack.ParseSum(e.Digest)
	if err != nil {
		return r.Corrupt(indexName, err)
	}
	errs := []error{r.Want(file, -1, digest, who), c.whole(ctx, r, e, file)}
	if prov := file + ".prov"; r.Has(prov) {
		c.provenance++
		content, err := r.Read(ctx, prov, pack.MaxProvenance)
		if errors.Is(err, sources.ErrNotAtHand) {
			return errors.Join(errs...)
		}
		sum, sumErr := pack.Sum(keyring.Plain(content), file)
		switch {
		case err != nil || sumErr != nil:
			errs = append(errs, r.Corrupt(prov, errors.Join(err, sumErr)))
		case sum != digest:
			errs = append(errs, fmt.Errorf("%s: is of %s, want %s: %s would refuse it: %w", r.Where(prov), sum, digest, who+" --verify", bundle.ErrCorrupt))
		}
	}
	return errors.Join(errs...)
}

// whole reads a package: helm refuses one that lacks a dependency.
func (c *counts) whole(ctx context.Context, r *complete.Repo, e *index.Entry, file string) error {
	if !r.Has(file) {
		return nil // Want has said so
	}
	in, err := r.Open(ctx, file)
	if errors.Is(err, sources.ErrNotAtHand) {
		return nil
	}
	if err != nil {
		return err
	}
	p, err := pack.Read(in)
	if err == nil {
		err = p.Is(e.Name, e.Version)
	}
	return errors.Join(r.Corrupt(file, err), in.Close())
}

// list checks images.json, and that the index has every package.
func (c *counts) list(ctx context.Context, r *complete.Repo, named map[string]*index.Entry) error {
	var errs []error
	for path := range r.Paths() {
		if strings.HasSuffix(path, ".tgz") && !strings.HasPrefix(path, rebuild.UpstreamFolder) && named[path] == nil {
			errs = append(errs, fmt.Errorf("%s: the index does not name it: %w", r.Where(path), bundle.ErrIncomplete))
		}
	}
	if r.Annotations[modeKey] == modeNone {
		return errors.Join(errs...)
	}
	if !r.Has(listName) {
		return errors.Join(append(errs, r.Missing(listName, "whoever asks which images the charts need"))...)
	}
	content, err := r.Read(ctx, listName, maxList)
	if errors.Is(err, sources.ErrNotAtHand) {
		return errors.Join(errs...)
	}
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	l, err := parseList(content)
	if err != nil {
		return errors.Join(append(errs, r.Corrupt(listName, err))...)
	}
	c.images += int64(len(l.Images))
	recorded := map[string]bool{}
	for _, rec := range l.Charts {
		file := pack.File(rec.Chart, rec.Version)
		recorded[file] = true
		if f, ok := r.File(file); ok && f.Digest.String() != rec.Digest {
			errs = append(errs, fmt.Errorf("%s: the images of %s are those of %s, want %s: %w", r.Where(listName), file, rec.Digest, f.Digest, bundle.ErrCorrupt))
		}
	}
	for file := range named {
		if !recorded[file] {
			errs = append(errs, fmt.Errorf("%s: does not list %s: %w", r.Where(listName), file, bundle.ErrIncomplete))
		}
	}
	return errors.Join(errs...)
}
