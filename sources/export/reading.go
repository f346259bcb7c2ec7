package export

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// quietAfter is how long nothing is read before that is shown as choosing: between two small
// files it would only flicker.
const quietAfter = 500 * time.Millisecond

// reading shows what a plan reads, and where nothing is read, that it chooses. It is a
// fetch.Reading.
type reading struct {
	progress bundle.Progress
	begin    func(source, file string, size int64) // not nil
	choosing func(source string)                   // nil: not shown
	names    []named

	mu    sync.Mutex
	open  int // answers that are being read
	quiet *time.Timer
	ended bool
}

// named is an address in the spec, and the source that has it.
type named struct{ address, source string }

var addresses = regexp.MustCompile(`https?://[^\s"'\]}]+`)

// newReading makes a reading that knows the sources by the addresses in their entries.
func newReading(o Options, specs []sources.Spec) *reading {
	r := &reading{progress: o.Progress, begin: o.Reading, choosing: o.Choosing}
	for _, s := range specs {
		var node *strictyaml.Node
		if s.Decode == nil || s.Decode(&node) != nil || node == nil {
			continue // the kind reports what is wrong with it
		}
		for text := range node.Texts() {
			for _, found := range addresses.FindAllString(text, -1) {
				r.names = append(r.names, named{found, s.Name})
			}
		}
	}
	return r
}

// Begin names the file and its source, or the host where no source names it.
func (r *reading) Begin(address string, size int64) (end func()) {
	if size > 0 {
		r.progress.Grow(size)
	}
	r.mu.Lock()
	r.open++
	if r.quiet != nil {
		r.quiet.Stop()
	}
	r.mu.Unlock()
	source := ""
	if u, err := url.Parse(address); err == nil {
		source = r.sourceOf(u, address)
		r.begin(source, fileName(u.Path), size)
	}
	return func() { r.end(source) }
}

// end shows after a while that the source chooses, unless something is read until then.
func (r *reading) end(source string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	if r.open > 0 || r.ended || r.choosing == nil || source == "" {
		return
	}
	r.quiet = time.AfterFunc(quietAfter, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.open == 0 && !r.ended {
			r.choosing(source)
		}
	})
}

// stop shows nothing more.
func (r *reading) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.quiet != nil {
		r.quiet.Stop()
	}
}

// sourceOf returns the source whose address begins like this one, or the host.
func (r *reading) sourceOf(u *url.URL, address string) string {
	source, longest := u.Host, len(u.Scheme+"://"+u.Host) // an address has to have the host in common
	for _, n := range r.names {
		if common := commonPrefix(n.address, address); common >= longest {
			source, longest = n.source, common
		}
	}
	return source
}

// inDigest matches the parts of a path that name a file by its digest only: in a folder by-hash of
// apt, as a blob or manifest of a registry.
var inDigest = regexp.MustCompile(`^((sha256:)?[0-9a-f]{32,128}|by-hash|SHA256|SHA512|SHA1|MD5Sum|blobs|manifests)$`)

// fileName returns the last part of a path. A file that has a digest for a name is named by
// its folders ("main binary-amd64"), a tag of an image with the image ("dcgm-exporter:4.2").
func fileName(p string) string {
	parts := strings.Split(strings.Trim(p, "/"), "/")
	named := len(parts)
	for named > 1 && inDigest.MatchString(parts[named-1]) {
		named--
	}
	switch {
	case named < len(parts):
		parts = parts[:named]
	case named >= 3 && parts[named-2] == "manifests":
		return parts[named-3] + ":" + parts[named-1]
	default:
		return path.Base(p)
	}
	return strings.Join(parts[max(named-2, 0):], " ")
}

// Read counts bytes.
func (r *reading) Read(n int) { r.progress.Add(int64(n)) }

// Grow corrects what is to be read.
func (r *reading) Grow(n int64) { r.progress.Grow(n) }

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	if n < len(a) && n < len(b) {
		return strings.LastIndexByte(a[:n], '/') // whole components alone
	}
	return n
}
