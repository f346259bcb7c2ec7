package bundle_test

import (
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

func TestDigestSetMark(t *testing.T) {
	s := bundle.NewDigestSet(0)
	digest := func(i int) bundle.Digest { return bundle.DigestOf([]byte{byte(i), byte(i >> 8)}) }
	for i := range 1000 { // grows on the way; marks and sizes survive that
		s.Add(digest(i), int64(i))
		if i%2 == 0 {
			if first, ok := s.Mark(digest(i)); !first || !ok {
				t.Fatalf("%d: first %t, ok %t", i, first, ok)
			}
		}
	}
	for i := range 1000 {
		if size, ok := s.Size(digest(i)); size != int64(i) || !ok {
			t.Fatalf("%d: size %d, %t", i, size, ok)
		}
		if got := s.Marked(digest(i)); got != (i%2 == 0) {
			t.Fatalf("%d: marked %t", i, got)
		}
		if first, ok := s.Mark(digest(i)); first != (i%2 == 1) || !ok {
			t.Fatalf("%d: first %t, ok %t", i, first, ok)
		}
	}
	if _, ok := s.Mark(digest(1000)); ok || s.Marked(digest(1000)) || s.Marked(bundle.Digest{}) {
		t.Error("marked what is not there")
	}
	if _, ok := s.Mark(bundle.Digest{}); ok {
		t.Error("marked the zero digest")
	}
}
