package git

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/gittest"
)

// Refs, tags and HEAD are upstream's; a delta adds one pack that a full export
// makes again byte for byte; an unchanged repository costs one request.
func TestExports(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	up.Grow(60)
	up.Git("tag", "-a", "-m", "one", "v1", "HEAD~3")
	up.Git("branch", "side", "HEAD~10")
	host.Publish("a/b", up)
	spec := fmt.Sprintf("- {name: x, url: %q, refs: [refs/heads/*, refs/tags/*]}\n", host.URL("a/b"))
	s.must(spec)
	web := s.serve() + "/git/" + hostDir(host.Server.Host()) + "/a/b.git"
	s.same(web, host.URL("a/b"))

	clone := t.TempDir()
	s.mustGit(clone, nil, "clone", "-q", web, "c")
	s.mustGit(clone+"/c", nil, "fsck", "--full", "--strict")

	host.Server.ResetCounts()
	before := maps.Clone(s.blobs)
	s.must(spec)
	if n := host.Server.AllRequests(); n != 1 || len(s.blobs) != len(before) {
		t.Errorf("unchanged: %d requests, want 1; %d new blobs", n, len(s.blobs)-len(before))
	}

	// A branch from below every tip is merged, a tag is added, a branch goes.
	up.Git("checkout", "-q", "-b", "topic", "HEAD~40")
	up.Commit("topic", map[string]string{"topic": "t\n"})
	up.Git("checkout", "-q", "main")
	up.Git("merge", "-q", "-m", "merge", "topic")
	up.Git("branch", "-q", "-D", "topic", "side")
	up.Git("tag", "v2")
	host.Publish("a/b", up)
	after := s.must(spec)
	if s.carry > 20_000 || !s.noted("1 ref of the last export gone") {
		t.Errorf("the delta carries %d bytes, notes %q", s.carry, s.notes)
	}
	s.same(web, host.URL("a/b"))
	s.mustGit(clone+"/c", nil, "pull", "-q")
	if got, want := s.mustGit(clone+"/c", nil, "rev-parse", "HEAD"), up.Git("rev-parse", "main"); got != want {
		t.Errorf("pulled %s, want %s", got, want)
	}

	other := s.another()
	if got := other.must(spec); !maps.Equal(got, after) {
		t.Errorf("a full export\n%v\nby deltas\n%v", got, after)
	}
}

// same compares what clients read of the mirror with upstream.
func (s *site) same(mirror, upstream string) {
	s.t.Helper()
	got, want := s.mustGit(s.dir, nil, "ls-remote", "--symref", mirror), s.mustGit(s.dir, nil, "ls-remote", "--symref", upstream)
	if got != want {
		s.t.Errorf("refs of the mirror\n%s\nof upstream\n%s", got, want)
	}
}

// Submodules with relative and with absolute URLs, one of them in another, are
// cloned inside by one insteadOf line.
func TestSubmodules(t *testing.T) {
	host, s := gittest.NewHost(t, true), newSite(t)
	inner, sub, super := gittest.New(t), gittest.New(t), gittest.New(t)
	pinInner := inner.Commit("inner", map[string]string{"inner": "inner\n"})
	inner.Commit("later", map[string]string{"inner": "later\n"})
	host.Publish("o/inner", inner)
	sub.Submodule("deep", host.URL("o/inner"), pinInner)
	pin := sub.Commit("sub", map[string]string{"sub": "sub\n"})
	sub.Git("checkout", "-q", "-b", "away", "HEAD")
	sub.Commit("unrelated", map[string]string{"sub": "more\n"})
	host.Publish("o/sub", sub)
	super.Submodule("one", "../sub.git", pin)
	super.Submodule("two", host.URL("o/inner"), pinInner)
	super.Commit("super", map[string]string{"super": "super\n"})
	host.Publish("o/super", super)
	spec := fmt.Sprintf("- {name: x, url: %q}\n", host.URL("o/super"))
	all := s.must(spec)
	for _, dir := range []string{"o/super.git", "o/sub.git", "o/inner.git"} {
		if _, ok := all[hostDir(host.Server.Host())+"/"+dir+"/HEAD"]; !ok {
			t.Errorf("%s: not in the mirror: %v", dir, slices.Sorted(maps.Keys(all)))
		}
	}
	base := s.serve() + "/git/" + hostDir(host.Server.Host()) + "/"
	dir := t.TempDir()
	s.mustGit(dir, []string{"url." + base + ".insteadOf=" + host.Server.URL("/")}, "clone", "-q", "--recurse-submodules", host.URL("o/super"), "c")
	for path, want := range map[string]string{"one/sub": "sub\n", "two/inner": "inner\n", "one/deep/inner": "inner\n", "super": "super\n"} {
		if got := readFile(t, dir+"/c/"+path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	// A submodule moves on: one new pin in its repository.
	super.Submodule("one", "../sub.git", sub.Git("rev-parse", "away"))
	super.Commit("moved", nil)
	host.Publish("o/super", super)
	after := s.must(spec)
	s.mustGit(dir+"/c", []string{"url." + base + ".insteadOf=" + host.Server.URL("/")}, "pull", "-q", "--recurse-submodules")
	if got := readFile(t, dir+"/c/one/sub"); got != "more\n" {
		t.Errorf("after the pull: %q", got)
	}
	if got := s.another().must(spec); !maps.Equal(got, after) {
		t.Errorf("a full export\n%v\nby deltas\n%v", got, after)
	}
	host.Server.ResetCounts()
	s.must(spec)
	if n := host.Server.AllRequests(); n != 3 {
		t.Errorf("unchanged: %d requests for 3 repositories", n)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A rewritten branch: what it shares is used, and the old commits stay.
func TestRewritten(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	up.Grow(80)
	host.Publish("a", up)
	spec := fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a"))
	s.must(spec)
	first := s.carry
	up.Git("reset", "-q", "--hard", "HEAD~5")
	up.Commit("other", map[string]string{"x": "y\n"})
	host.Publish("a", up)
	s.must(spec)
	if s.carry*4 > first {
		t.Errorf("%d bytes carried, %d at first", s.carry, first)
	}
	// Upstream forgets the old commits: a full export makes one new pack.
	repo := host.Dir + "/a.git"
	s.mustGit(repo, nil, "reflog", "expire", "--expire=now", "--all")
	s.mustGit(repo, nil, "gc", "-q", "--prune=now")
	other := s.another()
	all := other.must(spec)
	packs := 0
	for p := range all {
		if strings.HasSuffix(p, ".pack") {
			packs++
		}
	}
	if packs != 1 || !other.noted("cannot be made again") {
		t.Errorf("%d packs, notes %q", packs, other.notes)
	}
}

// Documents of the last export are lost: one new pack, and it is said.
func TestLostDocuments(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	up.Grow(10)
	host.Publish("a", up)
	spec := fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a"))
	first := s.must(spec)
	clear(s.kept)
	if second := s.must(spec); !maps.Equal(first, second) || !s.noted("kept about it is gone") {
		t.Errorf("%v\n%v\nnotes %q", first, second, s.notes)
	}
}

// A dumb upstream sends no part of a history; the result is the same.
func TestDumbUpstream(t *testing.T) {
	up, dumb, smart := gittest.New(t), gittest.NewHost(t, false), gittest.NewHost(t, true)
	up.Grow(20)
	dumb.Publish("a", up)
	smart.Publish("a", up)
	one, two := newSite(t), newSite(t)
	export := func() {
		t.Helper()
		var sums [2][]string
		for i, x := range []struct {
			s *site
			h *gittest.Host
		}{{one, dumb}, {two, smart}} {
			for p, d := range x.s.must(fmt.Sprintf("- {name: x, url: %q}\n", x.h.URL("a"))) {
				if strings.HasSuffix(p, ".pack") || strings.HasSuffix(p, "packed-refs") {
					sums[i] = append(sums[i], d.String())
				}
			}
		}
		slices.Sort(sums[0])
		slices.Sort(sums[1])
		if !slices.Equal(sums[0], sums[1]) {
			t.Errorf("dumb %s\nsmart %s", sums[0], sums[1])
		}
	}
	export()
	up.Commit("more", map[string]string{"more": "more\n"})
	dumb.Publish("a", up)
	smart.Publish("a", up)
	export()
}
