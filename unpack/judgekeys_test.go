package unpack

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// TestListIsReadOnce: the list of a repository is read once, however many keys are new in it,
// and each of their files is looked at: a root may name thousands of keys, and a list has
// millions of lines.
func TestListIsReadOnce(t *testing.T) {
	const keys = 100
	wanted, lines, files := map[string][]bundle.PublishedKey{}, 0, 0
	for i := range keys {
		wanted[fmt.Sprintf("%03d.asc", i)] = []bundle.PublishedKey{{Fingerprint: fmt.Sprint(i)}}
	}
	list := func(yield func(bundle.File, error) bool) {
		for i := range 10 * keys {
			if lines++; !yield(bundle.File{Path: fmt.Sprintf("%03d.asc", i)}, nil) {
				return
			}
		}
	}
	err := judgeKeys(list, wanted, func(bundle.File) ([]byte, error) { files++; return nil, nil })
	if err != nil || lines != 10*keys || files != keys {
		t.Errorf("%d lines, %d files: %v", lines, files, err)
	}
	cause := errors.New("the disk is in the way")
	if err := judgeKeys(list, wanted, func(bundle.File) ([]byte, error) { return nil, cause }); !errors.Is(err, cause) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}
