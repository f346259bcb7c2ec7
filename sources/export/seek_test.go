package export

import (
	"errors"
	"fmt"
	"iter"
	"testing"
)

// Paths in ascending order cost one pass; one that is before them costs another.
func TestSeeker(t *testing.T) {
	passes := 0
	fails := false
	open := func(repo string) iter.Seq2[string, error] {
		passes++
		return func(yield func(string, error) bool) {
			for _, p := range []string{"a", "b/c", "d"} {
				if fails {
					yield("", errors.ErrUnsupported)
					return
				}
				if !yield(repo+p, nil) {
					return
				}
			}
		}
	}
	var s seeker[string]
	defer s.close()
	for _, test := range []struct {
		path   string
		found  bool
		passes int
	}{{"xa", true, 1}, {"xa", true, 1}, {"xb", false, 1}, {"xb/c", true, 1}, {"xd", true, 1}, {"xe", false, 1}, {"xd", true, 2}, {"xa", true, 3}} {
		got, ok, err := s.find("x", test.path, open, func(p string) string { return p })
		if err != nil || ok != test.found || ok && got != test.path || passes != test.passes {
			t.Errorf("%s: %q, %v, %v after %d passes", test.path, got, ok, err, passes)
		}
	}
	if got, ok, err := s.find("y", "yd", open, func(p string) string { return p }); err != nil || !ok || got != "yd" {
		t.Errorf("another repository: %q, %v, %v", got, ok, err)
	}
	fails = true
	if _, ok, err := s.find("z", "zd", open, func(p string) string { return p }); ok || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v, %v", ok, err)
	}
}

// A check that asks for paths of several folders in turn, each in order, costs as many passes
// as there are folders, however long they are.
func TestSeekerOfSeveralOrders(t *testing.T) {
	const folders, files = 6, 200
	var all []string
	for d := range folders {
		for f := range files {
			all = append(all, fmt.Sprintf("d%d/%03d", d, f))
		}
	}
	read := 0
	open := func(string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for _, p := range all {
				if read++; !yield(p, nil) {
					return
				}
			}
		}
	}
	var s seeker[string]
	defer s.close()
	for f := range files {
		for d := range folders {
			want := fmt.Sprintf("d%d/%03d", d, f)
			if got, ok, err := s.find("x", want, open, func(p string) string { return p }); err != nil || !ok || got != want {
				t.Fatalf("%s: %q, %v, %v", want, got, ok, err)
			}
		}
	}
	if read > folders*len(all) {
		t.Errorf("%d elements of %d were read", read, len(all))
	}
}
