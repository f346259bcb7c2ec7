package export

import (
	"iter"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
)

// maxCursors is how many places of a sequence a seeker keeps. A check that goes from pages to
// what they name and back asks for paths of several folders in turn, and each turn is in order.
const maxCursors = 8

// seeker finds elements in sequences that are sorted by path. Looking up paths in ascending
// order costs one pass over the sequence, and so do a few such orders interleaved. A kind's
// check opens its files like that, up to a hundred thousand of them. The zero value is ready
// to use; close releases what it holds.
type seeker[T any] struct {
	cursors []*cursor[T] // the one that was used last is the last
}

// cursor is a place in a sequence.
type cursor[T any] struct {
	repo string
	next func() (T, error, bool)
	stop func()
	at   T
	path string // of at; "": none was read
}

// find looks for path in the sequence that open returns for repo.
func (s *seeker[T]) find(repo, path string, open func(repo string) iter.Seq2[T, error], pathOf func(T) string) (found T, ok bool, err error) {
	c := s.before(repo, path)
	if c == nil {
		if len(s.cursors) == maxCursors {
			s.cursors[0].stop()
			s.cursors = slices.Delete(s.cursors, 0, 1)
		}
		c = &cursor[T]{repo: repo}
		c.next, c.stop = iter.Pull2(open(repo))
	} else {
		s.cursors = slices.DeleteFunc(s.cursors, func(other *cursor[T]) bool { return other == c })
	}
	for c.path == "" || bundle.ComparePaths(c.path, path) < 0 {
		at, err, more := c.next()
		if err != nil || !more {
			c.stop()
			return found, false, err
		}
		c.at, c.path = at, pathOf(at)
	}
	s.cursors = append(s.cursors, c)
	if c.path != path {
		return found, false, nil
	}
	return c.at, true, nil
}

// before returns the cursor that is next before path, or at it; nil: there is none.
func (s *seeker[T]) before(repo, path string) (best *cursor[T]) {
	for _, c := range s.cursors {
		if c.repo == repo && bundle.ComparePaths(c.path, path) <= 0 && (best == nil || bundle.ComparePaths(best.path, c.path) < 0) {
			best = c
		}
	}
	return best
}

func (s *seeker[T]) close() {
	for _, c := range s.cursors {
		c.stop()
	}
	s.cursors = nil
}
