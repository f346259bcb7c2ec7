package unpack

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// Outside is something that a set publishes and that its next bundle must not have: it
// was imported before there was the rule, or before the policy was changed.
type Outside struct {
	// Path is the web path, or a mount; empty: the texts of the set's root.
	Path    string `json:"path"`
	Problem string `json:"problem"`
	// Pattern or Host is what Key would have to be given; empty: no pattern helps.
	Pattern string        `json:"pattern,omitempty"`
	Host    string        `json:"host,omitempty"`
	Key     bundle.Digest `json:"key,omitzero"`
	// Give means that the path can be given to a set ("trust give").
	Give bool `json:"give,omitempty"`
}

// overlapStatus lists what sets publish that they could not agree on today, where they
// were imported by a program that did not compare it.
func overlapStatus(m *Mirror, all []SetStatus, g *tree.Generation, ratchets []state.Ratchet) error {
	if g == nil || len(g.Sets) < 2 || !slices.ContainsFunc(g.Sets, func(s tree.GenerationSet) bool {
		return s.Reach == nil || s.Reach.Rules < reach.Rules || s.Reach.Differs
	}) {
		return nil
	}
	given, err := m.state.Given()
	if err != nil {
		return err
	}
	owned, err := imageOwners(m.state, m.trees, g, ratchets)
	if err != nil {
		return err
	}
	overlaps, err := tree.Overlaps(m.trees.Parts(g.Sets), owned.owner(given), seniority(m.state))
	if err != nil {
		return err
	}
	for _, o := range overlaps {
		problem := fmt.Sprintf("a tag in an image of set %s", o.Other)
		if o.Types[0] != o.Types[1] {
			problem = fmt.Sprintf("media type %q, and %q by set %s", o.Types[0], o.Types[1], o.Other)
		}
		for i := range all {
			if all[i].Set == o.Set {
				all[i].Outside = append(all[i].Outside, Outside{Path: o.Path, Problem: problem, Give: true})
			}
		}
	}
	return nil
}

// reachStatus fills in what is known of the reach of a published set. Findings of its import
// are on record; what was imported by a program without these rules is judged
// now, which reads its lists. The patterns of its keys may change at any time.
func reachStatus(m *Mirror, s *SetStatus, g *tree.GenerationSet, policy *verify.Policy) error {
	of := reach.Set{Name: g.Set, Files: func(i int) iter.Seq2[bundle.File, error] { return m.trees.Served(g.Set, &g.Repositories[i]) }}
	for _, r := range g.Repositories {
		of.Repositories = append(of.Repositories, r.Repository)
	}
	if err := outsidePatterns(s, g, of, policy); err != nil {
		return err
	}
	root, err := m.state.AcceptedRoot(bundle.DirName(g.Set, g.Sequence))
	switch {
	case err == nil:
		of.Keys = root.Keys
		if err := bundle.CheckManifest(root); err != nil {
			s.Outside = append(s.Outside, Outside{Problem: err.Error()})
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if g.Reach != nil && g.Reach.Rules >= reach.Rules {
		s.Allowed = g.Reach.Allowed
		return nil
	}
	of.Files = s.pathsAndTexts(of.Files)
	survey, err := reach.Look(of)
	if err != nil {
		return err
	}
	err = survey.Judge(func(f bundle.File) ([]byte, error) { return readBlob(m.blobs, f) })
	s.Allowed = survey.Allowed()
	return s.outside(err)
}

// maxLines bounds what is listed of one set's paths and texts.
const maxLines = 100

// pathsAndTexts passes the files of a set on, and lists those that have a path or a text
// which no bundle may have any more.
func (s *SetStatus) pathsAndTexts(files func(int) iter.Seq2[bundle.File, error]) func(int) iter.Seq2[bundle.File, error] {
	lines := 0
	return func(i int) iter.Seq2[bundle.File, error] {
		return func(yield func(bundle.File, error) bool) {
			for f, err := range files(i) {
				if err == nil && lines < maxLines {
					problem := bundle.CheckReserved(f.Path)
					if problem == nil && f.Annotations != nil {
						problem = bundle.CheckAnnotations(f.Annotations)
					}
					if problem != nil {
						lines++
						s.Outside = append(s.Outside, Outside{Path: path.Join(s.Repositories[i].Mount, f.Path), Problem: problem.Error()})
					}
				}
				if !yield(f, err) {
					return
				}
			}
		}
	}
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
			o.Problem += fmt.Sprintf(", with %s", bundle.Count(p.Files, "file"))
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
