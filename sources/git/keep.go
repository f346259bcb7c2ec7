package git

import (
	"io"

	"github.com/gapbundle/gapbundle/sources"
)

// openKept opens a document that the last export published and kept; nil: it
// did not.
func openKept(env *sources.Env, source, path string) (io.ReadCloser, error) {
	k, ok := env.Base.(interface {
		Kept(repo, path string) (io.ReadCloser, error)
	})
	if !ok {
		return nil, nil
	}
	return k.Kept(source, path)
}

// keep marks a document for the next export.
func keep(a sources.Artifact) sources.Artifact { return a }
