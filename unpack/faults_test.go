//go:build faults

package unpack_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/internal/test/faulttest"
	"github.com/gapbundle/gapbundle/unpack"
)

// allFaultsEnv tries every N; otherwise N grows faster and faster, so that a
// run stays below a minute.
const allFaultsEnv = "GAPBUNDLE_ALL_FAULTS"

// faults returns the calls by which a mirror changes, and what can become of each.
func faults() []faulttest.Fault {
	return []faulttest.Fault{
		{Call: "write,pwrite64"}, {Call: "write,pwrite64", Errno: "ENOSPC"},
		{Call: "fsync"}, {Call: "fsync", Errno: "EIO"},
		{Call: "syncfs"}, {Call: "syncfs", Errno: "EIO"},
		{Call: "/rename"}, {Call: "/rename", Errno: "EIO"},
		{Call: "/^link"}, {Call: "/^link", Errno: "EIO"},
		{Call: "/symlink"}, {Call: "/symlink", Errno: "ENOSPC"},
		{Call: "/mkdir", Errno: "ENOSPC"}, {Call: "/unlink"}, {Call: "utimensat", Errno: "EIO"},
	}
}

// P2 and P3: whatever call fails, or is the last, what is served is what was
// served before or what is to be served after, names, contents and times; and
// the same command then completes.
func TestFaults(t *testing.T) {
	faulttest.InMemory(t)
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	old := map[string]string{"same": "same", "changes": "one", "goes": noise("goes", 3000), "moves": "moves"}
	r.receive(e.Export(t, []bundletest.Repository{apt(old), shared("tools", map[string]string{"h/a": "a", "h/b": "b"})}, bundletest.Options{}).Dirs...)
	next := map[string]string{"same": "same", "changes": "two", "moved": "moves", "long": noise("long", 2<<20), "d/e/f": "deep"}
	made := e.Export(t, []bundletest.Repository{
		apt(next), shared("tools", map[string]string{"h/a": "a", "h/b": "B", "i/c": "c"}),
		{Name: "rpms", Kind: "rpm", Mount: "rpm/rpms", Files: map[string]string{"repodata/repomd.xml": "md"}},
	}, bundletest.Options{})
	medium := filepath.Dir(made.Dirs[0])
	b := &bench{dir: r.dir, at: r.clock.t}
	b.torture(t, "import", medium)
	b.torture(t, "rollback")
	b.at = b.at.Add(72 * time.Hour)
	b.torture(t, "gc")
}

// bench is a mirror at one place, because some of what is published says where
// that is, which is brought back to what it was as often as needed.
type bench struct {
	dir string
	at  time.Time // the clock of the commands
	// each means that every name is what it was or what it is to be, by itself.
	each bool
	// restored looks at the state after the command; nil: no matter.
	restored func(t *testing.T)

	saved       string // the mirror before the command
	before, now map[string]stat
}

// torture runs one command without a fault once, and then under every fault.
func (b *bench) torture(t *testing.T, args ...string) {
	b.saved = filepath.Join(t.TempDir(), "saved")
	copyTree(t, b.dir, b.saved)
	b.before = servedAll(t, b.dir)
	b.run(t, args...)
	b.now = servedAll(t, b.dir)
	for _, f := range faults() {
		t.Run(args[0]+" "+f.String(), func(t *testing.T) {
			last := 1
			for f.N = 1; b.under(t, f, args...); {
				step := last
				if os.Getenv(allFaultsEnv) != "" {
					step = 1
				}
				last, f.N = max(1, f.N/2), f.N+step
			}
			t.Logf("tried up to %d", f.N)
		})
	}
}

// under runs the command once under a fault; false: it was not reached. The
// mirror is left as the command leaves it.
func (b *bench) under(t *testing.T, f faulttest.Fault, args ...string) bool {
	t.Helper()
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	copyTree(t, b.saved, b.dir)
	argv := append([]string{args[0], b.dir}, args[1:]...)
	o := faulttest.Run(t, f, append(b.env(), "GOMAXPROCS=1"), os.Args[0], argv...)
	is := servedAll(t, b.dir)
	if !b.allowed(is) {
		t.Errorf("%s: served is neither what was nor what was to be: %s\n%s", f, difference(is, b.now), o.Output)
	}
	if !o.Killed && o.Exit != 0 && o.Exit != 6 || o.Exit == 0 && !o.Killed && !b.done(is) {
		t.Errorf("%s: exit %d\n%s", f, o.Exit, o.Output)
	}
	b.run(t, args...)
	if is := servedAll(t, b.dir); !b.done(is) {
		t.Errorf("%s: the same command again does not complete: %s\n%s", f, difference(is, b.now), o.Output)
	}
	sound(t, b.dir, f)
	if b.restored != nil {
		b.restored(t)
	}
	return o.Hit
}

// allowed reports whether nothing is served but what was and what is to be.
func (b *bench) allowed(is map[string]stat) bool {
	if !b.each {
		return sameServed(is, b.before) || sameServed(is, b.now)
	}
	for name, s := range is {
		was, wasThere := b.before[name]
		next, isNext := b.now[name]
		if !(wasThere && s.content == was.content) && !(isNext && s.content == next.content) {
			return false
		}
	}
	return true
}

// done reports whether what is served is what is to be. Where names are put right one by
// one a second run gives them later times.
func (b *bench) done(is map[string]stat) bool {
	if !b.each {
		return sameServed(is, b.now)
	}
	for name, s := range b.now {
		if got, ok := is[name]; !ok || got.content != s.content && !strings.HasPrefix(name, "_gapbundle/") && name != "index.html" {
			return false
		}
	}
	return len(is) == len(b.now)
}

// env returns the environment of the commands. A binary with the race detector would sleep for a second before it exits.
func (b *bench) env() []string {
	return []string{childEnv + "=" + b.at.Format(time.RFC3339), "GORACE=atexit_sleep_ms=0"}
}

func (b *bench) run(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{args[0], b.dir}, args[1:]...)...)
	cmd.Env = append(os.Environ(), b.env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// difference names what differs.
func difference(is, want map[string]stat) (names []string) {
	for name, s := range want {
		if got, ok := is[name]; !ok || got != s {
			names = append(names, name)
		}
	}
	for name := range is {
		if _, ok := want[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

// copyTree copies a mirror with its links and times.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
}

// sound expects a mirror without damage and without rubbish.
func sound(t *testing.T, dir string, f faulttest.Fault) {
	t.Helper()
	m, err := unpack.Open(dir, unpack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if res, err := m.Check(t.Context(), unpack.CheckOptions{Data: 1}); err != nil {
		t.Errorf("%s: check: %v\n%+v", f, err, res)
	}
	if _, err := m.History(); err != nil {
		t.Errorf("%s: %v", f, err)
	}
	for _, place := range []string{"blobs/staging", "blobs/partial", "state/lists/staging", "state/pending"} {
		if left, err := os.ReadDir(filepath.Join(dir, place)); err != nil || len(left) > 0 {
			t.Errorf("%s: left in %s: %v, %v", f, place, left, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "state/publishing.json")); err == nil {
		t.Errorf("%s: the intent is still there", f)
	}
}
