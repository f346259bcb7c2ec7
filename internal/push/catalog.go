package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Tree is what a mirror publishes; *unpack.Tree is one.
type Tree interface {
	Files(repo string) iter.Seq2[bundle.File, error]
	Open(ctx context.Context, repo, path string) (io.ReadCloser, error)
}

// Published is a tree and those of its repositories that are wanted.
type Published struct {
	Tree
	Repositories []bundle.Repository
}

// The areas of a repository below /v2/ (OCI distribution specification, "Endpoints").
const (
	imagesDir = "v2"
	manifests = "manifests"
	blobs     = "blobs"
)

// image is a repository of images of the mirror, in memory: its manifests and
// tags, not its blobs.
type image struct {
	name      string // as in the mirror, host included
	manifests map[bundle.Digest]*entry
	tags      map[string]bundle.Digest
	places    []place // where its files lie
}

// entry is a manifest that the lists have.
type entry struct {
	size      int64
	mediaType string
}

// place is a repository of the bundle that has files of an image.
type place struct {
	repo, dir string // dir: of the image, relative to the repository's mount
}

// catalog reads the lists and keeps the images that keep wants.
func catalog(p Published, keep func(name string) bool) ([]*image, error) {
	images := map[string]*image{}
	for _, r := range p.Repositories {
		if r.Mount != "" && r.Mount != imagesDir && !strings.HasPrefix(r.Mount, imagesDir+"/") {
			continue
		}
		for f, err := range p.Files(r.Name) {
			if err != nil {
				return nil, err
			}
			name, area, reference, ok := splitPath(path.Join(r.Mount, f.Path))
			if !ok || !keep(name) {
				continue
			}
			if images[name] == nil {
				images[name] = &image{name: name, manifests: map[bundle.Digest]*entry{}, tags: map[string]bundle.Digest{}}
			}
			images[name].add(r, f, area, reference)
		}
	}
	var all []*image
	for _, name := range slices.Sorted(maps.Keys(images)) {
		if len(images[name].manifests) > 0 { // blobs alone are nobody's
			all = append(all, images[name])
		}
	}
	return all, nil
}

func (i *image) add(r bundle.Repository, f bundle.File, area, reference string) {
	at := place{r.Name, strings.TrimSuffix(f.Path, "/"+area+"/"+reference)}
	if !slices.Contains(i.places, at) {
		i.places = append(i.places, at)
	}
	if area != manifests {
		return
	}
	i.manifests[f.Digest] = &entry{f.Size, f.MediaType}
	if !strings.Contains(reference, ":") {
		i.tags[reference] = f.Digest
	}
}

// splitPath reads a web path <v2>/<name>/<area>/<reference>. A reference holds
// no '/', so there is one reading.
func splitPath(p string) (name, area, reference string, ok bool) {
	p, ok = strings.CutPrefix(p, imagesDir+"/")
	dir, reference := path.Split(p)
	name, area = path.Split(strings.TrimSuffix(dir, "/"))
	name = strings.TrimSuffix(name, "/")
	return name, area, reference, ok && name != "" && (area == manifests || area == blobs)
}

// open opens a file of the image, wherever it is. Where it is gone the error
// matches bundle.ErrCorrupt.
func (i *image) open(ctx context.Context, t Tree, area, reference string) (io.ReadCloser, error) {
	var last error
	for _, p := range i.places {
		f, err := t.Open(ctx, p.repo, path.Join(p.dir, area, reference))
		if err == nil || !errors.Is(err, bundle.ErrCorrupt) {
			return f, err
		}
		last = err
	}
	return nil, last
}

// manifest reads a manifest and checks that it is the one of that name.
func (i *image) manifest(ctx context.Context, t Tree, d bundle.Digest) ([]byte, error) {
	f, err := i.open(ctx, t, manifests, d.String())
	for tag, of := range i.tags {
		if err == nil || !errors.Is(err, bundle.ErrCorrupt) {
			break
		}
		if of == d {
			f, err = i.open(ctx, t, manifests, tag)
		}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if have := bundle.DigestOf(content); have != d {
		return nil, fmt.Errorf("manifest %s: digest mismatch: got %s: %w", d, have, bundle.ErrCorrupt)
	}
	return content, nil
}
