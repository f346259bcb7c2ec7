package rpm

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/memtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// tiny writes a package that is as short as one can be, with what more has to
// say in its format.
func tiny(w io.Writer, i int, more string) {
	fmt.Fprintf(w, `<package><name>p%d</name><arch>noarch</arch><version ver="1" rel="1"/><checksum type="sha256">%s</checksum><size package="1"/><location href="%[1]d"/><format>%[3]s</format></package>`, i, digestOf(i), more)
}

// relations returns a list of them; of has the attributes of each.
func relations(list string, n int, of func(i int) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<rpm:%s>", list)
	for i := range n {
		fmt.Fprintf(&b, "<rpm:entry %s/>", of(i))
	}
	fmt.Fprintf(&b, "</rpm:%s>", list)
	return b.String()
}

func named(format string, a ...any) string { return `name="` + fmt.Sprintf(format, a...) + `"` }

// swarm is a repository that is made to need memory: n packages and what primary
// says of each.
type swarm struct {
	n     int
	entry func(i int) string
	// files is what filelists say of each of them; nil: there are none.
	files func(i int) string
	// refused is what is said of it; "": it is taken.
	refused string
}

func (s *swarm) publish(t testing.TB) string {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "repodata"), 0o755); err != nil {
		t.Fatal(err)
	}
	var index rpmmd.Repomd
	bigMetadata(t, dir, typePrimary, &index, func(w io.Writer, i int) { tiny(w, i, s.entry(i)) }, s.n)
	if s.files != nil {
		bigMetadata(t, dir, typeFilelists, &index, func(w io.Writer, i int) {
			fmt.Fprintf(w, `<package pkgid="%s" name="p%d">%s</package>`, digestOf(i), i, s.files(i))
		}, s.n)
	}
	if err := os.WriteFile(filepath.Join(dir, nameRepomd), index.Marshal(), 0o644); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL
}

// limited returns the kind with another bound than rpmmd.MaxHeld.
func limited(limit int64) sources.Kind {
	kind := Kind()
	makes := kind.New
	kind.New = func(specs []sources.Spec) (sources.Source, error) {
		s, err := makes(specs)
		if err == nil {
			s.(*source).limit = limit
		}
		return s, err
	}
	return kind
}

// TestMemory: whatever metadata say, what they need of memory while a set is
// planned, with everything chosen, stays below the bound, or they are refused.
func TestMemory(t *testing.T) {
	const limit = 32 << 20
	const besides = 16 << 20 // the server, buffers, what is not yet collected
	none := func(int) string { return "" }
	long := strings.Repeat("x", 60_000)
	const choose = "newest: 1\n  recommends: true\n  architectures: [x86_64]"
	for name, test := range map[string]struct {
		swarm
		spec string
	}{
		"tiny packages":         {swarm{16_000, none, nil, ""}, choose},
		"more of them":          {swarm{40_000, none, nil, "32 MiB of memory"}, choose},
		"of a whole repository": {swarm{16_000, none, nil, ""}, "mode: verbatim"},
		"more of it":            {swarm{40_000, none, nil, "32 MiB of memory"}, "mode: verbatim"},
		"millions of provides":  {swarm{1, func(int) string { return relations("provides", 300_000, func(i int) string { return named("a%d", i) }) }, nil, "32 MiB of memory"}, choose},
		"one of them repeated":  {swarm{1, func(int) string { return relations("provides", 300_000, func(i int) string { return named("a") }) }, nil, "200000 relations"}, choose},
		"thousands in each": {swarm{100, func(n int) string {
			return relations("provides", 10_000, func(i int) string { return named("%d.%d", n, i) })
		}, nil, "32 MiB of memory"}, choose},
		"requirements":      {swarm{2_500, func(int) string { return relations("requires", 30, func(i int) string { return named("p%d", i) }) }, nil, ""}, choose},
		"more requirements": {swarm{6_000, func(int) string { return relations("requires", 30, func(i int) string { return named("p%d", i) }) }, nil, "32 MiB of memory"}, choose},
		"recommendations":   {swarm{3_000, func(n int) string { return relations("recommends", 20, func(i int) string { return named("x%d", i) }) }, nil, ""}, choose},
		"a chain":           {swarm{15_000, func(n int) string { return relations("requires", 1, func(int) string { return named("p%d", n/2) }) }, nil, ""}, choose},
		"long names": {swarm{300, func(n int) string {
			return relations("requires", 1, func(int) string { return named("(p0 if %s)", long) })
		}, nil, ""}, choose},
		"more long names": {swarm{3_000, func(n int) string {
			return relations("requires", 1, func(int) string { return named("(p0 if %s)", long) })
		}, nil, "32 MiB of memory"}, choose},
		"rich dependencies": {swarm{25, func(n int) string {
			return relations("requires", 1, func(int) string { return named("(p%d%s)", n, strings.Repeat(" or a", 1000)) })
		}, nil, ""}, choose},
		"more rich dependencies": {swarm{150, func(n int) string {
			return relations("requires", 1, func(int) string { return named("(p%d%s)", n, strings.Repeat(" or a", 1000)) })
		}, nil, "32 MiB of memory"}, choose},
		"pairs": {swarm{6_000, func(n int) string {
			return relations("provides", 1, func(int) string { return named("a") }) + relations("requires", 1, func(int) string { return `name="a" flags="GE" ver="` + fmt.Sprint(n) + `"` })
		}, nil, "that may meet them"}, choose},
		"files of filelists": {swarm{10_000, func(int) string { return relations("requires", 1, func(int) string { return named("/opt/a") }) },
			func(int) string { return strings.Repeat("<file>/opt/a</file>", 50) }, ""}, "packages: [p1]\n  architectures: [x86_64]"},
	} {
		t.Run(name, func(t *testing.T) {
			url := test.publish(t)
			env := newEnv(t, t.TempDir(), nil)
			key, _ := signers(t)
			writeKeys(t, filepath.Join(env.Dir, "archive.asc"), key)
			env.Site = siteKey(t)
			text := "- name: swarm\n  kind: rpm\n  baseurl: " + url + "\n  gpgkey: archive.asc\n  " + test.spec + "\n"
			var err error
			defer debug.SetGCPercent(debug.SetGCPercent(10))
			peak := memtest.HeapPeak(func() {
				var r *collect.Resolved
				r, err = collect.Resolve(t.Context(), sources.Kinds{limited(limit)}, specs(t, env.Dir, text), env)
				runtime.KeepAlive(r)
			})
			t.Logf("%s: %d MB", name, peak/1e6)
			if peak > limit+besides {
				t.Errorf("%d MB, at most %d", peak/1e6, (limit+besides)/1_000_000)
			}
			if test.refused != "" {
				refused(t, err, fetch.ErrUpstream, test.refused)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// BenchmarkHostile plans repositories of three million tiny packages, which are
// refused, and of as many as are not.
func BenchmarkHostile(b *testing.B) {
	for name, test := range map[string]struct {
		n       int
		spec    string
		refused bool
	}{
		"refused":          {3_000_000, "newest: 1\n  architectures: [x86_64]", true},
		"refused verbatim": {3_000_000, "mode: verbatim", true},
		"taken":            {1_200_000, "newest: 1\n  architectures: [x86_64]", false},
	} {
		b.Run(name, func(b *testing.B) {
			s := swarm{n: test.n, entry: func(int) string { return "" }}
			url := s.publish(b)
			env := newEnv(b, b.TempDir(), nil)
			key, _ := signers(b)
			writeKeys(b, filepath.Join(env.Dir, "archive.asc"), key)
			env.Site = siteKey(b)
			for b.Loop() {
				r, err := plan(b, env, "- name: swarm\n  kind: rpm\n  baseurl: "+url+"\n  gpgkey: archive.asc\n  "+test.spec+"\n")
				if (err != nil) != test.refused {
					b.Fatal(err)
				}
				b.ReportMetric(peak(b), "MiB-peak-RSS")
				runtime.KeepAlive(r)
			}
		})
	}
}
