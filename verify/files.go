package verify

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
)

// errStop ends an Open whose findings state everything already.
var errStop = errors.New("nothing more to check")

// readSize is how much is read of a medium at a time.
const readSize = 1 << 20 // bytes

// openCatalog reads every byte of the catalogue files once, against the frames
// that the root names, so that a fault there is reported by file and frame;
// then it opens the catalogue.
func openCatalog(ctx context.Context, b *Bundle, found *findings) error {
	bad := false
	for i := range b.manifest.Catalog {
		if err := b.checkCatalogFile(&b.manifest.Catalog[i]); err != nil {
			found.add(err)
			bad = true
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if bad {
		return errStop
	}
	catalog, err := bundle.NewCatalog(b.manifest, b.openCatalogFile)
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name(), err)
	}
	b.catalog = catalog
	b.report.count("catalogue files", int64(len(b.manifest.Catalog)))
	for v, err := range catalog.Volumes(ctx) {
		if err != nil {
			return err
		}
		b.volumes = append(b.volumes, Volume{Volume: v, Found: -1})
	}
	return nil
}

func (b *Bundle) checkCatalogFile(f *bundle.CatalogFile) error {
	file, err := b.reader.Open(f.Name, f.Size)
	if err != nil {
		return err
	}
	defer file.Close()
	if file.Size() != f.Size {
		return fmt.Errorf("%s in %s: %s, want %d: %w", f.Name, file.Dir(), bundle.Count(file.Size(), "byte"), f.Size, bundle.ErrCorrupt)
	}
	whole := bundle.NewHash()
	r := io.TeeReader(bufio.NewReaderSize(file, readSize), whole)
	offset := int64(0)
	for i, frame := range f.Frames {
		h := bundle.NewHash()
		_, err := io.CopyN(h, r, frame.Compressed)
		if err == io.EOF {
			err = fmt.Errorf("ends early: %w", bundle.ErrCorrupt)
		} else if got := bundle.SumOf(h); err == nil && got != frame.Digest {
			err = fmt.Errorf("digest mismatch: want %s, got %s: %w", frame.Digest, got, bundle.ErrCorrupt)
		}
		if err != nil {
			return &DamageError{Volume: f.Name, Frame: int64(i) + 1, Offset: offset, Length: frame.Compressed, Err: err}
		}
		offset += frame.Compressed
	}
	if got := bundle.SumOf(whole); got != f.Digest {
		return fmt.Errorf("%s: its frames are right and the whole is not: want %s, got %s: %w", f.Name, f.Digest, got, bundle.ErrMalformed)
	}
	return nil
}

// openCatalogFile opens a catalogue file for bundle.Catalog, each once: Close
// closes them.
func (b *Bundle) openCatalogFile(name string) (io.ReaderAt, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.files[name]; f != nil {
		return f, f.Size(), nil
	}
	i := slices.IndexFunc(b.manifest.Catalog, func(f bundle.CatalogFile) bool { return f.Name == name })
	f, err := b.reader.Open(name, b.manifest.Catalog[i].Size)
	if err != nil {
		return nil, 0, err
	}
	b.files[name] = f
	return f, f.Size(), nil
}

// checkFiles looks at what is in the directories: SHA256SUMS states the same as
// the root, small files are what it states, and what volumes are at hand.
func checkFiles(b *Bundle, found *findings) error {
	here, err := b.reader.Files()
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name(), err)
	}
	findVolumes(b, here)
	readme, err := checkSums(b)
	if err != nil {
		found.add(err)
	}
	if !readme.IsZero() {
		if err := checkReadme(b, readme); err != nil {
			found.add(err)
		}
	}
	noteStrangers(b, here)
	return nil
}

// findVolumes notes which volumes are at hand. A file with the right size on
// any medium is preferred to one with another.
func findVolumes(b *Bundle, here []bundle.FileInfo) {
	for _, f := range here {
		i, ok := slices.BinarySearchFunc(b.volumes, f.Name, func(v Volume, name string) int { return strings.Compare(v.Name, name) })
		if !ok || !f.Regular {
			continue
		}
		if v := &b.volumes[i]; !v.Present {
			v.Found, v.Present = f.Size, f.Size == v.Size
		}
	}
	present := int64(0)
	for _, v := range b.volumes {
		if v.Present {
			present++
		} else if v.Found < 0 {
			b.report.note(v.Name + " is not at hand")
		}
	}
	b.report.count("volumes at hand, by name and size", present)
	if n := len(b.volumes); n > 0 {
		b.report.notChecked(volumeBytes(n))
	}
}

// checkSums requires that SHA256SUMS is the file that the root names, and that
// it states about every file what root and volume table state: people check with it.
// It returns the digest of the README.
func checkSums(b *Bundle) (readme bundle.Digest, err error) {
	m := b.manifest
	want := []bundle.Sum{{Name: bundle.ReadmeName}}
	for _, f := range m.Catalog {
		want = append(want, bundle.Sum{Digest: f.Digest, Name: f.Name})
	}
	for _, v := range b.volumes {
		want = append(want, bundle.Sum{Digest: v.Digest, Name: v.Name})
	}
	text, err := readSums(b, m.Sums)
	if err != nil {
		return readme, err
	}
	for sum, err := range bundle.ReadSums(bytes.NewReader(text)) {
		switch {
		case err != nil:
			return readme, err
		case len(want) == 0 || sum.Name != want[0].Name:
			return readme, fmt.Errorf("%s: %s: want %s here: %w", bundle.SumsName, sum.Name, nextName(want), bundle.ErrMalformed)
		case want[0].Digest.IsZero():
			readme = sum.Digest
		case want[0].Digest != sum.Digest:
			return readme, fmt.Errorf("%s: %s: says %s, the signed tables say %s: %w", bundle.SumsName, sum.Name, sum.Digest, want[0].Digest, bundle.ErrMalformed)
		}
		want = want[1:]
	}
	if len(want) > 0 {
		return readme, fmt.Errorf("%s: no line for %s: %w", bundle.SumsName, nextName(want), bundle.ErrMalformed)
	}
	b.report.count("lines of SHA256SUMS", int64(1+len(m.Catalog)+len(b.volumes)))
	return readme, nil
}

// maxSums bounds SHA256SUMS: a line of at most 90 bytes for each volume.
const maxSums = 8 << 20 // bytes

func readSums(b *Bundle, want v1.Descriptor) ([]byte, error) {
	if want.Size > maxSums {
		return nil, fmt.Errorf("%s: %s, at most %d: %w", bundle.SumsName, bundle.Count(want.Size, "byte"), maxSums, bundle.ErrMalformed)
	}
	r, err := b.reader.Sums()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, want.Size+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bundle.SumsName, err)
	}
	if got := bundle.DigestOf(text); int64(len(text)) != want.Size || got.String() != string(want.Digest) {
		return nil, fmt.Errorf("%s: digest mismatch: want %s, got %s: %w", bundle.SumsName, want.Digest, got, bundle.ErrCorrupt)
	}
	return text, nil
}

func nextName(want []bundle.Sum) string {
	if len(want) == 0 {
		return "the end"
	}
	return want[0].Name
}

// maxReadme bounds README.txt, which is about a page.
const maxReadme = 1 << 20 // bytes

// checkReadme: people act on what it states.
func checkReadme(b *Bundle, want bundle.Digest) error {
	f, err := b.reader.Open(bundle.ReadmeName, -1)
	if errors.Is(err, bundle.ErrIncomplete) {
		b.report.note(bundle.ReadmeName + " is not at hand")
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := bundle.ReadAllBounded(f, bundle.ReadmeName, maxReadme)
	if err != nil {
		return err
	}
	if got := bundle.DigestOf(text); got != want {
		return fmt.Errorf("%s in %s: digest mismatch: want %s, got %s: %w", bundle.ReadmeName, f.Dir(), want, got, bundle.ErrCorrupt)
	}
	return nil
}

// noteStrangers points out what is in the directories and is not the
// bundle's. It is never opened, and so does no harm.
func noteStrangers(b *Bundle, here []bundle.FileInfo) {
	for _, f := range here {
		_, volume := slices.BinarySearchFunc(b.volumes, f.Name, func(v Volume, name string) int { return strings.Compare(v.Name, name) })
		ours := volume || bundle.IsSignatureName(f.Name) ||
			slices.ContainsFunc(b.manifest.Catalog, func(cf bundle.CatalogFile) bool { return cf.Name == f.Name })
		switch f.Name {
		case bundle.RootName, bundle.SumsName, bundle.ReadmeName, bundle.MediumName:
			ours = true
		}
		switch {
		case !ours:
			b.report.note(fmt.Sprintf("%q in %s does not belong to the bundle; not read", f.Name, f.Dir))
		case !f.Regular:
			b.report.note(fmt.Sprintf("%q in %s is not a regular file; not read", f.Name, f.Dir))
		}
	}
}
