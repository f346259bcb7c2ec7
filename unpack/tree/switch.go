package tree

import (
	"errors"
	"io/fs"
	"path"

	"github.com/gapbundle/gapbundle/bundle/durable"
)

// Switch makes generation n the one that is served, and the one before it the
// one that servers fall back to; none, where withdraw takes that one out of reach.
func (b *Builder) Switch(n int, withdraw bool) error {
	current, err := b.linked(currentLink)
	if err != nil {
		return err
	}
	if withdraw {
		if err := durable.Remove(b.root, previousLink); err != nil {
			return err
		}
	}
	if current == n {
		return nil
	}
	if current != 0 && !withdraw {
		if err := b.point(previousLink, current); err != nil {
			return err
		}
	}
	return b.point(currentLink, n)
}

// point makes a link to generation n, by one rename.
func (b *Builder) point(link string, n int) error {
	temp := link + tempSuffix
	if err := b.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := b.root.Symlink(generationDir(n), temp); err != nil {
		return err
	}
	if err := b.root.Rename(temp, link); err != nil {
		return err
	}
	return durable.SyncDir(b.root, path.Dir(link))
}
