//go:build linux && faults

package promises

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/faulttest"
	"github.com/gapbundle/gapbundle/internal/test/handmade"
)

const (
	// hostileMemory is what a command takes of a medium that somebody made to exhaust it.
	hostileMemory = 160 << 20 // bytes
	// hostileTime is the time of processors that it takes for one of a few MiB.
	hostileTime = 20 * time.Second
)

// P28: memory and time stay within bounds for what a medium says before anything of it is
// trusted, and for what a trusted key signed.
func TestMemoryOfHostileBundles(t *testing.T) {
	// On a disk half of the time is the system's for the folders of 4,000 repositories, and more next to other tests.
	faulttest.InMemory(t)
	for name := range large() {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir()}
			s.shell("mkdir medium unsigned")
			made := &site{t: t, dir: s.dir, env: []string{makeEnv + "=" + name}}
			if r := made.exec(os.Args[0]); r.code != 0 {
				t.Fatal(r.stderr)
			}
			if name == "a frame of 4 GiB" {
				s.shell("truncate -s 4294967294 medium/demo-000001/catalog-01.tar.zst unsigned/demo-000001/catalog-01.tar.zst")
			}
			s.ok("trust", "add", "--mirror", "mirror", "--role", "exporter", "--set", "demo", "--yes", "demo.pub")
			for _, args := range [][]string{
				{"inspect", "unsigned"}, {"inspect", "unsigned", "--files"}, {"inspect", "unsigned", "--json", "--files"}, {"verify", "unsigned", "--pub", "demo.pub"},
				{"import", "unsigned", "--to", "mirror"}, {"verify", "medium", "--pub", "demo.pub"}, {"verify", "medium", "--mirror", "mirror"},
				{"import", "medium", "--to", "mirror", "--dry-run"}, {"import", "medium", "--to", "mirror"},
			} {
				s.bounded(args...)
			}
		})
	}
}

// bounded runs a command that must stay within the bounds, whatever it says.
func (s *site) bounded(args ...string) {
	s.t.Helper()
	// What is printed is as long as somebody made it, and must not count as memory of the
	// test, which counts as that of the next program.
	r := s.exec("sh", append([]string{"-c", `exec "$@" >printed 2>errors`, "sh", program()}, args...)...)
	errors := s.size("errors")
	peak, spent := r.usage.Maxrss<<10, time.Duration(r.usage.Utime.Nano()+r.usage.Stime.Nano())
	s.t.Logf("%s: exit %d, %d MiB, %s of processors, %d bytes printed", strings.Join(args, " "), r.code, peak>>20, spent.Round(time.Millisecond), s.size("printed")+errors)
	if r.code == 1 || r.code > 8 {
		s.t.Errorf("%s: exit %d\n%.2000s", strings.Join(args, " "), r.code, s.read("errors"))
	}
	if peak > hostileMemory {
		s.t.Errorf("%s: %d MiB of memory", strings.Join(args, " "), peak>>20)
	}
	if spent > hostileTime {
		s.t.Errorf("%s: %s of processors", strings.Join(args, " "), spent)
	}
	if errors > 1<<20 {
		s.t.Errorf("%s: %d bytes of errors", strings.Join(args, " "), errors)
	}
}

func (s *site) size(name string) int64 {
	s.t.Helper()
	info, err := os.Stat(s.path(name))
	s.check(err)
	return info.Size()
}

// P28: so it is for a medium with more names than any bundle has.
func TestMemoryOfManyNames(t *testing.T) {
	key := handmade.NewKey(t)
	s := &site{t: t, dir: t.TempDir()}
	s.shell("mkdir medium")
	s.write("demo.pub", key.PEM())
	b := handmade.Bundle{Keys: []handmade.Key{key}, Repositories: []handmade.Repository{{Name: "a", Mount: "files", Files: handmade.Files(map[string]string{"h/x": "x"})}}}
	dir := b.Write(t, s.path("medium"))
	for i := range 120_000 {
		name := fmt.Sprintf("%s/bundle.%06d%s.sigstore.json", dir, i, strings.Repeat("x", 220))
		if i%2 == 0 {
			name = fmt.Sprintf("%s/%06d%s", dir, i, strings.Repeat("y", 240))
		}
		s.check(os.WriteFile(name, nil, 0o644))
	}
	s.bounded("inspect", "medium", "--files")
	s.bounded("verify", "medium", "--pub", "demo.pub")
}
