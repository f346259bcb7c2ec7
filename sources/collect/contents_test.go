package collect

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
)

func numeric(_, a, b string) int {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return cmp.Compare(x, y)
}

func newNamer(t testing.TB, most int) *namer {
	t.Helper()
	scratch, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = scratch.Close() })
	return &namer{scratch: scratch, source: "src", list: "contents", compare: numeric, most: most}
}

func file(path string) *bundle.File {
	return &bundle.File{Path: path, Digest: bundle.DigestOf([]byte(path)), Size: int64(len(path))}
}

func finished(t testing.TB, n *namer) []bundle.Entry {
	t.Helper()
	d, count, err := n.finish()
	if err != nil {
		t.Fatal(err)
	}
	f, err := n.scratch.Open(n.list)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []bundle.Entry
	for e, err := range bundle.ReadContents(f, n.list) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if int64(len(all)) != count || d.MediaType != bundle.MediaTypeContents {
		t.Errorf("%d entries, counted %d; %s", len(all), count, d.MediaType)
	}
	if left, err := fs.ReadDir(n.scratch.FS(), "."); err != nil || len(left) != 1 {
		t.Errorf("left in scratch: %v, %v", left, err)
	}
	return all
}

// However little is sorted in memory, the list is that of sorting everything: each entry
// once, and ranked.
func TestContentsAreSorted(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := newNamer(t, rapid.SampledFrom([]int{1, 1500, 1 << 20}).Draw(r, "most"))
		want := map[string]bundle.Entry{}
		for i := range rapid.IntRange(0, 200).Draw(r, "n") {
			f := file(fmt.Sprintf("p%03d", i/2))
			e := sources.Entry{
				Name: rapid.SampledFrom([]string{"a", "b", "bb"}).Draw(r, "name"), Type: bundle.TypeDeb,
				Arch: rapid.SampledFrom([]string{"", "x"}).Draw(r, "arch"), Version: strconv.Itoa(rapid.IntRange(0, 20).Draw(r, "version")),
			}
			if err := n.add(f, &bundle.Evidence{Vouched: bundle.VouchedIndex, Origin: "http://u/" + f.Path, Reason: "why"}, sources.NewEntries(e, e), nil); err != nil {
				r.Fatal(err)
			}
			line := bundle.Entry{Name: e.Name, Type: e.Type, Arch: e.Arch, Version: e.Version, Path: f.Path, Digest: f.Digest, Size: f.Size,
				Vouched: bundle.VouchedIndex, Origin: "http://u/" + f.Path, Reason: "why"}
			want[fmt.Sprintf("%+v", line)] = line
		}
		got := finished(t, n)
		if len(got) != len(want) {
			r.Fatalf("%d entries, want %d", len(got), len(want))
		}
		for i, e := range got {
			rank := int64(1)
			seen := map[string]bool{}
			for _, other := range got {
				if bundle.CompareEntryGroups(&other, &e) == 0 && numeric("", other.Version, e.Version) > 0 && !seen[other.Version] {
					seen[other.Version] = true
					rank++
				}
			}
			if e.Rank != rank {
				r.Errorf("entry %d %s %s: rank %d, want %d", i, e.Name, e.Version, e.Rank, rank)
			}
			e.Rank = 0
			if _, ok := want[fmt.Sprintf("%+v", e)]; !ok {
				r.Errorf("entry %+v", e)
			}
		}
	})
}

// Many small runs are merged in between, and one thing may have any number of versions.
func TestContentsOfManyRuns(t *testing.T) {
	n := newNamer(t, 1)
	const many = 3*maxRuns + 5
	for i := range many {
		if err := n.add(file(fmt.Sprint(i)), &bundle.Evidence{Vouched: bundle.VouchedIndex}, sources.NewEntries(sources.Entry{Name: "one", Type: bundle.TypeRPM, Version: strconv.Itoa(i * 7919 % many)}), nil); err != nil {
			t.Fatal(err)
		}
		if len(n.runs) > maxRuns {
			t.Fatalf("%d runs", len(n.runs))
		}
	}
	got := finished(t, n)
	if len(got) != many {
		t.Fatalf("%d entries of %d", len(got), many)
	}
	for _, e := range got {
		if version, _ := strconv.Atoi(e.Version); e.Rank != int64(many-version) {
			t.Errorf("version %s has rank %d", e.Version, e.Rank)
		}
	}
}

func TestEntriesThatAreRefused(t *testing.T) {
	for name, e := range map[string]sources.Entry{
		"control":       {Name: "a\x1b[2J", Type: bundle.TypeFile},
		"bidirectional": {Name: "a\u202eb", Type: bundle.TypeFile},
		"a line":        {Name: "a", Version: "1\n2", Type: bundle.TypeFile},
		"no name":       {Type: bundle.TypeFile},
		"no type":       {Name: "a"},
		"too long":      {Name: strings.Repeat("a", bundle.MaxEntryText+1), Type: bundle.TypeFile},
	} {
		err := newNamer(t, 0).add(file("path"), &bundle.Evidence{Vouched: bundle.VouchedIndex}, sources.NewEntries(e), nil)
		if !errors.Is(err, fetch.ErrUpstream) || errors.Is(err, bundle.ErrMalformed) || !strings.Contains(fmt.Sprint(err), "source src, path: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	n := newNamer(t, 0)
	n.compare = nil
	entry := sources.Entry{
		Name: `<b>&"x"`, Type: bundle.TypeFile, Size: 99, Summary: "first\u202e line\nsecond", Licence: "MIT\x00",
		Fixes: []string{"b", "a", "b"}, Source: "s", Revision: "c0ffee", Group: "g",
	}
	if err := n.add(file("path"), &bundle.Evidence{Vouched: bundle.VouchedIndex}, sources.NewEntries(entry), nil); err != nil {
		t.Fatal(err)
	}
	got := finished(t, n)[0]
	want := bundle.Entry{
		Name: `<b>&"x"`, Type: bundle.TypeFile, Size: 99, Summary: "first  line", Licence: "MIT ", Fixes: []string{"a", "b"}, Source: "s",
		Revision: "c0ffee", Group: "g", Path: "path", Digest: file("path").Digest, Vouched: bundle.VouchedIndex,
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTooManyEntries(t *testing.T) {
	ls := &listing{}
	for range 3 {
		n := newNamer(t, 0)
		ls.lists = append(ls.lists, &lists{names: n})
	}
	if err := ls.name(); err != nil {
		t.Fatal(err)
	}
	if err := entriesWithin(bundle.MaxEntries); err != nil {
		t.Error(err)
	}
	if err := entriesWithin(bundle.MaxEntries + 1); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("one more: %v", err)
	}
}

// What was packed is unpacked, whatever is in it.
func TestEntryList(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z]{0,200}`))
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sources.Entry {
			e := sources.Entry{Name: text.Draw(t, "n"), Type: text.Draw(t, "t"), Version: text.Draw(t, "v"), Arch: text.Draw(t, "a"), Group: text.Draw(t, "g"),
				Source: text.Draw(t, "s"), Revision: text.Draw(t, "r"), Size: rapid.Int64().Draw(t, "z"), Summary: "sum", Licence: "lic"}
			if fixes := rapid.SliceOfNDistinct(text, 0, 3, rapid.ID).Draw(t, "f"); len(fixes) > 0 {
				slices.Sort(fixes)
				e.Fixes = fixes
			}
			return e
		}), 0, 5).Draw(t, "all")
		list := sources.NewEntries(all...)
		again := sources.NewEntries(slices.Collect(list.All())...)
		if again != list || list.Join(list) != list || list.Join("") != list || sources.EntryList("").Join(list) != list {
			t.Fatalf("%q and again %q", list, again)
		}
		for i, e := range slices.Collect(sources.NewEntries(all[:min(1, len(all))]...).All()) {
			if fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", all[i]) {
				t.Fatalf("%+v, want %+v", e, all[i])
			}
		}
	})
}
