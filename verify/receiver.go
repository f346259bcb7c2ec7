package verify

import (
	"io"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

// Receiver is what the receiving side holds: for an import, the mirror with
// what other bundles at hand bring along.
type Receiver interface {
	// Accepted is the ratchet of a set; the zero value when none was accepted.
	Accepted(set string) (Accepted, error)
	// HasBlob reports whether a blob is in the store with this size, or is in a
	// bundle that is imported together with this one.
	HasBlob(d bundle.Digest, size int64) (bool, error)
	// OpenList opens a list of an earlier bundle; fs.ErrNotExist if it is
	// not here. The bytes are checked by the caller.
	OpenList(d bundle.Digest) (io.ReadCloser, error)
}

// Accepted is what a receiver remembers of a set. It only ever grows; no
// rollback touches it.
type Accepted struct {
	// Stream is the stream that the set is bound to, empty at first.
	Stream string
	// Sequence and Root are of the newest bundle that was accepted.
	Sequence int64
	Root     bundle.Digest
	// Roots are all that were accepted of this stream, in any order.
	Roots []AcceptedRoot
	// Floor is a time that has certainly passed. See NextFloor.
	Floor time.Time
}

// AcceptedRoot is one bundle that was accepted.
type AcceptedRoot struct {
	Sequence int64         `json:"sequence"`
	Root     bundle.Digest `json:"root"`
}

// MaxFloorStep is how far one accepted bundle moves the floor of the clock, so
// that one root dated wrongly (or signed with a stolen key) cannot make every
// later bundle look expired.
const MaxFloorStep = 90 * 24 * time.Hour

// NextFloor returns the floor after a bundle was accepted. It never falls, and
// rises to created, by at most MaxFloorStep.
func NextFloor(floor, created time.Time) time.Time {
	if highest := floor.Add(MaxFloorStep); created.After(highest) {
		return highest
	}
	if created.After(floor) {
		return created
	}
	return floor
}

// judged returns the time by which expiry is judged: a clock that was set back does
// not bring old bundles to life.
func judged(now, floor time.Time) time.Time {
	if floor.After(now) {
		return floor
	}
	return now
}
