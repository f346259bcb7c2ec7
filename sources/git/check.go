package git

import (
	"context"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

func check(ctx context.Context, t sources.Tree) ([]bundle.CheckCount, error) { return nil, nil }

func clients(ctx context.Context, repos []bundle.Repository, t sources.Tree) ([]sources.ClientFile, error) {
	return nil, nil
}
