package main

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	trustDoc = "../../docs/trust.md"
	// maxSize is the most that the program may have on linux/amd64.
	maxSize = 20 << 20 // bytes
	// maxModules is the most modules that may be linked into it.
	maxModules = 30
)

// TestSize: the program stays small enough to be audited, and docs/trust.md
// lists the modules that are in it.
func TestSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gapbundle-inside")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Size() > maxSize {
		t.Errorf("%d bytes, at most %d", fi.Size(), maxSize)
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var linked []string
	for _, m := range info.Deps {
		linked = append(linked, m.Path)
	}
	slices.Sort(linked)
	if len(linked) > maxModules {
		t.Errorf("%d modules, at most %d", len(linked), maxModules)
	}
	if want := documented(t); !slices.Equal(linked, want) {
		t.Errorf("modules that are linked:\n%s\nmodules that %s lists:\n%s", strings.Join(linked, "\n"), trustDoc, strings.Join(want, "\n"))
	}
	t.Logf("%.1f MiB, %d modules", float64(fi.Size())/(1<<20), len(linked))
}

// documented returns the modules that docs/trust.md lists, one a line in the block
// after the heading.
func documented(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(trustDoc)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The program for the inside\n")
	_, block, _ := strings.Cut(section, "\n```\n")
	block, _, ok := strings.Cut(block, "\n```\n")
	if !ok {
		t.Fatalf("%s: no list of modules", trustDoc)
	}
	return strings.Fields(block)
}
