package export

import (
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
)

// seeker finds elements of a sequence that is sorted by path. Paths that are
// asked for in ascending order cost one pass over it: a kind's check opens its
// files so, and there can be a hundred thousand. The zero value is ready; close
// gives back what it holds.
type seeker[T any] struct {
	repo string
	next func() (T, error, bool)
	stop func()
	at   T
	path string // of at; "": none was read
}

// find looks for path in the sequence that open gives for repo.
func (s *seeker[T]) find(repo, path string, open func(repo string) iter.Seq2[T, error], pathOf func(T) string) (found T, ok bool, err error) {
	if s.next == nil || s.repo != repo || s.path != "" && bundle.ComparePaths(path, s.path) < 0 {
		s.close()
		s.repo = repo
		s.next, s.stop = iter.Pull2(open(repo))
	}
	for s.path == "" || bundle.ComparePaths(s.path, path) < 0 {
		at, err, more := s.next()
		if err != nil || !more {
			s.close()
			return found, false, err
		}
		s.at, s.path = at, pathOf(at)
	}
	if s.path != path {
		return found, false, nil
	}
	return s.at, true, nil
}

func (s *seeker[T]) close() {
	if s.stop != nil {
		s.stop()
	}
	*s = seeker[T]{}
}
