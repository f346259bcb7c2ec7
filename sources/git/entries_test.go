package git

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/sources"
)

// entriesOf returns what a source publishes by name, by version.
func (s *site) entriesOf(source string) map[string]sources.Entry {
	all := map[string]sources.Entry{}
	for _, r := range s.files[source] {
		for e := range r.Entries.All() {
			all[e.Version] = e
		}
	}
	return all
}

// Of more than a thousand refs the newest have names, by the dates of their tags and
// commits and not by the numbers in their names. A later export knows the dates of what
// it does not fetch again.
func TestNewestRefsByDate(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	up.Commit("first", map[string]string{"a": "1\n"})
	const start, tags = 1_600_000_000, maxNamedRefs + 5
	var dates []int64
	for i := range tags {
		dates = append(dates, int64(start+60*(tags-i))) // the higher the number, the older
	}
	up.DatedTags("v", dates)
	up.Git("tag", "light", "v7^{}")
	host.Publish("a", up)
	spec := fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a"))
	s.must(spec)
	want := func(newest ...string) {
		t.Helper()
		got := s.entriesOf("x")
		if len(got) != maxNamedRefs {
			t.Errorf("%d names, want %d", len(got), maxNamedRefs)
		}
		for i := range maxNamedRefs - len(newest) {
			newest = append(newest, "v"+strconv.Itoa(i))
		}
		for _, version := range newest {
			if _, ok := got[version]; !ok {
				t.Errorf("%s has no name", version)
			}
		}
	}
	want("main", "light")
	got := s.entriesOf("x")
	for version, summary := range map[string]string{
		"v0":    "dated 2020-09-14T05:11:41Z", // when the tag was made, a second after the commit
		"light": "dated 2020-09-14T05:04:40Z", // the commit's, where there is no tag of its own
	} {
		if e := got[version]; e.Summary != summary || e.Type != bundle.TypeTag {
			t.Errorf("%s: %s %q, want %q", version, e.Type, e.Summary, summary)
		}
	}

	// New refs are fetched, the others are not.
	up.Commit("later", map[string]string{"a": "2\n"})
	up.Git("tag", "0-new")
	host.Publish("a", up)
	s.must(spec)
	want("main", "light", "0-new")
	again := s.entriesOf("x")
	if again["v0"].Summary != got["v0"].Summary {
		t.Errorf("got %+v, want %+v", again["v0"], got["v0"])
	}

	// Without recorded dates those that are known come first, and then the numbers count.
	s.nameless = true
	up.Commit("last", map[string]string{"a": "3\n"})
	host.Publish("a", up)
	s.must(spec)
	got = s.entriesOf("x")
	for _, version := range []string{"main", "v" + strconv.Itoa(tags-1)} {
		if _, ok := got[version]; !ok || len(got) != maxNamedRefs {
			t.Errorf("%s has no name among %d", version, len(got))
		}
	}
	if _, ok := got["v0"]; ok {
		t.Error("v0 has a name without a date")
	}
}

// Dates that nobody can read are none: the ref is named all the same.
func TestOddDates(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	commit := up.Commit("first", map[string]string{"a": "1\n"})
	tree := strings.Fields(up.Git("cat-file", "-p", "HEAD"))[1]
	head := "object " + commit + "\ntype commit\ntag x\n"
	for name, tag := range map[string]string{
		"nobody": head + "\nx\n", "far": head + "tagger A <a@example.org> 99999999999999 +0000\n\nx\n",
		"tree": "object " + tree + "\ntype tree\ntag x\ntagger A <a@example.org> 1600000000 +0000\n\nx\n",
	} {
		up.Git("update-ref", "refs/tags/"+name, up.Object("tag", []byte(tag)))
	}
	host.Publish("a", up)
	s.must(fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a")))
	got := map[string]string{}
	for version, e := range s.entriesOf("x") {
		got[version] = e.Summary
	}
	committed := got["main"]
	if want := map[string]string{"main": committed, "nobody": committed, "far": "", "tree": "dated 2020-09-13T12:26:40Z"}; committed == "" || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
