package export

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// reading shows what a plan reads. It is a fetch.Reading.
type reading struct {
	progress bundle.Progress
	begin    func(source, file string, size int64) // not nil
	names    []named
}

// named is an address in the spec, and the source that has it.
type named struct{ address, source string }

var addresses = regexp.MustCompile(`https?://[^\s"'\]}]+`)

// newReading makes a reading that knows the sources by the addresses in their entries.
func newReading(o Options, specs []sources.Spec) *reading {
	r := &reading{progress: o.Progress, begin: o.Reading}
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
func (r *reading) Begin(address string, size int64) {
	if size > 0 {
		r.progress.Grow(size)
	}
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	source, longest := u.Host, len(u.Scheme+"://"+u.Host) // an address has to have the host in common
	for _, n := range r.names {
		if common := commonPrefix(n.address, address); common >= longest {
			source, longest = n.source, common
		}
	}
	r.begin(source, path.Base(u.Path), size)
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
