package export

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

func TestInterruptedExportGoesOn(t *testing.T) {
	for _, sizes := range []bool{true, false} {
		w := &world{content: mixed(), sizes: sizes}
		b := newBench(t, w)
		var result *Result
		for stop := int64(20); ; stop += 20 {
			ctx, cancel := context.WithCancel(context.Background())
			start := w.opened.Load()
			w.before = func(string) error {
				if w.opened.Load()-start > stop {
					cancel()
				}
				return nil
			}
			o := b.o
			if stop%40 == 0 { // the same target, written in another way
				here, err := os.Getwd()
				if err != nil {
					t.Fatal(err)
				}
				relative, err := filepath.Rel(here, b.medium)
				if err != nil {
					t.Fatal(err)
				}
				o.Targets = []string{relative}
			}
			r, err := Run(ctx, o)
			cancel()
			if err == nil {
				result = r
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			entries, _ := os.ReadDir(b.medium)
			for _, e := range entries {
				if !strings.HasSuffix(e.Name(), bundle.PartialSuffix) {
					t.Fatalf("%s: there before the export ended", e.Name())
				}
			}
		}
		if result.Sequence != 1 {
			t.Errorf("the interrupted export took number %d", result.Sequence)
		}
		same(t, published(t, b, result.Dirs[0], result.Dirs...), b.expect("one"))
	}
}
