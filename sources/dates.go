package sources

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Dated are the dates of a source's state as upstream has them, by what bears them:
// the path of a Release, of repomd.xml, of an index. A zero date is none.
type Dated = map[string]time.Time

// Dates are upstreams' own dates of the states that were exported, and of those that are read
// now. It is safe for concurrent use; a nil *Dates knows nothing and keeps nothing.
// upstream.Forward decides by them.
type Dates struct {
	before  map[string]Dated // by source
	allowed []string         // sources that may be older

	mu   sync.Mutex
	seen map[string]Dated // by source
	back map[string]bool  // sources that are older
}

// NewDates returns dates that begin with what was exported before, by source. The
// sources that are allowed may be older than that.
func NewDates(before map[string]Dated, allowed []string) *Dates {
	return &Dates{before: before, allowed: allowed, seen: map[string]Dated{}, back: map[string]bool{}}
}

// Older returns the first of the dates, by name, that is before the one that was
// exported. ok is false if none is.
func (d *Dates) Older(source string, now Dated) (what string, ok bool) {
	if d == nil {
		return "", false
	}
	for _, what := range slices.Sorted(maps.Keys(now)) {
		if date := now[what]; !date.IsZero() && date.Before(d.before[source][what]) {
			return what, true
		}
	}
	return "", false
}

// Before returns the date that was exported; zero: none is known.
func (d *Dates) Before(source, what string) time.Time { return d.before[source][what] }

// MayBeOlder reports whether somebody allowed that a source is older than before.
func (d *Dates) MayBeOlder(source string) bool {
	name, _, _ := strings.Cut(source, "/")
	return slices.Contains(d.allowed, source) || slices.Contains(d.allowed, name)
}

// Note keeps the dates of a state that will be exported. A source whose parts are read
// one by one notes each.
func (d *Dates) Note(source string, now Dated) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[source] == nil {
		d.seen[source] = Dated{}
	}
	maps.Copy(d.seen[source], now)
}

// NoteOlder keeps that a source is older than before, and was allowed to be.
func (d *Dates) NoteOlder(source string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.back[source] = true
}

// WentBack returns the sources that are older than before, sorted.
func (d *Dates) WentBack() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.back))
}

// After returns the dates by source once this state is exported. Sources that were read
// have the dates that were read; keep decides which others keep theirs.
func (d *Dates) After(keep func(source string) bool) map[string]Dated {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := map[string]Dated{}
	for source, dated := range d.before {
		if keep(source) {
			after[source] = dated
		}
	}
	for source, dated := range d.seen {
		after[source] = Dated{}
		for what, date := range dated {
			if !date.IsZero() {
				after[source][what] = date.UTC()
			}
		}
	}
	return after
}
