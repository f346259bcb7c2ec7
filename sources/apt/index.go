package apt

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// sumOf returns the checksum by which an index is known: SHA-256, or SHA-512 where Release lists
// that alone. apt takes neither SHA-1 nor MD5.
func sumOf(f *deb.ReleaseFile) (upstream.Sum, error) {
	switch {
	case f.SHA256 != "":
		return upstream.Sum{Algorithm: "sha256", Hex: f.SHA256}, nil
	case f.SHA512 != "":
		return upstream.Sum{Algorithm: "sha512", Hex: f.SHA512}, nil
	}
	return upstream.Sum{}, fmt.Errorf("%s: Release lists neither SHA256 nor SHA512 for it: %w", f.Path, fetch.ErrUpstream)
}

// locations returns the names of an index below the root: the one that names the content first.
func (s *loadedSuite) locations(f *deb.ReleaseFile) []string {
	return append(s.byHash(f), s.dir+f.Path)
}

// byHash returns the name of an index that names its content; none if upstream has none.
func (s *loadedSuite) byHash(f *deb.ReleaseFile) []string {
	if !s.release.AcquireByHash {
		return nil
	}
	folder, name := "SHA256", f.SHA256
	if name == "" {
		folder, name = "SHA512", f.SHA512
	}
	return []string{s.dir + path.Join(path.Dir(f.Path), "by-hash", folder, name)}
}

// at returns a path of the suite's folder, in the mount.
func (s *suite) at(name string) string { return path.Join(s.root.prefix, s.dir, name) }

// where returns the URL of a file of the suite's folder, for errors.
func (s *suite) where(name string) string { return s.root.place.Where(s.dir + name) }

// fetched returns the URL of the signed file that lists the indexes.
func (s *loadedSuite) fetched() string { return s.where(s.files[0].name) }

// byEase orders the forms of an index: the one that is cheapest to read first.
func byEase(files []*deb.ReleaseFile) []*deb.ReleaseFile {
	order := []string{".zst", ".gz", "", ".xz", ".bz2"}
	rank := func(f *deb.ReleaseFile) int {
		ext := path.Ext(f.Path)
		if !slices.Contains(suffixes(), ext) {
			ext = ""
		}
		return slices.Index(order, ext)
	}
	readable := slices.DeleteFunc(slices.Clone(files), func(f *deb.ReleaseFile) bool { return rank(f) < 0 })
	slices.SortStableFunc(readable, func(a, b *deb.ReleaseFile) int { return rank(a) - rank(b) })
	return readable
}

// open opens an index in scratch, unpacked: as long as Release states. apt knows no
// package of an index whose plain form is not listed.
func (s *loadedSuite) open(env *sources.Env, f *form) (io.ReadCloser, error) {
	plain := f.group.plain
	if plain == nil {
		return nil, fmt.Errorf("%s: lists %s only compressed: apt would find it empty: %w", s.fetched(), f.group.name, fetch.ErrUpstream)
	}
	if plain.Size > upstream.MaxIndex {
		return nil, fmt.Errorf("%s: %s: %s, at most %d: %w", s.fetched(), f.group.name, bundle.Count(plain.Size, "byte"), int64(upstream.MaxIndex), fetch.ErrUpstream)
	}
	return upstream.Unpacked(env, f.local, f.file.Path, s.where(f.file.Path), plain.Size)
}

// errEnough ends the reading of an index early.
var errEnough = errors.New("enough")

// stanzas calls visit for each stanza of an index in scratch, until it returns an
// error; errEnough is none.
func stanzas[T any](env *sources.Env, s *loadedSuite, f *form, parse func(io.Reader, deb.Limits) iter.Seq2[T, error], visit func(T) error) error {
	r, err := s.open(env, f)
	if err != nil {
		return err
	}
	for stanza, parseErr := range parse(r, deb.Limits{}) {
		if err = parseErr; err == nil {
			err = visit(stanza)
		}
		if err != nil {
			break
		}
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(upstream.Blame(s.where(f.file.Path), err), r.Close())
}
