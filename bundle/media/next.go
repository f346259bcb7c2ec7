package media

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// NextMedium is a question for a further medium.
type NextMedium struct {
	// Number is that of the medium, from 1. About is how many there will be in all, as far
	// as can be told; 0: it cannot.
	Number, About int
	// Need is what has to be free there at least, Left what is still to be placed at most,
	// both in bytes; Left is 0 where that is not known.
	Need, Left int64
	// Dir is where the medium before is mounted.
	Dir string
	// Keep are directories of media that are still being written: they have to stay.
	Keep []string
	// Refused is why the answer before was not taken; nil: none was given.
	Refused error
}

// FullError means that no medium has room for a volume. It matches bundle.ErrIncomplete.
type FullError struct {
	// Volume is its number, Need what it takes at most, Free what the roomiest target has,
	// in bytes.
	Volume     int
	Need, Free int64
	Targets    []string
	// Left is what is still to be placed at most, in bytes; 0: not known. More is about how
	// many media like the last one that takes; 0: not known.
	Left int64
	More int
	// TooLarge means that no such volume fits on a target even if that is empty.
	TooLarge bool
}

func (e *FullError) Error() string {
	text := fmt.Sprintf("volume %d: needs %s, at most %d free on %s", e.Volume, bundle.Count(e.Need, "byte"), e.Free, strings.Join(e.Targets, ", "))
	if e.Left > 0 {
		text += fmt.Sprintf("; still to be placed: at most %s", bundle.Count(e.Left, "byte"))
	}
	return text
}

// Unwrap returns bundle.ErrIncomplete.
func (e *FullError) Unwrap() error { return bundle.ErrIncomplete }

func (w *Writer) full(number int, need, most int64) error {
	left, more := w.remaining(need)
	e := &FullError{Volume: number, Need: need, Free: max(0, most), Left: left, More: more, TooLarge: true}
	for _, m := range w.media {
		if m.away {
			continue
		}
		e.Targets = append(e.Targets, m.dir)
		if s, err := spaceOf(m.dir); err != nil || s.Capacity >= need+w.reserve() {
			e.TooLarge = false
		}
	}
	return e
}

// remaining returns what is still to be placed at most, which is need at least, and about how
// many media like the last one it takes. 0: not known.
func (w *Writer) remaining(need int64) (left int64, more int) {
	if w.o.Raw == 0 {
		return 0, 0
	}
	raw, coded := w.raw.Load(), w.coded.Load()
	left = max(need, w.o.Raw-raw)
	s, err := spaceOf(w.media[len(w.media)-1].dir)
	room := s.Capacity - w.reserve()
	if err != nil || room <= 0 {
		return left, 0
	}
	if raw > 0 { // as what was written did, the rest will shrink
		return left, int(max(1, math.Ceil(float64(left)*float64(coded)/float64(raw)/float64(room))))
	}
	return left, int((left + room - 1) / room)
}

// askNext asks for a further medium until one is named that can be written to; false:
// there is none. Everything on media that may be taken out is durable and was read back.
func (w *Writer) askNext(ctx context.Context, need int64) (taken bool, err error) {
	w.waitEnding()
	q := NextMedium{Number: len(w.media) + 1, Need: need + w.reserve(), Keep: w.release(), Dir: w.media[len(w.media)-1].dir}
	left, more := w.remaining(need)
	if q.Left = left; more > 0 {
		q.About = len(w.media) + more
	}
	for {
		dir, err := w.o.NextMedium(ctx, q)
		if err != nil || dir == "" {
			return false, err
		}
		if q.Refused = w.take(dir, q.Need); q.Refused == nil {
			return true, nil
		}
	}
}

// release notes that media may be taken out, but for those that volumes are written to:
// these it returns.
func (w *Writer) release() (keep []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.media {
		if m.writing == 0 {
			m.released = true
		} else if !m.away {
			keep = append(keep, m.dir)
		}
	}
	return keep
}

// take adds a medium that a person named, unless there is a reason against it.
func (w *Writer) take(dir string, need int64) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: does not exist", dir)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: not a directory", dir)
	}
	replaced, err := w.replaced(dir, info)
	if err != nil {
		return err
	}
	if err := w.systemDisk(dir, replaced); err != nil {
		return err
	}
	free, err := w.freeSpace(dir)
	if err != nil {
		return err
	}
	if free < need {
		return fmt.Errorf("%s: %s free, %d needed", dir, bundle.Count(free, "byte"), need)
	}
	if err := w.addMedium(dir); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range replaced {
		m.away = true
	}
	return nil
}

// replaced returns the media that were mounted where another one is now. That a folder or
// a device has the same number as before proves nothing: the volumes on it do.
func (w *Writer) replaced(dir string, info os.FileInfo) (all []*medium, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.media {
		there, err := os.Stat(m.dir)
		if err != nil || m.away || !os.SameFile(info, there) {
			continue
		}
		root, _, err := m.openAgain(w.partial)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			same := m.hasAny(root)
			root.Close()
			if same {
				return nil, fmt.Errorf("%s: medium %d is still there", dir, m.number)
			}
		}
		if m.writing > 0 {
			return nil, fmt.Errorf("%s: medium %d is still being written, put it back", dir, m.number)
		}
		all = append(all, m)
	}
	return all, nil
}

// hasAny reports whether a directory has a volume of the medium.
func (m *medium) hasAny(root *os.Root) bool {
	for n := range m.volumes {
		if info, err := root.Lstat(bundle.VolumeName(n)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// systemDisk refuses the folder that a medium was mounted at, if nothing is, and a folder
// of the system's disk where the first medium is none.
func (w *Writer) systemDisk(dir string, replaced []*medium) error {
	target, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	device, err := deviceOf(target)
	if err = errors.Join(err, target.Close()); err != nil {
		return err
	}
	nothing := isSystem(device) && !isSystem(w.media[0].device)
	for _, m := range replaced {
		nothing = nothing || m.mounted && !isMounted(dir, device)
	}
	if nothing {
		return fmt.Errorf("%s: on the system's disk, no medium is mounted there", dir)
	}
	return nil
}

// Removable reports whether a directory is on another file system than the one that the
// system runs from; false if it does not exist.
func Removable(dir string) (bool, error) {
	device, _, err := fileSystem(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && !isSystem(device), err
}

// isMounted reports whether a folder on this device is one that something is mounted at.
func isMounted(dir string, device uint64) bool {
	above, _, err := fileSystem(filepath.Dir(filepath.Clean(dir)))
	return err == nil && above != device
}

// isSystem reports whether it is the device that the system runs from.
func isSystem(device uint64) bool {
	system, _, err := fileSystem(string(filepath.Separator))
	return err == nil && system == device
}
