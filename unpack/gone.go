package unpack

import (
	"errors"
	"io/fs"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
)

// GoneError means that the folder of a mirror is not the one any more that it was when the
// mirror was opened: its disk was taken out, or another one is mounted in its place. Nothing
// is written there. It matches bundle.ErrIncomplete.
type GoneError struct{ Dir string }

func (e *GoneError) Error() string {
	return "mirror " + e.Dir + ": not the folder any more that it was when the command began: its disk was taken out, or another is in its place"
}

// Unwrap returns bundle.ErrIncomplete.
func (e *GoneError) Unwrap() error { return bundle.ErrIncomplete }

// there makes sure that the mirror is still at its path. Its files are reached through the
// folder that was opened, so nothing can be written anywhere else; but nobody would find
// what is written to a file system that is not mounted any more.
func there(root *os.Root, dir string) error {
	opened, err := root.Stat(".")
	if err != nil {
		return err
	}
	now, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(opened, now) {
		return &GoneError{dir}
	}
	return err
}
