package export

import (
	"encoding/json"
	"path/filepath"

	"github.com/gapbundle/gapbundle/bundle"
)

// request returns a digest over everything that decides what the bundle holds and
// where it goes, upstream apart. Another set of targets does not matter: a
// full medium is what makes people repeat an export with one more.
func (in *opened) request() (bundle.Digest, error) {
	var baseState bundle.Digest
	if in.base != nil {
		baseState = in.base.manifest.State
	}
	target, err := filepath.Abs(in.o.Targets[0]) // however it is written
	if err != nil {
		return bundle.Digest{}, err
	}
	size := in.o.VolumeSize
	if size == 0 { // what is chosen then, the ledger knows: the space of the media changes
		size = bundle.DefaultVolumeSize
	}
	of := []any{
		in.spec.Digest, baseState, in.to.name, size, in.o.Only, in.o.Hold, in.o.Expires, target, in.own.ids(), in.o.Tool,
	}
	if in.asked != nil {
		of = append(of, in.asked.request)
	}
	b, err := json.Marshal(of)
	return bundle.DigestOf(b), err
}
