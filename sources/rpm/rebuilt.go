package rpm

import (
	"context"
	"errors"

	"github.com/gapbundle/gapbundle/sources"
)

const upstreamFolder = "_upstream/"

type selection struct{}

func (p *planner) choose(ctx context.Context, all []*gathered) ([]*selection, error) {
	return make([]*selection, len(all)), nil
}

func (p *planner) rebuilt(ctx context.Context, g *gathered, chosen *selection) (sources.Repository, error) {
	return sources.Repository{}, errors.New("not yet")
}
