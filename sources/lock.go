package sources

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// LockName is the file of pins next to the spec: one canonical JSON object
// per line, sorted by URL, to be kept under version control with the spec.
const LockName = "gapbundle.lock"

// Bounds of the file, which is read line by line. Its pins are held in memory, some 200 bytes
// for each and its URL.
const (
	maxPins     = bundle.MaxFiles
	maxLockLine = 64 << 10 // bytes
)

// Pin is what a URL's content was when it was first seen.
type Pin struct {
	Digest bundle.Digest
	Size   int64 // -1: not known
}

// Change is a pin that was replaced because the lock updates.
type Change struct {
	URL      string
	Old, New Pin
}

// lockLine is a line of the file.
type lockLine struct {
	Digest bundle.Digest `json:"digest"`
	Size   int64         `json:"size"`
	URL    string        `json:"url"`
}

// Lock is the content of gapbundle.lock. It is safe for concurrent use. Recorded
// pins reach the file by Save alone, so an export that was not
// completed, and a plan, pin nothing.
type Lock struct {
	path   string
	update bool

	mu      sync.Mutex
	pins    map[string]Pin
	added   map[string]Pin
	changed map[string]Change
}

// OpenLock reads the file, which may be absent. With update, content that
// differs from its pin replaces it; otherwise it is refused. Errors of the
// file's content match bundle.ErrUsage and name the line.
func OpenLock(path string, update bool) (*Lock, error) {
	l := &Lock{
		path: path, update: update,
		pins: map[string]Pin{}, added: map[string]Pin{}, changed: map[string]Change{},
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return l, l.parse(f)
}

func (l *Lock) parse(file io.Reader) error {
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLockLine)
	number := 0
	for lines.Scan() {
		number++
		line := lines.Bytes()
		if len(line) == 0 {
			continue
		}
		var v lockLine
		if err := bundle.UnmarshalCanonical(line, &v); err != nil {
			return fmt.Errorf("%s:%d: %w: %w", l.path, number, bundle.ErrUsage, err)
		}
		if _, twice := l.pins[v.URL]; twice || v.URL == "" || v.Digest.IsZero() || v.Size < 0 {
			return fmt.Errorf("%s:%d: %s: no valid pin, or pinned twice: %w", l.path, number, fetch.Redact(v.URL), bundle.ErrUsage)
		}
		if len(l.pins) == maxPins {
			return fmt.Errorf("%s:%d: more than %d pins: %w", l.path, number, maxPins, bundle.ErrUsage)
		}
		l.pins[v.URL] = Pin{v.Digest, v.Size}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%s:%d: a line of more than %d bytes: %w", l.path, number+1, maxLockLine, bundle.ErrUsage)
	} else if err != nil {
		return fmt.Errorf("%s: %w", l.path, err)
	}
	return nil
}

// Updates reports whether content that differs replaces its pin.
func (l *Lock) Updates() bool { return l.update }

// lockKey returns how the file names a URL: as it is, unless it holds what may be
// a secret. Then that is left out, and a fragment of the URL's digest distinguishes
// it from others like it.
func lockKey(url string) string {
	if r := fetch.Redact(url); r != url {
		return r + "#" + bundle.DigestOf([]byte(url)).Hex()[:16]
	}
	return url
}

// Lookup returns the pin of a URL as the file has it.
func (l *Lock) Lookup(url string) (Pin, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.pins[lockKey(url)]
	return p, ok
}

// Record pins a URL whose content was collected, or compares it with its pin.
// A difference matches fetch.ErrRefused, unless the lock updates.
func (l *Lock) Record(url string, d bundle.Digest, size int64) error {
	return l.record(url, d, size, l.update)
}

// Follow works like Record, for a URL whose content is meant to change: a difference replaces its pin.
func (l *Lock) Follow(url string, d bundle.Digest, size int64) error {
	return l.record(url, d, size, true)
}

func (l *Lock) record(url string, d bundle.Digest, size int64, update bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, key := Pin{d, size}, lockKey(url)
	old, known := l.pins[key]
	switch {
	case known && old == found:
		return nil
	case known && !update:
		return &PinError{URL: fetch.Redact(url), Lock: l.path, Pinned: old, Found: found}
	case known:
		l.changed[key] = Change{URL: fetch.Redact(url), Old: old, New: found}
	}
	if other, twice := l.added[key]; twice && other != found {
		return fmt.Errorf("%s: %s and %s within one export: %w", fetch.Redact(url), other.Digest, found.Digest, fetch.ErrUpstream)
	}
	l.added[key] = found
	return nil
}

// PinError is content that is not what was pinned. It matches fetch.ErrRefused.
type PinError struct {
	URL string // redacted
	// Lock is the file that has the pin, empty for one in the spec.
	Lock   string
	Pinned Pin
	// Found is what came; without a digest if the size alone showed it.
	Found Pin
}

func (e *PinError) Error() string {
	where := "the spec"
	if e.Lock != "" {
		where = filepath.Base(e.Lock)
	}
	return fmt.Sprintf("%s: not what %s pins: want %s, got %s", e.URL, where, e.Pinned, e.Found)
}

// Unwrap returns fetch.ErrRefused.
func (e *PinError) Unwrap() error { return fetch.ErrRefused }

func (p Pin) String() string {
	if p.Digest.IsZero() {
		return bundle.Count(p.Size, "byte")
	}
	if p.Size < 0 {
		return p.Digest.String()
	}
	return fmt.Sprintf("%s, %s", p.Digest, bundle.Count(p.Size, "byte"))
}

// Added returns the URLs that Save would pin for the first time, redacted and sorted.
func (l *Lock) Added() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var urls []string
	for key := range l.added {
		if _, known := l.pins[key]; !known {
			urls = append(urls, fetch.Redact(key))
		}
	}
	slices.Sort(urls)
	return urls
}

// Changed returns the pins that Save would replace, sorted by URL.
func (l *Lock) Changed() []Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Values(l.changed), func(a, b Change) int { return strings.Compare(a.URL, b.URL) })
}

// Save writes the file again, atomically and durably, if there is anything to
// write. Pins of URLs that no source has any more stay: a source that was
// taken out and put back must not lose them.
func (l *Lock) Save() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.added) == 0 {
		return nil
	}
	urls := slices.AppendSeq(make([]string, 0, len(l.pins)+len(l.added)), maps.Keys(l.pins))
	for url := range l.added {
		if _, known := l.pins[url]; !known {
			urls = append(urls, url)
		}
	}
	if len(urls) > maxPins {
		return fmt.Errorf("%s: pins: at most %d are possible, got %d: %w", l.path, maxPins, len(urls), bundle.ErrUsage)
	}
	slices.Sort(urls)
	root, err := os.OpenRoot(filepath.Dir(l.path))
	if err != nil {
		return err
	}
	defer root.Close()
	err = durable.WriteFrom(root, filepath.Base(l.path), 0o644, func(w io.Writer) error { return l.write(w, urls) })
	if err != nil {
		return fmt.Errorf("%s: %w", l.path, err)
	}
	maps.Copy(l.pins, l.added)
	clear(l.added)
	clear(l.changed)
	return nil
}

// write writes a line for each URL.
func (l *Lock) write(w io.Writer, urls []string) error {
	file := bufio.NewWriter(w)
	for _, url := range urls {
		pin, added := l.added[url]
		if !added {
			pin = l.pins[url]
		}
		line, err := bundle.MarshalCanonical(lockLine{Digest: pin.Digest, Size: pin.Size, URL: url})
		if err == nil && len(line) >= maxLockLine {
			err = fmt.Errorf("%.200s: bytes of its line: at most %d are possible, got %d: %w", fetch.Redact(url), maxLockLine, len(line), bundle.ErrUsage)
		}
		if err != nil {
			return err
		}
		_, _ = file.Write(append(line, '\n')) // Flush reports it
	}
	return file.Flush()
}
