package export

import (
	"encoding/json"
	"path/filepath"

	"github.com/gapbundle/gapbundle/bundle"
)

// request is a digest over everything that decides what the bundle holds and
// where it goes, upstream apart. Another set of targets does not matter: a
// full medium is what makes people repeat an export with one more.
func (j *job) request() (bundle.Digest, error) {
	var baseState bundle.Digest
	if j.base != nil {
		baseState = j.base.manifest.State
	}
	var ids []string
	for _, s := range j.signers {
		ids = append(ids, s.KeyID().Hex())
	}
	target, err := filepath.Abs(j.o.Targets[0]) // however it is written
	if err != nil {
		return bundle.Digest{}, err
	}
	size := j.o.VolumeSize
	if size == 0 { // what is chosen then, the ledger knows: the space of the media changes
		size = bundle.DefaultVolumeSize
	}
	of := []any{
		j.spec.Digest, baseState, j.o.Destination, size, j.o.Only, j.o.Hold, j.o.Expires, target, ids, j.o.Tool,
	}
	if j.asked != nil {
		of = append(of, j.asked.request)
	}
	b, err := json.Marshal(of)
	return bundle.DigestOf(b), err
}
