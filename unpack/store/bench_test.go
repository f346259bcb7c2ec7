package store

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// BenchmarkBatch stores small blobs, a thousand to a batch: what an import of many small
// files costs apart from reading them.
func BenchmarkBatch(b *testing.B) {
	root, err := os.OpenRoot(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	s, err := Open(root)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	batch := s.Begin()
	for i := 0; b.Loop(); i++ {
		content := fmt.Appendf(nil, "blob %d", i)
		digest := bundle.DigestOf(content)
		if vacant, err := s.Vacant(digest); err != nil || !vacant {
			b.Fatal(vacant, err)
		}
		w, err := batch.Create()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			b.Fatal(err)
		}
		if err := w.Commit(digest); err != nil {
			b.Fatal(err)
		}
		if batch.Len() == 1000 {
			if err := batch.Flush(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := batch.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}
