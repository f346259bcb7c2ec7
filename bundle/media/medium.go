package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gapbundle/gapbundle/bundle"
)

// medium is one target directory and what this bundle has on it. No directory
// is kept open between two uses, so that a medium that is done with can be
// taken out.
type medium struct {
	number int    // from 1, for people
	dir    string // the target
	// device is the file system that the target was on when it was named. When a stick
	// is gone, its mount point is a folder of the system disk, and nothing is to be
	// written there.
	device uint64
	// mounted means that it was another file system than that of the folder it is in.
	mounted bool
	// Under Writer.mu:
	released bool             // a person may have taken the medium out
	away     bool             // another one is in its place
	reserved int64            // what the volumes that are being written may still take
	writing  int              // volumes that are being written
	volumes  map[int]struct{} // by number, begun or finished here
}

// GoneError means that a target is on another file system than when the export began: the
// medium was taken out, or another one is mounted there. It matches bundle.ErrIncomplete.
type GoneError struct {
	Number int // of the medium, from 1
	Dir    string
	// cause is fs.ErrNotExist where the mount point went with the medium, as on desktops.
	cause error
}

func (e *GoneError) Error() string {
	return fmt.Sprintf("medium %d: %s is not on the file system that it was on: the medium was taken out, or another one is in its place", e.Number, e.Dir)
}

// Unwrap returns bundle.ErrIncomplete, and fs.ErrNotExist where the mount point is gone too.
func (e *GoneError) Unwrap() []error {
	if e.cause == nil {
		return []error{bundle.ErrIncomplete}
	}
	return []error{bundle.ErrIncomplete, e.cause}
}

// target opens the target directory, which has to be on the device that it was on.
func (m *medium) target() (*os.Root, error) {
	target, err := os.OpenRoot(m.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &GoneError{m.number, m.dir, fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	device, err := deviceOf(target)
	if err == nil && device != m.device {
		err = &GoneError{m.number, m.dir, nil}
	}
	if err != nil {
		return nil, errors.Join(err, target.Close())
	}
	return target, nil
}

// open returns the bundle's directory on the medium, under its final name if it
// has that already.
func (m *medium) open(name string) (*os.Root, error) {
	target, err := m.target()
	if err != nil {
		return nil, err
	}
	defer target.Close()
	return target.OpenRoot(name)
}

// openAgain works like open, for a medium that was mounted once more: then it can be on another
// device, and the caller looks whether it is the right one.
func (m *medium) openAgain(name string) (*os.Root, uint64, error) {
	target, err := os.OpenRoot(m.dir)
	if err != nil {
		return nil, 0, err
	}
	defer target.Close()
	device, err := deviceOf(target)
	if err != nil {
		return nil, 0, err
	}
	root, err := target.OpenRoot(name)
	return root, device, err
}

// make makes and opens the bundle's directory, durably.
func (m *medium) make(name string) (*os.Root, error) {
	target, err := m.target()
	if err != nil {
		return nil, err
	}
	defer target.Close()
	switch err := target.Mkdir(name, 0o755); {
	case err == nil:
		if err := syncDir(target); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrExist):
		return nil, err
	}
	return target.OpenRoot(name)
}

// catalogReserve returns how much is kept free on every medium for catalogue, root and sums if the length of
// the lists is not known. A thirty-second of a volume is more than the lists of its blobs
// take.
func catalogReserve(volumeSize int64) int64 { return volumeSize / 32 }

func (w *Writer) reserve() int64 { return max(catalogReserve(w.o.VolumeSize), w.o.Lists) }

// openTargets looks at the target directories; the last element of one that
// does not exist is made. A bundle that was finished except for what its
// exporter notes about it gets its working name back.
func (w *Writer) openTargets() error {
	var infos []os.FileInfo
	for _, dir := range w.o.Targets {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		for i, other := range infos {
			if os.SameFile(info, other) {
				return fmt.Errorf("target %s: the same as %s: %w", dir, w.o.Targets[i], bundle.ErrUsage)
			}
		}
		infos = append(infos, info)
		if err := w.addMedium(dir); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) addMedium(dir string) error {
	target, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer target.Close()
	if err := w.takeBack(target); err != nil {
		return err
	}
	device, err := deviceOf(target)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.media = append(w.media, &medium{number: len(w.media) + 1, dir: dir, device: device, mounted: isMounted(dir, device), volumes: make(map[int]struct{})})
	return nil
}

// takeBack renames a finished directory to its working name again, if the root in it
// is the one that the records have: then this export finished it and died
// before that was noted. Any other bundle of this name is left alone.
func (w *Writer) takeBack(target *os.Root) error {
	there, err := target.OpenRoot(w.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer there.Close()
	signed, err := readSmall(there, bundle.RootName, bundle.MaxRootSize)
	recorded, errRecord := readSmall(w.o.Records, bundle.RootName, bundle.MaxRootSize)
	if err != nil || errRecord != nil || !bytes.Equal(signed, recorded) {
		return bundle.About(bundle.AboutTargets, fmt.Errorf("%s: already exists, from another export: %w", filepath.Join(target.Name(), w.name), bundle.ErrUsage))
	}
	if err := target.Rename(w.name, w.partial); err != nil {
		return err
	}
	return syncDir(target)
}

// place chooses the medium for a volume that takes at most need bytes: the
// first that has them free, beyond what is promised to volumes being written.
// soft: where none has, the one with most space is taken, and the volume is
// written as far as that goes.
func (w *Writer) place(ctx context.Context, number int, need int64, soft bool) (*medium, error) {
	w.placing.Lock()
	defer w.placing.Unlock()
	for {
		m, most, err := w.roomiest(need)
		if err != nil {
			return nil, err
		}
		if m != nil && (most >= need || soft && w.o.NextMedium == nil && most >= bundle.MinVolumeSize) {
			w.mu.Lock()
			defer w.mu.Unlock()
			m.reserved += need
			m.writing++
			m.volumes[number] = struct{}{}
			return m, nil
		}
		if w.o.NextMedium == nil {
			return nil, w.full(number, need, most)
		}
		if taken, err := w.askNext(ctx, need); err != nil {
			return nil, err
		} else if !taken {
			return nil, w.full(number, need, most)
		}
	}
}

// roomiest returns the first medium with need bytes free or else the one with
// most, and how much that is.
func (w *Writer) roomiest(need int64) (best *medium, most int64, err error) {
	w.taking.Lock()
	defer w.taking.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	var lost *medium
	for _, m := range w.media {
		if m.away {
			continue
		}
		free, err := w.freeOn(m)
		var gone *GoneError
		if errors.Is(err, fs.ErrNotExist) && len(m.volumes) > 0 || m.released && errors.As(err, &gone) {
			if !m.released && lost == nil {
				lost = m
			}
			continue // taken out
		}
		if err != nil {
			return nil, 0, err
		}
		free -= w.promised(m) + w.reserve()
		if best == nil || free > most {
			best, most = m, free
		}
		if free >= need {
			break
		}
	}
	if best == nil && lost != nil {
		return nil, 0, &GoneError{lost.number, lost.dir, fs.ErrNotExist}
	}
	return best, most, nil
}

// promised returns what volumes that are being written may still take of a medium, or of
// another target on its file system. The caller holds mu.
func (w *Writer) promised(m *medium) (all int64) {
	for _, other := range w.media {
		if !other.away && other.device == m.device {
			all += other.reserved
		}
	}
	return all
}

func (w *Writer) freeOn(m *medium) (int64, error) {
	target, err := m.target()
	if err != nil {
		return 0, err
	}
	if err := target.Close(); err != nil {
		return 0, err
	}
	return w.freeSpace(m.dir)
}

// find returns the medium that has a file of the bundle, open for reading and writing.
func (w *Writer) find(name string) (*medium, *os.File, error) {
	w.mu.Lock()
	media := w.media
	w.mu.Unlock()
	for _, m := range media {
		root, err := m.open(w.partial)
		var gone *GoneError
		if errors.Is(err, fs.ErrNotExist) || m.released && errors.As(err, &gone) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		f, err := openVolume(root, name, os.O_RDWR)
		root.Close()
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return m, f, err
		}
	}
	return nil, nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// openVolume opens a file that nothing but this program is expected to have
// made; a link in its place is not followed.
func openVolume(root *os.Root, name string, flag int) (*os.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file: %w", filepath.Join(root.Name(), name), bundle.ErrMalformed)
	}
	return root.OpenFile(name, flag, 0)
}

// written takes n bytes off what is promised on the medium.
func (w *Writer) written(m *medium, n int64) {
	w.mu.Lock()
	m.reserved -= n
	w.mu.Unlock()
}

// opened counts a volume that is written to, closed one that is not any more.
func (w *Writer) opened(m *medium) { w.countOpen(m, 1) }
func (w *Writer) closed(m *medium) { w.countOpen(m, -1) }

func (w *Writer) countOpen(m *medium, n int) {
	w.mu.Lock()
	m.writing += n
	w.mu.Unlock()
}

// adopt notes a volume that an interrupted export left.
func (w *Writer) adopt(m *medium, number int) {
	w.mu.Lock()
	m.volumes[number] = struct{}{}
	w.mu.Unlock()
}

// discard removes a volume that turned out not to be needed.
func (w *Writer) discard(m *medium, number int) error {
	root, err := m.open(w.partial)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(bundle.VolumeName(number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w.mu.Lock()
	delete(m.volumes, number)
	w.mu.Unlock()
	return syncDir(root)
}
