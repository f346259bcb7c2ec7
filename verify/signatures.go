package verify

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// signed is a key of the policy that truly signed this root.
type signed struct {
	key  trusted
	file string
}

// signatures is what the signature files of a bundle amount to.
type signatures struct {
	good    []signed
	claimed []bundle.Digest // by files that no key of the policy verifies
	details []string
}

// verifySignatures finds the keys of the policy that signed the root, each
// once. Files that prove nothing do no harm: anybody can add some.
func verifySignatures(b *Bundle, policy *Policy, files []bundle.NamedFile) (*signatures, error) {
	if len(files) == 0 {
		return nil, &UnsignedError{Name: b.Name()}
	}
	keys, err := policy.distinct()
	if err != nil {
		return nil, err
	}
	var s signatures
	for _, f := range files[:min(len(files), bundle.MaxSignatures)] {
		s.look(f, keys, b.root)
	}
	b.report.count("signature files", int64(len(files)))
	if len(s.good) == 0 {
		set, _, _, _ := bundle.SplitDirName(b.Name())
		return nil, &UnknownKeyError{Name: b.Name(), Set: set, Claimed: s.claimed, Trusted: len(keys), Details: s.details}
	}
	return &s, nil
}

// equivocation returns the error of two roots at hand that have one number and were both signed by a
// key of the policy; nil: there are no such two.
func equivocation(r *bundle.Reader, policy *Policy, files []bundle.NamedFile) error {
	roots, err := r.Roots()
	if err != nil || len(roots) < 2 {
		return err
	}
	keys, err := policy.distinct()
	if err != nil {
		return err
	}
	var signedRoots []bundle.Digest
	for _, root := range roots {
		var s signatures
		for _, f := range files[:min(len(files), bundle.MaxSignatures)] {
			s.look(f, keys, bundle.DigestOf(root))
		}
		if len(s.good) > 0 {
			signedRoots = append(signedRoots, bundle.DigestOf(root))
		}
	}
	if len(signedRoots) < 2 {
		return nil
	}
	set, sequence, _, _ := bundle.SplitDirName(r.Name())
	return &EquivocationError{Set: set, Sequence: sequence, Have: signedRoots[0], Got: signedRoots[1], AtHand: true}
}

func (s *signatures) look(f bundle.NamedFile, keys []trusted, root bundle.Digest) {
	sig, err := bundle.ParseSignature(f.Data)
	if err != nil {
		s.details = append(s.details, fmt.Sprintf("%s: %v", f.Name, err))
		return
	}
	hint := sig.Hint()
	for _, k := range hinted(keys, hint) {
		st, err := sig.Verify(k.public)
		if errors.Is(err, bundle.ErrSignature) {
			if k.id == hint {
				s.details = append(s.details, fmt.Sprintf("%s: %v", f.Name, err))
			}
			continue
		}
		if err == nil {
			err = checkStatement(st, root)
		}
		if err != nil {
			s.details = append(s.details, fmt.Sprintf("%s: key %s: %v", f.Name, k.id.Short(), err))
			return
		}
		if !slices.ContainsFunc(s.good, func(g signed) bool { return g.key.id == k.id }) {
			s.good = append(s.good, signed{key: k, file: f.Name})
		}
		return
	}
	if !hint.IsZero() && !slices.Contains(s.claimed, hint) {
		s.claimed = append(s.claimed, hint)
	}
	s.details = append(s.details, f.Name+": by no key of the policy")
}

// hinted puts the key that a signature claims to be by first: the others are
// tried all the same, because the hint is not signed.
func hinted(keys []trusted, hint bundle.Digest) []trusted {
	out := slices.Clone(keys)
	slices.SortStableFunc(out, func(a, b trusted) int {
		return cmp.Compare(boolInt(b.id == hint), boolInt(a.id == hint))
	})
	return out
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// checkStatement requires that what was signed is this root, as a bundle, and
// nothing else: a receipt's signature is not good for it.
func checkStatement(st *bundle.Statement, root bundle.Digest) error {
	switch {
	case st.PredicateType != bundle.PredicateBundle:
		return fmt.Errorf("signed as %.80q, want %s", st.PredicateType, bundle.PredicateBundle)
	case st.SubjectName != bundle.RootName:
		return fmt.Errorf("signed for %.80q, want %s", st.SubjectName, bundle.RootName)
	case st.Subject != root:
		return fmt.Errorf("signed for another %s: want %s, got %s", bundle.RootName, st.Subject, root)
	}
	return nil
}

// signers returns the keys that may sign for the set, exporters first. It is an error if there are
// fewer distinct keys of a role than the policy requires.
func (s *signatures) signers(b *Bundle, policy *Policy, set string) (all []Signer, err error) {
	var refused []error
	have := map[Role]int{}
	other := map[Role][]bundle.Digest{}
	for _, g := range s.good {
		if !g.key.forSet(set) {
			other[g.key.role] = append(other[g.key.role], g.key.id)
			continue
		}
		have[g.key.role]++
		all = append(all, Signer{File: g.file, ID: g.key.id, Role: g.key.role})
	}
	slices.SortFunc(all, func(a, b Signer) int {
		return cmp.Or(-strings.Compare(string(a.Role), string(b.Role)), a.ID.Compare(b.ID))
	})
	for _, role := range []Role{RoleExporter, RoleApprover} {
		b.report.count("signatures by "+string(role), int64(have[role]))
		if want := policy.Required(role); have[role] < want {
			refused = append(refused, &QuorumError{Name: b.Name(), Set: set, Role: role, Want: want, Have: have[role], OtherSet: other[role], Details: s.details})
		}
	}
	return all, errors.Join(refused...)
}
