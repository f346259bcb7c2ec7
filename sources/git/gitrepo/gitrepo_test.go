package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
	"github.com/gapbundle/gapbundle/sources/git/gitrun"
	"github.com/gapbundle/gapbundle/sources/git/relay"
)

type rig struct {
	t      *testing.T
	git    *gitrun.Git
	client *fetch.Client
}

func newRig(t *testing.T) *rig {
	t.Helper()
	git, err := gitrun.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := fetch.New(fetch.Options{
		Env: func(string) string { return "" }, Home: t.TempDir(), Retries: 2,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &rig{t, git, client}
}

func (r *rig) relay(url string) *relay.Relay {
	r.t.Helper()
	r.client.Name(url)
	l, err := relay.New(r.t.Context(), r.client, url)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := l.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return l
}

// fetched returns a repository with all that upstream has, or down to a boundary.
func (r *rig) fetched(url string, boundary []gitfile.ID, only ...string) (*Repo, []gitfile.Tip, *relay.Relay) {
	r.t.Helper()
	from := r.relay(url)
	up, err := Advertised(r.t.Context(), r.git, from)
	if err != nil {
		r.t.Fatal(err)
	}
	repo, err := Init(r.t.Context(), r.git, filepath.Join(r.t.TempDir(), "repository"))
	if err != nil {
		r.t.Fatal(err)
	}
	var wants []Want
	var tips []gitfile.Tip
	for _, ref := range up.Refs {
		if len(only) > 0 && !strings.Contains(strings.Join(only, " "), ref.Name) {
			continue
		}
		wants = append(wants, Want{ID: ref.ID, Ref: ref.Name})
		tips = append(tips, gitfile.Tip{ID: ref.ID, Commit: ref.Commit()})
	}
	if err := repo.SetBoundary(boundary); err != nil {
		r.t.Fatal(err)
	}
	if err := repo.Fetch(r.t.Context(), from, wants); err != nil {
		r.t.Fatal(err)
	}
	if _, err := repo.Examine(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return repo, tips, from
}

func (r *rig) pack(repo *Repo, tips []gitfile.Tip, boundary []gitfile.ID) (*Packed, []byte) {
	r.t.Helper()
	made, err := repo.Pack(r.t.Context(), tips, boundary, r.t.TempDir())
	if err != nil {
		r.t.Fatal(err)
	}
	if made == nil {
		return nil, nil
	}
	b, err := os.ReadFile(made.Prefix + ".pack")
	if err != nil {
		r.t.Fatal(err)
	}
	return made, b
}

// A delta is fetched down to what the base has, even where a branch that is
// merged forked below every tip of the base; and the pack that it gives is, byte
// for byte, the one that a whole clone gives.
func TestDeltaIsCanonical(t *testing.T) {
	for _, smart := range []bool{true, false} {
		r, up := newRig(t), gittest.New(t)
		up.Grow(300)
		up.Git("tag", "-a", "-m", "one", "v1", "HEAD~20")
		fork := up.Git("rev-parse", "HEAD~150")
		host := gittest.NewHost(t, smart)
		host.Publish("a/b", up)
		repo, tips, whole := r.fetched(host.URL("a/b"), nil)
		if whole.Smart() != smart {
			t.Fatalf("smart: %v", whole.Smart())
		}
		first, _ := r.pack(repo, tips, nil)
		boundary := append(first.Commits, first.Tips[0].Commit, first.Tips[1].Commit)

		// Commits of one second, as a rebase makes them: their order is git's.
		up.Env = []string{"GIT_COMMITTER_DATE=@1700100000 +0000"}
		for i := range 5 {
			up.Commit("same time", map[string]string{fmt.Sprint("same", i): strings.Repeat(fmt.Sprintln("same", i), 50)})
		}
		up.Git("checkout", "-q", "-b", "topic", fork)
		for i := range 5 {
			up.Commit("same time, too", map[string]string{fmt.Sprint("topic", i): strings.Repeat(fmt.Sprintln("same", i), 50)})
		}
		up.Commit("topic", map[string]string{"topic": "topic\n"})
		up.Git("checkout", "-q", "main")
		up.Git("merge", "-q", "-m", "merge", "topic")
		up.Git("branch", "-q", "-D", "topic")
		up.Commit("more", map[string]string{"d00/more": "more\n"})
		host.Publish("a/b", up)
		if !smart {
			boundary = nil
		}
		delta, tips, from := r.fetched(host.URL("a/b"), boundary, "refs/heads/main")
		boundary = append(first.Commits, first.Tips[0].Commit, first.Tips[1].Commit)
		again, _, _ := r.fetched(host.URL("a/b"), nil)
		made, got := r.pack(delta, tips, boundary)
		_, want := r.pack(again, tips, boundary)
		if !bytes.Equal(got, want) {
			t.Error("the pack of a delta is another than that of a whole clone")
		}
		if made.Count > 45 || smart && from.Received()*4 > 3*whole.Received() {
			t.Errorf("%d objects in the delta, %d bytes received, %d for all", made.Count, from.Received(), whole.Received())
		}
		t.Logf("smart %v: %d objects, %d bytes packed, %d received; all: %d received", smart, made.Count, len(got), from.Received(), whole.Received())
	}
}

func TestNothingNew(t *testing.T) {
	r, up := newRig(t), gittest.New(t)
	up.Grow(5)
	host := gittest.NewHost(t, true)
	host.Publish("a", up)
	repo, tips, _ := r.fetched(host.URL("a"), nil)
	first, _ := r.pack(repo, tips, nil)
	if first.Count != 5+5*2+15 && len(first.Commits) != 5 {
		t.Errorf("%d objects, %d commits", first.Count, len(first.Commits))
	}
	if made, _ := r.pack(repo, tips, first.Commits); made != nil {
		t.Errorf("a pack of nothing: %+v", made)
	}
}

func TestSubmodulesAndPointers(t *testing.T) {
	r, up := newRig(t), gittest.New(t)
	oid := strings.Repeat("ab", 32)
	up.Submodule("sub/x", "../x.git", strings.Repeat("1", 40))
	up.Git("config", "-f", ".gitmodules", "submodule.gone.path", "gone")
	up.Git("config", "-f", ".gitmodules", "submodule.gone.url", "../gone")
	up.Git("add", ".gitmodules")
	up.Commit("one", map[string]string{"z big": gittest.Pointer(oid, 5), "a big": gittest.Pointer(oid, 5), "old": gittest.Pointer(strings.Repeat("cd", 32), 7)})
	up.Commit("two", map[string]string{"old": ""})
	host := gittest.NewHost(t, true)
	host.Publish("a", up)
	repo, tips, _ := r.fetched(host.URL("a"), nil)
	all, unnamed, err := repo.Submodules(t.Context(), []gitfile.ID{tips[0].Commit})
	pins := all[tips[0].Commit]
	if err != nil || unnamed != 1 || len(pins) != 1 || pins[0].Path != "sub/x" || pins[0].URL != "../x.git" || pins[0].Pin.String() != strings.Repeat("1", 40) {
		t.Errorf("%+v, %d, %v", pins, unnamed, err)
	}
	for history, want := range map[bool]int{false: 1, true: 2} {
		found, err := repo.Pointers(t.Context(), []gitfile.ID{tips[0].Commit}, history)
		if err != nil || len(found) != want || found[0].Path != "a big" || found[0].Size != 5 {
			t.Errorf("history %v: %+v, %v", history, found, err)
		}
		if history {
			commit, err := repo.CommitWith(t.Context(), found[1].Blob)
			if err != nil || len(commit) != 40 {
				t.Errorf("%q, %v", commit, err)
			}
		}
	}
}

// An upstream that is renamed is followed on its own host, another is not.
func TestErrorsAreUpstreams(t *testing.T) {
	r := newRig(t)
	host := gittest.NewHost(t, true)
	_, err := Advertised(t.Context(), r.git, r.relay(host.URL("nothing")))
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), host.URL("nothing")) {
		t.Errorf("got %v, want ErrUpstream with the URL", err)
	}
}

// An object above the bound is named, wherever it is stored.
func TestBounded(t *testing.T) {
	r, up := newRig(t), gittest.New(t)
	up.Commit("one", map[string]string{"small": "small\n", "large": strings.Repeat("large\n", 2000)})
	host := gittest.NewHost(t, true)
	host.Publish("a", up)
	repo, _, _ := r.fetched(host.URL("a"), nil)
	if err := repo.bounded(t.Context(), 12_000); err != nil {
		t.Error(err)
	}
	if err := repo.bounded(t.Context(), 11_999); err == nil || !strings.Contains(err.Error(), "blob "+up.Git("rev-parse", "main:large")+" has 12000 bytes, at most 11999") {
		t.Errorf("got %v, want the object and the bound", err)
	}
}
