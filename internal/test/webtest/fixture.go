package webtest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// File is a file of a fixture, by its path relative to the web root.
type File struct {
	Content   string
	MediaType string
}

// Fixture is a mirror laid out by hand, as docs/design describes: "current" and
// "previous", trees for what is below apt/, times that are unique per publish.
type Fixture struct {
	Dir  string
	Base string
	// Change is given the input of site.Write; nil: it stays as it is.
	Change func(in *site.Input)
	// Report is what site.Write said last.
	Report *site.Report

	t      testing.TB
	number int
	blobs  map[bundle.Digest]string
}

// NewFixture makes an empty mirror, at a path that configurations have to quote.
func NewFixture(t testing.TB) *Fixture {
	f := &Fixture{Dir: filepath.Join(t.TempDir(), "my mirror~1, für +x"), t: t, blobs: map[bundle.Digest]string{}}
	for _, d := range []string{".", "generations", "trees", "state"} {
		f.check(os.Mkdir(filepath.Join(f.Dir, d), 0o755))
	}
	f.check(os.WriteFile(filepath.Join(f.Dir, "state", "secret"), []byte("secret"), 0o644))
	return f
}

func (f *Fixture) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// Time returns the one time T of generation n.
func (f *Fixture) Time(n int) time.Time { return time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC) }

// Path returns Dir.
func (f *Fixture) Path() string { return f.Dir }

// Published returns the time of what is published.
func (f *Fixture) Published() time.Time { return f.Time(f.number) }

// Publish makes a generation of files and switches to it.
func (f *Fixture) Publish(files map[string]File) {
	f.t.Helper()
	f.number++
	name := fmt.Sprintf("generations/%06d", f.number)
	dir := filepath.Join(f.Dir, name)
	f.check(os.Mkdir(dir, 0o755))
	trees := map[string]bool{}
	for _, p := range slices.SortedFunc(maps.Keys(files), bundle.ComparePaths) {
		f.blobs[bundle.DigestOf([]byte(files[p].Content))] = files[p].Content
		if site.Owns(p) {
			continue
		}
		if mount := mountOf(p); strings.HasPrefix(mount, "apt/") && !trees[mount] {
			trees[mount] = true
			f.tree(dir, mount, len(trees))
		}
		f.place(dir, p, files[p].Content)
	}
	root, err := os.OpenRoot(dir)
	f.check(err)
	defer root.Close()
	in := f.input(files)
	if f.Change != nil {
		f.Change(&in)
	}
	f.Report, err = site.Write(root, in)
	f.check(err)
	f.readable()
	f.switchTo(name)
}

// readable sets for every folder and file the mode that a mirror's have,
// whatever the umask: a server may run as somebody else.
func (f *Fixture) readable() {
	f.t.Helper()
	f.check(filepath.WalkDir(f.Dir, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || e.Type()&fs.ModeSymlink != 0:
			return err
		case e.IsDir():
			return os.Chmod(p, 0o755)
		}
		return os.Chmod(p, 0o644)
	}))
}

// tree makes mount a link to a tree of its own.
func (f *Fixture) tree(dir, mount string, n int) {
	tree := fmt.Sprintf("trees/%d", 100*f.number+n)
	f.check(os.Mkdir(filepath.Join(f.Dir, tree), 0o755))
	f.check(os.MkdirAll(filepath.Join(dir, path.Dir(mount)), 0o755))
	f.check(os.Symlink(strings.Repeat("../", 2+strings.Count(mount, "/"))+tree, filepath.Join(dir, mount)))
}

// place puts content at p: the file that is current if that is the same,
// else a new one with the time of this publish.
func (f *Fixture) place(dir, p, content string) {
	f.t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(p))
	f.check(os.MkdirAll(filepath.Dir(file), 0o755))
	before := filepath.Join(f.Dir, "current", filepath.FromSlash(p))
	if b, err := os.ReadFile(before); err == nil && string(b) == content {
		real, err := filepath.EvalSymlinks(before)
		f.check(err)
		f.check(os.Link(real, file))
		return
	}
	f.check(os.WriteFile(file, []byte(content), 0o644))
	f.check(os.Chtimes(file, f.Time(f.number), f.Time(f.number)))
}

// switchTo makes name current, and what was current previous.
func (f *Fixture) switchTo(name string) {
	f.t.Helper()
	if before, err := os.Readlink(filepath.Join(f.Dir, "current")); err == nil {
		f.relink(before, "previous")
	} else if !errors.Is(err, fs.ErrNotExist) {
		f.t.Fatal(err)
	}
	f.relink(name, "current")
}

func (f *Fixture) relink(target, link string) {
	f.t.Helper()
	f.check(os.Symlink(target, filepath.Join(f.Dir, "new")))
	f.check(os.Rename(filepath.Join(f.Dir, "new"), filepath.Join(f.Dir, link)))
}

// mountOf returns where the repository of p begins: shared areas have one each.
func mountOf(p string) string {
	first, rest, _ := strings.Cut(p, "/")
	if site.Owns(p) {
		return site.ClientsDir
	}
	if first == "apt" {
		second, _, _ := strings.Cut(rest, "/")
		return first + "/" + second
	}
	return first
}

// input states about files what lists and evidence would.
func (f *Fixture) input(files map[string]File) site.Input {
	mounts := map[string][]bundle.File{}
	for p, file := range files {
		mount := mountOf(p)
		mounts[mount] = append(mounts[mount], bundle.File{
			Path: strings.TrimPrefix(p, mount+"/"), Size: int64(len(file.Content)),
			Digest: bundle.DigestOf([]byte(file.Content)), MediaType: file.MediaType,
		})
	}
	set := site.Set{Name: "demo", Stream: strings.Repeat("ab", 16), Sequence: int64(f.number), Created: f.Time(f.number), Imported: f.Time(f.number)}
	for _, mount := range slices.Sorted(maps.Keys(mounts)) {
		list := mounts[mount]
		slices.SortFunc(list, func(a, b bundle.File) int { return bundle.ComparePaths(a.Path, b.Path) })
		set.Repositories = append(set.Repositories, f.repository(mount, list))
	}
	return site.Input{
		Dir: f.Dir, Base: f.Base, Generation: f.number, Time: f.Time(f.number), Tool: "gapbundle test", Sets: []site.Set{set},
		Open: func(d bundle.Digest) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(f.blobs[d])), nil
		},
	}
}

func (f *Fixture) repository(mount string, list []bundle.File) site.Repository {
	digest := bundle.DigestOf(fmt.Append(nil, list))
	r := site.Repository{
		Repository: bundle.Repository{
			Name: strings.Trim(strings.ReplaceAll(mount, "/", "-"), "_"), Kind: "files", Mount: mount, Count: int64(len(list)),
			Files:    bundle.Descriptor(bundle.MediaTypeFileList, digest, 1),
			Evidence: bundle.Descriptor(bundle.MediaTypeEvidence, digest, 1),
		},
		Files: func() iter.Seq2[bundle.File, error] { return seq(list) },
	}
	var evidence []bundle.Evidence
	for _, file := range list {
		r.Bytes += file.Size
		evidence = append(evidence, bundle.Evidence{Path: file.Path, Origin: "https://upstream.example/" + file.Path, Vouched: bundle.VouchedPinned})
	}
	r.Evidence = func() iter.Seq2[bundle.Evidence, error] { return seq(evidence) }
	return r
}

func seq[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}
