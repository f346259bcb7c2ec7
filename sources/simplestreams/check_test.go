package simplestreams

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/simplestreams/readers"
)

// check notices every file that is gone, and every one that is another.
func TestCheckNoticesEveryFile(t *testing.T) {
	for name, options := range map[string][]string{"rebuilt": {wanted}, "verbatim": nil} {
		t.Run(name, func(t *testing.T) {
			m := newMirror(t, t.TempDir())
			tr := planned(t, m, options...)
			for _, p := range tr.images("") {
				if strings.HasPrefix(p, rebuildFolder+"streams/v1/com") {
					continue // evidence that no reader asks for
				}
				kept := tr.files[p]
				delete(tr.files, p)
				if _, err := readers.Check(t.Context(), tr); !errors.Is(err, bundle.ErrIncomplete) || !strings.Contains(err.Error(), "simplestreams/images/"+p) {
					t.Errorf("%s gone: got %v", p, err)
				}
				tr.files[p] = kept
			}
			for p, body := range tr.content {
				if strings.HasPrefix(p, rebuildFolder) {
					continue
				}
				changed := tr.files[p]
				changed.Digest, changed.Size = bundle.DigestOf([]byte("x")), 1
				kept := tr.files[p]
				tr.files[p], tr.content[p] = changed, bytes.Replace(body, []byte("20261120"), []byte("20261121"), 1)
				if _, err := readers.Check(t.Context(), tr); (p != "streams/v1/index.json" || name != "verbatim") && err == nil && bytes.Contains(body, []byte("20261120")) {
					t.Errorf("%s changed: not noticed", p)
				}
				tr.files[p], tr.content[p] = kept, body
			}
		})
	}
}
