package state

import (
	"bytes"
	"context"
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
	"github.com/gapbundle/gapbundle/verify"
)

// Waiting is a bundle of which not everything was placed yet. Its root and
// catalogue are in state/pending/<bundle>/, so that the media may come one by
// one. Placed volumes are in a file next to that folder, one line for each
// volume, written after its blobs are durable.
type Waiting struct {
	Name string
	Root bundle.Digest
	// Time is the T of its publish.
	Time time.Time
	// Placed are the volumes that were placed, from 1.
	Placed map[int]bool
	// Segments are the durable parts of blobs that are split over volumes and
	// not whole yet, by the offset in the blob.
	Segments map[bundle.Digest]map[int64]Segment
}

// Segment is a durable part of a blob.
type Segment struct {
	Digest bundle.Digest `json:"digest"`
	At     int64         `json:"at"`
	Length int64         `json:"length"`
	Size   int64         `json:"size"`
}

// PlacedLine is a line of that file: the first has Root and Time, each other
// one a volume that was placed.
type PlacedLine struct {
	Root     bundle.Digest `json:"root,omitzero"`
	Time     time.Time     `json:"time,omitzero"`
	Volume   int           `json:"volume,omitempty"` // from 1
	Segments []Segment     `json:"segments,omitempty"`
}

// PendingPath returns the folder of the root and catalogue of a bundle that waits.
func PendingPath(name string) string { return PendingDir + "/" + name }

func placedFile(name string) string { return PendingPath(name) + placedSuffix }

const placedSuffix = ".placed"

// ReadPending reads the record of a bundle that waits; errors match
// fs.ErrNotExist where there is none.
func (s *State) ReadPending(name string) (*Waiting, error) {
	b, err := s.root.ReadFile(placedFile(name))
	if err != nil {
		return nil, err
	}
	p := &Waiting{Name: name, Placed: map[int]bool{}, Segments: map[bundle.Digest]map[int64]Segment{}}
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		if !whole {
			return p, nil // the last line was never finished: it does not count
		}
		var l PlacedLine
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w: %w", placedFile(name), n, errDamaged, err)
		}
		if n == 1 {
			p.Root, p.Time = l.Root, l.Time
		} else {
			p.add(l)
		}
		b = rest
	}
}

func (p *Waiting) add(l PlacedLine) {
	p.Placed[l.Volume] = true
	for _, s := range l.Segments {
		if p.Segments[s.Digest] == nil {
			p.Segments[s.Digest] = map[int64]Segment{}
		}
		p.Segments[s.Digest][s.At] = s
	}
}

// Whole returns the size of a blob and reports whether all its segments are
// there. Segments do not overlap, which verify has checked, so their lengths
// decide.
func (p *Waiting) Whole(d bundle.Digest) (size int64, whole bool) {
	var sum int64
	for _, s := range p.Segments[d] {
		sum += s.Length
		size = s.Size
	}
	return size, sum == size
}

// Queue changes the records of the bundles that wait for the rest of what they need.
type Queue struct{ of *State }

// Queue returns what changes the records of bundles that wait.
func (w *Writer) Queue() Queue { return Queue{w.State} }

// Await puts a bundle on record as pending, or finds it there. The pending
// root was verified by the run that put it there, so another bundle with this
// number is somebody's equivocation.
func (q Queue) Await(b *verify.Bundle, at time.Time) (*Waiting, error) {
	p, err := q.of.ReadPending(b.Name())
	if err == nil && !p.Root.IsZero() {
		if p.Root != b.Root() {
			return nil, &verify.EquivocationError{Set: b.Manifest().Set, Sequence: b.Manifest().Sequence, Have: p.Root, Got: b.Root()}
		}
		return p, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	dir := PendingPath(b.Name())
	if err := makeDir(q.of.root, dir); err != nil {
		return nil, err
	}
	if err := copyRoot(q.of.root, b, dir); err != nil {
		return nil, err
	}
	p = &Waiting{Name: b.Name(), Root: b.Root(), Time: at, Placed: map[int]bool{}, Segments: map[bundle.Digest]map[int64]Segment{}}
	line, err := json.Marshal(PlacedLine{Root: p.Root, Time: at})
	if err != nil {
		return nil, err
	}
	return p, WriteFile(q.of.root, placedFile(b.Name()), append(line, '\n'))
}

func copyRoot(root *os.Root, b *verify.Bundle, dir string) error {
	dst, err := root.OpenRoot(dir)
	if err != nil {
		return err
	}
	a, err := accessOf(root)
	if err != nil {
		return errors.Join(err, dst.Close())
	}
	err = b.CopyRoot(func(name string, content io.Reader) error {
		return durable.WriteFor(dst, name, a.file, a.group, func(out io.Writer) error {
			_, err := io.Copy(out, content)
			return err
		})
	})
	err = errors.Join(err, dst.Close())
	return errors.Join(err, durable.SyncDir(root, PendingDir))
}

// Placed records durably that a volume was placed.
func (q Queue) Placed(p *Waiting, l PlacedLine) error {
	line, err := json.Marshal(l)
	if err != nil {
		return err
	}
	f, err := q.of.root.OpenFile(placedFile(p.Name), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(appendLine(f, line), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", placedFile(p.Name), err)
	}
	p.add(l)
	return nil
}

// appendLine appends after the last whole line.
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

// Forget makes the next run read every volume of the bundle again.
func (q Queue) Forget(name string) error {
	return durable.Remove(q.of.root, placedFile(name))
}

// Drop removes everything of a bundle that waits no longer. The record
// goes first: without it the rest is rubbish.
func (q Queue) Drop(name string) error {
	if err := q.Forget(name); err != nil {
		return err
	}
	return q.of.root.RemoveAll(PendingPath(name))
}

// Pendings returns the names of the bundles that wait, sorted.
func (s *State) Pendings() ([]string, error) {
	entries, err := fs.ReadDir(s.root.FS(), PendingDir)
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

// Sweep removes roots that a crash left without a record.
func (q Queue) Sweep() error {
	entries, err := fs.ReadDir(q.of.root.FS(), PendingDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		_, err := q.of.root.Lstat(placedFile(e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			err = q.of.root.RemoveAll(PendingPath(e.Name()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// PendingCatalog calls each for the volumes of a pending bundle, whose root
// was verified when it was put there.
func (s *State) PendingCatalog(ctx context.Context, name string, each func(bundle.Volume, *bundle.Catalog) error) error {
	dir, err := s.root.OpenRoot(PendingPath(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	b, err := dir.ReadFile(bundle.RootName)
	if err != nil {
		return err
	}
	manifest, err := bundle.ParseKept(b)
	if err != nil {
		return fmt.Errorf("pending %s: %w", name, err)
	}
	var files []io.Closer
	defer func() {
		for _, f := range files {
			_ = f.Close() // read only
		}
	}()
	c, err := bundle.NewCatalog(manifest, func(file string) (io.ReaderAt, int64, error) {
		f, err := dir.Open(file)
		if err != nil {
			return nil, 0, err
		}
		files = append(files, f)
		fi, err := f.Stat()
		if err != nil {
			return nil, 0, err
		}
		return f, fi.Size(), nil
	})
	if err != nil {
		return fmt.Errorf("pending %s: %w", name, err)
	}
	for v, err := range c.Volumes(ctx) {
		if err == nil {
			err = each(v, c)
		}
		if err != nil {
			return fmt.Errorf("pending %s: %w", name, err)
		}
	}
	return nil
}
