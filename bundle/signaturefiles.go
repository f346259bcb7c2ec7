package bundle

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
)

// Signatures reads the signature files, at most MaxSignatures of each directory and of
// all together, of at most MaxSignatureSize, sorted by name; equal ones on several media
// count once. Files of the names first are read before others. The names prove nothing, but
// what is rightly called so is not lost among files that a stranger put there.
func (r *Reader) Signatures(first ...string) ([]NamedFile, error) {
	files, _, err := r.SomeSignatures(first...)
	return files, err
}

// SomeSignatures works like Signatures, and returns the names of the files that were not read.
func (r *Reader) SomeSignatures(first ...string) (files []NamedFile, unread []string, err error) {
	seen := make(map[Digest]bool)
	for _, d := range r.dirs {
		if d.partial {
			continue
		}
		entries, err := ReadDir(d.root)
		if err != nil {
			return nil, nil, err
		}
		later := func(name string) int {
			if slices.Contains(first, name) {
				return 0
			}
			return 1
		}
		slices.SortFunc(entries, func(a, b fs.DirEntry) int {
			return cmp.Or(cmp.Compare(later(a.Name()), later(b.Name())), cmp.Compare(a.Name(), b.Name()))
		})
		read := 0
		for _, e := range entries {
			if !IsSignatureName(e.Name()) {
				continue
			}
			if len(files) == MaxSignatures || read == MaxSignatures {
				unread = append(unread, e.Name())
				continue
			}
			read++
			b, err := readSignature(d, e.Name())
			if err != nil {
				return nil, nil, err
			}
			if id := DigestOf(b); len(b) > 0 && !seen[id] {
				seen[id] = true
				files = append(files, NamedFile{e.Name(), b})
			}
		}
	}
	slices.SortStableFunc(files, func(a, b NamedFile) int { return cmp.Compare(a.Name, b.Name) })
	return files, unread, nil
}

// Roots reads every root at hand that is not the same bytes as another, in the order of the
// media. More than MaxRoots are not read.
func (r *Reader) Roots() (roots [][]byte, err error) {
	seen := make(map[Digest]bool)
	for _, d := range r.dirs {
		if d.partial || len(roots) == MaxRoots {
			continue
		}
		f, err := OpenRegular(d.root, RootName)
		if err != nil {
			continue // Root reports what is wrong
		}
		b, err := ReadAllBounded(f, filepath.Join(d.path, RootName), MaxRootSize)
		f.Close()
		if err != nil {
			continue
		}
		if id := DigestOf(b); !seen[id] {
			seen[id] = true
			roots = append(roots, b)
		}
	}
	return roots, nil
}

// MaxRoots is how many different roots of one bundle are compared.
const MaxRoots = 4

// readSignature returns nothing for what cannot be a signature file (a link, too
// large): somebody put it there, and it must not hide the good ones.
func readSignature(d *bundleDir, name string) ([]byte, error) {
	f, err := OpenRegular(d.root, name)
	if err != nil {
		return nil, unlessMalformed(err)
	}
	defer f.Close()
	b, err := ReadAllBounded(f, filepath.Join(d.path, name), MaxSignatureSize)
	return b, unlessMalformed(err)
}

func unlessMalformed(err error) error {
	if errors.Is(err, ErrMalformed) {
		return nil
	}
	return err
}
