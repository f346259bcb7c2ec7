package site

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// named gives a repository entries, which it sorts.
func named(r Repository, entries ...bundle.Entry) Repository {
	slices.SortFunc(entries, func(a, b bundle.Entry) int { return bundle.CompareEntries(&a, &b) })
	list := bundle.NewListWriter[bundle.Entry](discard{})
	for _, e := range entries {
		if err := list.Write(e); err != nil {
			panic(err)
		}
	}
	d := list.Descriptor(bundle.MediaTypeContents)
	r.Repository.Contents, r.Entries = &d, int64(len(entries))
	r.Contents = func() iter.Seq2[bundle.Entry, error] { return seq(entries, nil) }
	return r
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func thing(name, version, arch string) bundle.Entry {
	return bundle.Entry{Name: name, Type: bundle.TypeDeb, Version: version, Arch: arch, Path: name + version + arch, Digest: bundle.DigestOf([]byte(name)), Vouched: bundle.VouchedIndex, Rank: 1, Summary: "does something"}
}

func things(n int) []bundle.Entry {
	all := make([]bundle.Entry, n)
	for i := range all {
		all[i] = thing(fmt.Sprintf("package-%06d", i), "1.0-1", "amd64")
	}
	return all
}

// pagesOf returns the pages of names by their paths, as they were written.
func pagesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(dir, namesDir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > maxPage {
			t.Errorf("%s: %d bytes, at most %d", p, len(b), maxPage)
		}
		all[filepath.Base(p)] = string(b)
	}
	return all
}

var cellOfPage = regexp.MustCompile(`(?m)^<tr><td>([^<]*)<td>`)

// TestNamesArePaged: every name is on exactly one page, and one more name changes the page
// that it is on alone: no other page has other bytes or another address.
func TestNamesArePaged(t *testing.T) {
	entries := things(20_000)
	dir, _ := write(t, input(named(repo("debs", "apt/debs", "a"), entries...)))
	before := pagesOf(t, dir)
	if len(before) < 20 || len(before) > 80 {
		t.Errorf("%d pages, want about 40", len(before))
	}
	count := 0
	for name, page := range before {
		if !strings.HasPrefix(name, "index") {
			count += len(cellOfPage.FindAllString(page, -1))
		}
	}
	if count != len(entries) {
		t.Errorf("%d names on all pages, want %d", count, len(entries))
	}
	for _, extra := range []string{"aaa", "package-010000-dev", "zzz"} {
		dir, _ := write(t, input(named(repo("debs", "apt/debs", "a"), append(slices.Clone(entries), thing(extra, "2", "amd64"))...)))
		var changed []string
		for name, page := range pagesOf(t, dir) {
			if before[name] != page && name != "index.html" {
				changed = append(changed, name)
			}
		}
		if len(changed) < 1 || len(changed) > 2 { // two where the name itself begins a page
			t.Errorf("%s changes %q", extra, changed)
		}
	}
}

// TestPagesOfManyNames: the page that lists pages is bounded too.
func TestPagesOfManyNames(t *testing.T) {
	entries := make([]bundle.Entry, 12_000)
	for i := range entries {
		entries[i] = thing(fmt.Sprintf("%s-%06d", strings.Repeat("n&", 500), i), strings.Repeat("<", 1000), "amd64")
	}
	dir, _ := write(t, input(named(repo("debs", "apt/debs", "a"), entries...)))
	pages := pagesOf(t, dir)
	reached, follow := map[string]bool{}, []string{"index.html"}
	for len(follow) > 0 {
		name := follow[0]
		follow = follow[1:]
		if reached[name] || name == "" {
			continue
		}
		reached[name] = true
		for _, link := range regexp.MustCompile(`href="\./([^"]*)"`).FindAllStringSubmatch(pages[name], -1) {
			follow = append(follow, link[1])
		}
	}
	if !slices.Equal(slices.Sorted(maps.Keys(reached)), slices.Sorted(maps.Keys(pages))) {
		t.Errorf("%d of %d pages are reached", len(reached), len(pages))
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(pages)), func(name string) bool { return strings.HasPrefix(name, "index1-") }) {
		t.Error("no page between")
	}
}

// TestNamesOnPages: markup is text, versions are counted, one name with 100,000 versions
// is a row, and the portal leads to the page.
func TestNamesOnPages(t *testing.T) {
	hostile := thing(`<script>alert("1")</script>`, "1<2", `"&'`)
	hostile.Summary = "<img src=x onerror=alert(1)>"
	entries := []bundle.Entry{hostile, thing("bash", "1", "amd64"), thing("bash", "1", "arm64"), thing("bash", "0", "amd64"), thing("bash", "2", "amd64")}
	entries[3].Rank = 2
	for i := range 100_000 {
		entries = append(entries, thing("many", fmt.Sprintf("%06d", i), "amd64"))
	}
	dir, _ := write(t, input(named(repo("debs", "apt/debs", "a"), entries...), named(repo("empty", "apt/empty", "a"))))
	page := pagesOf(t, dir)["0.html"]
	for _, want := range []string{
		`<td>&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;<td>1&lt;2<td>&#34;&amp;&#39;<td>deb<td>&lt;img src=x onerror=alert(1)&gt;`,
		"<td>bash<td>1, 2 and older<td>amd64, arm64<td>deb<td>does something",
		"<td>many<td>000000, 000001",
		" and more<td>amd64<td>deb",
		`content="default-src 'none'; style-src 'unsafe-inline'"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "<img") || len(page) > 10_000 {
		t.Errorf("page of %d bytes", len(page))
	}
	portal := read(t, dir, "index.html")
	if !regexp.MustCompile(`<td class="n"><a href="\./_gapbundle/names/debs-[0-9a-f]{8}/0\.html">100005</a></td>`).MatchString(portal) || !strings.Contains(portal, `<td class="n">0</td>`) {
		t.Errorf("portal: %s", portal)
	}
}

// TestUnchangedNamesAreLinked: pages of a list that did not change are the same files, and
// so is a page that did not change of one that did.
func TestUnchangedNamesAreLinked(t *testing.T) {
	entries := things(3_000)
	old, _ := write(t, input(named(repo("same", "apt/same", "a"), entries...), named(repo("more", "apt/more", "a"), entries...)))
	previous, err := os.OpenRoot(old)
	if err != nil {
		t.Fatal(err)
	}
	defer previous.Close()
	again := input(named(repo("same", "apt/same", "a"), entries...), named(repo("more", "apt/more", "a"), append(slices.Clone(entries), thing("zzz", "1", ""))...))
	fresh, _ := write(t, again)
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	again.Sets[0].Repositories[0].Contents = func() iter.Seq2[bundle.Entry, error] { return seq[bundle.Entry](nil, errLists) }
	again.Previous = previous
	linked := map[string]int{}
	again.Link = func(p string) error {
		err := os.Link(filepath.Join(old, p), filepath.Join(dir, p))
		if err == nil {
			linked[strings.Split(strings.TrimPrefix(p, namesDir+"/"), "-")[0]]++
		}
		return err
	}
	if _, err := Write(root, again); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(tree(t, dir), tree(t, fresh)) {
		t.Error("saving work changed bytes")
	}
	if linked["same"] < 3 || linked["more"] != linked["same"]-2 { // its last page and its index are new
		t.Errorf("linked %v", linked)
	}
}

// BenchmarkNames writes the pages of as many names as the main component of Debian 12 has.
func BenchmarkNames(b *testing.B) {
	entries := things(63_440)
	for i := range entries {
		entries[i].Summary = "summary of a package that does something useful"
	}
	r := named(repo("debs", "apt/debs", "a"), entries...)
	for b.Loop() {
		root, err := os.OpenRoot(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		w := &writer{place: place{root: root, time: testTime}, in: &Input{}}
		if _, err := w.names("demo", &r, namesDir+"/debs"); err != nil {
			b.Fatal(err)
		}
		_ = root.Close()
	}
}

// TestNotesOfSettings: a setting that lacks something is told to whoever imports.
func TestNotesOfSettings(t *testing.T) {
	in := input(repo("clients", ClientsDir, "apt/demo.sources"))
	in.Open = func(bundle.Digest) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("Types: deb\nURIs: @BASE@/apt\nSuites: ./\nSigned-By: /usr/share/keyrings/gapbundle-gone.asc\n")), nil
	}
	_, report := write(t, in)
	if !slices.ContainsFunc(report.Notes, func(note string) bool {
		return strings.Contains(note, "demo.sources names /usr/share/keyrings/gapbundle-gone.asc")
	}) {
		t.Errorf("notes %q", report.Notes)
	}
}
