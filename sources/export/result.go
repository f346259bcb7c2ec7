package export

import (
	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
	"github.com/gapbundle/gapbundle/sources"
)

// Result is what an export did.
type Result struct {
	// Nothing means that there was nothing new and no bundle was made. Message
	// names the last bundle.
	Nothing bool   `json:"nothing,omitempty"`
	Message string `json:"message,omitempty"`
	// Dirs are the directories of the bundle, the one with the root last.
	Dirs []string `json:"dirs,omitempty"`
	// Without are directories on media that were taken out before there was a
	// root: payload only. An import takes a medium with the root first.
	Without  []string `json:"without,omitempty"`
	Set      string   `json:"set"`
	Sequence int64    `json:"sequence,omitempty"`
	Full     bool     `json:"full"`
	// Root is the digest of bundle.json, State the state digest.
	Root  bundle.Digest `json:"root"`
	State bundle.Digest `json:"state"`
	// Base is the sequence that a delta builds on. Assumed means that no receipt
	// confirms its arrival; Before is then the one to build on if it was lost, 0: none.
	Base    int64 `json:"base,omitempty"`
	Assumed bool  `json:"assumed,omitempty"`
	Before  int64 `json:"before,omitempty"`
	// Files and Bytes are what the mirror will publish of the set; Carried is
	// how many bytes the volumes have, Volumes how many there are.
	Files    int64  `json:"files"`
	Bytes    int64  `json:"bytes"`
	Carried  int64  `json:"carried"`
	Volumes  int    `json:"volumes"`
	Readback string `json:"readback,omitempty"`
	// Pinned are URLs whose content was seen for the first time and is
	// enforced from now on; Changed are pins that --update-lock replaced.
	Pinned  []string         `json:"pinned,omitempty"`
	Changed []sources.Change `json:"changed,omitempty"`
	// Changes are those of each source against the base; Gone are the sources of the base
	// that the spec does not have any more.
	Changes []SourceChanges `json:"changes,omitempty"`
	Gone    []Gone          `json:"gone,omitempty"`
	// Adopted is what was taken over from Options.Adopt.
	Adopted *Adopted `json:"adopted,omitempty"`
	// Destination is the one that the bundle is for; empty: it has no name.
	Destination string `json:"destination,omitempty"`
	// Unknown are the destinations exported to before, when this one never was.
	Unknown []string `json:"otherDestinations,omitempty"`
	// Left are directories of an earlier export that was given up; they may
	// be deleted.
	Left []string `json:"left,omitempty"`
	// Unpinned counts files that nothing but the connection vouches for.
	Unpinned int64 `json:"unpinned"`
	// Outdated means that the destination's importer has to be updated before
	// it can read the bundle; nil: as far as known, it need not.
	Outdated *Outdated `json:"outdated,omitempty"`
	// Names are what was added, changed and removed by name, as PlanReport has it.
	Names []*contents.Summary `json:"names,omitempty"`
	// Asked is how much a repair request asks for, Answered how much of it the bundle
	// carries: the rest is named by no list any more, and the mirror does not need it once
	// the bundle is imported.
	Asked    int `json:"asked,omitempty"`
	Answered int `json:"answered,omitempty"`
	// Notes are the sources' remarks for the person who exports: what lapses,
	// what moved, what was left out.
	Notes []Note `json:"notes,omitempty"`
}

// Note is a remark of one source.
type Note struct {
	Source string `json:"source"`
	Text   string `json:"text"`
}

// of fills in the fields that are in the root.
func (r *Result) of(m *bundle.Manifest) {
	r.Set, r.Sequence, r.Full, r.State = m.Set, m.Sequence, m.Full, m.State
	for _, repo := range m.Repositories {
		r.Files += repo.Count
		r.Bytes += repo.Bytes
		r.Unpinned += repo.Unpinned
	}
	if m.Base != nil {
		r.Base = m.Base.Sequence
	}
}
