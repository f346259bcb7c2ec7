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
	s, err := open(ctx, o, false)
	if err != nil {
		return nil, err
	}
	r, err := s.offline(ctx)
	return r, errors.Join(err, s.close())
}

func (s *session) offline(ctx context.Context) (*OfflineReport, error) {
	env, err := s.env(false)
	if err != nil {
		return nil, err
	}
	r := &OfflineReport{Set: s.spec.Set, Sources: len(s.specs), Held: len(s.held)}
	if s.base != nil {
		r.Base = s.base.manifest.Sequence
	}
	r.NotAsked, err = collect.Sound(ctx, s.o.Kinds, s.specs, env)
	return r, err
}
