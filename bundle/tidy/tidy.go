package tidy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
)

// Bundle is a bundle on the media at hand. Nothing of it was verified.
type Bundle struct {
	Name string
	// Manifest is what its bundle.json states, Root the digest of that; nil and zero: there is
	// none at hand, or it cannot be read, and Err is the reason.
	Manifest *bundle.Manifest
	Root     bundle.Digest
	Err      error
	Dirs     []Dir

	reader *bundle.Reader
}

// Dir is one of its directories.
type Dir struct {
	Path string `json:"path"`
	// Partial means that it has no signed root: the export was not finished, or the medium
	// was taken out before.
	Partial bool `json:"partial,omitempty"`
	// Volumes counts the volumes in it, Bytes is the size of all files that belong to a
	// bundle.
	Volumes int   `json:"volumes"`
	Bytes   int64 `json:"bytes"`
	// Strange are the names of other things in it, which are left alone.
	Strange []string `json:"strange,omitempty"`
}

// Bytes returns what the bundle takes on the media at hand.
func (b *Bundle) Bytes() (all int64) {
	for _, d := range b.Dirs {
		all += d.Bytes
	}
	return all
}

// Find returns the bundles in paths, as bundle.Discover finds them, by set and number; none
// is no error. The caller closes them.
func Find(paths []string) ([]*Bundle, error) {
	readers, err := bundle.Discover(paths)
	var none *bundle.NoBundleError
	if errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*Bundle
	for _, r := range readers {
		b := &Bundle{Name: r.Name(), reader: r}
		all = append(all, b)
		if err := b.look(); err != nil {
			for _, r := range readers {
				r.Close()
			}
			return nil, err
		}
	}
	return all, nil
}

// Close closes the directories.
func (b *Bundle) Close() error { return b.reader.Close() }

func (b *Bundle) look() error {
	raw, err := b.reader.Root()
	if err == nil {
		b.Root = bundle.DigestOf(raw)
		b.Manifest, err = bundle.ParseManifest(raw)
	}
	if err != nil {
		b.Manifest, b.Err = nil, err
	}
	files, err := b.reader.Files()
	if err != nil {
		return err
	}
	for _, path := range b.reader.Dirs() {
		d := Dir{Path: path, Partial: true}
		unfinished := strings.HasSuffix(path, bundle.PartialSuffix)
		for _, f := range files {
			switch {
			case f.Dir != path:
			case !f.Regular || !isOurs(f.Name):
				d.Strange = append(d.Strange, f.Name)
			default:
				d.Bytes += f.Size
				d.Partial = unfinished || d.Partial && f.Name != bundle.RootName
				if isVolume(f.Name) {
					d.Volumes++
				}
			}
		}
		b.Dirs = append(b.Dirs, d)
	}
	return nil
}

func isVolume(name string) bool {
	_, ok := bundle.VolumeNumber(name)
	return ok
}

func isCatalog(name string) bool {
	_, ok := bundle.CatalogNumber(name)
	return ok
}

// isOurs reports whether the format has files of this name.
func isOurs(name string) bool {
	switch name {
	case bundle.RootName, bundle.SumsName, bundle.ReadmeName, bundle.MediumName:
		return true
	}
	return isVolume(name) || isCatalog(name) || bundle.IsSignatureName(name)
}

// Remove removes a bundle whose root the caller has proven to be needless, from every
// directory at hand, and then the directories that are empty. It returns the paths of what
// it left, because it is strange or not as the catalogue states.
func (b *Bundle) Remove(ctx context.Context) (left []string, err error) {
	if b.Manifest == nil {
		return nil, fmt.Errorf("%s: no readable %s: %w", b.Name, bundle.RootName, bundle.ErrIncomplete)
	}
	sizes, err := b.volumeSizes(ctx)
	if err != nil {
		return nil, err
	}
	dirs := slices.Clone(b.Dirs)
	slices.SortStableFunc(dirs, func(x, y Dir) int { return boolOrder(y.Partial) - boolOrder(x.Partial) })
	for _, d := range dirs { // those without a root first: they cannot be recognised later
		more, err := b.removeDir(d, sizes)
		if left = append(left, more...); err != nil {
			return left, err
		}
	}
	return left, nil
}

func boolOrder(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// volumeSizes returns the sizes of all volumes by name, from the catalogue, which the root
// authenticates. It returns none if the catalogue is not at hand any more.
func (b *Bundle) volumeSizes(ctx context.Context) (map[string]int64, error) {
	var files []*bundle.MediumFile
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	catalog, err := bundle.NewCatalog(b.Manifest, func(name string) (io.ReaderAt, int64, error) {
		f, err := b.reader.Open(name, -1)
		if err != nil {
			return nil, 0, err
		}
		files = append(files, f)
		return f, f.Size(), nil
	})
	if errors.Is(err, bundle.ErrIncomplete) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name, err)
	}
	sizes := map[string]int64{}
	for v, err := range catalog.Volumes(ctx) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name, err)
		}
		sizes[v.Name] = v.Size
	}
	return sizes, nil
}

// removeDir removes the bundle's files from one directory, bundle.json last.
func (b *Bundle) removeDir(d Dir, sizes map[string]int64) (left []string, err error) {
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return nil, err
	}
	left, err = b.removeFiles(root, d, sizes)
	if err = errors.Join(err, root.Close()); err != nil || len(left) > 0 {
		return left, err
	}
	return nil, os.Remove(d.Path)
}

func (b *Bundle) removeFiles(root *os.Root, d Dir, sizes map[string]int64) (left []string, err error) {
	switch is, err := b.isRoot(root, d); {
	case err != nil:
		return nil, err
	case is == d.Partial: // an export that is being finished, or another bundle by now
		return []string{d.Path}, nil
	}
	entries, err := bundle.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var volumes, others []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		name := e.Name()
		switch size, known := sizes[name]; {
		case name == bundle.RootName:
		case !info.Mode().IsRegular() || !isOurs(name) || isVolume(name) && (!known || size != info.Size()):
			left = append(left, filepath.Join(d.Path, bundle.PlainText(name)))
		case isVolume(name):
			volumes = append(volumes, name)
		default:
			others = append(others, name)
		}
	}
	if slices.ContainsFunc(left, func(path string) bool { return isVolume(filepath.Base(path)) }) {
		return left, nil // it is not the bundle that was proven, or not that alone
	}
	slices.SortFunc(others, func(x, y string) int { return boolOrder(!isCatalog(x)) - boolOrder(!isCatalog(y)) })
	for _, names := range [][]string{volumes, others} {
		for _, name := range names {
			if err := root.Remove(name); err != nil {
				return left, err
			}
		}
		if err := durable.SyncDir(root, "."); err != nil {
			return left, err
		}
	}
	if d.Partial {
		return left, nil
	}
	return left, root.Remove(bundle.RootName)
}

// isRoot reports whether the directory still has the root that was proven. Another one, or
// one where none was, is an error.
func (b *Bundle) isRoot(root *os.Root, d Dir) (bool, error) {
	f, err := bundle.OpenRegular(root, bundle.RootName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	raw, err := bundle.ReadAllBounded(f, filepath.Join(d.Path, bundle.RootName), bundle.MaxRootSize)
	if err = errors.Join(err, f.Close()); err == nil && bundle.DigestOf(raw) != b.Root {
		err = fmt.Errorf("%s: %s of another bundle: %w", d.Path, bundle.RootName, bundle.ErrCorrupt)
	}
	return err == nil, err
}
