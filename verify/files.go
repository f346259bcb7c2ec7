package verify

import (
	"bufio"
	"bytes"
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
// that the root names, so that what is wrong there is told by file and frame;
// then it opens the catalogue.
func (c *opening) openCatalog() error {
	bad := false
	for i := range c.b.manifest.Catalog {
		if err := c.b.checkCatalogFile(&c.b.manifest.Catalog[i]); err != nil {
			c.add(err)
			bad = true
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
	}
	if bad {
		return errStop
	}
	catalog, err := bundle.NewCatalog(c.b.manifest, c.b.openCatalogFile)
	if err != nil {
		return fmt.Errorf("%s: %w", c.b.Name(), err)
	}
	c.b.catalog = catalog
	c.b.report.count("catalogue files", int64(len(c.b.manifest.Catalog)))
	for v, err := range catalog.Volumes(c.ctx) {
		if err != nil {
			return err
		}
		c.b.volumes = append(c.b.volumes, Volume{Volume: v, Found: -1})
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
func (c *opening) checkFiles() error {
	here, err := c.b.reader.Files()
	if err != nil {
		return fmt.Errorf("%s: %w", c.b.Name(), err)
	}
	c.findVolumes(here)
	readme, err := c.checkSums()
	if err != nil {
		c.add(err)
	}
	if !readme.IsZero() {
		c.checkReadme(readme)
	}
	c.noteStrangers(here)
	return nil
}

// findVolumes notes which volumes are at hand. A file with the right size on
// any medium is preferred to one with another.
func (c *opening) findVolumes(here []bundle.FileInfo) {
	for _, f := range here {
		i, ok := slices.BinarySearchFunc(c.b.volumes, f.Name, func(v Volume, name string) int { return strings.Compare(v.Name, name) })
		if !ok || !f.Regular {
			continue
		}
		if v := &c.b.volumes[i]; !v.Present {
			v.Found, v.Present = f.Size, f.Size == v.Size
		}
	}
	present := int64(0)
	for _, v := range c.b.volumes {
		if v.Present {
			present++
		} else if v.Found < 0 {
			c.b.report.note(v.Name + " is not at hand")
		}
	}
	c.b.report.count("volumes at hand, by name and size", present)
	if n := len(c.b.volumes); n > 0 {
		c.b.report.notChecked(volumeBytes(n))
	}
}

// checkSums requires that SHA256SUMS is the file that the root names, and that
// it states about every file what root and volume table state: people check with it.
// It returns the digest of the README.
func (c *opening) checkSums() (readme bundle.Digest, err error) {
	m := c.b.manifest
	want := []bundle.Sum{{Name: bundle.ReadmeName}}
	for _, f := range m.Catalog {
		want = append(want, bundle.Sum{Digest: f.Digest, Name: f.Name})
	}
	for _, v := range c.b.volumes {
		want = append(want, bundle.Sum{Digest: v.Digest, Name: v.Name})
	}
	b, err := c.readSums(m.Sums)
	if err != nil {
		return readme, err
	}
	for sum, err := range bundle.ReadSums(bytes.NewReader(b)) {
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
	c.b.report.count("lines of SHA256SUMS", int64(1+len(m.Catalog)+len(c.b.volumes)))
	return readme, nil
}

// maxSums bounds SHA256SUMS: a line of at most 90 bytes for each volume.
const maxSums = 8 << 20 // bytes

func (c *opening) readSums(want v1.Descriptor) ([]byte, error) {
	if want.Size > maxSums {
		return nil, fmt.Errorf("%s: %s, at most %d: %w", bundle.SumsName, bundle.Count(want.Size, "byte"), maxSums, bundle.ErrMalformed)
	}
	r, err := c.b.reader.Sums()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, want.Size+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bundle.SumsName, err)
	}
	if got := bundle.DigestOf(b); int64(len(b)) != want.Size || got.String() != string(want.Digest) {
		return nil, fmt.Errorf("%s: digest mismatch: want %s, got %s: %w", bundle.SumsName, want.Digest, got, bundle.ErrCorrupt)
	}
	return b, nil
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
func (c *opening) checkReadme(want bundle.Digest) {
	f, err := c.b.reader.Open(bundle.ReadmeName, -1)
	if errors.Is(err, bundle.ErrIncomplete) {
		c.b.report.note(bundle.ReadmeName + " is not at hand")
		return
	}
	if err != nil {
		c.add(err)
		return
	}
	defer f.Close()
	b, err := bundle.ReadAllBounded(f, bundle.ReadmeName, maxReadme)
	if err != nil {
		c.add(err)
	} else if got := bundle.DigestOf(b); got != want {
		c.add(fmt.Errorf("%s in %s: digest mismatch: want %s, got %s: %w", bundle.ReadmeName, f.Dir(), want, got, bundle.ErrCorrupt))
	}
}

// noteStrangers points out what is in the directories and is not the
// bundle's. It is never opened, and so does no harm.
func (c *opening) noteStrangers(here []bundle.FileInfo) {
	for _, f := range here {
		_, volume := slices.BinarySearchFunc(c.b.volumes, f.Name, func(v Volume, name string) int { return strings.Compare(v.Name, name) })
		ours := volume || bundle.IsSignatureName(f.Name) ||
			slices.ContainsFunc(c.b.manifest.Catalog, func(cf bundle.CatalogFile) bool { return cf.Name == f.Name })
		switch f.Name {
		case bundle.RootName, bundle.SumsName, bundle.ReadmeName, bundle.MediumName:
			ours = true
		}
		switch {
		case !ours:
			c.b.report.note(fmt.Sprintf("%q in %s does not belong to the bundle; not read", f.Name, f.Dir))
		case !f.Regular:
			c.b.report.note(fmt.Sprintf("%q in %s is not a regular file; not read", f.Name, f.Dir))
		}
	}
}
