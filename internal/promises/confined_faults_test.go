//go:build linux && faults

package promises

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// inside runs lines of a shell as root of namespaces of its own: with no
// network at all, and with mounts that nobody else sees. $P is the program.
func (s *site) inside(script string) ran {
	s.t.Helper()
	sub := &site{t: s.t, dir: s.dir, env: append([]string{"P=" + program()}, s.env...)}
	return sub.exec("unshare", "-rnm", "sh", "-c", script)
}

// P6 and P7: verify and import do their work where there is no network and
// the medium can only be read, and the medium stays as it was, times included.
func TestNoNetworkAndAReadOnlyMedium(t *testing.T) {
	s := carried(t)
	before := s.tree("good")
	r := s.inside(`set -e
		mount --bind good good && mount -o remount,bind,ro good
		if touch good/x 2>/dev/null; then exit 81; fi
		test "$(grep : /proc/self/net/dev | grep -cv ' lo:')" = 0 || exit 82
		$P verify good --mirror mirror
		$P verify good --pub keys/exporter.pub || test $? = 5
		$P import good --to mirror
		$P import good --to mirror
		$P inspect good --files`)
	if r.code != 0 {
		t.Fatalf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if diff := difference(s.tree("good"), before); len(diff) > 0 {
		t.Errorf("the medium has changed: %q", diff)
	}
	s.publishes("mirror", "data")
}

// A full disk on either side: exit 6 that names what is needed and what is free, what
// is served stays, and the same command goes on once there is room.
func TestFullDisks(t *testing.T) {
	s := carried(t)
	for _, c := range []struct{ name, script string }{
		{"mirror", `mkdir -p full && mount -t tmpfs -o size=3m none full && cp -a mirror full/mirror
			cp -a full/mirror/generations before
			COMMAND="$P import good --to full/mirror"
			$COMMAND 2>err; test $? = 6 || { cat err; exit 91; }
			grep -Eq 'the import needs [0-9]+ bytes, [0-9]+ free' err || { cat err; exit 92; }
			diff -r before full/mirror/generations && cmp full/mirror/current/files/data/old data-old || exit 93
			mount -o remount,size=64m full
			$COMMAND && diff -r data full/mirror/current/files/data && $P check full/mirror --data`},
		{"state of the mirror", `mkdir -p full && mount -t tmpfs -o size=64m,nr_inodes=60 none full
			COMMAND="$P trust add --mirror full/mirror --role exporter --set site --yes keys/exporter.pub"
			$COMMAND || exit 90
			COMMAND="$P import first good --to full/mirror"
			$COMMAND 2>err; test $? = 6 || { cat err; exit 91; }
			test ! -e full/mirror/current || exit 93
			mount -o remount,nr_inodes=10000 full
			$COMMAND && diff -r data full/mirror/current/files/data && $P check full/mirror --data`},
		{"medium", `mkdir -p full && mount -t tmpfs -o size=4m none full && head -c 2097152 /dev/zero >full/filler
			COMMAND="$P export --full --to full --volume-size 1MiB --state st"
			$COMMAND 2>err; test $? = 5 || { cat err; exit 91; }
			grep -q 'needs 1048576 bytes, at most .* free on full' err || { cat err; exit 92; }
			test ! -e full/site-000001 || exit 93
			mount -o remount,size=64m full
			$COMMAND && $P verify full --pub keys/exporter.pub`},
		{"exporter's own disk", `mkdir -p full && mount -t tmpfs -o size=64m,nr_inodes=12 none full && mkdir out
			COMMAND="$P export --full --to out --volume-size 1MiB --state full/st"
			$COMMAND 2>err; test $? = 6 || { cat err; exit 91; }
			test ! -e out/site-000001 || exit 93
			mount -o remount,nr_inodes=1000 full
			$COMMAND && $P verify out --pub keys/exporter.pub`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &site{t: t, dir: s.dir, env: s.env}
			s.write("data-old", "old")
			s.shell("rm -rf full before st out")
			if r := s.inside(c.script); r.code != 0 {
				t.Fatalf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
			}
		})
	}
}

// traced runs the program under strace and gives the lines of each thread's
// trace, with descriptors as paths.
func (s *site) traced(calls string, args ...string) []string {
	s.t.Helper()
	dir := s.t.TempDir()
	r := s.exec("strace", append([]string{"-ff", "-y", "-qq", "-e", "trace=" + calls, "-o", filepath.Join(dir, "trace"), program()}, args...)...)
	if r.code != 0 {
		s.t.Fatalf("gapbundle %q: exit %d\n%s", args, r.code, r.stderr)
	}
	found, err := filepath.Glob(filepath.Join(dir, "trace*"))
	s.check(err)
	var lines []string
	for _, name := range found {
		f, err := os.Open(name)
		s.check(err)
		in := bufio.NewScanner(f)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			lines = append(lines, in.Text())
		}
		s.check(in.Err())
		s.check(f.Close())
	}
	return lines
}

const (
	readCalls  = "openat,read,pread64,readv,preadv,preadv2,mmap,copy_file_range,sendfile,splice"
	makeCalls  = ",openat,creat,mkdirat,mkdir,linkat,symlinkat,renameat,renameat2,unlinkat,mknodat,truncate"
	writeCalls = "write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,splice,fallocate"
)

// moved sums what the lines say was read from or written to ("read", "write")
// paths below dir, by path.
func (s *site) moved(lines []string, what, dir string) map[string]int64 {
	call := regexp.MustCompile(`^(p?` + what + `v?2?(?:64)?|mmap|copy_file_range|sendfile|splice)\((\d+)<` + regexp.QuoteMeta(s.path(dir)) + `/([^>]*)>.* = (\d+)`)
	sums := map[string]int64{}
	for _, l := range lines {
		m := call.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		if m[1] == "copy_file_range" && strings.Contains(l, "/clients/") {
			continue // a client file, in which @BASE@ is filled in
		}
		if m[1] == "mmap" || m[1] == "copy_file_range" || m[1] == "sendfile" || m[1] == "splice" {
			s.t.Errorf("not counted: %s", l)
		}
		n, err := strconv.ParseInt(m[4], 10, 64)
		s.check(err)
		sums[m[3]] += n
	}
	return sums
}

// P9: staysWithin requires that nothing was made, opened for writing, renamed
// or removed outside of these places.
func (s *site) staysWithin(lines []string, places ...string) {
	s.t.Helper()
	at := regexp.MustCompile(`^(openat|creat|\w*(?:mkdir|link|rename|mknod|truncate)\w*)\((?:"[^"]*", )?(?:(?:\d+|AT_FDCWD)<([^>]*)>, )?"([^"]*)"`)
	changes := 0
	for _, l := range lines {
		m := at.FindStringSubmatch(l)
		if m == nil || m[1] == "openat" && !strings.Contains(l, "O_WRONLY") && !strings.Contains(l, "O_RDWR") && !strings.Contains(l, "O_CREAT") {
			continue
		}
		if strings.Contains(l, ") = -1 ") || m[3] == "/dev/null" {
			continue // nothing happened
		}
		path := m[3]
		if !filepath.IsAbs(path) {
			path = filepath.Join(m[2], path)
		}
		changes++
		if !slices.ContainsFunc(places, func(place string) bool { return path == s.path(place) || strings.HasPrefix(path, s.path(place)+"/") }) {
			s.t.Errorf("outside of %q: %s", places, l)
		}
	}
	if changes < 10 {
		s.t.Errorf("%d changes seen, want more", changes)
	}
}

// P8 and one write: export writes a medium once; import reads each volume
// once, through one descriptor, and writes what it holds once.
func TestBytesMoveOnce(t *testing.T) {
	s := newSite(t, map[string]string{"large": noise(1, 5<<20), "text": strings.Repeat("compresses well ", 100_000)})
	for i := range 300 {
		s.write(fmt.Sprintf("data/small/%03d", i), noise(uint64(i), 3000))
	}
	s.check(os.Mkdir(s.path("tmp"), 0o755))
	s.env = append(s.env, "TMPDIR="+s.path("tmp"))
	lines := s.traced(writeCalls+makeCalls, "export", "--to", "usb", "--volume-size", "2MiB", "--no-readback")
	s.staysWithin(lines, "usb", ".gapbundle")
	var bundle, written, stored int64
	for _, content := range s.contents("usb") {
		bundle += int64(len(content))
	}
	for _, n := range s.moved(lines, "write", "usb") {
		written += n
	}
	if written < bundle || float64(written) > 1.02*float64(bundle) {
		t.Errorf("export wrote %d bytes for a bundle of %d", written, bundle)
	}

	s.mirror("mirror")
	lines = s.traced(readCalls+","+writeCalls+makeCalls, "import", "usb", "--to", "mirror")
	s.staysWithin(lines, "mirror")
	reads := s.moved(lines, "read", "usb")
	var volumes int
	for name, content := range s.contents("usb/site-000001") {
		name = strings.TrimPrefix(name, "/")
		if !strings.HasPrefix(name, "volume-") {
			continue
		}
		volumes++
		if got := reads["site-000001/"+name]; got != int64(len(content)) {
			t.Errorf("%s: %d bytes read of %d", name, got, len(content))
		}
		opens := 0
		for _, l := range lines {
			if strings.HasPrefix(l, "openat(") && strings.Contains(l, `"`+name+`"`) {
				opens++
			}
		}
		if opens != 1 {
			t.Errorf("%s: opened %d times", name, opens)
		}
	}
	if volumes < 3 {
		t.Fatalf("%d volumes, want more", volumes)
	}
	var content, lists int64
	for _, c := range s.contents("data") {
		content += int64(len(c))
	}
	for _, c := range s.contents("mirror/state") {
		lists += int64(len(c))
	}
	for _, c := range s.contents("mirror/current/_gapbundle") {
		lists += int64(len(c))
	}
	for name, n := range s.moved(lines, "write", "mirror") {
		if !strings.HasPrefix(name, "state/pending/") { // the catalogue: media may leave
			stored += n
		}
	}
	if stored < content || stored > content+2*lists {
		t.Errorf("import wrote %d bytes for %d of content and %d of lists", stored, content, lists)
	}
	t.Logf("export: %d bytes for a bundle of %d; import: %d bytes for %d of content and %d of lists and state", written, bundle, stored, content, lists)
}
