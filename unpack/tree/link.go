package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/unpack/site"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/verify"
)

// placer puts files into trees that nobody sees yet. Web servers build
// validators from modification time and size, so a path whose content changes
// has to get a later time, and one that does not change keeps its own.
type placer struct {
	b *Builder
	// policy decides which public names the sets may answer for.
	policy *verify.Policy
	ctx    context.Context // of the one publish that the placer is for
	at     time.Time       // T: the time of everything that is new
	// base is the address that is published, baseBefore the one of the
	// generation before; empty: not known.
	base, baseBefore string
	// made is the folder that was made last: paths come sorted, so it is
	// mostly the next one too. to is the same, open; from and spareFrom are
	// the folders of the published tree and of a spare that were linked from
	// last.
	made                string
	to, from, spareFrom openFolder
	// linkless is set once the file system has refused a hard link.
	linkless bool
	copies   int64
	// spares are copies of files that have as many names as they can have.
	spares map[spare]string
}

// openFolder is an open folder and its path; the zero value is none.
type openFolder struct {
	*store.Folder
	path string
}

// at makes o the folder path.
func (o *openFolder) at(root *os.Root, path string) (*store.Folder, error) {
	if o.Folder != nil && o.path == path {
		return o.Folder, nil
	}
	if err := o.close(); err != nil {
		return nil, err
	}
	f, err := store.OpenFolder(root, path)
	if err != nil {
		return nil, err
	}
	o.Folder, o.path = f, path
	return f, nil
}

// lstat looks at a file in the folder that it makes o.
func (o *openFolder) lstat(root *os.Root, name string) (fs.FileInfo, error) {
	dir, err := o.at(root, path.Dir(name))
	if err != nil {
		return nil, err
	}
	return dir.Lstat(path.Base(name))
}

func (o *openFolder) close() error {
	if o.Folder == nil {
		return nil
	}
	f := o.Folder
	o.Folder = nil
	return f.Close()
}

// close ends the use of a placer.
func (p *placer) close() error { return errors.Join(p.to.close(), p.from.close(), p.spareFrom.close()) }

type spare struct {
	digest bundle.Digest
	mtime  int64
}

// put makes dst, with the content of f. same is the path of the same file in
// what is published, with the same content, or empty.
func (p *placer) put(f bundle.File, dst, same string) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	if err := p.makeParents(dst); err != nil {
		return err
	}
	if same != "" {
		err := p.keep(f, same, dst)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// The published file is damaged: a blob takes its place.
	}
	return p.stock(f, dst)
}

// fill makes dst, the content of f with the mirror's address filled in; nothing
// where that is not known. same is the path of the same file in what is
// published, with the same address filled in, or empty.
func (p *placer) fill(f bundle.File, dst, same string) error {
	if p.base == "" {
		return p.ctx.Err()
	}
	if err := errors.Join(p.ctx.Err(), p.makeParents(dst)); err != nil {
		return err
	}
	if same != "" {
		if err := p.keep(f, same, dst); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return p.writeFilled(f, dst)
}

func (p *placer) writeFilled(f bundle.File, dst string) (err error) {
	if f.Size > bundle.MaxFilledSize {
		return fmt.Errorf("%s: filled, with %s, at most %d: %w", f.Path, bundle.Count(f.Size, "byte"), bundle.MaxFilledSize, bundle.ErrMalformed)
	}
	in, err := p.b.blobs.Open(f.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return bundle.About(bundle.AboutMirror, fmt.Errorf("%s: blob %s is not in the store: %w", f.Path, f.Digest, bundle.ErrIncomplete))
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := p.b.root.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, store.Mode)
	if err != nil {
		return err
	}
	err = errors.Join(site.Substitute(out, in, p.base), out.Chmod(store.Mode), out.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", dst, err)
	}
	return p.b.root.Chtimes(dst, p.at, p.at)
}

// stock makes dst out of the blob of f.
func (p *placer) stock(f bundle.File, dst string) error {
	fi, err := p.b.blobs.Lstat(f.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return bundle.About(bundle.AboutMirror, fmt.Errorf("%s: blob %s is not in the store: %w", f.Path, f.Digest, bundle.ErrIncomplete))
	}
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() || fi.Size() != f.Size {
		return fmt.Errorf("%s: blob %s in the store: want %s, got %d: %w", f.Path, f.Digest, bundle.Count(f.Size, "byte"), fi.Size(), errDamaged)
	}
	shelf, err := p.b.blobs.Shelf(f.Digest)
	if err != nil {
		return err
	}
	src, mtime := BlobsDir+"/"+p.b.blobs.Path(f.Digest), fi.ModTime()
	if !mtime.Equal(p.at) {
		links, err := linkCount(p.b.root, src, fi)
		switch {
		case err != nil:
			return err
		case links == 1: // nobody serves it: it may take the time of this publish
			if err := shelf.Chtimes(f.Digest.Hex(), p.at); err != nil {
				return err
			}
			mtime = p.at
		case strings.Contains(f.Path, f.Digest.Hex()): // never had other content, never will
		default:
			return p.copy(src, dst, p.at)
		}
	}
	if linked, err := p.link(shelf, f.Digest.Hex(), dst); linked || err != nil {
		return err
	}
	return p.double(f.Digest, src, dst, mtime)
}

// keep makes dst the same file as src, which is published.
func (p *placer) keep(f bundle.File, src, dst string) error {
	from, err := p.from.at(p.b.root, path.Dir(src))
	if err != nil {
		return err
	}
	if linked, err := p.link(from, path.Base(src), dst); linked || err != nil {
		return err
	}
	fi, err := p.b.root.Lstat(src)
	if err != nil {
		return err
	}
	return p.double(f.Digest, src, dst, fi.ModTime())
}

// double makes dst a file like src, which cannot be linked to: another that
// was copied for the same reason, or a copy.
func (p *placer) double(d bundle.Digest, src, dst string, mtime time.Time) error {
	key := spare{d, mtime.UnixNano()}
	if have := p.spares[key]; have != "" {
		from, err := p.spareFrom.at(p.b.root, path.Dir(have))
		if err != nil {
			return err
		}
		if linked, err := p.link(from, path.Base(have), dst); linked || err != nil {
			return err
		}
	}
	if err := p.copy(src, dst, mtime); err != nil {
		return err
	}
	if !p.linkless {
		p.spares[key] = dst
	}
	return nil
}

// link makes dst a hard link to the file name in from. false: there cannot be
// one.
func (p *placer) link(from *store.Folder, name, dst string) (bool, error) {
	if p.linkless {
		return false, nil
	}
	to, err := p.to.at(p.b.root, path.Dir(dst))
	if err != nil {
		return false, err
	}
	err = store.Link(from, name, to, path.Base(dst))
	switch {
	case err == nil:
		return true, nil
	case isTooManyLinks(err): // ext4: 65,000 to one file
		return false, nil
	case isLinkless(err):
		p.linkless = true
		return false, nil
	}
	return false, err
}

// copy makes dst a file of its own, sharing the blocks of src where the file
// system can.
func (p *placer) copy(src, dst string, mtime time.Time) (err error) {
	in, err := p.b.root.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := p.b.root.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, store.Mode)
	if err != nil {
		return err
	}
	if !reflink(out, in) {
		_, err = io.Copy(out, in)
	}
	err = errors.Join(err, out.Chmod(store.Mode), out.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", dst, err)
	}
	p.copies++
	return p.b.root.Chtimes(dst, mtime, mtime)
}

// makeParents makes the folders above dst that are missing, 0755 whatever the
// umask.
func (p *placer) makeParents(dst string) error {
	dir := path.Dir(dst)
	if dir == p.made {
		return nil
	}
	for i := len(commonDir(p.made, dir)); i < len(dir); {
		next := strings.IndexByte(dir[i+1:], '/')
		if next < 0 {
			i = len(dir)
		} else {
			i += 1 + next
		}
		if err := durable.MakeDir(p.b.root, dir[:i], DirMode); err != nil {
			return err
		}
	}
	p.made = dir
	return nil
}

// commonDir returns the longest folder that a and b, both folders, are in or are.
func commonDir(a, b string) string {
	end := 0
	for i := 0; ; i++ {
		aEnds, bEnds := i == len(a) || a[i] == '/', i == len(b) || b[i] == '/'
		if aEnds && bEnds {
			end = i
		}
		if i == len(a) || i == len(b) || a[i] != b[i] {
			return a[:end]
		}
	}
}
