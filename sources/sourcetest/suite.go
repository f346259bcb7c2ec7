// Package sourcetest is the shared suite that every kind of source passes:
// a kind's own test states how its upstream looks in three states, what a plan
// must not read, and how its metadata can be forged; the suite does the rest,
// through the real export and the real import.
//
// It is for tests only. It also holds two kinds of its own, Manifests and
// Parcels, which use every seam that a kind may use and prove them.
package sourcetest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
)

// Suite is what a kind provides.
type Suite struct {
	// Kinds are the kind under test and, after it, those it derives.
	Kinds sources.Kinds
	// New starts an upstream in its first state. It is called again for every
	// test; dir is the folder of the spec file, where keyrings and the like
	// may be put.
	New func(t *testing.T, dir string) *Upstream
	// Program is the program that a kind runs as a child; "": none.
	Program string
	// Site makes a site key for the exporter: for a kind that rebuilds indexes.
	Site bool
	// Renamed means that files have other paths than upstream's, on a mount of the
	// repository's own: a public address stands for what is below its place, not for
	// the very paths.
	Renamed bool
	// FirstAlone means that of two sources that want the same content the first carries
	// it, as of two that have their files at one place.
	FirstAlone bool

	// NoChoice means that no option of the kind chooses from what upstream has.
	NoChoice bool

	// Signed is why nothing that the kind reads can be without a signature or a pinned
	// digest; "": it can, and an upstream of a kind that makes files has an Unsigned form.
	Signed string
	// ReadByCheck reports whether a file that is made here is read whole by the kind's own
	// Check and nowhere before: it was not made by this program. nil: none is.
	ReadByCheck func(path string) bool

	// Counted is the number of Check that counts what the kind has entries for; several
	// are joined by "+".
	Counted string

	key  exporterKey
	site keyPair // if Site is set
}

// Upstream is a fake upstream and the spec that names it.
type Upstream struct {
	Server *upstreamtest.Server
	// Sources are the entries of the spec's sources, as YAML: lines that begin
	// with "- name: ". The first entry is the one that wrong options are put into.
	Sources string
	// Next bring the upstream to its second state, in which something is
	// changed and something added, and to its third, in which something is
	// gone. They return the sources of the spec from then on.
	Next [2]func() string
	// Payload are paths of Server that a plan must not read, with what they
	// hold in the first state: two bytes or more each, whose digest is known
	// before they are fetched.
	Payload map[string][]byte
	// Forgeries are what must be refused.
	Forgeries []Forgery
	// Unsigned brings the upstream, from its first state, into a form in which no signature
	// and no pinned digest vouches for what files are made of here. It returns the sources
	// of the spec. nil: the kind makes no files, or Suite.Signed has the reason why there is none.
	Unsigned func() string
	// Nothing are choices that match nothing in the first state: one of every option of the
	// kind that chooses.
	Nothing []Nothing
}

// victim returns one payload.
func (u *Upstream) victim() (path string, content []byte) {
	path = slices.Min(slices.Collect(maps.Keys(u.Payload)))
	return path, u.Payload[path]
}

// Forgery is something that an upstream, or somebody on the way, does to it.
type Forgery struct {
	Name string
	// Do does it, in the first state.
	Do func()
	// Class is what the refusal has to match, Names what it has to name:
	// the URL, and what was expected and found.
	Class error
	Names []string
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	s.key = newKey(t)
	if s.Site {
		s.site = newSiteKey(t, passphrase, time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)) // older than the first export
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, Suite)
	}{
		{"strict config", strictConfig},
		{"plan", planTwice},
		{"public addresses", publicAddresses},
		{"hostile plans", hostilePlans},
		{"unsigned", unsigned},
		{"made is read back", madeIsReadBack},
		{"matches nothing", matchesNothing},
		{"forgeries", forgeries},
		{"payload faults", payloadFaults},
		{"transport", transport},
		{"cancel", cancels},
		{"round trip", roundTrip},
		{"convergence", convergence},
		{"removal and rollback", removal},
		{"damage", damage},
		{"hold and only", holding},
		{"shared content", sharing},
		{"client files", clientFiles},
		{"names", names},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}
