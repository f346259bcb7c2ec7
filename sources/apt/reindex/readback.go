package reindex

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/klauspost/compress/gzip"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// read reads a made file back with the parser for upstream's files, and compares its entries
// with the intended ones.
type read = func(io.Reader) error

// inOrder compares the entries that are read with the intended ones, one by one.
func inOrder[T any](all iter.Seq2[T, error], meant []T, name func(T) string, same func(a, b T) bool) error {
	n := 0
	for got, err := range all {
		switch {
		case err != nil:
			return err
		case n == len(meant):
			return fmt.Errorf("%s: one more than the %d that were meant", name(got), len(meant))
		case !same(got, meant[n]):
			return fmt.Errorf("want %s, got %s, or another file of it", name(meant[n]), name(got))
		}
		n++
	}
	if n < len(meant) {
		return fmt.Errorf("want %d, got %d: %s is missing", len(meant), n, name(meant[n]))
	}
	return nil
}

// readPackages reads a Packages index.
func readPackages(meant []*deb.Package) read {
	return func(r io.Reader) error {
		return inOrder(deb.Packages(r, deb.Limits{}), meant, (*deb.Package).ID, func(a, b *deb.Package) bool {
			return a.ID() == b.ID() && a.Filename == b.Filename && a.Size == b.Size && a.SHA256 == b.SHA256 && a.SHA512 == b.SHA512
		})
	}
}

// readSources reads a Sources index.
func readSources(meant []*deb.Source) read {
	name := func(s *deb.Source) string { return s.Name + " (" + s.Version + ")" }
	return func(r io.Reader) error {
		return inOrder(deb.Sources(r, deb.Limits{}), meant, name, func(a, b *deb.Source) bool {
			return name(a) == name(b) && slices.Equal(a.Files, b.Files)
		})
	}
}

// readStanzas reads a file of n stanzas with a field each.
func readStanzas(field string, n int) read {
	return func(r io.Reader) error {
		s := deb.NewScanner(r, deb.Limits{})
		for got := 0; ; got++ {
			p, err := s.Next()
			switch {
			case errors.Is(err, io.EOF) && got == n:
				return nil
			case errors.Is(err, io.EOF):
				return fmt.Errorf("stanzas: want %d, got %d", n, got)
			case err != nil:
				return err
			case p.Field(field) == "":
				return fmt.Errorf("stanza %d: without %s", got+1, field)
			}
		}
	}
}

// readContents reads a Contents index that has to list nothing but names.
func readContents(names map[string]bool) read {
	return func(r io.Reader) error {
		in := bufio.NewReaderSize(r, maxContentsLine)
		for {
			line, err := in.ReadSlice('\n')
			switch {
			case errors.Is(err, io.EOF) && len(line) == 0:
				return nil
			case err != nil:
				return fmt.Errorf("a line without an end: %w", err)
			}
			line = line[:len(line)-1]
			for location := range bytes.SplitSeq(line[bytes.LastIndexAny(line, " \t")+1:], []byte(",")) {
				if name := location[bytes.LastIndexByte(location, '/')+1:]; !names[string(name)] {
					return fmt.Errorf("package %s: was not chosen", name)
				}
			}
		}
	}
}

// unpacked reads a compressed file, whose content has a digest and is read by plain;
// nil: it was read before.
func unpacked(d bundle.Digest, plain read) read {
	return func(r io.Reader) error {
		packed := bufio.NewReader(r)
		z, err := gzip.NewReader(packed)
		if err != nil {
			return err
		}
		z.Multistream(false)
		hash := bundle.NewHash()
		in := io.TeeReader(z, hash)
		if plain != nil {
			if err := plain(in); err != nil {
				return err
			}
		}
		if _, err := io.Copy(io.Discard, in); err != nil {
			return err
		}
		if _, err := packed.ReadByte(); !errors.Is(err, io.EOF) {
			return errors.New("something follows its end")
		}
		if got := bundle.SumOf(hash); got != d {
			return fmt.Errorf("want the content %s, got %s", d, got)
		}
		return nil
	}
}

// whole reads a small file in memory.
func whole(check func(content []byte) error) read {
	return func(r io.Reader) error {
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return check(content)
	}
}

// readRelease reads the Release.
func (b *builder) readRelease(content []byte) error {
	got, err := deb.ParseRelease(content)
	switch {
	case err != nil:
		return err
	case !slices.Equal(got.Files, b.release.Files):
		return fmt.Errorf("indexes: want %d, got %d, or other ones", len(b.release.Files), len(got.Files))
	case got.BadDate != "" || got.BadValidUntil != "":
		return fmt.Errorf("dates %q and %q are not readable", got.BadDate, got.BadValidUntil)
	case !slices.Equal(got.Components, b.release.Components) || !slices.Equal(got.Architectures, b.release.Architectures):
		return fmt.Errorf("want %v for %v, got %v for %v", b.release.Components, b.release.Architectures, got.Components, got.Architectures)
	}
	return nil
}
