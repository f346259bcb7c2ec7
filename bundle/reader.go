package bundle

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Reader reads the files of one bundle on the media at hand, which may hold any part of it.
// It trusts nothing: no names, no sizes, no times. It reads regular files directly in the
// bundle's directories and nothing else; it follows no link and writes nothing.
type Reader struct {
	name string
	dirs []*bundleDir
}

// bundleDir is the directory of a bundle on one medium.
type bundleDir struct {
	path string
	root *os.Root
	// partial: not signed when the medium was taken out. Its payload counts,
	// what it has of a root does not.
	partial bool
}

// MediumFile is a regular file of a bundle, open for reading.
type MediumFile struct {
	file *os.File
	size int64
	dir  string
}

func (f *MediumFile) Read(b []byte) (int, error) { return f.file.Read(b) }

// ReadAt implements io.ReaderAt.
func (f *MediumFile) ReadAt(b []byte, at int64) (int, error) { return f.file.ReadAt(b, at) }

// Close closes the file.
func (f *MediumFile) Close() error { return f.file.Close() }

// Size returns the length of the file when it was opened.
func (f *MediumFile) Size() int64 { return f.size }

// Dir returns the directory it is in, for messages.
func (f *MediumFile) Dir() string { return f.dir }

// FileInfo is a name in a bundle's directory on one medium.
type FileInfo struct {
	Name string
	Size int64
	Dir  string
	// Regular is false for a link, a folder, a device: those are never opened.
	Regular bool
}

// NamedFile is a small file, whole.
type NamedFile struct {
	Name string
	Data []byte
}

// maxDirEntries bounds the names read of one directory: a bundle has at most
// MaxVolumes volumes, and a medium may hold other things besides bundles.
const maxDirEntries = 2 * MaxVolumes

// NoBundleError means that nothing that was named holds a bundle. It matches
// ErrIncomplete.
type NoBundleError struct{ Paths []string }

func (e *NoBundleError) Error() string { return "no bundle in " + strings.Join(e.Paths, ", ") }
func (e *NoBundleError) Unwrap() error { return ErrIncomplete }

// Discover finds the bundles in paths, each the directory of a bundle or a
// folder that holds some, one level deep. Directories of the same set and
// sequence, on whatever media, become one Reader; those that are still called
// ".partial" count for their payload. The Readers are sorted by set and
// sequence. Nothing found matches ErrIncomplete. The caller closes them.
func Discover(paths []string) (readers []*Reader, err error) {
	byName := make(map[string]*Reader)
	defer func() {
		if err != nil {
			for _, r := range byName {
				r.Close()
			}
		}
	}()
	for _, path := range paths {
		// With the separator a pipe in the folder's place is refused, not waited for.
		root, err := os.OpenRoot(filepath.Clean(path) + string(filepath.Separator))
		if err != nil {
			return nil, err
		}
		found, err := discoverIn(byName, root, path)
		if !found {
			root.Close()
		}
		if err != nil {
			return nil, err
		}
	}
	for _, r := range byName {
		readers = append(readers, r)
	}
	if len(readers) == 0 {
		return nil, &NoBundleError{paths}
	}
	slices.SortFunc(readers, func(a, b *Reader) int {
		setA, seqA, _, _ := SplitDirName(a.name)
		setB, seqB, _, _ := SplitDirName(b.name)
		return cmp.Or(cmp.Compare(setA, setB), cmp.Compare(seqA, seqB))
	})
	return readers, nil
}

// discoverIn reports whether root itself is the directory of a bundle, and then
// keeps it.
func discoverIn(byName map[string]*Reader, root *os.Root, path string) (self bool, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return false, err
	}
	if name, partial, ok := bundleName(root, filepath.Base(abs)); ok {
		return addDir(byName, name, &bundleDir{path, root, partial})
	}
	entries, err := ReadDir(root)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue // links too
		}
		sub, err := openFolder(root, e.Name())
		if err != nil {
			if _, _, _, ok := SplitDirName(e.Name()); ok {
				return false, err
			}
			continue // lost+found and its like, which are not for us
		}
		name, partial, ok := bundleName(sub, e.Name())
		if ok {
			ok, err = addDir(byName, name, &bundleDir{filepath.Join(path, PlainText(e.Name())), sub, partial})
		}
		if !ok {
			sub.Close()
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// openFolder opens a folder of a medium: no link is followed, and what takes the folder's
// place meanwhile, such as a pipe, is not waited for.
func openFolder(root *os.Root, name string) (*os.Root, error) {
	before, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	return openSameFolder(root, name, before)
}

func openSameFolder(root *os.Root, name string, before fs.FileInfo) (*os.Root, error) {
	sub, err := root.OpenRoot(name + "/")
	if err != nil {
		return nil, err
	}
	after, err := sub.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%s: changed while it was opened: %w", PlainText(sub.Name()), ErrCorrupt)
	}
	if err != nil {
		sub.Close()
		return nil, err
	}
	return sub, nil
}

// bundleName returns which bundle a directory is of: by its name or, where a
// person renamed or copied it, by what its root states. It is a label for
// grouping and proves nothing.
func bundleName(root *os.Root, dir string) (name string, partial, ok bool) {
	if set, sequence, partial, ok := SplitDirName(dir); ok {
		return DirName(set, sequence), partial, true
	}
	f, err := OpenRegular(root, RootName)
	if err != nil {
		return "", false, false
	}
	defer f.Close()
	b, err := ReadAllBounded(f, RootName, MaxRootSize)
	if err != nil {
		return "", false, false
	}
	var label struct {
		Set      string `json:"set"`
		Sequence int64  `json:"sequence"`
	}
	if json.Unmarshal(b, &label) != nil || CheckLabel(label.Set) != nil || label.Sequence < 1 || label.Sequence > MaxInteger {
		return "", false, false
	}
	return DirName(label.Set, label.Sequence), false, true
}

// addDir adds d to the Reader of its name, unless the same directory was named twice.
func addDir(byName map[string]*Reader, name string, d *bundleDir) (bool, error) {
	r := byName[name]
	if r == nil {
		r = &Reader{name: name}
		byName[name] = r
	}
	this, err := d.root.Stat(".")
	if err != nil {
		return false, err
	}
	for _, other := range r.dirs {
		if that, err := other.root.Stat("."); err == nil && os.SameFile(this, that) {
			return false, nil
		}
	}
	r.dirs = append(r.dirs, d)
	return true, nil
}

// ReadDir returns the entries of a directory, unsorted. More than maxDirEntries
// match ErrMalformed.
func ReadDir(root *os.Root) ([]fs.DirEntry, error) {
	d, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(maxDirEntries + 1)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(entries) > maxDirEntries {
		return nil, fmt.Errorf("%s: more than %d names: %w", root.Name(), maxDirEntries, ErrMalformed)
	}
	return entries, nil
}

// OpenRegular opens a regular file for reading. A link, a pipe or a device matches
// ErrMalformed. The file is opened without waiting: whoever owns the medium may put
// a pipe into the file's place after it was looked at, and a reader that waits for
// the other end of a pipe cannot be interrupted.
func OpenRegular(root *os.Root, name string) (*os.File, error) {
	before, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file: %w", filepath.Join(root.Name(), name), ErrMalformed)
	}
	return openSame(root, name, before)
}

// openSame opens what was seen to be a regular file, if it is still that one.
func openSame(root *os.Root, name string, before fs.FileInfo) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%s: changed while it was opened: %w", f.Name(), ErrCorrupt)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Name returns "<set>-<six digits>", by which directories were put together.
func (r *Reader) Name() string { return r.name }

// Dirs returns the directories at hand, in the order they were found.
func (r *Reader) Dirs() []string {
	dirs := make([]string, 0, len(r.dirs))
	for _, d := range r.dirs {
		dirs = append(dirs, d.path)
	}
	return dirs
}

// HasRoot reports whether a directory with a root is at hand.
func (r *Reader) HasRoot() bool {
	for _, d := range r.dirs {
		if info, err := d.root.Lstat(RootName); err == nil && info.Mode().IsRegular() && !d.partial {
			return true
		}
	}
	return false
}

// Root reads the root, at most MaxRootSize. Roots on several media that are
// not the same bytes match ErrCorrupt: one of them belongs to another bundle.
// No root at hand matches ErrIncomplete.
func (r *Reader) Root() ([]byte, error) {
	var first []byte
	var firstDir string
	for _, d := range r.dirs {
		if d.partial {
			continue
		}
		f, err := OpenRegular(d.root, RootName)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b, err := ReadAllBounded(f, filepath.Join(d.path, RootName), MaxRootSize)
		f.Close()
		switch {
		case err != nil:
			return nil, err
		case first == nil:
			first, firstDir = b, d.path
		case DigestOf(first) != DigestOf(b):
			return nil, fmt.Errorf("%s: %s in %s is %s, in %s %s: %w", r.name, RootName, firstDir, DigestOf(first), d.path, DigestOf(b), ErrCorrupt)
		}
	}
	if first == nil {
		return nil, fmt.Errorf("%s: no medium with its %s: %w", r.name, RootName, ErrIncomplete)
	}
	return first, nil
}

// Sums opens SHA256SUMS.
func (r *Reader) Sums() (io.ReadCloser, error) { return r.Open(SumsName, -1) }

// Open opens a file of the bundle. If several media have it, one on which
// it has wantSize is preferred; -1: any. Absent matches ErrIncomplete.
func (r *Reader) Open(name string, wantSize int64) (*MediumFile, error) {
	var other *MediumFile
	var firstErr error
	for _, d := range r.dirs {
		f, err := OpenRegular(d.root, name)
		if err != nil {
			if firstErr == nil && !errors.Is(err, fs.ErrNotExist) {
				firstErr = err
			}
			continue
		}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		m := &MediumFile{f, info.Size(), d.path}
		switch {
		case wantSize < 0 || m.size == wantSize:
			if other != nil {
				other.Close()
			}
			return m, nil
		case other == nil:
			other = m
		default:
			m.Close()
		}
	}
	switch {
	case other != nil:
		return other, nil
	case firstErr != nil:
		return nil, firstErr
	}
	return nil, fmt.Errorf("%s: %s is not at hand: %w", r.name, name, ErrIncomplete)
}

// Has reports whether a file of this name and size is at hand.
func (r *Reader) Has(name string, size int64) bool {
	for _, d := range r.dirs {
		if info, err := d.root.Lstat(name); err == nil && info.Mode().IsRegular() && info.Size() == size {
			return true
		}
	}
	return false
}

// Files lists everything in the directories at hand, sorted by name, so that
// what does not belong there shows.
func (r *Reader) Files() ([]FileInfo, error) {
	var files []FileInfo
	for _, d := range r.dirs {
		entries, err := ReadDir(d.root)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			files = append(files, FileInfo{e.Name(), info.Size(), d.path, info.Mode().IsRegular()})
		}
	}
	slices.SortStableFunc(files, func(a, b FileInfo) int { return cmp.Compare(a.Name, b.Name) })
	return files, nil
}

// Close closes the directories.
func (r *Reader) Close() error {
	var errs []error
	for _, d := range r.dirs {
		errs = append(errs, d.root.Close())
	}
	return errors.Join(errs...)
}
