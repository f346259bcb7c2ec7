package promises

import (
	"path/filepath"
	"strings"
	"testing"
)

// beforeGit has package bundle, by which an import reads and checks a bundle, as it was in the
// commit before git became a shared mount and lists had filled lines (b80c18e2). COMMIT in it
// names that commit. It is not made again: no later importer refuses these bundles.
const beforeGit = "testdata/before-git.tar.xz"

// readRoots is a program of that package: it reads roots as its verify and its import do.
const readRoots = `package main

import (
	"fmt"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
)

func main() {
	for _, name := range os.Args[1:] {
		root, err := os.ReadFile(name)
		if err == nil {
			_, err = bundle.ParseManifest(root)
		}
		fmt.Println(err)
	}
}
`

// TestImporterBeforeGit: an importer of before refuses by name what it would not publish as it is
// meant: a bundle with two git repositories, and one with filled files. It reads what was there before.
func TestImporterBeforeGit(t *testing.T) {
	c := checkout{&site{t: t, dir: t.TempDir(), env: []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off"}}, ""}
	c.unpack(tarOf(t, beforeGit))
	c.write("main.go", readRoots)
	golden, err := filepath.Abs("../../bundle/testdata")
	c.check(err)
	args := []string{"run", "-trimpath", "."}
	wants := []struct{ root, want string }{
		{"golden/lab-000007", "<nil>"},
		{"golden-git/golden-000001", `bundle.json: mount "git": of two repositories: malformed`},
		{"golden-filled/golden-000001", `bundle.json: requires ["filled"]: needs a newer gapbundle`},
	}
	for _, w := range wants {
		args = append(args, filepath.Join(golden, filepath.FromSlash(w.root), "bundle.json"))
	}
	read := c.exec("go", args...)
	got := strings.Split(strings.TrimSpace(read.stdout), "\n")
	if read.code != 0 || len(got) != len(wants) {
		t.Fatalf("exit %d\n%s%s", read.code, read.stdout, read.stderr)
	}
	for i, w := range wants {
		if got[i] != w.want {
			t.Errorf("%s of %s: %s, want %s", w.root, c.read(commitFile), got[i], w.want)
		}
	}
}
