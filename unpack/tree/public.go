package tree

import (
	"errors"
	"io/fs"

	"github.com/gapbundle/gapbundle/unpack/site"
)

// PublicNames returns what the published generation can answer for; nil: its program did not state it.
func (t *Trees) PublicNames() (*site.PublicNames, error) {
	root, err := t.root.OpenRoot(currentLink)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	names, err := site.ReadPublicNames(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}
