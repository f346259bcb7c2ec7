package contents

import (
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
)

// Repository is a repository in one state of its set, and how to read its contents list.
type Repository struct {
	Set, Name, Kind string
	// Files and Bytes are the number of files and the sum of their sizes.
	Files, Bytes int64
	// List identifies the contents list: two with equal texts have equal lists. Empty:
	// not known. Content does the same for the list of files.
	List, Content string
	// Entries reads the contents list in the order of bundle.CompareEntries; nil:
	// there is none, because the program that made the bundle knew no such lists.
	Entries func() iter.Seq2[bundle.Entry, error]
}

// Of returns a repository as a root describes it. entries reads its contents list, and
// is not called where the root states that there is none.
func Of(set string, r bundle.Repository, entries func() iter.Seq2[bundle.Entry, error]) Repository {
	out := Repository{Set: set, Name: r.Name, Kind: r.Kind, Files: r.Count, Bytes: r.Bytes, Content: string(r.Files.Digest)}
	if r.Contents != nil {
		out.List, out.Entries = string(r.Contents.Digest), entries
	}
	return out
}
