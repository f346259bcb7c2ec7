//go:build faults && linux

package unpack_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// A disk that is full, and one that grew since. The test runs itself in a
// namespace in which it may mount.
func TestFullDisk(t *testing.T) {
	const inside = "GAPBUNDLE_FULL_DISK"
	if os.Getenv(inside) == "" {
		cmd := exec.Command("unshare", "-Urm", os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASS: TestFullDisk") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	e := bundletest.New(t, "site")
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	r := &rig{t: t, dir: filepath.Join(disk, "mirror"), clock: &clock{time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)}}
	r.reopen(unpack.Options{})
	r.trust(e)
	r.receive(e.Export(t, []bundletest.Repository{apt(map[string]string{"a": "small"})}, bundletest.Options{}).Dirs...)
	before := servedAll(t, r.dir)
	files, want := map[string]string{}, map[string]string{}
	for i := range 12 {
		name := fmt.Sprint("f", i)
		files[name] = noise(name, 600<<10)
		want["apt/debs/"+name] = files[name]
	}
	made := e.Export(t, []bundletest.Repository{apt(files)}, bundletest.Options{})
	res, _ := r.refused(syscall.ENOSPC, unpack.ImportOptions{}, made.Dirs...)
	if got := outcomes(res); len(got) != 1 || !strings.HasSuffix(got[0], " failed") {
		t.Errorf("outcomes %v: a full disk is not the bundle's fault", got)
	}
	if !sameServed(before, servedAll(t, r.dir)) {
		t.Error("what is served has changed")
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
	r.receive(made.Dirs...)
	r.expect(want)
	r.intact()
}

// P7 and P8: the medium is read-only, each volume is opened once and each of
// its bytes is read once.
func TestMediumIsReadOnce(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	files := map[string]string{"long": noise("long", 2<<20+77)}
	for i := range 10 {
		files[fmt.Sprint("f", i)] = noise(fmt.Sprint(i), 300<<10)
	}
	made := e.Export(t, []bundletest.Repository{apt(files)}, bundletest.Options{})
	logs := t.TempDir() // one for each thread, so that no line is torn
	args := []string{"-ff", "-y", "-qq", "-o", filepath.Join(logs, "strace"), "-e", "trace=openat,read,pread64,readv,preadv",
		os.Args[0], "import", r.dir, made.Dirs[0]}
	cmd := exec.Command("strace", args...)
	cmd.Env = append(os.Environ(), childEnv+"=2026-04-02T00:00:00Z")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	entries, err := os.ReadDir(logs)
	if err != nil {
		t.Fatal(err)
	}
	opening := regexp.MustCompile(`^openat\(.*"(volume-\d+\.tar\.zst)".* = \d`)
	reading := regexp.MustCompile(`^\w*read\w*\(\d+<[^>]*/(volume-\d+\.tar\.zst)>.* = (\d+)$`)
	opened, read := map[string]int{}, map[string]int64{}
	for _, e := range entries {
		for line := range strings.Lines(readFile(t, filepath.Join(logs, e.Name()))) {
			line = strings.TrimSpace(line)
			if m := opening.FindStringSubmatch(line); m != nil {
				opened[m[1]]++
			}
			if m := reading.FindStringSubmatch(line); m != nil {
				n, err := strconv.ParseInt(m[2], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				read[m[1]] += n
			}
		}
	}
	volumes := volumesOf(t, made.Dirs[0])
	if len(volumes) < 3 {
		t.Fatalf("%d volumes, want more", len(volumes))
	}
	for _, v := range volumes {
		fi, err := os.Stat(v)
		if err != nil {
			t.Fatal(err)
		}
		if name := filepath.Base(v); opened[name] != 1 || read[name] != fi.Size() {
			t.Errorf("%s: opened %d times, %d bytes read; want once and %d", name, opened[name], read[name], fi.Size())
		}
	}
}
