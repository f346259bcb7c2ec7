package unpack

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// Outside is something that a set publishes and that its next bundle must not have: it
// was imported before there was the rule, or before the policy was changed.
type Outside struct {
	// Path is the web path, or a mount.
	Path    string `json:"path"`
	Problem string `json:"problem"`
	// Pattern or Host is what Key would have to be given; empty: no pattern helps.
	Pattern string        `json:"pattern,omitempty"`
	Host    string        `json:"host,omitempty"`
	Key     bundle.Digest `json:"key,omitzero"`
}

// reachStatus fills in what is known of the reach of a published set. What was judged at
// its import is on record; what was imported by a program without these rules is judged
// now, which reads its lists. What its keys were given may change at any time.
func reachStatus(m *Mirror, s *SetStatus, g *tree.GenerationSet, policy *verify.Policy) error {
	of := reach.Set{Name: g.Set, Files: func(i int) iter.Seq2[bundle.File, error] { return m.trees.Served(&g.Repositories[i]) }}
	for _, r := range g.Repositories {
		of.Repositories = append(of.Repositories, r.Repository)
	}
	if err := outsidePatterns(s, g, of, policy); err != nil {
		return err
	}
	if g.Reach != nil && g.Reach.Rules >= reach.Rules {
		s.Allowed = g.Reach.Allowed
		return nil
	}
	root, err := m.state.AcceptedRoot(bundle.DirName(g.Set, g.Sequence))
	switch {
	case err == nil:
		of.Keys = root.Keys
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	survey, err := reach.Look(of)
	if err != nil {
		return err
	}
	err = survey.Judge(func(f bundle.File) ([]byte, error) { return readBlob(m.blobs, f) })
	s.Allowed = survey.Allowed()
	return s.outside(err)
}

// outsidePatterns lists what the set has and its keys are not given. A key that is
// trusted no longer was given nothing that could be compared.
func outsidePatterns(s *SetStatus, g *tree.GenerationSet, of reach.Set, policy *verify.Policy) error {
	bounded := false
	var key bundle.Digest
	for _, signer := range g.Signers {
		for _, k := range policy.Given(signer.ID, g.Set) {
			if key = k.ID; k.Mounts != nil || k.Hosts != nil {
				bounded = true
			}
		}
	}
	if !bounded {
		return nil
	}
	places, err := reach.Outside(of, leaveOf(policy, g.Set, g.Signers))
	for _, p := range places {
		o := Outside{Path: p.Path, Problem: "not among what its key was given", Pattern: p.Pattern, Host: p.Host, Key: key}
		if p.Files > 1 {
			o.Problem += fmt.Sprintf(", with %d files", p.Files)
		}
		s.Outside = append(s.Outside, o)
	}
	return err
}

// outside lists what a survey found; any other error is returned.
func (s *SetStatus) outside(err error) error {
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, one := range all {
		var e *reach.Error
		if !errors.As(one, &e) {
			return err
		}
		s.Outside = append(s.Outside, Outside{Path: e.Path, Problem: e.Problem.Error()})
	}
	return nil
}
