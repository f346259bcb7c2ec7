package sources

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Entry is something that a person would call by a name, and for which an artifact
// has: a package, an image's tag, a chart. It becomes a line of the repository's
// contents list. The other fields of that line (path, digest, origin, how it is vouched for)
// comes from the artifact's own lines, and a kind cannot set it.
type Entry struct {
	// Name, Version, Arch and Group are as upstream writes them; Type is one of
	// package bundle's Type constants. Name and Type are never empty. A name or a
	// version that bundle.Entry.Check refuses refuses the export.
	Name, Type, Version, Arch, Group string
	// Size is what a client downloads, in bytes; 0: the size of the artifact.
	Size int64
	// Summary and Licence are cut to one line of plain characters within the bounds of
	// package bundle.
	Summary, Licence string
	// Source is the source package, Revision a commit.
	Source, Revision string
	// Fixes are advisories, in any order; bundle.MaxFixes of them are named.
	Fixes []string
}

// EntryList is entries in a compact form: a plan holds those of all its artifacts.
type EntryList string

// NewEntries returns entries in the order given, each once.
func NewEntries(all ...Entry) EntryList {
	if len(all) == 1 { // of nearly every file
		var room, whole [usualEntry]byte // so that the list is all that is allocated
		one := all[0].pack(room[:0])
		return EntryList(append(binary.AppendUvarint(whole[:0], uint64(len(one))), one...))
	}
	var packed []byte
	seen := make(map[string]bool, len(all))
	for i := range all {
		one := string(all[i].pack(nil))
		if !seen[one] {
			packed = append(binary.AppendUvarint(packed, uint64(len(one))), one...)
		}
		seen[one] = true
	}
	return EntryList(packed)
}

// usualEntry is how many bytes nearly every packed entry has at most.
const usualEntry = 512

// Join returns the entries of both, each once.
func (e EntryList) Join(other EntryList) EntryList {
	switch {
	case e == other || other == "":
		return e
	case e == "":
		return other
	}
	joined := []byte(e)
	for one := range other.parts() {
		if !e.has(one) {
			joined = append(binary.AppendUvarint(joined, uint64(len(one))), one...)
		}
	}
	return EntryList(joined)
}

func (e EntryList) has(packed string) bool {
	for one := range e.parts() {
		if one == packed {
			return true
		}
	}
	return false
}

// parts returns the packed entries.
func (e EntryList) parts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := string(e); rest != ""; {
			var one string
			if one, rest = cutText(rest); !yield(one) {
				return
			}
		}
	}
}

// All unpacks them.
func (e EntryList) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for one := range e.parts() {
			if !yield(unpackEntry(one)) {
				return
			}
		}
	}
}

func (e *Entry) texts() [9]*string {
	return [...]*string{&e.Name, &e.Type, &e.Version, &e.Arch, &e.Group, &e.Summary, &e.Licence, &e.Source, &e.Revision}
}

// pack appends the entry's packed form.
func (e *Entry) pack(packed []byte) []byte {
	short := *e
	short.Summary, short.Licence = OneLine(e.Summary, bundle.MaxSummary), OneLine(e.Licence, bundle.MaxEntryText)
	packed = binary.AppendVarint(packed, e.Size)
	for _, text := range short.texts() {
		packed = append(binary.AppendUvarint(packed, uint64(len(*text))), *text...)
	}
	if len(e.Fixes) == 0 {
		return packed
	}
	fixes := slices.Compact(slices.Sorted(slices.Values(e.Fixes)))
	for _, fix := range fixes[:min(len(fixes), bundle.MaxFixes)] {
		packed = append(binary.AppendUvarint(packed, uint64(len(fix))), fix...)
	}
	return packed
}

func unpackEntry(packed string) (e Entry) {
	size, n := binary.Varint([]byte(packed[:min(len(packed), binary.MaxVarintLen64)]))
	e.Size, packed = size, packed[n:]
	for _, text := range e.texts() {
		*text, packed = cutText(packed)
	}
	for packed != "" {
		var fix string
		fix, packed = cutText(packed)
		e.Fixes = append(e.Fixes, fix)
	}
	return e
}

// cutText takes the first text off what was packed here.
func cutText(packed string) (text, rest string) {
	size, n := binary.Uvarint([]byte(packed[:min(len(packed), binary.MaxVarintLen64)]))
	return packed[n : n+int(size)], packed[n+int(size):]
}

// OneLine returns the first line of a text that upstream wrote for people, without what
// may not be in a signed text, and at most most bytes of it.
func OneLine(text string, most int) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.ToValidUTF8(strings.TrimSpace(text), "")
	if bundle.CheckText(text) != nil {
		text = strings.Map(func(r rune) rune {
			if bundle.IsPlain(r) {
				return r
			}
			return ' '
		}, text)
	}
	if len(text) > most {
		const more = "..."
		text = strings.ToValidUTF8(text[:most-len(more)], "") + more
	}
	return text
}
