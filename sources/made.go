package sources

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// List returns artifacts that are held in memory as Repository.Artifacts wants
// them: sorted by path, and as often as they are requested. It keeps all and
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

// MadeError means that a file which was made here does not read as what it was made of.
// It is of no class: it is a mistake in gapbundle, whatever upstream has.
type MadeError struct {
	Path string // below the repository's mount
	// Err is what reading it back found. It is not unwrapped, because its class would be
	// that of a file which somebody else has made.
	Err error
}

func (e *MadeError) Error() string {
	return fmt.Sprintf("%s: it was made here, and is not what was meant when it is read back: %v", e.Path, e.Err)
}

// Taken returns the paths of a shared mount that sources have which are held back, with
// the names of those sources: no path may be in two repositories. of leaves out some of
// them; nil: none.
func (e *Env) Taken(mount string, of func(bundle.Repository) bool) (map[string]Owner, error) {
	taken := map[string]Owner{}
	for _, h := range e.Held {
		if h.Repository.Mount != mount || of != nil && !of(h.Repository) {
			continue
		}
		for f, err := range h.Files() {
			if err != nil {
				return nil, err
			}
			taken[f.Path] = Owner{h.Repository.Name, f.Digest}
		}
	}
	return taken, nil
}

// Owner is the source that has a path, and what it has there.
type Owner struct {
	Source string
	Digest bundle.Digest
}

// FileName returns the name of a source as one part of a path: derived sources
// have a slash in theirs.
func FileName(source string) string { return strings.ReplaceAll(source, "/", "-") }

// KeepScratch writes a file of Env.Scratch that several sources may ask for and write at
// the same time: whoever reads it sees it whole or not at all.
func (e *Env) KeepScratch(name string, write func(io.Writer) error) (err error) {
	temp := name + "." + rand.Text()
	out, err := e.Scratch.Create(temp)
	if err != nil {
		return err
	}
	if err = errors.Join(write(out), out.Close()); err == nil {
		err = e.Scratch.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, e.Scratch.Remove(temp))
	}
	return nil
}

// ScratchName begins the names of a source's files in Env.Scratch. No two sources
// of a set share one.
func ScratchName(kind, source string) string {
	return kind + "-" + strings.ReplaceAll(source, "/", "+")
}
