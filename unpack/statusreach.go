package unpack

import (
	"errors"
	"io/fs"
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/reach"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// Outside is something that a set publishes and that its next bundle must not have: it
// was imported before there was the rule, or before the policy was changed.
type Outside struct {
	// Path is the web path, or a mount.
	Path    string `json:"path"`
	Problem string `json:"problem"`
}

// reachStatus fills in what is known of the reach of a published set. What was judged at
// its import is on record; what was imported by a program without these rules is judged
// now, which reads its lists.
func (m *Mirror) reachStatus(s *SetStatus, g *tree.GenerationSet) error {
	if g.Reach != nil && g.Reach.Rules >= reach.Rules {
		s.Allowed = g.Reach.Allowed
		return nil
	}
	of := reach.Set{Name: g.Set, Files: func(i int) iter.Seq2[bundle.File, error] { return m.trees.Files(g.Repositories[i].Repository) }}
	for _, r := range g.Repositories {
		of.Repositories = append(of.Repositories, r.Repository)
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

// outside lists what a survey found; any other error is returned.
func (s *SetStatus) outside(err error) error {
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // what Judge joined
		all = joined.Unwrap()
	}
	for _, one := range all {
		var e *reach.Error
		if !errors.As(one, &e) {
			return err
		}
		s.Outside = append(s.Outside, Outside{e.Path, e.Problem.Error()})
	}
	return nil
}
