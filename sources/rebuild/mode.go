package rebuild

import (
	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// Mode is the option mode of a spec; empty: it follows from what is chosen.
type Mode string

// The modes, as sources.Repository.Mode has them.
const (
	Verbatim Mode = "verbatim"
	Rebuilt  Mode = "rebuilt"
)

// UpstreamFolder is where a rebuilt repository carries upstream's own indexes and
// signatures, below its mount: as evidence, because no client asks for them.
const UpstreamFolder = "_upstream/"

// Decide returns whether an index is made. selects reports that the spec chooses
// packages, by the options that choosers names for the error.
func (m Mode) Decide(pos strictyaml.Pos, selects bool, choosers string) (rebuilt bool, err error) {
	switch {
	case m != "" && m != Verbatim && m != Rebuilt:
		return false, pos.Errorf("mode: want verbatim or rebuilt, got %q", string(m))
	case m == Verbatim && selects:
		return false, pos.Errorf("mode: verbatim is upstream's own index: %s need rebuilt", choosers)
	}
	return m == Rebuilt || selects, nil
}

// Vouched returns how a file is vouched for that is made of others: bundle.VouchedMade
// if each of them is vouched for, and otherwise as the weakest is. inputs are
// values of bundle.Evidence.Vouched.
func Vouched(inputs ...string) string {
	vouched := bundle.VouchedMade
	for _, in := range inputs {
		switch in {
		case bundle.VouchedNone:
			return in
		case bundle.VouchedTLS:
			vouched = in
		}
	}
	return vouched
}
