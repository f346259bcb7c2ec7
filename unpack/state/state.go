package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

// errDamaged is the class of a file of a mirror's state that was damaged.
var errDamaged = bundle.About(bundle.AboutMirrorState, bundle.ErrCorrupt)

// Format is the version of the layout of a mirror's directory.
const Format = 1

// Settings are what the operator chose for the whole mirror.
type Settings struct {
	Format int `json:"format"`
	// BaseURL is the address of the mirror for clients; empty: not said.
	BaseURL string `json:"baseURL,omitempty"`
	// Floor is where the clock floor of new sets begins, if an operator has
	// set the time.
	Floor time.Time `json:"floor,omitzero"`
	// Mended is the time of the files that were repaired last: no publish has an earlier
	// one.
	Mended time.Time `json:"mended,omitzero"`
}

// Settings reads the settings; a folder that is no mirror matches
// fs.ErrNotExist.
func (s *State) Settings() (Settings, error) {
	var set Settings
	err := ReadJSON(s.root, SettingsFile, &set)
	return set, err
}

// Ratchet is what the mirror remembers of a set, whatever it publishes. Its
// sequence never falls, unless an operator adopts another stream or forgets
// the set.
type Ratchet struct {
	Set    string `json:"set"`
	Stream string `json:"stream"`
	// Sequence and Root are of the newest bundle accepted.
	Sequence int64         `json:"sequence"`
	Root     bundle.Digest `json:"root"`
	// Roots are all that were accepted of this stream.
	Roots []verify.AcceptedRoot `json:"roots,omitempty"`
	Floor time.Time             `json:"floor,omitzero"`
	// Mounts are owned by the set since its first import that had them.
	Mounts []string `json:"mounts,omitempty"`
	// Images are the names below v2/ that belong to the set, sorted: those of its newest
	// bundle that no other set had. ImagesKnown: they are on record.
	Images      []string `json:"images,omitempty"`
	ImagesKnown bool     `json:"imagesKnown,omitempty"`
	// Newest is what bundle Sequence described and Acknowledged what the
	// newest receipt does: what the exporter builds the next delta on, so gc
	// keeps both.
	Newest       *Content `json:"newest,omitempty"`
	Acknowledged *Content `json:"acknowledged,omitempty"`
}

// Content is what one bundle describes.
type Content struct {
	Sequence     int64               `json:"sequence"`
	State        bundle.Digest       `json:"state"`
	Repositories []bundle.Repository `json:"repositories"`
}

func ratchetFile(set string) string { return setsDir + "/" + set + ".json" }

// Ratchet reads what was accepted of a set. Before the first bundle that is
// the zero ratchet, with the clock floor at which new sets begin.
func (s *State) Ratchet(set string) (Ratchet, error) {
	if err := bundle.CheckLabel(set); err != nil {
		return Ratchet{}, err
	}
	r := Ratchet{Set: set}
	err := ReadJSON(s.root, ratchetFile(set), &r)
	if errors.Is(err, fs.ErrNotExist) {
		return s.NewRatchet(set)
	}
	return r, err
}

// NewRatchet returns the ratchet of a set before its first bundle.
func (s *State) NewRatchet(set string) (Ratchet, error) {
	settings, err := s.Settings()
	if err != nil {
		return Ratchet{}, err
	}
	r := Ratchet{Set: set, Floor: s.o.Built.UTC()}
	if !settings.Floor.IsZero() {
		r.Floor = settings.Floor
	}
	return r, nil
}

// Ratchets returns the ratchets of all sets, by name.
func (s *State) Ratchets() ([]Ratchet, error) {
	entries, err := fs.ReadDir(s.root.FS(), setsDir)
	if err != nil {
		return nil, err
	}
	var all []Ratchet
	for _, e := range entries {
		set, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || bundle.CheckLabel(set) != nil {
			continue // what durable.WriteFile left of a crash
		}
		r, err := s.Ratchet(set)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// Has reports whether the bundle with this root was accepted.
func (r *Ratchet) Has(root bundle.Digest) bool {
	return slices.ContainsFunc(r.Roots, func(a verify.AcceptedRoot) bool { return a.Root == root })
}

// Accept returns the ratchet after b was accepted.
func (r Ratchet) Accept(b *verify.Bundle) Ratchet {
	m := b.Manifest()
	c := &Content{Sequence: m.Sequence, State: m.State, Repositories: m.Repositories}
	r.Stream = m.Stream
	r.Roots = append(slices.Clone(r.Roots), verify.AcceptedRoot{Sequence: m.Sequence, Root: b.Root()})
	r.Acknowledged = c
	if m.Sequence > r.Sequence {
		r.Sequence, r.Root, r.Newest = m.Sequence, b.Root(), c
		if r.Floor.IsZero() { // a tool that does not know when it was built
			r.Floor = m.Created.Add(-verify.MaxFloorStep)
		}
		r.Floor = verify.NextFloor(r.Floor, m.Created)
	}
	for _, repo := range m.Repositories {
		if !bundle.IsSharedMount(repo.Mount) && !slices.Contains(r.Mounts, repo.Mount) {
			r.Mounts = append(r.Mounts, repo.Mount)
		}
	}
	slices.Sort(r.Mounts)
	return r
}

// ReadJSON reads a file of the mirror's own state; one that cannot be parsed
// matches bundle.ErrCorrupt, an absent one fs.ErrNotExist.
func ReadJSON(root *os.Root, name string, v any) error {
	b, err := root.ReadFile(name)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s: %w: %w", name, errDamaged, err)
	}
	return nil
}

// WriteJSON replaces a file of the mirror's own state durably.
func WriteJSON(root *os.Root, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return WriteFile(root, name, append(b, '\n'))
}
