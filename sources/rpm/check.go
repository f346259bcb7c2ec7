package rpm

import (
	"context"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) { return nil, nil }

func clients(_ context.Context, repos []bundle.Repository, _ sources.Tree) ([]sources.ClientFile, error) {
	return nil, nil
}
