package sourcetest

import (
	"context"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// boastful is Manifests whose index counts as made of vouched content, which it is not.
type boastful struct{ sources.Source }

func (b boastful) Plan(ctx context.Context, env *sources.Env) (*sources.Plan, error) {
	p, err := b.Source.Plan(ctx, env)
	if err != nil {
		return nil, err
	}
	for i := range p.Repositories {
		late := p.Repositories[i].Late
		p.Repositories[i].Late = func(ctx context.Context, done sources.Results) ([]sources.Artifact, error) {
			all, err := late(ctx, done)
			for i := range all {
				all[i].Evidence.Vouched = bundle.VouchedMade
			}
			return all, err
		}
	}
	return p, nil
}

// TestOverstated: a kind that counts an index as vouched for, and makes it of what nobody
// vouches for, does not pass: neither by what the index names, nor in the unsigned form.
func TestOverstated(t *testing.T) {
	s := fakeSuite()
	s.key = newKey(t)
	s.Kinds[0].New = func(specs []sources.Spec) (sources.Source, error) {
		honest, err := newManifests(specs)
		return boastful{honest}, err
	}
	claims := overstated(t, s)
	for _, want := range []string{"source main: INDEX counts as made and names files/", "source main: INDEX: nothing vouches for"} {
		found := false
		for _, claim := range claims {
			found = found || strings.HasPrefix(claim, want)
		}
		if !found {
			t.Errorf("%q is not among %q", want, claims)
		}
	}
}
