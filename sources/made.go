package sources

import (
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// List returns artifacts that are held in memory as Repository.Artifacts wants
// them: sorted by path, and as often as they are asked for. It keeps all and
// sorts it in place. For the files of a large repository there is package stock.
func List(all []Artifact) func() iter.Seq2[Artifact, error] {
	slices.SortStableFunc(all, func(a, b Artifact) int { return bundle.ComparePaths(a.File.Path, b.File.Path) })
	return func() iter.Seq2[Artifact, error] {
		return func(yield func(Artifact, error) bool) {
			for _, a := range all {
				if !yield(a, nil) {
					return
				}
			}
		}
	}
}

// Made returns the artifact of a small file that is made here, from content that
// is vouched for. reason is why it is in the mirror.
func Made(path string, content []byte, reason string) Artifact {
	return Artifact{
		File:     bundle.File{Path: path, Size: int64(len(content)), Digest: bundle.DigestOf(content)},
		Evidence: bundle.Evidence{Path: path, Vouched: bundle.VouchedMade, Reason: reason},
		Open:     InMemory(content, ""),
	}
}

// FileName returns the name of a source as one part of a path: derived sources
// have a slash in theirs.
func FileName(source string) string { return strings.ReplaceAll(source, "/", "-") }

// ScratchName begins the names of a source's files in Env.Scratch. No two sources
// of a set share one.
func ScratchName(kind, source string) string {
	return kind + "-" + strings.ReplaceAll(source, "/", "+")
}
