package unpack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/verify"
)

// pending is a bundle of which not everything was placed yet. Its root and
// catalogue lie in state/pending/<bundle>/, so that the media may come one by
// one; what was placed is in a file beside that, one line for each volume,
// written once its blobs are durable.
type pending struct {
	name   string
	root   bundle.Digest
	at     time.Time // T of its publish
	placed map[int]bool
	// segments are of blobs that are split over volumes and not whole yet, by
	// the offset in the blob: what is durable of them.
	segments map[bundle.Digest]map[int64]segment
}

// segment is a durable part of a blob.
type segment struct {
	Digest bundle.Digest `json:"digest"`
	At     int64         `json:"at"`
	Length int64         `json:"length"`
	Size   int64         `json:"size"`
}

// placedLine is a line of the record: the first has Root and Time, the others
// say that a volume was placed.
type placedLine struct {
	Root     bundle.Digest `json:"root,omitzero"`
	Time     time.Time     `json:"time,omitzero"`
	Volume   int           `json:"volume,omitempty"` // from 1
	Segments []segment     `json:"segments,omitempty"`
}

func pendingPath(name string) string { return pendingDir + "/" + name }
func placedFile(name string) string  { return pendingPath(name) + placedSuffix }

const placedSuffix = ".placed"

// readPending reads the record of a bundle; fs.ErrNotExist when there is none.
func (m *Mirror) readPending(name string) (*pending, error) {
	b, err := m.root.ReadFile(placedFile(name))
	if err != nil {
		return nil, err
	}
	p := &pending{name: name, placed: map[int]bool{}, segments: map[bundle.Digest]map[int64]segment{}}
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		if !whole {
			return p, nil // the last line was never finished: it does not count
		}
		var l placedLine
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w: %w", placedFile(name), n, bundle.ErrCorrupt, err)
		}
		if n == 1 {
			p.root, p.at = l.Root, l.Time
		} else {
			p.add(l)
		}
		b = rest
	}
}

func (p *pending) add(l placedLine) {
	p.placed[l.Volume] = true
	for _, s := range l.Segments {
		if p.segments[s.Digest] == nil {
			p.segments[s.Digest] = map[int64]segment{}
		}
		p.segments[s.Digest][s.At] = s
	}
}

// whole says that all segments of a blob are there: they do not overlap, which
// verify has checked, so their lengths tell.
func (p *pending) whole(d bundle.Digest) (size int64, whole bool) {
	var sum int64
	for _, s := range p.segments[d] {
		sum += s.Length
		size = s.Size
	}
	return size, sum == size
}

// await puts a bundle on record as pending, or finds it there. The pending
// root has been verified by the run that put it there, so another bundle with
// this number is somebody's equivocation.
func (w *writer) await(b *verify.Bundle, at time.Time) (*pending, error) {
	p, err := w.readPending(b.Name())
	if err == nil && !p.root.IsZero() {
		if p.root != b.Root() {
			return nil, &verify.EquivocationError{Set: b.Manifest().Set, Sequence: b.Manifest().Sequence, Have: p.root, Got: b.Root()}
		}
		return p, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	dir := pendingPath(b.Name())
	if err := store.MakeDir(w.root, dir, privateDirMode); err != nil {
		return nil, err
	}
	if err := w.copyRoot(b, dir); err != nil {
		return nil, err
	}
	p = &pending{name: b.Name(), root: b.Root(), at: at, placed: map[int]bool{}, segments: map[bundle.Digest]map[int64]segment{}}
	line, err := json.Marshal(placedLine{Root: p.root, Time: at})
	if err != nil {
		return nil, err
	}
	return p, durable.WriteFile(w.root, placedFile(b.Name()), append(line, '\n'), stateFileMode)
}

func (w *writer) copyRoot(b *verify.Bundle, dir string) error {
	dst, err := w.root.OpenRoot(dir)
	if err != nil {
		return err
	}
	err = b.CopyRoot(func(name string, content io.Reader) error {
		return durable.WriteFrom(dst, name, stateFileMode, func(out io.Writer) error {
			_, err := io.Copy(out, content)
			return err
		})
	})
	err = errors.Join(err, dst.Close())
	return errors.Join(err, durable.SyncDir(w.root, pendingDir))
}

// record says durably that a volume was placed.
func (w *writer) record(p *pending, l placedLine) error {
	line, err := json.Marshal(l)
	if err != nil {
		return err
	}
	f, err := w.root.OpenFile(placedFile(p.name), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(appendLine(f, line), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", placedFile(p.name), err)
	}
	p.add(l)
	return nil
}

// appendLine appends behind the last whole line.
func appendLine(f *os.File, line []byte) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, fi.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	end := int64(bytes.LastIndexByte(b, '\n') + 1)
	if err := f.Truncate(end); err != nil {
		return err
	}
	if _, err := f.WriteAt(append(line, '\n'), end); err != nil {
		return err
	}
	return f.Sync()
}

// forgetPlaced makes the next run read every volume of the bundle again.
func (w *writer) forgetPlaced(name string) error {
	return durable.Remove(w.root, placedFile(name))
}

// dropPending removes everything of a bundle that waits no longer. The record
// goes first: without it the rest is rubbish.
func (w *writer) dropPending(name string) error {
	if err := w.forgetPlaced(name); err != nil {
		return err
	}
	return w.root.RemoveAll(pendingPath(name))
}

// pendings are the names of the bundles that wait, sorted.
func (m *Mirror) pendings() ([]string, error) {
	entries, err := fs.ReadDir(m.root.FS(), pendingDir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), placedSuffix)
		if _, _, partial, isBundle := bundle.SplitDirName(name); ok && isBundle && !partial {
			names = append(names, name)
		}
	}
	return names, nil
}

// sweepPending removes roots that a crash left without a record.
func (w *writer) sweepPending() error {
	entries, err := fs.ReadDir(w.root.FS(), pendingDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		_, err := w.root.Lstat(placedFile(e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			err = w.root.RemoveAll(pendingPath(e.Name()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
