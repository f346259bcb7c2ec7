package command

import (
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
)

func TestPattern(t *testing.T) {
	for _, x := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "bash", true}, {"as", "bash", true}, {"AS", "bash", true}, {"sh", "Bash", true}, {"x", "bash", false},
		{"b*", "bash", true}, {"B*", "bash", true}, {"*b", "bash", false}, {"b?sh", "bash", true}, {"[a-c]ash", "bash", true},
		{"*nginx*", "docker.io/library/nginx", true}, {"docker.io/*", "docker.io/library/nginx", true}, {"docker.io/*/nginx", "docker.io/library/nginx", true},
		{`a\[b*`, "a[bc", true}, {"a.b", "aXb", false},
	} {
		p, err := newPattern(x.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.matches(x.name); got != x.want {
			t.Errorf("%q, %q: %t", x.pattern, x.name, got)
		}
	}
	if _, err := newPattern("[a"); err == nil {
		t.Error("a pattern without its end is accepted")
	}
	// What takes other matchers time without end ends at once.
	p, err := newPattern(strings.Repeat("a*", 100) + "b")
	if err != nil || p.matches(strings.Repeat("a", 1024)) {
		t.Error("a name without b", err)
	}
}

func TestArchitectures(t *testing.T) {
	for _, x := range []struct {
		wanted, arch string
		want         bool
	}{
		{"", "amd64", true}, {"amd64", "amd64", true}, {"amd64", "arm64", false}, {"amd64", "linux/amd64,linux/arm64", true}, {"arm64", "linux/amd64, linux/arm64", true},
		{"linux/arm64", "linux/amd64,linux/arm64", true}, {"amd64", "", false}, {"64", "amd64", false},
	} {
		s := search{}
		if x.wanted != "" {
			s.archs = []string{x.wanted}
		}
		if got := s.allowsArch(x.arch); got != x.want {
			t.Errorf("--arch %q, %q: %t", x.wanted, x.arch, got)
		}
	}
}

// TestSearch: the newest version of each architecture and part, unless all are wanted; a
// kind without an order of versions has no newest one.
func TestSearch(t *testing.T) {
	thing := func(name, typ, version, arch string, rank int64) bundle.Entry {
		return bundle.Entry{Name: name, Type: typ, Version: version, Arch: arch, Rank: rank, Path: name + version + arch}
	}
	repo := func(name string, entries ...bundle.Entry) contents.Repository {
		return contents.Repository{Set: "demo", Name: name, Kind: "apt", Entries: func() iter.Seq2[bundle.Entry, error] {
			return func(yield func(bundle.Entry, error) bool) {
				for _, e := range entries {
					if !yield(e, nil) {
						return
					}
				}
			}
		}}
	}
	repos := []contents.Repository{
		repo("debian", thing("bash", "deb", "1", "amd64", 2), thing("bash", "deb", "2", "amd64", 1), thing("bash", "deb", "1", "arm64", 1), thing("bash", "dsc", "2", "", 1)),
		repo("tags", thing("bash", "image", "latest", "", 0), thing("bash", "image", "v1", "", 0)),
	}
	for want, s := range map[string]search{
		"2/amd64 1/arm64 2/ latest/ v1/":         {},
		"1/amd64 2/amd64 1/arm64 2/ latest/ v1/": {all: true},
		"2/amd64 1/arm64":                        {types: []string{"deb"}},
		"1/amd64 2/amd64":                        {types: []string{"deb"}, archs: []string{"amd64"}, all: true},
		"2/ latest/ v1/":                         {types: []string{"dsc", "image"}},
	} {
		s.repos = repos
		var got []string
		for f, err := range s.found() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, f.Version+"/"+f.Arch)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func versions(all ...string) (out []contents.Version) {
	for _, v := range all {
		version, arch, _ := strings.Cut(v, "/")
		arch, repository, _ := strings.Cut(arch, "@")
		out = append(out, contents.Version{Version: version, Arch: arch, Repository: repository, Digest: bundle.DigestOf([]byte(v))})
	}
	return out
}

func TestChangeText(t *testing.T) {
	one, two := bundle.DigestOf([]byte("1")), bundle.DigestOf([]byte("2"))
	for want, c := range map[string]contents.Change{
		"1 amd64":               {Kind: contents.Removed, Before: versions("1/amd64")},
		"1, 2 amd64, arm64":     {Kind: contents.Added, After: versions("1/amd64", "2/amd64", "2/arm64")},
		"1, 2, 3 and 2 more":    {Kind: contents.Added, After: versions("1", "2", "3", "4", "5")},
		"1 -> 2":                {Kind: contents.Changed, Before: versions("1/amd64"), After: versions("2/amd64")},
		"2 -> 1 (older)":        {Kind: contents.Changed, Before: versions("2"), After: versions("1"), Older: true},
		"1 -> 1, 2":             {Kind: contents.Changed, After: versions("2"), Stays: []string{"1"}},
		"2, 1 -> 2":             {Kind: contents.Changed, Before: versions("1"), Stays: []string{"2"}},
		"1: amd64 -> arm64":     {Kind: contents.Changed, Before: versions("1/amd64"), After: versions("1/arm64")},
		"1: repository a -> b":  {Kind: contents.Changed, Before: versions("1/x@a"), After: versions("1/x@b")},
		"1: none -> arm64":      {Kind: contents.Changed, After: versions("1/arm64"), Stays: []string{"1"}},
		"content known after":   {Kind: contents.Changed, Before: []contents.Version{{Digest: one}}, After: []contents.Version{{}}},
		"main: commit aa -> bb": {Kind: contents.Changed, Before: []contents.Version{{Version: "main", Revision: "aa"}}, After: []contents.Version{{Version: "main", Revision: "bb"}}},
		"latest: content ":      {Kind: contents.Changed, Before: []contents.Version{{Version: "latest", Digest: one}}, After: []contents.Version{{Version: "latest", Digest: two}}},
		"^main: commit 0123456789ab -> ff": {Kind: contents.Changed, Before: []contents.Version{{Version: "main", Revision: "0123456789abcdef"}},
			After: []contents.Version{{Version: "main", Revision: "ff"}}, Stays: []string{"other"}},
		one.Short() + " -> " + two.Short(): {Kind: contents.Changed, Before: []contents.Version{{Digest: one}}, After: []contents.Version{{Digest: two}}},
	} {
		if want == "content known after" {
			want = one.Short() + " -> known after it is fetched"
		}
		want, begins := strings.CutPrefix(want, "^")
		if got := changeText(&c); !strings.Contains(got, want) || begins && !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}

// TestWriteChanges: twenty lines at most unless more are asked for, removals first, and
// how many are not shown.
func TestWriteChanges(t *testing.T) {
	s := &contents.Summary{Set: "demo", Removed: 3, Changed: 4, Added: 20}
	for i := range 20 {
		s.First = append(s.First, contents.Change{Kind: contents.Removed, Type: "deb", Name: fmt.Sprint("n", i), Before: versions("1/amd64@debian")})
	}
	s.WithoutList = []contents.Counted{{Repository: "old", FilesBefore: 2, FilesAfter: 3}}
	var out strings.Builder
	WriteChanges(&out, nil, s)
	want := "set demo: by name 3 removed, 4 changed, 20 added\n  removed  n0   1 amd64  deb in debian\n"
	if got := out.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 23 || !strings.Contains(got, "\n  and 7 more (--changes all)\n") || !strings.Contains(got, "repository old: 2 files before, 3 after") {
		t.Errorf("got:\n%s", got)
	}
}

func TestFlowingTable(t *testing.T) {
	var out strings.Builder
	table := &flowingTable{w: &out}
	for i := range flowingRows + 2 {
		cells := []string{"a", "b"}
		if i == 1 {
			cells[0] = "äöü"
		}
		if i == flowingRows {
			cells[0] = "wider than all before"
		}
		if err := table.row(cells...); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.flush(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != flowingRows+3 || lines[0] != "a    b" || lines[1] != "äöü  b" || lines[flowingRows] != "wider than all before  b" || lines[flowingRows+1] != "a    b" {
		t.Errorf("%q ... %q", lines[:2], lines[flowingRows:])
	}
}
