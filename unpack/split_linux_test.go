package unpack_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// The segments of a blob that come in order are hashed on their way, and what was written of
// them is not read again. What an earlier run wrote is: a disk may have damaged it since.
func TestSplitBlobIsReadOnce(t *testing.T) {
	const size = 16 << 20
	content := noise("split", size)
	e := bundletest.New(t, "site")
	made := e.Export(t, []bundletest.Repository{apt(map[string]string{"split": content})}, bundletest.Options{})
	if n := len(volumesOf(t, made.Dirs[0])); n < 8 {
		t.Fatalf("%d volumes, want many", n)
	}

	r := newRig(t, e)
	before := bytesRead(t)
	r.receive(made.Dirs...)
	if read := bytesRead(t) - before; read < size || read > size+size/4 {
		t.Errorf("in order: %d bytes were read, want those of the volumes, about %d", read, size)
	}
	r.expect(map[string]string{"apt/debs/split": content})

	r = newRig(t, e)
	first, rest := t.TempDir()+"/site-000001", t.TempDir()+"/site-000001"
	copyDir(t, made.Dirs[0], first, func(name string) bool { return name < "volume-00005" || name > "volume-99999" })
	copyDir(t, made.Dirs[0], rest, func(name string) bool { return name >= "volume-00005" })
	r.refused(bundle.ErrIncomplete, unpack.ImportOptions{}, first)
	before = bytesRead(t)
	r.receive(rest)
	if read := bytesRead(t) - before; read < size+size/2 {
		t.Errorf("in two runs: %d bytes were read, want the blob again, %d", read, size)
	}
	r.expect(map[string]string{"apt/debs/split": content})
}

// bytesRead returns what this process has read so far, from files and pipes (proc(5), rchar).
func bytesRead(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	if _, err := fmt.Sscanf(string(text), "rchar: %d", &n); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return n
}
