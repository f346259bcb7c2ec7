//go:build linux && clients

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The benchmark at a size that takes seconds: what it prints is not looked at
// for its numbers, only that every row is there and that it cleans up.
func TestQuickRun(t *testing.T) {
	dir, memory := t.TempDir(), t.TempDir()
	program := filepath.Join(t.TempDir(), "gapbundle")
	if b, err := exec.Command("go", "build", "-o", program, "github.com/gapbundle/gapbundle/cmd/gapbundle").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	var out bytes.Buffer
	err := run(t.Context(), &out, options{program: program, megabytes: 3, small: 40, tiny: 120, many: 60, peers: 1, runs: 1, dir: dir, memory: memory})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if err := run(t.Context(), &out, options{before: program, program: program, many: 60, runs: 1, dir: dir, memory: memory}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for what, times := range map[string]int{
		"  before": 11, "  now ": 11, "  now, --changes none": 6, "plan of apt, 36 packages, verbatim": 1, "plan of rpm, primary.xml of 0 MB, verbatim": 1, "export of files, a folder of 12": 1,
		"export of rpm, 1 package": 1, "export of oci, images: 1": 1, "memory ": 17,
		"tar | zstd -3 -T2; sync": 2, "export --no-readback": 3, "nothing new": 8,
		"a folder of 60, nothing new": 1, "a list of URLs: 30, first": 1, "apt, packages: 36, nothing new": 1, "<= 136 MB": 2,
		"skopeo copy, then tar": 1, "dnf reposync, then tar | zstd": 1, "zstd -d | tar x; sync": 2,
		"curl, then tar": 2, "wall <= 1.25: ": 1, "GB/s >= 1.30: ": 1, "cpu <= 1.60: ": 1,
	} {
		if n := strings.Count(out.String(), what); n < times {
			t.Errorf("rows %q: want %d, got %d", what, times, n)
		}
	}
	for _, d := range []string{dir, memory} {
		left, err := os.ReadDir(d)
		if err != nil || len(left) != 0 {
			t.Errorf("left behind in %s: %v %v", d, left, err)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

func TestMeasureCountsThePipeline(t *testing.T) {
	target := t.TempDir() + "/copy"
	u, err := measure("", exec.Command("head", "-c", "5000000", "/dev/urandom"), exec.Command("dd", "status=none", "bs=64k", "of="+target))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(target)
	if err != nil || info.Size() != 5_000_000 {
		t.Fatalf("what went through the pipe: %v %v", info, err)
	}
	if u.wall <= 0 || u.wall > time.Minute || u.cpu <= 0 || u.rss < 1<<19 {
		t.Errorf("counted: %+v", u)
	}
	if _, err := measure("", exec.Command("true"), exec.Command("false")); err == nil {
		t.Error("a pipeline whose last command fails: want an error")
	}
}
