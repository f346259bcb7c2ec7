package unpack

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
	"github.com/gapbundle/gapbundle/bundle/durable"
	"github.com/gapbundle/gapbundle/verify"
)

// mirrorFormat is the version of the layout of a mirror's directory.
const mirrorFormat = 1

// settings are what the operator chose for the whole mirror.
type settings struct {
	Format int `json:"format"`
	// BaseURL is the address of the mirror for clients; empty: not said.
	BaseURL string `json:"baseURL,omitempty"`
	// Floor is where the clock floor of new sets begins, if an operator has
	// set the time.
	Floor time.Time `json:"floor,omitzero"`
}

func (m *Mirror) settings() (settings, error) {
	var s settings
	err := readState(m.root, settingsFile, &s)
	return s, err
}

// ratchet is what the mirror remembers of a set, whatever it publishes. Its
// sequence never falls, but by an operator who adopts another stream or
// forgets the set.
type ratchet struct {
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
	// Newest is what bundle Sequence described and Acknowledged what the
	// newest receipt does: what the exporter builds the next delta on, so gc
	// keeps both.
	Newest       *content `json:"newest,omitempty"`
	Acknowledged *content `json:"acknowledged,omitempty"`
}

// content is what one bundle describes.
type content struct {
	Sequence     int64               `json:"sequence"`
	State        bundle.Digest       `json:"state"`
	Repositories []bundle.Repository `json:"repositories"`
}

func ratchetFile(set string) string { return setsDir + "/" + set + ".json" }

// ratchet reads what was accepted of a set; nothing yet is the zero ratchet
// with the floor that new sets begin at.
func (m *Mirror) ratchet(set string) (ratchet, error) {
	if err := bundle.CheckLabel(set); err != nil {
		return ratchet{}, err
	}
	r := ratchet{Set: set}
	err := readState(m.root, ratchetFile(set), &r)
	if errors.Is(err, fs.ErrNotExist) {
		s, err := m.settings()
		if err != nil {
			return ratchet{}, err
		}
		r.Floor = m.o.Built.UTC()
		if !s.Floor.IsZero() {
			r.Floor = s.Floor
		}
		return r, nil
	}
	return r, err
}

// ratchets are those of all sets, by name.
func (m *Mirror) ratchets() ([]ratchet, error) {
	entries, err := fs.ReadDir(m.root.FS(), setsDir)
	if err != nil {
		return nil, err
	}
	var all []ratchet
	for _, e := range entries {
		set, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || bundle.CheckLabel(set) != nil {
			continue // what durable.WriteFile left of a crash
		}
		r, err := m.ratchet(set)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// has says whether the bundle with this root was accepted.
func (r *ratchet) has(root bundle.Digest) bool {
	return slices.ContainsFunc(r.Roots, func(a verify.AcceptedRoot) bool { return a.Root == root })
}

// readState reads a file of the mirror's own state; one that cannot be parsed
// matches bundle.ErrCorrupt, an absent one fs.ErrNotExist.
func readState(root *os.Root, name string, v any) error {
	b, err := root.ReadFile(name)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s: %w: %w", name, bundle.ErrCorrupt, err)
	}
	return nil
}

// writeState replaces a file of the mirror's own state durably.
func writeState(root *os.Root, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return durable.WriteFile(root, name, append(b, '\n'), stateFileMode)
}
