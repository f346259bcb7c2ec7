package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// setOf returns the set as the bundle's root describes it.
func setOf(b *verify.Bundle) reach.Set {
	m := b.Manifest()
	return reach.Set{Name: m.Set, Keys: m.Keys, Repositories: m.Repositories, Files: func(i int) iter.Seq2[bundle.File, error] { return b.Files(i) }}
}

// lookAt refuses what the lists of a bundle show: what no set may have, whatever the
// content is, and what this one was not given.
func lookAt(of *state.State, b *verify.Bundle) (*reach.Survey, error) {
	policy, err := of.Policy()
	if err != nil {
		return nil, err
	}
	s, err := reach.Look(setOf(b))
	if err != nil {
		return nil, err
	}
	return s, errors.Join(append(s.Wrong(), checkGiven(policy, b))...)
}

// BeyondError: a set has what the keys that signed it were not given. It matches
// bundle.ErrUntrusted.
type BeyondError struct {
	Name, Set string
	// Keys are the exporters' keys that signed, with the patterns that they have.
	Keys   []verify.Key
	Places []reach.Place
}

func (e *BeyondError) Error() string {
	var keys, places []string
	for _, k := range e.Keys {
		keys = append(keys, k.ID.String())
	}
	for _, p := range e.Places {
		switch {
		case p.Host != "":
			places = append(places, "the public name "+p.Host+" at "+p.Path)
		case p.Files > 1:
			places = append(places, fmt.Sprintf("%s and %d more", p.Path, p.Files-1))
		default:
			places = append(places, p.Path)
		}
	}
	return fmt.Sprintf("%s: set %s may not have %s: not among what key %s was given", e.Name, e.Set, strings.Join(places, ", "), strings.Join(keys, ", "))
}

// Is makes it bundle.ErrUntrusted.
func (e *BeyondError) Is(target error) bool { return target == bundle.ErrUntrusted }

// checkGiven refuses a bundle with something that its signers' keys were not given.
func checkGiven(policy *verify.Policy, b *verify.Bundle) error {
	m := b.Manifest()
	places, err := reach.Outside(setOf(b), leaveOf(policy, m.Set, b.Signers()))
	if err != nil || len(places) == 0 {
		return err
	}
	e := &BeyondError{Name: b.Name(), Set: m.Set, Places: places}
	for _, s := range b.Signers() {
		e.Keys = append(e.Keys, policy.Given(s.ID, m.Set)...)
	}
	return e
}

func leaveOf(policy *verify.Policy, set string, signers []verify.Signer) reach.Leave {
	return reach.Leave{
		Path: func(path string) bool { return policy.MayOwn(set, signers, path) },
		Host: func(host string) bool { return policy.MayAnswer(set, signers, host) },
	}
}

// judge compares the key files and the client files of a bundle, whose blobs are all in
// the store, with what its root declares, which verify has compared with the policy.
func (w *writer) judge(a *arrival) error {
	if err := judgeFiles(a.survey, a.Bundle, func(f bundle.File) ([]byte, error) { return readBlob(w.blobs, f) }); err != nil {
		return err
	}
	a.reach = &tree.Reach{Rules: reach.Rules, Allowed: a.survey.Allowed(), Scripts: a.survey.Scripts(), Differs: a.differs}
	return nil
}

// judgeFiles compares the key files and the client files of a bundle with what its root
// declares, and looks at the keys that are new. read returns a file of the set.
func judgeFiles(s *reach.Survey, b *verify.Bundle, read func(bundle.File) ([]byte, error)) error {
	return errors.Join(s.Judge(read), judgeStrength(b, read))
}

// judgeStrength refuses weak keys among those that the policy would hold from now on, unless
// the exporting side's spec allows them, which its root has among the overrides. Those that
// the policy holds already were added by somebody who was told. Files that are not at hand are
// left out: only a look at a bundle that is not imported can lack some. The list of a repository
// is read once, however many keys are in it.
func judgeStrength(b *verify.Bundle, read func(bundle.File) ([]byte, error)) error {
	m, fresh := b.Manifest(), b.NewKeys()
	var errs []error
	for i, r := range m.Repositories {
		keys := map[string][]bundle.PublishedKey{} // by the path in the repository
		for _, k := range fresh {
			name, ok := strings.CutPrefix(k.Path, r.Mount+"/")
			if ok && !slices.Contains(m.Overrides, bundle.OverrideWeakKey+k.Fingerprint) {
				keys[name] = append(keys[name], k)
			}
		}
		if len(keys) > 0 {
			errs = append(errs, judgeKeys(b.Files(i), keys, read))
		}
	}
	return errors.Join(errs...)
}

// judgeKeys looks at the key files of a repository.
func judgeKeys(files iter.Seq2[bundle.File, error], keys map[string][]bundle.PublishedKey, read func(bundle.File) ([]byte, error)) error {
	notAtHand := func(err error) bool {
		return errors.Is(err, bundle.ErrIncomplete) || errors.Is(err, reach.ErrNotAtHand)
	}
	var errs []error
	for f, err := range files {
		if notAtHand(err) {
			break // the list itself
		}
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if len(keys[f.Path]) == 0 {
			continue
		}
		content, err := read(f)
		if notAtHand(err) {
			continue
		}
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		for _, k := range keys[f.Path] {
			errs = append(errs, weakKey(k, content))
		}
	}
	return errors.Join(errs...)
}

// weakKey refuses a weak key. A file that no library reads has no key whose length could be
// looked at: reach has judged the file.
func weakKey(k bundle.PublishedKey, file []byte) error {
	ring, err := pubkeys.ParseKeyring(file)
	if err != nil {
		return nil //nolint:nilerr // reach has judged it
	}
	for _, e := range ring {
		if weak := pubkeys.Weak(e); weak != nil && pubkeys.Fingerprint(e) == k.Fingerprint {
			return fmt.Errorf("%s: %s; the exporting side's spec does not have it under allow-weak-key: %w", k.Path, weak.Error(), bundle.ErrUntrusted)
		}
	}
	return nil
}

// dropRefused removes a pending bundle that nothing could make good.
func (w *writer) dropRefused(b *verify.Bundle, err error) error {
	if errors.Is(err, bundle.ErrUntrusted) || errors.Is(err, bundle.ErrMalformed) {
		return errors.Join(err, w.state.Queue().Drop(b.Name()))
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
		return nil, fmt.Errorf("digest mismatch: want %s, got %s: %w", f.Digest, got, errDamaged)
	}
	return content, nil
}

// reachNotes returns what an operator has to know of the client files of what is published
// now.
func reachNotes(targets []*arrival) (notes []string) {
	for _, t := range targets {
		notes = append(notes, t.reach.Allowed...)
		const some = 5
		scripts := t.reach.Scripts
		if len(scripts) == 0 {
			continue
		}
		text := fmt.Sprintf("%s: the content of %s among the client files: you trust the exporter for it:", t.Name(), bundle.Count(len(scripts), "script"))
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

// listsAtHand works like setOf, where a delta's lists may be missing.
func listsAtHand(b *verify.Bundle) reach.Set {
	s := setOf(b)
	files := s.Files
	s.Files = func(i int) iter.Seq2[bundle.File, error] {
		return func(yield func(bundle.File, error) bool) {
			for f, err := range files(i) {
				if errors.Is(err, bundle.ErrIncomplete) {
					err = reach.ErrNotAtHand
				}
				if !yield(f, err) {
					return
				}
			}
		}
	}
	return s
}

// maxExamined bounds the key files and client files of one bundle that Examine holds in
// memory: what package reach allows a set of both.
const maxExamined = 128 << 20 // bytes

// Examine reads every volume of a bundle and returns everything that is wrong with it: its
// bytes, and what the rules forbid a set to have. With a mirror (nil: none) it adds what an
// import into that mirror would refuse. It changes nothing. The command verify is
// verify.Open followed by Examine.
func Examine(ctx context.Context, b *verify.Bundle, m *Mirror, o verify.StreamOptions) error {
	survey, err := reach.Look(listsAtHand(b))
	if err != nil {
		return err
	}
	keep := verify.NewKeep(survey.Contents(), maxExamined)
	err = b.CheckTo(ctx, keep, o)
	wrong := judgeFiles(survey, b, keptOrStored(m, keep))
	if m != nil {
		wrong = errors.Join(wrong, guard(m.root, m.dir), audit(m.state, m.trees))
	}
	if m != nil && !b.Known() {
		policy, err := m.state.Policy()
		if err != nil {
			return err
		}
		wrong = errors.Join(wrong, checkGiven(policy, b))
		wrong = errors.Join(wrong, checkConflicts(m.state, m.trees, []*choice{{set: b.Manifest().Set, candidates: []*arrival{{Bundle: b}}}}))
	}
	var absent []string
	if n := len(survey.NotJudged()); n > 0 {
		absent = []string{fmt.Sprintf("what the set may have: not at hand are %d of its key files, client files and lists", n)}
	}
	b.Note(wrong, "key files and client files", int64(len(survey.Contents())), absent...)
	return errors.Join(err, wrong)
}
