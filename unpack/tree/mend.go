package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/unpack/store"
)

// Mender puts right what is published in every kept generation. Each name gets its
// content by one rename: a client sees the damaged file or the right one. A name that is
// put right gets a later modification time, because its size may be the same and caches
// would keep the damaged bytes otherwise.
type Mender struct {
	p *placer
	// looked is the folder that was looked into last, sound the last one that is known to
	// be a folder, as is everything above it.
	looked openFolder
	sound  string
	next   int
	begin  func() (time.Time, error)

	// Mended is what was wrong and is right now, More how much there is besides.
	Mended []Damage
	More   int64
}

// NewMender returns a Mender. Before it changes anything it asks begin for the time that
// it has for files. The caller closes it.
func (b *Builder) NewMender(ctx context.Context, begin func() (time.Time, error)) *Mender {
	return &Mender{begin: begin, p: &placer{b: b, ctx: ctx, spares: map[spare]string{}}}
}

// Close makes what was done durable and ends the use of the Mender.
func (m *Mender) Close() error {
	err := errors.Join(m.p.close(), m.looked.close())
	if len(m.Mended) == 0 && m.next == 0 {
		return err // nothing was written
	}
	return errors.Join(err, m.p.b.sync.Trees(generationsDir, treesDir, BlobsDir))
}

// location is a name that a generation publishes.
type location struct {
	set, repository string
	// name is relative to the mirror, web to the web root.
	name, web string
	file      bundle.File
	// filled means that the address base takes the place of words in the content.
	filled bool
	base   string
}

func (s *location) damage(problem string) Damage {
	return Damage{Set: s.set, Repository: s.repository, Path: s.web, Blob: s.file.Digest, Problem: problem}
}

// eachName calls each for every name of every generation, those of a tree once. A list
// that is damaged or gone ends its repository: whoever looks at lists reports it.
func (t *Trees) eachName(ctx context.Context, each func(s *location) error) error {
	all, err := t.Generations()
	if err != nil {
		return err
	}
	planted := map[int]bool{}
	for _, g := range all {
		for _, set := range g.Sets {
			for _, r := range set.Repositories {
				if r.Tree != 0 && planted[r.Tree] {
					continue
				}
				planted[r.Tree] = true
				err := t.eachNameOf(ctx, &g, location{set: set.Set, repository: r.Name, base: g.BaseURL}, &r, each)
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (t *Trees) eachNameOf(ctx context.Context, g *Generation, s location, r *GenerationRepository, each func(s *location) error) error {
	dir := r.webRoot(generationDir(g.Number))
	for f, err := range t.Served(s.set, r) {
		switch {
		case IsListDamage(err):
			return nil
		case err != nil:
			return err
		case f.Filled && g.BaseURL == "":
			continue // waits for the address
		case ctx.Err() != nil:
			return ctx.Err()
		}
		s.name, s.web, s.file = dir+"/"+f.Path, r.Mount+"/"+f.Path, f
		s.filled = (f.Filled || site.Owns(s.web)) && g.BaseURL != ""
		if err := each(&s); err != nil {
			return err
		}
	}
	return nil
}

// IsListDamage reports whether an error of reading a kept list means that the list is
// damaged or missing.
func IsListDamage(err error) bool {
	return errors.Is(err, bundle.ErrCorrupt) || errors.Is(err, bundle.ErrMalformed) || errors.Is(err, fs.ErrNotExist)
}

// Rescue puts those of the blobs in bad on their shelf whose content a published name
// still has, and returns how many there were.
func (m *Mender) Rescue(bad *bundle.DigestSet) (n int64, err error) {
	b := m.p.b
	err = b.eachName(m.p.ctx, func(s *location) error {
		if _, is := bad.Size(s.file.Digest); !is || s.filled || bad.Marked(s.file.Digest) {
			return nil
		}
		fi, err := b.root.Lstat(s.name)
		if err != nil || !fi.Mode().IsRegular() || fi.Size() != s.file.Size {
			return nil //nolint:nilerr // it cannot be used, and is repaired later
		}
		if got, err := hashOf(b.root, s.name); err != nil || got != s.file.Digest {
			return nil //nolint:nilerr // the same
		}
		if err := m.shelve(s); err != nil {
			return err
		}
		bad.Mark(s.file.Digest)
		n++
		return nil
	})
	return n, err
}

// shelve makes the blob a second name of what is published, or a copy of it.
func (m *Mender) shelve(s *location) error {
	b := m.p.b
	if _, err := b.blobs.Shelf(s.file.Digest); err != nil {
		return err
	}
	temp, err := m.temp()
	if err != nil {
		return err
	}
	if err := b.root.Link(s.name, temp); err != nil {
		if err := m.p.copy(s.name, temp, m.p.at); err != nil {
			return err
		}
	}
	if err := b.root.Chmod(temp, store.Mode); err != nil {
		return err
	}
	return m.rename(temp, BlobsDir+"/"+b.blobs.Path(s.file.Digest))
}

// Names repairs every name that only reports, and whose blob is in the store. The blobs
// were verified by the caller.
func (m *Mender) Names(only func(bundle.Digest) bool) error {
	b := m.p.b
	if err := b.eachName(m.p.ctx, func(s *location) error {
		if !only(s.file.Digest) {
			return nil
		}
		bfi, err := b.blobs.Lstat(s.file.Digest)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return m.name(s, bfi)
	}); err != nil {
		return err
	}
	return m.mounts()
}

// name repairs one name.
func (m *Mender) name(s *location, bfi fs.FileInfo) error {
	if err := m.folder(s, path.Dir(s.name)); err != nil {
		return err
	}
	problem, err := m.problem(s, bfi)
	if err != nil || problem == "" {
		return err
	}
	temp, err := m.temp()
	if err != nil {
		return err
	}
	if s.filled {
		m.p.base = s.base
		err = m.p.writeFilled(s.file, temp)
	} else {
		err = m.p.stock(s.file, temp)
	}
	if err != nil {
		return err
	}
	if err := m.rename(temp, s.name); err != nil {
		return err
	}
	m.note(s.damage(problem))
	return nil
}

func (m *Mender) note(d Damage) {
	if len(m.Mended) < maxDamage {
		m.Mended = append(m.Mended, d)
	} else {
		m.More++
	}
}

// problem returns what is wrong with a name whose blob is right.
func (m *Mender) problem(s *location, bfi fs.FileInfo) (string, error) {
	b := m.p.b
	fi, err := m.looked.lstat(b.root, s.name)
	size := s.file.Size
	if s.filled && err == nil {
		size = fi.Size()
	}
	if problem := wrong(fi, err, size); problem != "" {
		return problem, nil
	}
	if os.SameFile(fi, bfi) {
		return "", nil
	}
	return b.compare(s.name, s.file.Digest, s.filled, s.base)
}

// folder makes dir, and what is above it, folders that web servers can read. dir is below
// a tree or a generation.
func (m *Mender) folder(s *location, dir string) error {
	if dir == m.sound {
		return nil
	}
	root := m.p.b.root
	for i := len(commonDir(m.sound, dir)); i < len(dir); {
		if next := strings.IndexByte(dir[i+1:], '/'); next < 0 {
			i = len(dir)
		} else {
			i += 1 + next
		}
		name := dir[:i]
		fi, err := root.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = durable.MakeDir(root, name, DirMode)
		case err != nil:
		case !fi.IsDir():
			m.note(s.damage(fmt.Sprintf("%s: not a folder: %s", name, fi.Mode())))
			if err = m.away(name); err == nil {
				err = durable.MakeDir(root, name, DirMode)
			}
		case fi.Mode().Perm()&DirMode != DirMode:
			m.note(s.damage(fmt.Sprintf("%s: folder of mode %04o", name, fi.Mode().Perm())))
			err = root.Chmod(name, DirMode)
		}
		if err != nil {
			return err
		}
	}
	m.sound = dir
	return nil
}

// mounts repairs the links that lead from generations to trees.
func (m *Mender) mounts() error {
	all, err := m.p.b.Generations()
	if err != nil {
		return err
	}
	for _, g := range all {
		for _, set := range g.Sets {
			for _, r := range set.Repositories {
				if r.Tree == 0 {
					continue
				}
				s := &location{set: set.Set, repository: r.Name, name: generationDir(g.Number) + "/" + r.Mount, web: r.Mount}
				if err := m.mount(s, r.Tree); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (m *Mender) mount(s *location, tree int) error {
	root := m.p.b.root
	want := strings.Repeat("../", strings.Count(s.name, "/")) + treeDir(tree)
	target, err := root.Readlink(s.name)
	if err == nil && target == want {
		return nil
	}
	if err := m.folder(s, path.Dir(s.name)); err != nil {
		return err
	}
	if err == nil {
		m.note(s.damage(fmt.Sprintf("links to %q, want %q", target, want)))
	} else {
		m.note(s.damage("the link to its files is gone"))
	}
	temp, err := m.temp()
	if err != nil {
		return err
	}
	if err := root.Symlink(want, temp); err != nil {
		return err
	}
	return m.exchange(temp, s.name)
}

// temp returns a free name in the store's staging folder, which every import sweeps.
func (m *Mender) temp() (string, error) {
	if m.p.at.IsZero() {
		at, err := m.begin()
		if err != nil {
			return "", err
		}
		m.p.at = at
	}
	for {
		m.next++
		name := BlobsDir + "/" + store.StagingDir + "/mend-" + strconv.Itoa(m.next)
		_, err := m.p.b.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
	}
}

// rename puts temp in the place of name, its content first. A file that is linked to the
// blob is durable already.
func (m *Mender) rename(temp, name string) error {
	root := m.p.b.root
	fi, err := root.Lstat(temp)
	if err != nil {
		return err
	}
	links, err := linkCount(root, temp, fi)
	if err != nil || links == 1 {
		f, err := root.Open(temp)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return m.exchange(temp, name)
}

// exchange renames temp to name, whatever is there.
func (m *Mender) exchange(temp, name string) error {
	root := m.p.b.root
	if fi, err := root.Lstat(name); err == nil && fi.IsDir() {
		if err := m.away(name); err != nil {
			return err
		}
	}
	return root.Rename(temp, name)
}

// away takes what has no business at name out of what is published.
func (m *Mender) away(name string) error {
	temp, err := m.temp()
	if err != nil {
		return err
	}
	if err := m.p.b.root.Rename(name, temp); err != nil {
		return err
	}
	return m.p.b.root.RemoveAll(temp)
}

// compare reads a published copy next to its blob, whose content is right. A
// client file and a filled one have the mirror's address where the blob has a
// word for it.
func (t *Trees) compare(name string, d bundle.Digest, filled bool, base string) (problem string, err error) {
	want, err := t.blobs.Open(d)
	if err != nil {
		return "", err
	}
	defer want.Close()
	h := bundle.NewHash()
	if filled {
		err = site.Substitute(h, want, base)
	} else {
		_, err = io.Copy(h, want)
	}
	if err != nil {
		return err.Error(), nil
	}
	got, err := hashOf(t.root, name)
	if err != nil {
		return err.Error(), nil
	}
	if w := bundle.SumOf(h); got != w {
		return fmt.Sprintf("digest mismatch: want %s, got %s", w, got), nil
	}
	return "", nil
}
