package promises

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// carried returns a site with a mirror that serves a first state, and a good medium
// with a second one, of several volumes.
func carried(t *testing.T) *site {
	s := newSite(t, map[string]string{"old": "old", "stays": "stays"})
	s.export("first")
	s.mirror("mirror")
	s.ok("import", "first", "--to", "mirror")
	s.check(os.Remove(s.path("data/old")))
	for i, size := range []int{1 << 20, 700 << 10, 900 << 10, 2<<20 + 777} {
		s.write("data/noise/"+string(rune('a'+i)), noise(uint64(i), size))
	}
	s.export("good", "--volume-size", "1MiB")
	return s
}

// P1, P2, P3, P5: what can happen to a medium. Each is refused with its code,
// names what is wrong, leaves what is served as it was in content and times,
// and once the medium is as it should be the same command completes.
func TestMediaThatAreNotAsTheyWere(t *testing.T) {
	s := carried(t)
	const dir = "medium/site-000002/"
	const volume = "volume-00002.tar.zst"
	before := s.served("mirror")
	s.copy("mirror", "untouched")
	truncate := func(size int64) func() {
		return func() { s.check(os.Truncate(s.path(dir+volume), size)) }
	}
	replace := func(by string) func() {
		return func() { s.shell("rm " + dir + volume + " && " + by + " " + dir + volume) }
	}
	size := int64(len(s.read("good/site-000002/" + volume)))
	for _, c := range []struct {
		name  string
		spoil func()
		code  int
		names []string
	}{
		{"missing", replace("true"), 5, []string{volume}},
		{"doubled", func() { s.shell("cp -f " + dir + "volume-00001.tar.zst " + dir + volume) }, 3, []string{volume}},
		{"swapped", func() {
			s.shell("cd " + dir + " && mv volume-00003.tar.zst x && mv volume-00002.tar.zst volume-00003.tar.zst && mv x volume-00002.tar.zst")
		}, 3, []string{volume, "volume-00003.tar.zst"}},
		{"cut", truncate(5000), 3, []string{volume, "5000"}},
		{"cut by one", truncate(size - 1), 3, []string{volume}},
		{"extended", truncate(size + 1), 3, []string{volume}},
		{"emptied", truncate(0), 3, []string{volume}},
		{"a byte flipped at the front", func() { s.flip(dir+volume, 4) }, 3, []string{volume, "offset 0", "noise/"}},
		{"a byte flipped at the end", func() { s.flip(dir+volume, size-1) }, 3, []string{volume}},
		{"a folder", replace("mkdir"), 5, []string{volume}},
		{"a link to the right bytes", replace("ln -s $PWD/good/site-000002/" + volume), 5, []string{volume}},
		{"a FIFO", replace("mkfifo"), 5, []string{volume}},
		{"a FIFO as root", func() { s.shell("rm " + dir + "bundle.json && mkfifo " + dir + "bundle.json") }, 5, []string{"bundle.json"}},
		{"a FIFO as sums", func() { s.shell("rm " + dir + "SHA256SUMS && mkfifo " + dir + "SHA256SUMS") }, 3, []string{"SHA256SUMS"}},
		{"a FIFO as catalogue", func() { s.shell("rm " + dir + "catalog-01.tar.zst && mkfifo " + dir + "catalog-01.tar.zst") }, 3, []string{"catalog-01.tar.zst"}},
		{"the root of another", func() { s.shell("cp first/site-000001/bundle* " + dir) }, 3, []string{"site-000002", "site-000001"}},
		{"volumes of another", func() { s.shell("cp first/site-000001/volume-00002.tar.zst " + dir + volume) }, 3, []string{volume}},
		{"no root", func() { s.shell("rm " + dir + "bundle.json") }, 5, []string{"bundle.json"}},
		{"emptied root", func() { s.shell(": >" + dir + "bundle.json") }, 4, []string{"bundle.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &site{t: t, dir: s.dir, env: s.env}
			s.copy("untouched", "mirror")
			s.copy("good", "medium")
			c.spoil()
			s.fails(c.code, c.names, "verify", "medium", "--mirror", "mirror")
			s.fails(c.code, c.names, "import", "medium", "--to", "mirror")
			if diff := difference(s.served("mirror"), before); len(diff) > 0 {
				t.Errorf("what is served has changed: %q", diff)
			}
			s.copy("good", "medium")
			s.ok("import", "medium", "--to", "mirror")
			s.publishes("mirror", "data")
		})
	}
}

// flip inverts one bit of a file.
func (s *site) flip(name string, at int64) {
	s.t.Helper()
	f, err := os.OpenFile(s.path(name), os.O_RDWR, 0)
	s.check(err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	s.check(err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	s.check(err)
	s.check(f.Close())
}

// Strangers on a medium do no harm and are not opened: a volume's copy under
// a further name, a FIFO, a link that leads out.
func TestStrangersOnAMedium(t *testing.T) {
	s := carried(t)
	s.shell("cd good/site-000002 && cp volume-00001.tar.zst volume-00099.tar.zst && cp volume-00001.tar.zst 'volume-00001 (1).tar.zst' && mkfifo notes && ln -s /etc/passwd link && mkdir .Trash-1000")
	s.check(syscall.Mkfifo(s.path("good/fifo"), 0o644))
	r := s.ok("verify", "good", "--mirror", "mirror")
	if !strings.Contains(r.stdout+r.stderr, "volume-00099.tar.zst") {
		t.Errorf("the stranger is not named:\n%s%s", r.stdout, r.stderr)
	}
	s.ok("import", "good", "--to", "mirror")
	s.publishes("mirror", "data")
}

// A medium that was checked and then changes is checked again by import.
func TestMediumChangesAfterVerify(t *testing.T) {
	s := carried(t)
	s.ok("verify", "good", "--mirror", "mirror")
	info, err := os.Stat(s.path("good/site-000002/volume-00003.tar.zst"))
	s.check(err)
	before := s.served("mirror")
	s.flip("good/site-000002/volume-00003.tar.zst", 99)
	// The time tells nothing.
	s.check(os.Chtimes(s.path("good/site-000002/volume-00003.tar.zst"), info.ModTime(), info.ModTime()))
	s.fails(3, []string{"volume-00003.tar.zst"}, "import", "good", "--to", "mirror")
	if diff := difference(s.served("mirror"), before); len(diff) > 0 {
		t.Errorf("what is served has changed: %q", diff)
	}
}

// A stick with three bundles, the same twice, older ones, out of order, and
// back and forth.
func TestBundlesOfManyMonths(t *testing.T) {
	s := newSite(t, map[string]string{"static": "static"})
	for _, month := range []string{"1", "2", "3"} {
		s.write("data/month"+month, noise(uint64(month[0]), 300<<10))
		s.write("data/index", month)
		s.export("stick")
		s.copy("data", "data"+month)
	}
	s.mirror("mirror")

	// Out of order: the third alone lacks blobs of the second.
	s.ok("import", "stick/site-000001", "--to", "mirror")
	before := s.served("mirror")
	s.fails(5, []string{"sequence 3", "bytes", "data", "--base 1"}, "import", "stick/site-000003", "--to", "mirror")
	if diff := difference(s.served("mirror"), before); len(diff) > 0 {
		t.Errorf("what is served has changed: %q", diff)
	}
	// All three at once, and again: nothing is touched then.
	r := s.ok("import", "stick", "--to", "mirror")
	for _, want := range []string{"site-000001: already imported", "site-000002: superseded", "site-000003: imported"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	s.publishes("mirror", "data3")
	before = s.tree("mirror/generations")
	s.ok("import", "stick", "--to", "mirror")
	s.ok("import", "stick/site-000002", "--to", "mirror")
	if diff := difference(s.tree("mirror/generations"), before); len(diff) > 0 {
		t.Errorf("the same again changed %q", diff)
	}
	// Back and forth.
	s.ok("rollback", "mirror")
	s.publishes("mirror", "data1")
	s.ok("rollback", "mirror")
	s.publishes("mirror", "data3")
	s.ok("import", "stick", "--to", "mirror")
	s.publishes("mirror", "data3")

	// A mirror that begins with the newest refuses the older, never accepted one.
	s.write("data/index", "4")
	s.export("full", "--full")
	s.mirror("late")
	s.ok("import", "full", "--to", "late")
	s.fails(4, []string{"sequence 1", "4", "--allow-rollback"}, "import", "stick/site-000001", "--to", "late")
	s.publishes("late", "data")
}

// Two destinations with receipts of their own: each delta builds on what its
// destination acknowledged. A bundle that is lost, and a ledger that is.
func TestDestinations(t *testing.T) {
	s := newSite(t, map[string]string{"static": noise(1, 200<<10)})
	for _, ship := range []string{"north", "south"} {
		s.mirror(ship)
		bundle := s.export("to-"+ship, "--destination", ship, "--new-destination")
		s.ok("import", bundle, "--to", ship)
		s.ok("receipts", "add", s.receipt(ship), "--destination", ship, "--yes")
	}
	// To north goes a change that south never sees, and is lost on the way.
	s.write("data/lost", noise(2, 100<<10))
	s.export("to-north", "--destination", "north")
	s.write("data/index", "3")
	third := s.export("to-north", "--destination", "north")
	s.ok("import", third, "--to", "north") // built on what north acknowledged, which is not the lost one
	s.publishes("north", "data")
	fourth := s.export("to-south", "--destination", "south")
	s.ok("import", fourth, "--to", "south")
	s.publishes("south", "data")
	// What one destination has got helps no other one.
	s.mirror("empty")
	s.fails(5, []string{"data", "bytes"}, "import", fourth, "--to", "empty")

	// Without receipts the last export counts as arrived; when it did not, the
	// operator says so.
	s.write("data/index", "5")
	s.export("nowhere", "--destination", "east", "--full", "--new-destination")
	s.write("data/index", "6")
	assumed := s.export("to-east", "--destination", "east")
	s.mirror("east")
	s.fails(5, []string{"data"}, "import", assumed, "--to", "east")
	s.write("data/index", "7")
	whole := s.export("to-east", "--destination", "east", "--full")
	s.ok("import", whole, "--to", "east")
	s.publishes("east", "data")

	// The ledger is lost: the last bundle restores stream and number.
	s.check(os.RemoveAll(s.path(".gapbundle")))
	s.write("data/index", "8")
	adopted := s.export("to-east", "--destination", "east", "--adopt", whole)
	if got := filepath.Base(adopted); got <= filepath.Base(whole) {
		t.Errorf("after --adopt %s the next is %s", whole, got)
	}
	s.ok("import", adopted, "--to", "east")
	s.publishes("east", "data")
}

// receipt returns the path of the last receipt of a mirror.
func (s *site) receipt(mirror string) string {
	s.t.Helper()
	found, err := filepath.Glob(s.path(mirror + "/state/receipts/*.json"))
	s.check(err)
	if len(found) == 0 {
		s.t.Fatalf("%s: no receipt", mirror)
	}
	return found[len(found)-1]
}

// P12: two bundles with one number, both digests shown.
func TestTwoBundlesWithOneNumber(t *testing.T) {
	s := newSite(t, map[string]string{"index": "1"})
	s.copy("keys", "twinkeys")
	s.export("one")
	s.check(os.RemoveAll(s.path(".gapbundle/site/lists")))
	s.shell("cp -a one saved")
	s.write("data/index", "2")
	s.check(os.RemoveAll(s.path(".gapbundle")))
	s.export("two") // another stream, and the same number
	one, two := s.shell("sha256sum one/site-000001/bundle.json"), s.shell("sha256sum two/site-000001/bundle.json")
	s.mirror("mirror")
	// Both at hand at once.
	s.fails(4, []string{one[:64], two[:64]}, "import", "one", "two", "--to", "mirror")
	if got := s.served("mirror"); got != nil {
		t.Errorf("something was published: %v", got)
	}
	s.ok("import", "one", "--to", "mirror")
	before := s.served("mirror")
	s.fails(4, []string{"stream"}, "import", "two", "--to", "mirror")
	if diff := difference(s.served("mirror"), before); len(diff) > 0 {
		t.Errorf("what is served has changed: %q", diff)
	}
}
