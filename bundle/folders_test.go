package bundle

import (
	"errors"
	"strings"
	"testing"
)

func TestFolders(t *testing.T) {
	var f Folders
	for _, p := range []string{"a", "b/c/x", "b/c/y", "b/cd/x", "b/cd/e/f/x", "bc/x"} {
		f.Add(p)
	}
	if f.Count() != 6 { // b, b/c, b/cd, b/cd/e, b/cd/e/f, bc
		t.Errorf("%d folders", f.Count())
	}
	f.Begin()
	f.Add("bc/x")
	if f.Count() != 7 {
		t.Errorf("%d folders with those of another mount", f.Count())
	}
	// 2,400 paths of 500 folders each are 1.2 million inodes, in half a megabyte.
	deep := Folders{}
	for i := range 2400 {
		deep.Add(strings.Repeat("a/", i%10) + strings.Repeat("b/", 500) + "x")
	}
	if err := CheckFolders(deep.Count(), 2400); !errors.Is(err, ErrMalformed) {
		t.Errorf("%d folders: %v", deep.Count(), err)
	}
	if err := CheckFolders(SomeFolders+FoldersPerFile, 1); err != nil {
		t.Error(err)
	}
}
