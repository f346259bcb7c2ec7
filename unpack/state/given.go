package state

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Given means that a web path belongs to a set, by the word of an operator. It goes
// before who came first.
type Given struct {
	Path string    `json:"path"`
	Set  string    `json:"set"`
	Time time.Time `json:"time"`
}

// Given returns what operators gave to sets, sorted by path. The more exact path counts.
func (s *State) Given() (all []Given, err error) {
	err = ReadJSON(s.root, GivenFile, &all)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return all, err
}

// GivenTo returns the set that a web path was given to, and the path that was given; empty:
// nobody gave it.
func GivenTo(all []Given, path string) (set, at string) {
	for _, g := range all {
		if Below(g.Path, path) && len(g.Path) > len(at) {
			set, at = g.Set, g.Path
		}
	}
	return set, at
}

// Below reports whether a web path is another one or below it.
func Below(above, path string) bool {
	return path == above || strings.HasPrefix(path, above+"/")
}

// Give puts on record that path belongs to a set, and takes the mounts there from the
// sets that own them. Published content stays until the set brings something there.
func (w *Writer) Give(path, set string) error {
	all, err := w.Given()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(g Given) bool { return Below(path, g.Path) })
	all = append(all, Given{Path: path, Set: set, Time: w.Now()})
	slices.SortFunc(all, func(a, b Given) int { return strings.Compare(a.Path, b.Path) })
	if err := w.Note(Entry{Time: w.Now(), What: "trust", Set: set, Detail: "give " + path}); err != nil {
		return err
	}
	if err := WriteJSON(w.root, GivenFile, all); err != nil {
		return err
	}
	owned, err := w.Ratchets()
	if err != nil {
		return err
	}
	for _, r := range owned {
		kept := slices.DeleteFunc(slices.Clone(r.Mounts), func(mount string) bool { return r.Set != set && Below(path, mount) })
		if len(kept) == len(r.Mounts) {
			continue
		}
		r.Mounts = kept
		if err := WriteJSON(w.root, ratchetFile(r.Set), r); err != nil {
			return err
		}
	}
	return nil
}
