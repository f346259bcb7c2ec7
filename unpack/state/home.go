package state

import (
	"errors"
	"io/fs"

	"github.com/gapbundle/gapbundle/bundle"
)

// homeFile states where the mirror was when it was changed last.
const homeFile = Dir + "/home.json"

// Home is the place of a mirror. Another path or another folder means that it was moved, copied
// or restored from a backup.
type Home struct {
	Dir string `json:"dir"`
	// Folder is the inode of the state's folder; 0: it has none.
	Folder uint64 `json:"folder,omitempty"`
}

// Home returns the place where the mirror was changed last. It is the zero Home if no program
// recorded it or the file cannot be read: nothing depends on it.
func (s *State) Home() (Home, error) {
	var h Home
	err := ReadJSON(s.root, homeFile, &h)
	if err == nil {
		return h, nil
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, bundle.ErrCorrupt) {
		err = nil
	}
	return Home{}, err
}

// SetHome records the place.
func (w *Writer) SetHome(h Home) error { return WriteJSON(w.root, homeFile, h) }
