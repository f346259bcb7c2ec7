package media

import (
	"bytes"
	"cmp"
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
)

// Lists opens the lists of one repository that the bundle carries; nil: the
// receiver has it.
type Lists struct {
	Files, Evidence, Contents func() (io.ReadCloser, error)
}

// Finished is what was written.
type Finished struct {
	// Root is the digest of the root.
	Root bundle.Digest
	// Dirs are the bundle's directories, one for each medium that has the root.
	Dirs []string
	// Without are directories of media that have volumes of the bundle and no
	// root, because they were taken out before there was one.
	Without []string
	// Volumes counts volumes, Bytes is the size of those and of the catalogue.
	Volumes int
	Bytes   int64
	// Readback is how the files were read back: the weakest of the Readback
	// constants that applies.
	Readback string
}

// Finish writes catalogue, README.txt, SHA256SUMS, the root, its signatures
// and MEDIUM.txt to every medium of the bundle that is at hand, and returns the
// directories their final name. All runs have to be closed, and complete. m
// has everything but Catalog, Volumes and Sums; lists has one entry for each
// repository, as its Carried states. The writer adds what it knows of read-back
// to Overrides.
//
// The records stay, and with them the root and its signatures: called again
// with the same m (times aside), by a process that did not get to note that
// the bundle is finished, Finish returns the same root.
func (w *Writer) Finish(ctx context.Context, m bundle.Manifest, lists []Lists, signers []bundle.Signer) (*Finished, error) {
	if len(lists) != len(m.Repositories) || len(signers) == 0 || m.Set != w.o.Set || m.Sequence != w.o.Sequence {
		return nil, fmt.Errorf("root: %s %d, %s with %s, %s: %w", m.Set, m.Sequence, bundle.Count(len(m.Repositories), "repository"), bundle.Count(len(lists), "list"), bundle.Count(len(signers), "signer"), bundle.ErrUsage)
	}
	volumes, closeRecords, err := recorded(w.o.Records, w.runs)
	if err != nil {
		return nil, err
	}
	defer closeRecords()
	shelves, without, err := w.openShelves(ctx, volumes)
	if err != nil {
		return nil, err
	}
	defer shelves.close()
	last := shelves[len(shelves)-1]
	checksums, err := w.writeCatalog(ctx, last.root, &m, volumes, lists)
	if err != nil {
		return nil, err
	}
	if err := w.copyCatalog(ctx, shelves, m.Catalog, checksums); err != nil {
		return nil, err
	}
	sums := sumsFile(w.name, &m, volumes)
	m.Sums = bundle.Descriptor(bundle.MediaTypeSums, bundle.DigestOf(sums), int64(len(sums)))
	addOverrides(&m, w.readback)
	files, err := signedFiles(w.o.Records, &m, signers)
	if err != nil {
		return nil, err
	}
	root := files[0].Data
	files = append([]bundle.NamedFile{
		{Name: bundle.ReadmeName, Data: []byte(readme(w.name))},
		{Name: bundle.SumsName, Data: sums},
	}, files...)
	f := &Finished{Root: bundle.DigestOf(root), Volumes: len(volumes), Readback: w.readback}
	for _, v := range volumes {
		f.Bytes += v.Size
	}
	for _, c := range m.Catalog {
		f.Bytes += c.Size
	}
	for _, s := range shelves {
		if err := w.finishShelf(s, shelves, files); err != nil {
			return nil, err
		}
		f.Dirs = append(f.Dirs, filepath.Join(s.medium.dir, w.name))
	}
	f.Without = without
	return f, nil
}

// recorded returns the volumes of all runs by number, as their records have them.
func recorded(records *os.Root, runs []*RunWriter) (volumes []*recordedVolume, closeAll func(), err error) {
	var files []*os.File
	closeAll = func() {
		for _, f := range files {
			f.Close()
		}
	}
	for _, rw := range runs {
		if !rw.complete {
			closeAll()
			return nil, nil, fmt.Errorf("run from volume %d: not closed, or not complete: %w", rw.run.First, bundle.ErrIncomplete)
		}
		f, err := records.Open(recordName(rw.run.First))
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		files = append(files, f)
		of, err := recordedVolumes(f)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		volumes = append(volumes, of...)
	}
	slices.SortFunc(volumes, func(a, b *recordedVolume) int { return cmp.Compare(a.number, b.number) })
	return volumes, closeAll, nil
}

// shelf is a medium at hand.
type shelf struct {
	medium *medium
	root   *os.Root // of the bundle's directory
}

type shelves []shelf

func (s shelves) close() {
	for _, one := range s {
		one.root.Close()
	}
}

// openShelves returns, in order, the media that are at hand with all volumes that were
// written to them. The last one has to be among them. It removes files that interrupted
// exports left there and that nothing refers to.
func (w *Writer) openShelves(ctx context.Context, volumes []*recordedVolume) (all shelves, without []string, err error) {
	defer func() {
		if err != nil {
			all.close()
		}
	}()
	byNumber := make(map[int]*recordedVolume, len(volumes))
	for _, v := range volumes {
		byNumber[v.number] = v
	}
	for _, m := range w.media {
		if len(m.volumes) == 0 {
			continue
		}
		root, err := w.bring(ctx, m, byNumber)
		if err != nil {
			return all, nil, err
		}
		if root == nil {
			without = append(without, filepath.Join(m.dir, w.partial))
			continue
		}
		all = append(all, shelf{m, root})
		if err := m.removeStrays(root); err != nil {
			return all, nil, err
		}
	}
	if len(all) == 0 {
		if len(volumes) > 0 {
			return nil, nil, bundle.About(bundle.AboutTargets, fmt.Errorf("no medium that holds volumes of %s is at hand: %w", w.name, bundle.ErrIncomplete))
		}
		m := w.media[0]
		root, err := m.make(w.partial)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, shelf{m, root})
		return all, nil, m.removeStrays(root)
	}
	return all, without, nil
}

// bring opens the bundle's directory on a medium that has volumes, asking for
// the medium as long as it is not there; nil: it stays away.
func (w *Writer) bring(ctx context.Context, m *medium, volumes map[int]*recordedVolume) (*os.Root, error) {
	for {
		root, device, err := m.openAgain(w.partial)
		switch {
		case err == nil && m.has(root, volumes):
			m.device = device
			return root, nil
		case err == nil: // another medium is in its place
			root.Close()
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		if w.o.Absent == nil {
			return nil, nil
		}
		if again, err := w.o.Absent(ctx, m.number, m.dir); err != nil || !again {
			return nil, err
		}
	}
}

func (m *medium) has(root *os.Root, volumes map[int]*recordedVolume) bool {
	for n := range m.volumes {
		info, err := root.Lstat(bundle.VolumeName(n))
		if v := volumes[n]; v == nil || err != nil || !info.Mode().IsRegular() || info.Size() != v.Size {
			return false
		}
	}
	return true
}

// removeStrays removes volumes, catalogue files and signatures that are not of this export.
func (m *medium) removeStrays(root *os.Root) error {
	entries, err := bundle.ReadDir(root)
	if err != nil {
		return err
	}
	wanted := make(map[string]bool, len(m.volumes))
	for n := range m.volumes {
		wanted[bundle.VolumeName(n)] = true
	}
	for _, e := range entries {
		name := e.Name()
		ours := strings.HasPrefix(name, "volume-") || strings.HasPrefix(name, "catalog-") || bundle.IsSignatureName(name)
		if ours && !wanted[name] {
			if err := root.Remove(name); err != nil {
				return err
			}
		}
	}
	return syncDir(root)
}

// copyCatalog copies the catalogue from the last shelf to the others, and
// reads it back from all.
func (w *Writer) copyCatalog(ctx context.Context, all shelves, files []bundle.CatalogFile, checksums []checksum) error {
	last := all[len(all)-1]
	for _, s := range all {
		for i, c := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			if s != last {
				if err := copyFile(s.root, last.root, c.Name); err != nil {
					return err
				}
			}
			if w.o.NoReadback {
				w.noteReadback(ReadbackNone)
				continue
			}
			if err := w.readBack(s.medium, c.Name, checksums[i]); err != nil {
				return err
			}
		}
		if err := syncDir(s.root); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from *os.Root, name string) (err error) {
	src, err := bundle.OpenRegular(from, name)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err == nil {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}

// sumsFile returns SHA256SUMS of the bundle of a name: over every file but the root, its signatures and
// MEDIUM.txt, of all media.
func sumsFile(name string, m *bundle.Manifest, volumes []*recordedVolume) []byte {
	all := []bundle.Sum{{Digest: bundle.DigestOf([]byte(readme(name))), Name: bundle.ReadmeName}}
	for _, c := range m.Catalog {
		all = append(all, bundle.Sum{Digest: c.Digest, Name: c.Name})
	}
	for _, v := range volumes {
		all = append(all, bundle.Sum{Digest: v.Digest, Name: v.Name})
	}
	slices.SortFunc(all, func(a, b bundle.Sum) int { return cmp.Compare(a.Name, b.Name) })
	var b []byte
	for _, s := range all {
		b = bundle.AppendSum(b, s)
	}
	return b
}

// The overrides that the writer knows of.
const (
	OverrideNoReadback     = "no-readback"
	OverrideReadbackCached = "readback-cached"
)

func addOverrides(m *bundle.Manifest, readback string) {
	more := ""
	switch readback {
	case ReadbackNone:
		more = OverrideNoReadback
	case ReadbackCached:
		more = OverrideReadbackCached
	}
	m.Overrides = slices.Clone(m.Overrides)
	if more != "" {
		m.Overrides = append(m.Overrides, more)
	}
	slices.Sort(m.Overrides)
	m.Overrides = slices.Compact(m.Overrides)
}

// signedFiles returns the root and one signature file for each signer. They are
// kept among the records before they go anywhere, so that a process that dies
// in between is followed by one that returns the same root, not another one
// with the same number.
func signedFiles(records *os.Root, m *bundle.Manifest, signers []bundle.Signer) ([]bundle.NamedFile, error) {
	if m.Repositories == nil {
		m.Repositories = []bundle.Repository{}
	}
	root, kept, err := rootOf(records, m)
	if err != nil {
		return nil, err
	}
	if !kept {
		if err := forgetRoot(records); err != nil {
			return nil, err
		}
		if err := writeSmall(records, bundle.RootName, root); err != nil {
			return nil, err
		}
	}
	files := []bundle.NamedFile{{Name: bundle.RootName, Data: root}}
	for i := range signers {
		name := bundle.SignatureName(signers[i].KeyID())
		sig, err := readSmall(records, name, bundle.MaxSignatureSize)
		if errors.Is(err, fs.ErrNotExist) {
			if sig, err = signers[i].Sign(bundle.PredicateBundle, bundle.RootName, bundle.DigestOf(root), nil); err == nil {
				err = writeSmall(records, name, sig)
			}
		}
		if err != nil {
			return nil, err
		}
		files = append(files, bundle.NamedFile{Name: name, Data: sig})
	}
	return files, nil
}

// rootOf returns the root's bytes; kept: those that were signed already, which
// differ from what m has in times at most.
func rootOf(records *os.Root, m *bundle.Manifest) (root []byte, kept bool, err error) {
	if before, err := readSmall(records, bundle.RootName, bundle.MaxRootSize); err == nil {
		if old, err := bundle.ParseManifest(before); err == nil {
			again := *m
			again.Created, again.Expires = old.Created, old.Expires
			if b, err := bundle.MarshalCanonical(again); err == nil && bytes.Equal(b, before) {
				return before, true, nil
			}
		}
	}
	if err := bundle.CheckManifest(m); err != nil {
		return nil, false, err
	}
	if root, err = bundle.MarshalCanonical(m); err != nil {
		return nil, false, err
	}
	if _, err := bundle.ParseManifest(root); err != nil {
		return nil, false, err // what is signed is what readers take
	}
	return root, false, nil
}

// forgetRoot removes the signatures of another root.
func forgetRoot(records *os.Root) error {
	entries, err := bundle.ReadDir(records)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if bundle.IsSignatureName(e.Name()) {
			if err := records.Remove(e.Name()); err != nil {
				return err
			}
		}
	}
	return syncDir(records)
}

func readSmall(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := bundle.OpenRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bundle.ReadAllBounded(f, name, limit)
}

// finishShelf writes the small files, the root and its signatures last, and
// renames the directory to its final name.
func (w *Writer) finishShelf(s shelf, all shelves, files []bundle.NamedFile) error {
	text := []byte(mediumText(w.name, s.medium, len(w.media), all))
	for _, f := range append([]bundle.NamedFile{{Name: bundle.MediumName, Data: text}}, files...) {
		if err := writeSmall(s.root, f.Name, f.Data); err != nil {
			return err
		}
	}
	target, err := s.medium.target()
	if err != nil {
		return err
	}
	defer target.Close()
	if err := target.Rename(w.partial, w.name); err != nil {
		return err
	}
	return syncDir(target)
}
