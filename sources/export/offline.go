package export

import (
	"context"
	"errors"

	"github.com/gapbundle/gapbundle/sources/collect"
)

// OfflineReport is what can be said of a spec without asking anybody.
type OfflineReport struct {
	Set string `json:"set"`
	// Sources is how many there are, Held how many keep the base's lists.
	Sources int `json:"sources"`
	Held    int `json:"held,omitempty"`
	// Base is the sequence that a delta would build on; 0: a full bundle.
	Base int64 `json:"base,omitempty"`
	// NotAsked is how many requests would have been made first.
	NotAsked int `json:"notAsked"`
}

// Offline reads the spec and everything that a plan needs of this machine (upstream's
// keys, the site's, lists, the lock, the ledger and the base), and lets every kind
// begin its plan. Nobody is asked and nothing is written; like a plan it does not
// need the exporter's private key. Without an error the spec is sound.
func Offline(ctx context.Context, o Options) (*OfflineReport, error) {
	o.offline = true
	in, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	r, err := in.sound(ctx)
	return r, errors.Join(err, in.close())
}

func (in *opened) sound(ctx context.Context) (*OfflineReport, error) {
	env, err := in.env()
	if err != nil {
		return nil, err
	}
	r := &OfflineReport{Set: in.spec.Set, Sources: len(in.specs), Held: len(in.held)}
	if in.base != nil {
		r.Base = in.base.manifest.Sequence
	}
	r.NotAsked, err = collect.Sound(ctx, in.o.Kinds, in.specs, env)
	return r, err
}
