//go:build unix

package unpack_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/bundletest"
)

// ext4 allows a file 65,000 names.
func TestMorePathsOfOneBlobThanAFileCanHaveNames(t *testing.T) {
	t.Setenv("TMPDIR", "/var/tmp") // a file in memory can have any number of names
	const many = 65_500
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	files := map[string]string{}
	for i := range many {
		files[fmt.Sprintf("d%02d/f%05d", i%50, i)] = "the same"
	}
	repos := []bundletest.Repository{apt(map[string]string{"v": "1"}), shared("tools", files)}
	r.receive(e.Export(t, repos, bundletest.Options{}).Dirs...)
	first := r.clock.t
	repos[0].Files["v"] = "2"
	r.receive(e.Export(t, repos, bundletest.Options{}).Dirs...)
	inodes := map[uint64]int{}
	for name := range files {
		fi, err := os.Stat(filepath.Join(r.dir, "current/files", name))
		if err != nil {
			t.Fatal(err)
		}
		if fi.Size() != 8 || !fi.ModTime().Equal(first) {
			t.Fatalf("%s: %d bytes, %s; want 8 of %s", name, fi.Size(), fi.ModTime(), first)
		}
		inodes[fi.Sys().(*syscall.Stat_t).Ino]++
	}
	if len(inodes) > 4 {
		t.Errorf("%d copies of one blob", len(inodes))
	}
	t.Logf("%d files behind %d paths, twice", len(inodes), many)
}
