package rpm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// bigRepository writes a repository of n packages whose entries are as long as
// real ones: 72,000 have a primary.xml of 300 MB. There are no packages.
func bigRepository(t testing.TB, n int) (dir string, size int64) {
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "repodata"), 0o755); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("A library of functions that are of use to those who have a use for it. ", 12)
	var index rpmmd.Repomd
	for _, kind := range []string{typePrimary, typeFilelists, typeOther} {
		size = max(size, bigMetadata(t, dir, kind, &index, func(w io.Writer, i int) {
			id := digestOf(i)
			name := fmt.Sprintf("package-%06d", i)
			switch kind {
			case typePrimary:
				fmt.Fprintf(w, `<package type="rpm"><name>%s</name><arch>x86_64</arch><version epoch="0" ver="1.2.3" rel="4.el9"/><checksum type="sha256" pkgid="YES">%[2]s</checksum><summary>what %[1]s is</summary><description>%[3]s</description><packager/><url>https://a.example/%[1]s</url><time file="1790000000" build="1780000000"/><size package="%[4]d" installed="100" archive="200"/><location href="Packages/p/%[1]s-1.2.3-4.el9.x86_64.rpm"/><format><rpm:license>MIT</rpm:license><rpm:vendor>a</rpm:vendor><rpm:group>b</rpm:group><rpm:buildhost>h</rpm:buildhost><rpm:sourcerpm>%[1]s-1.2.3-4.el9.src.rpm</rpm:sourcerpm><rpm:header-range start="100" end="200"/><rpm:provides><rpm:entry name="%[1]s" flags="EQ" epoch="0" ver="1.2.3" rel="4.el9"/>`, name, id, long, 1000+i)
				for j := range 6 {
					fmt.Fprintf(w, `<rpm:entry name="lib%s-%d.so.1()(64bit)"/>`, name, j)
				}
				fmt.Fprint(w, "</rpm:provides><rpm:requires>")
				for j := range 40 {
					fmt.Fprintf(w, `<rpm:entry name="libpackage-%06d-%d.so.1()(64bit)"/>`, (i/1000)*1000+j, j%6)
				}
				fmt.Fprint(w, "</rpm:requires></format></package>\n")
			case typeFilelists:
				fmt.Fprintf(w, `<package pkgid="%s" name="%s" arch="x86_64"><version epoch="0" ver="1.2.3" rel="4.el9"/>`, id, name)
				for j := range 30 {
					fmt.Fprintf(w, "<file>/usr/share/%s/a/folder/with/file-%d</file>", name, j)
				}
				fmt.Fprint(w, "</package>\n")
			default:
				fmt.Fprintf(w, `<package pkgid="%s" name="%s" arch="x86_64"><version epoch="0" ver="1.2.3" rel="4.el9"/><changelog author="a" date="1">- made</changelog></package>`+"\n", id, name)
			}
		}, n))
	}
	if err := os.WriteFile(filepath.Join(dir, nameRepomd), index.Marshal(), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, size
}

// digestOf returns a digest as good as random, as digests are.
func digestOf(i int) string {
	sum := sha256.Sum256(fmt.Append(nil, i))
	return hex.EncodeToString(sum[:])
}

func bigMetadata(t testing.TB, dir, kind string, index *rpmmd.Repomd, one func(io.Writer, int), n int) int64 {
	root := map[string]string{typePrimary: "metadata", typeFilelists: "filelists", typeOther: "otherdata"}[kind]
	name := "repodata/" + kind + ".xml.gz"
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	z, err := gzip.NewWriterLevel(io.MultiWriter(f, hash), gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	count := &counter{w: z}
	fmt.Fprintf(count, `<%s xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="%d">`+"\n", root, n)
	for i := range n {
		one(count, i)
	}
	fmt.Fprintf(count, "</%s>\n", root)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	index.Data = append(index.Data, rpmmd.Data{
		Type: kind, Location: name, Size: info.Size(), OpenSize: count.n, Checksum: rpmmd.Checksum{Type: "sha256", Hex: hex.EncodeToString(hash.Sum(nil))},
	})
	return count.n
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.w.Write(p)
}

// BenchmarkPlan plans a repository of 72,000 packages with a primary.xml of 300
// MB, and goes through it.
func BenchmarkPlan(b *testing.B) {
	dir, size := bigRepository(b, 72_000)
	b.Logf("primary.xml: %d MB", size/1e6)
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	key, _ := signers(b)
	for name, test := range map[string]struct {
		more string
		want int
	}{"verbatim": {"mode: verbatim", 72_000}, "rebuilt": {"packages: [package-000001, package-071999]\n  architectures: [x86_64]", 6}, "everything": {"newest: 1\n  architectures: [x86_64]", 72_000}} {
		b.Run(name, func(b *testing.B) {
			env := newEnv(b, b.TempDir(), nil)
			writeKeys(b, filepath.Join(env.Dir, "archive.asc"), key)
			env.Site = siteKey(b)
			runtime.GC()
			for b.Loop() {
				r, err := plan(b, env, "- name: big\n  kind: rpm\n  baseurl: "+server.URL+"\n  gpgkey: archive.asc\n  "+test.more+"\n")
				if err != nil {
					b.Fatal(err)
				}
				if n := plantest.Count(b, r); n < test.want {
					b.Fatalf("%d files", n)
				}
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB-held")
				b.ReportMetric(float64(m.Sys)/(1<<20), "MiB-sys")
				b.ReportMetric(peak(b), "MiB-peak-RSS")
				runtime.KeepAlive(r)
			}
		})
	}
}

// peak returns the most memory that the process has had, in MiB.
func peak(t testing.TB) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0 // not Linux
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var n float64
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n / 1024
}

// BenchmarkReadBack compares making the primary.xml of 72,000 packages, 300 MB, with
// reading it back.
func BenchmarkReadBack(b *testing.B) {
	const n = 72_000
	dir, size := bigRepository(b, n)
	hrefs, nevras, ids := map[string]string{}, map[string]bool{}, map[string]bool{}
	for i := range n {
		href, sum := fmt.Sprintf("Packages/p/package-%06d-1.2.3-4.el9.x86_64.rpm", i), rpmmd.Checksum{Type: "sha256", Hex: digestOf(i)}
		hrefs[hrefKey(sum, href, "")], ids[sum.Hex] = href, true
		nevras[fmt.Sprintf("package-%06d-1.2.3-4.el9.x86_64", i)] = true
	}
	for _, one := range []struct {
		name, kind string
		run        func(io.Reader) error
	}{
		{"make primary", typePrimary, func(r io.Reader) error {
			z := gzip.NewWriter(io.Discard)
			return errors.Join(rpmmd.FilterPrimary(z, r, n, func(sum rpmmd.Checksum, href, base string) (string, bool) {
				href, ok := hrefs[hrefKey(sum, href, base)]
				return href, ok
			}), z.Close())
		}},
		{"read primary back", typePrimary, readPrimary(hrefs, nevras)},
		{"read filelists back", typeFilelists, readIDs(ids)},
	} {
		b.Run(one.name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				f, err := os.Open(filepath.Join(dir, "repodata", one.kind+".xml.gz"))
				if err != nil {
					b.Fatal(err)
				}
				z, err := gzip.NewReader(f)
				if err != nil {
					b.Fatal(err)
				}
				if err := errors.Join(one.run(z), f.Close()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
