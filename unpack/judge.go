package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// setOf is what a bundle says of its set.
func setOf(b *verify.Bundle) reach.Set {
	m := b.Manifest()
	return reach.Set{Name: m.Set, Keys: m.Keys, Repositories: m.Repositories, Files: func(i int) iter.Seq2[bundle.File, error] { return b.Files(i) }}
}

// lookAt refuses what the lists of a bundle show: what a set may not have, whatever
// the content is.
func lookAt(b *verify.Bundle) (*reach.Survey, error) {
	s, err := reach.Look(setOf(b))
	if err != nil {
		return nil, err
	}
	return s, errors.Join(s.Wrong()...)
}

// judge compares the key files and the client files of a bundle, whose blobs are all in
// the store, with what its root declares, which verify has compared with the policy.
func (w *writer) judge(a *arrival) error {
	if err := a.survey.Judge(func(f bundle.File) ([]byte, error) { return readBlob(w.blobs, f) }); err != nil {
		return err
	}
	a.reach = &tree.Reach{Rules: reach.Rules, Allowed: a.survey.Allowed(), Scripts: a.survey.Scripts()}
	return nil
}

// dropRefused lets go of a pending bundle that nothing could make good.
func (w *writer) dropRefused(b *verify.Bundle, err error) error {
	if errors.Is(err, bundle.ErrUntrusted) || errors.Is(err, bundle.ErrMalformed) {
		return errors.Join(err, w.state.DropPending(b.Name()))
	}
	return err
}

// readBlob reads a blob of at most reach.MaxFile bytes and compares its digest.
func readBlob(blobs *store.Store, f bundle.File) (_ []byte, err error) {
	in, err := blobs.Open(f.Digest)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	content, err := io.ReadAll(io.LimitReader(in, reach.MaxFile+1))
	if err != nil {
		return nil, err
	}
	if got := bundle.DigestOf(content); got != f.Digest {
		return nil, fmt.Errorf("digest mismatch: want %s, got %s: %w", f.Digest, got, bundle.ErrCorrupt)
	}
	return content, nil
}

// reachNotes are what an operator has to know of the client files of what is published
// now.
func reachNotes(targets []*arrival) (notes []string) {
	for _, t := range targets {
		notes = append(notes, t.reach.Allowed...)
		const some = 5
		scripts := t.reach.Scripts
		if len(scripts) == 0 {
			continue
		}
		text := fmt.Sprintf("%s: %d client files are scripts, whose content is the exporter's word:", t.Name(), len(scripts))
		for _, path := range scripts[:min(some, len(scripts))] {
			text += " /" + path
		}
		if len(scripts) > some {
			text += " and more"
		}
		notes = append(notes, text)
	}
	return slices.Clip(notes)
}

// maxExamined bounds the key files and client files of one bundle that Examine holds in
// memory: what package reach allows a set of both.
const maxExamined = 128 << 20 // bytes

// Examine reads every volume of a bundle, changes nothing, and says everything that is
// wrong: with its bytes, and by the rules about what a set may have. With a mirror (nil:
// none) it says what an import into it would besides. It is the command verify, after
// verify.Open.
func Examine(ctx context.Context, b *verify.Bundle, m *Mirror, o verify.StreamOptions) error {
	survey, err := reach.Look(setOf(b))
	if errors.Is(err, bundle.ErrIncomplete) {
		b.Note(nil, "", 0, "what the set may have: not all lists are here")
		return b.Check(ctx, o)
	}
	if err != nil {
		return err
	}
	keep := verify.NewKeep(survey.Contents(), maxExamined)
	err = b.CheckTo(ctx, keep, o)
	wrong := survey.Judge(func(f bundle.File) ([]byte, error) {
		if content, ok := keep.Content(f.Digest); ok {
			return content, nil
		}
		if m != nil {
			content, err := readBlob(m.blobs, f)
			if !errors.Is(err, fs.ErrNotExist) {
				return content, err
			}
		}
		return nil, reach.ErrNotAtHand
	})
	if m != nil && !b.Known() {
		wrong = errors.Join(wrong, checkConflicts(m.state, m.trees, []*choice{{set: b.Manifest().Set, candidates: []*arrival{{Bundle: b}}}}))
	}
	var absent []string
	if n := len(survey.NotJudged()); n > 0 {
		absent = []string{fmt.Sprintf("the content of %d key files and client files, which is not here", n)}
	}
	b.Note(wrong, "key files and client files", int64(len(survey.Contents())), absent...)
	return errors.Join(err, wrong)
}
