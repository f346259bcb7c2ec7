package contents_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/contents"
)

// listed makes a repository of entries, which it sorts and each of which it keeps once.
func listed(name string, entries ...bundle.Entry) contents.Repository {
	slices.SortFunc(entries, func(a, b bundle.Entry) int { return bundle.CompareEntries(&a, &b) })
	entries = slices.CompactFunc(entries, func(a, b bundle.Entry) bool { return bundle.CompareEntries(&a, &b) == 0 })
	var text strings.Builder
	for _, e := range entries {
		fmt.Fprintln(&text, e)
	}
	return contents.Repository{Set: "demo", Name: name, Kind: "files", List: bundle.DigestOf([]byte(text.String())).String(), Content: text.String(),
		Files: int64(len(entries)), Entries: func() iter.Seq2[bundle.Entry, error] {
			return func(yield func(bundle.Entry, error) bool) {
				for _, e := range entries {
					if !yield(e, nil) {
						return
					}
				}
			}
		}}
}

func entry(name, version, arch, content string) bundle.Entry {
	return bundle.Entry{Name: name, Type: "deb", Version: version, Arch: arch, Path: strings.Join([]string{name, version, arch}, "_"), Digest: bundle.DigestOf([]byte(content))}
}

// state is everything that a state of a set has, by type and name: the reference for
// what Compare streams.
type state map[[2]string]map[contents.Version]bool

func stateOf(t testing.TB, repos []contents.Repository) state {
	t.Helper()
	s := state{}
	for _, r := range repos {
		if r.Entries == nil {
			continue
		}
		for e, err := range r.Entries() {
			if err != nil {
				t.Fatal(err)
			}
			s.put(e.Type, e.Name, contents.Version{Version: e.Version, Arch: e.Arch, Digest: e.Digest, Repository: r.Name})
		}
	}
	return s
}

func (s state) put(typ, name string, v contents.Version) {
	key := [2]string{typ, name}
	if s[key] == nil {
		s[key] = map[contents.Version]bool{}
	}
	s[key][v] = true
}

// apply changes the state as a change says, and fails where it cannot be changed so.
func (s state) apply(t testing.TB, c contents.Change) {
	t.Helper()
	key := [2]string{c.Type, c.Name}
	was := len(s[key]) > 0
	for _, v := range c.Before {
		if !s[key][v] {
			t.Errorf("%v: %v was not there", c, v)
		}
		delete(s[key], v)
	}
	for _, v := range c.After {
		if s[key][v] {
			t.Errorf("%v: %v was there", c, v)
		}
		s.put(c.Type, c.Name, v)
	}
	if len(s[key]) == 0 {
		delete(s, key)
	}
	want := contents.Changed
	switch {
	case !was:
		want = contents.Added
	case len(s[key]) == 0:
		want = contents.Removed
	}
	if c.Kind != want {
		t.Errorf("%v: want %s", c, want)
	}
}

// TestAppliedChangesGiveTheStateAfter: the change list applied to the state before is
// the state after, over random histories of a few repositories with few names, so that
// versions move between repositories, groups, paths and contents all the time.
func TestAppliedChangesGiveTheStateAfter(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 12))
		before := history(random, nil)
		for range 12 {
			after := history(random, before)
			s := stateOf(t, before)
			last := ""
			for c, err := range contents.Compare(t.Context(), before, after) {
				if err != nil {
					t.Fatal(err)
				}
				if at := c.Name + "\x00" + c.Type; at <= last {
					t.Errorf("seed %d: %q after %q", seed, at, last)
				} else {
					last = at
				}
				s.apply(t, c)
			}
			if want := stateOf(t, after); !reflect.DeepEqual(s, want) {
				t.Fatalf("seed %d: got %v, want %v", seed, s, want)
			}
			before = after
		}
	}
}

// history returns the next state of a few repositories.
func history(random *rand.Rand, before []contents.Repository) []contents.Repository {
	var after []contents.Repository
	for i := range 4 {
		name := fmt.Sprint("repository-", i)
		at := slices.IndexFunc(before, func(r contents.Repository) bool { return r.Name == name })
		switch random.IntN(6) {
		case 0: // it is not there
			continue
		case 1, 2: // it stays as it is
			if at >= 0 {
				after = append(after, before[at])
				continue
			}
		}
		var entries []bundle.Entry
		if at >= 0 && random.IntN(3) > 0 {
			for e, err := range before[at].Entries() {
				if err == nil && random.IntN(4) > 0 {
					entries = append(entries, e)
				}
			}
		}
		for range random.IntN(6) {
			e := entry(fmt.Sprint("n", random.IntN(5)), fmt.Sprint(random.IntN(3)), []string{"", "amd64"}[random.IntN(2)], fmt.Sprint("content-", random.IntN(2)))
			e.Type, e.Group = []string{"deb", "file"}[random.IntN(2)], fmt.Sprint("g", random.IntN(2))
			e.Path += fmt.Sprint("-", random.IntN(2))
			entries = append(entries, e)
		}
		after = append(after, listed(name, entries...))
	}
	return after
}

func changes(t testing.TB, before, after []contents.Repository) []string {
	t.Helper()
	var out []string
	for c, err := range contents.Compare(t.Context(), before, after) {
		if err != nil {
			t.Fatal(err)
		}
		text := string(c.Kind) + " " + c.Name
		for i, side := range [][]contents.Version{c.Before, c.After} {
			for _, v := range side {
				text += fmt.Sprintf(" %c%s@%s", "-+"[i], v.Version, v.Repository)
			}
		}
		if len(c.Stays) > 0 {
			text += " =" + strings.Join(c.Stays, ",")
		}
		out = append(out, text)
	}
	return out
}

func TestCompare(t *testing.T) {
	old := entry("bash", "1", "amd64", "bash 1")
	moved, regrouped := old, old
	moved.Path, regrouped.Group = "elsewhere", "other"
	rebuilt := old
	rebuilt.Digest = bundle.DigestOf([]byte("bash 1, made again"))
	updated := entry("bash", "2", "amd64", "bash 2")
	ranked := func(e bundle.Entry, rank int64) bundle.Entry { e.Rank = rank; return e }
	for name, x := range map[string]struct {
		before, after []contents.Repository
		want          []string
	}{
		"same":                    {[]contents.Repository{listed("a", old)}, []contents.Repository{listed("a", old)}, nil},
		"first":                   {nil, []contents.Repository{listed("a", old)}, []string{"added bash +1@a"}},
		"all gone":                {[]contents.Repository{listed("a", old)}, nil, []string{"removed bash -1@a"}},
		"updated":                 {[]contents.Repository{listed("a", old)}, []contents.Repository{listed("a", updated)}, []string{"changed bash -1@a +2@a"}},
		"next to it":              {[]contents.Repository{listed("a", old)}, []contents.Repository{listed("a", old, updated)}, []string{"changed bash +2@a =1"}},
		"in another suite":        {[]contents.Repository{listed("a", old), listed("b")}, []contents.Repository{listed("a", old), listed("b", updated)}, []string{"changed bash +2@b =1"}},
		"to another repository":   {[]contents.Repository{listed("a", old)}, []contents.Repository{listed("b", old)}, []string{"changed bash -1@a +1@b"}},
		"made again":              {[]contents.Repository{listed("a", old)}, []contents.Repository{listed("a", rebuilt)}, []string{"changed bash -1@a +1@a"}},
		"at another path":         {[]contents.Repository{listed("a", old)}, []contents.Repository{listed("a", moved)}, nil},
		"in another group":        {[]contents.Repository{listed("a", old)}, []contents.Repository{listed("a", regrouped)}, nil},
		"one path less":           {[]contents.Repository{listed("a", old, moved)}, []contents.Repository{listed("a", moved)}, nil},
		"one group more":          {[]contents.Repository{listed("a", old)}, []contents.Repository{listed("a", old, regrouped)}, nil},
		"the newest goes":         {[]contents.Repository{listed("a", ranked(old, 2), ranked(updated, 1))}, []contents.Repository{listed("a", ranked(old, 1))}, []string{"changed bash -2@a =1"}},
		"the newest of two stays": {[]contents.Repository{listed("a", ranked(old, 2), ranked(updated, 1))}, []contents.Repository{listed("a", ranked(old, 2), ranked(updated, 1), entry("bash", "0", "amd64", ""))}, []string{"changed bash +0@a =1,2"}},
	} {
		if got := changes(t, x.before, x.after); !slices.Equal(got, x.want) {
			t.Errorf("%s: got %q, want %q", name, got, x.want)
		}
	}
}

// TestRefs: all refs of a git repository are in one file. A branch has changed where its
// commit has.
func TestRefs(t *testing.T) {
	refs := func(file string, commits ...string) contents.Repository {
		var all []bundle.Entry
		for i, commit := range commits {
			all = append(all, bundle.Entry{Name: "git.example.org/a", Type: []string{bundle.TypeBranch, bundle.TypeTag}[i%2], Version: fmt.Sprint("ref", i),
				Revision: commit, Path: "packed-refs", Digest: bundle.DigestOf([]byte(file))})
		}
		return listed("code", all...)
	}
	var got []contents.Change
	for c, err := range contents.Compare(t.Context(), []contents.Repository{refs("one", "aa", "bb", "cc")}, []contents.Repository{refs("two", "aa", "bb", "dd")}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, c)
	}
	want := []contents.Change{{Kind: contents.Changed, Type: bundle.TypeBranch, Name: "git.example.org/a", Stays: []string{"ref0"},
		Before: []contents.Version{{Version: "ref2", Revision: "cc", Repository: "code"}}, After: []contents.Version{{Version: "ref2", Revision: "dd", Repository: "code"}}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

// TestCompareReadsLittle: nothing is read where all lists are the same, and a list that
// is the same is read once, for the names that another one changes.
func TestCompareReadsLittle(t *testing.T) {
	reads := map[string]int{}
	counted := func(r contents.Repository) contents.Repository {
		entries := r.Entries
		r.Entries = func() iter.Seq2[bundle.Entry, error] { reads[r.Name]++; return entries() }
		return r
	}
	a, b, b2 := counted(listed("a", entry("x", "1", "", "x"))), counted(listed("b", entry("x", "2", "", "y"))), counted(listed("b", entry("x", "3", "", "z")))
	changes(t, []contents.Repository{a, b}, []contents.Repository{a, b})
	if len(reads) != 0 {
		t.Errorf("same lists: read %v", reads)
	}
	if got := changes(t, []contents.Repository{a, b}, []contents.Repository{a, b2}); !slices.Equal(got, []string{"changed x -2@b +3@b =1"}) {
		t.Error(got)
	}
	if want := map[string]int{"a": 1, "b": 2}; !reflect.DeepEqual(reads, want) {
		t.Errorf("read %v, want %v", reads, want)
	}
}

func TestErrorsOfLists(t *testing.T) {
	broken := errors.New("broken")
	bad := listed("b")
	bad.List, bad.Entries = "bad", func() iter.Seq2[bundle.Entry, error] {
		return func(yield func(bundle.Entry, error) bool) {
			if yield(entry("x", "1", "", "x"), nil) {
				yield(bundle.Entry{}, broken)
			}
		}
	}
	good := listed("a", entry("x", "1", "", "x"), entry("y", "1", "", "y"))
	failed := false
	for _, err := range contents.Compare(t.Context(), []contents.Repository{good}, []contents.Repository{good, bad}) {
		failed = failed || errors.Is(err, broken)
	}
	if !failed {
		t.Error("Compare does not report the error of a list")
	}
	if _, err := contents.Summarise(t.Context(), "demo", nil, []contents.Repository{bad}, 20); err == nil {
		t.Error("Summarise does not report the error of a list")
	}
	failed = false
	for _, err := range contents.Merge([]contents.Repository{good, bad}) {
		failed = failed || err != nil
	}
	if !failed {
		t.Error("Merge does not report the error of a list")
	}
}

func TestMerge(t *testing.T) {
	none := listed("none")
	none.Entries = nil
	repos := []contents.Repository{listed("a", entry("y", "1", "", ""), entry("x", "2", "", "")), none, listed("b", entry("x", "2", "", ""), entry("x", "1", "", ""), entry("z", "1", "", ""))}
	var got []string
	for f, err := range contents.Merge(repos) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f.Name+f.Version+f.Repository.Name)
	}
	if want := []string{"x1b", "x2a", "x2b", "y1a", "z1b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, err := range contents.Merge(repos) {
		if err != nil {
			t.Error(err)
		}
		break // an early end releases the lists
	}
}

func TestSummary(t *testing.T) {
	var before, after []bundle.Entry
	for i := range 30 {
		before = append(before, entry(fmt.Sprintf("r%02d", i), "1", "", ""), entry(fmt.Sprintf("c%02d", i), "1", "", ""))
		after = append(after, entry(fmt.Sprintf("a%02d", i), "1", "", ""), entry(fmt.Sprintf("c%02d", i), "2", "", ""))
	}
	for i := range 100 {
		after = append(after, entry("c00", fmt.Sprint("v", i), "", ""))
	}
	for keep, want := range map[int]int{0: 0, 20: 20, 45: 45, 1000: 90, contents.All: 90} {
		s, err := contents.Summarise(t.Context(), "demo", []contents.Repository{listed("a", before...)}, []contents.Repository{listed("a", after...)}, keep)
		if err != nil {
			t.Fatal(err)
		}
		if s.Removed != 30 || s.Changed != 30 || s.Added != 30 || s.Total() != 90 || len(s.First) != want {
			t.Errorf("keep %d: %d removed, %d changed, %d added, %d kept", keep, s.Removed, s.Changed, s.Added, len(s.First))
		}
		for i, c := range s.First {
			if kind := []contents.Kind{contents.Removed, contents.Changed, contents.Added}[i/30]; c.Kind != kind {
				t.Errorf("keep %d: change %d is of %s, want %s", keep, i, c.Kind, kind)
			}
			if len(c.After) > 20 {
				t.Errorf("%s: %d versions", c.Name, len(c.After))
			}
		}
	}
}

// TestFolders: a folder has changed where the digest of all its files has, whichever file
// stands for it. Where a state has no such digest, what it has is compared.
func TestFolders(t *testing.T) {
	all := func(content string) string {
		if content == "" {
			return ""
		}
		return bundle.DigestOf([]byte(content)).String()
	}
	folder := func(last, revision string) contents.Repository {
		return listed("local", bundle.Entry{Name: "local", Type: bundle.TypeFolder, Path: "local/z", Digest: bundle.DigestOf([]byte(last)), Revision: all(revision)})
	}
	unknown := listed("local", bundle.Entry{Name: "local", Type: bundle.TypeFolder, Path: "local/z"})
	for name, test := range map[string]struct {
		before, after contents.Repository
		changed       bool
	}{
		"the same":             {folder("z", "1"), folder("z", "1"), false},
		"another file":         {folder("z", "1"), folder("z", "2"), true},
		"of before":            {folder("z", ""), folder("z", "1"), false},
		"of before, changed":   {folder("z", ""), folder("y", "1"), true},
		"both of before":       {folder("z", ""), folder("y", ""), true},
		"not known in a plan":  {folder("z", "1"), unknown, true},
		"of before, not known": {folder("z", ""), unknown, true},
		"then of before":       {folder("z", "1"), folder("z", ""), false},
	} {
		changed := false
		for c, err := range contents.Compare(t.Context(), []contents.Repository{test.before}, []contents.Repository{test.after}) {
			if err != nil || c.Kind != contents.Changed {
				t.Errorf("%s: %+v, %v", name, c, err)
			}
			changed = true
		}
		if changed != test.changed {
			t.Errorf("%s: changed: %v, want %v", name, changed, test.changed)
		}
	}
}

// TestWithoutList: a repository that a program without contents lists described is summed
// up by its files, and is not taken for one in which everything is new.
func TestWithoutList(t *testing.T) {
	without := func(name, content string, files int64) contents.Repository {
		return contents.Repository{Set: "demo", Name: name, Kind: "apt", Content: content, Files: files, Bytes: files * 10}
	}
	own := without("_clients", "new", 3)
	own.Kind = "gapbundle"
	before := []contents.Repository{without("a", "1", 5), without("b", "1", 7), without("gone", "1", 1), listed("c", entry("x", "1", "", ""))}
	after := []contents.Repository{listed("a", entry("x", "1", "", ""), entry("y", "1", "", "")), without("b", "1", 7), without("c", "2", 9), own}
	s, err := contents.Summarise(t.Context(), "demo", before, after, 20)
	if err != nil {
		t.Fatal(err)
	}
	want := []contents.Counted{{"a", 5, 2, 50, 0}, {"c", 1, 9, 0, 90}, {"gone", 1, 0, 10, 0}}
	if s.Total() != 0 || !slices.Equal(s.WithoutList, want) {
		t.Errorf("got %+v, want %+v", s, want)
	}
	if s, err := contents.Summarise(t.Context(), "demo", before, before, 20); err != nil || !s.Empty() {
		t.Errorf("same states: %+v, %v", s, err)
	}
}
