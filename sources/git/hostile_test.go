package git

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// entry is one entry of a tree as git stores it.
func treeEntry(mode, name, id string) []byte {
	return append([]byte(mode+" "+name+"\x00"), raw(id)...)
}

// withTree publishes a commit with a tree of these entries, and its spec.
func withTree(t *testing.T, entries func(up *gittest.Repo, blob string) []byte) (*site, string) {
	t.Helper()
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	up.Commit("one", map[string]string{"a": "a\n"})
	blob := up.Object("blob", []byte("x\n"))
	tree := up.Object("tree", entries(up, blob))
	up.Git("update-ref", "refs/heads/main", up.Git("commit-tree", "-m", "bad", tree))
	host.Publish("a", up)
	return s, fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a"))
}

// Trees that attack a checkout are refused, and the message is git's own.
func TestAttacks(t *testing.T) {
	modules := func(text string) func(*gittest.Repo, string) []byte {
		return func(up *gittest.Repo, _ string) []byte {
			return append(treeEntry("100644", ".gitmodules", up.Object("blob", []byte(text))), treeEntry("160000", "m", strings.Repeat("1", 40))...)
		}
	}
	for name, test := range map[string]struct {
		entries func(*gittest.Repo, string) []byte
		message string
	}{
		".GIT":             {func(_ *gittest.Repo, b string) []byte { return treeEntry("100644", ".GIT", b) }, "hasDotgit"},
		"git~1":            {func(_ *gittest.Repo, b string) []byte { return treeEntry("100644", "git~1", b) }, "hasDotgit"},
		"NTFS ends in dot": {func(_ *gittest.Repo, b string) []byte { return treeEntry("100644", ".git. .", b) }, "hasDotgit"},
		"NTFS stream":      {func(_ *gittest.Repo, b string) []byte { return treeEntry("100644", ".git::$INDEX_ALLOCATION", b) }, "hasDotgit"},
		"NTFS backslash":   {func(_ *gittest.Repo, b string) []byte { return treeEntry("100644", "a\\.git\\config", b) }, "hasDotgit"},
		"NTFS modules":     {func(_ *gittest.Repo, b string) []byte { return treeEntry("120000", "GITMOD~1", b) }, "gitmodulesSymlink"},
		"dot":              {func(_ *gittest.Repo, b string) []byte { return treeEntry("100644", ".", b) }, "hasDot"},
		"dots":             {func(_ *gittest.Repo, b string) []byte { return treeEntry("100644", "..", b) }, "hasDotdot"},
		"a path":           {func(_ *gittest.Repo, b string) []byte { return treeEntry("100644", "a/b", b) }, "fullPathname"},
		"ignored dot":      {func(_ *gittest.Repo, b string) []byte { return treeEntry("100644", ".g\u200cit", b) }, "hasDotgit"},
		"modules a link":   {func(_ *gittest.Repo, b string) []byte { return treeEntry("120000", ".gitmodules", b) }, "gitmodulesSymlink"},
		"attributes":       {func(_ *gittest.Repo, b string) []byte { return treeEntry("120000", ".gitattributes", b) }, "gitattributesSymlink"},
		"ignore":           {func(_ *gittest.Repo, b string) []byte { return treeEntry("120000", ".gitignore", b) }, "gitignoreSymlink"},
		"mailmap":          {func(_ *gittest.Repo, b string) []byte { return treeEntry("120000", ".mailmap", b) }, "mailmapSymlink"},
		"modules a tree": {func(up *gittest.Repo, b string) []byte {
			return treeEntry("40000", ".gitmodules", up.Object("tree", treeEntry("100644", "a", b)))
		}, "gitmodulesBlob"},
		"module's name":    {modules("[submodule \"../m\"]\n\tpath = m\n\turl = ../m\n"), "gitmodulesName"},
		"module's URL":     {modules("[submodule \"m\"]\n\tpath = m\n\turl = -u./payload\n"), "gitmodulesUrl"},
		"module's newline": {modules("[submodule \"m\"]\n\tpath = m\n\turl = \"https://a.example/x\\nhost=b.example\"\n"), "gitmodulesUrl"},
		"module's folder":  {modules("[submodule \"m\"]\n\tpath = ../m\n\turl = ../m\n"), "leaves the tree"},
		"module's path":    {modules("[submodule \"m\"]\n\tpath = -m\n\turl = ../m\n"), "gitmodulesPath"},
		"module's command": {modules("[submodule \"m\"]\n\tpath = m\n\turl = ../m\n\tupdate = !sh\n"), "gitmodulesUpdate"},
		"twice": {func(_ *gittest.Repo, b string) []byte {
			return append(treeEntry("100644", "a", b), treeEntry("100644", "a", b)...)
		}, "duplicateEntries"},
	} {
		t.Run(name, func(t *testing.T) {
			s, spec := withTree(t, test.entries)
			_, err := s.export(spec)
			if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), test.message) {
				t.Errorf("got %v, want ErrUpstream with %s", err, test.message)
			}
		})
	}
}

// Faults of form that git clones with are notes with their number, and do not
// change a byte.
func TestFaultsOfForm(t *testing.T) {
	const who = "A U Thor <author@example.org>"
	commit := func(author, committer string) func(*gittest.Repo) string {
		return func(up *gittest.Repo) string {
			text := fmt.Sprintf("tree %s\nauthor %s\ncommitter %s\n\nold\n", up.Git("rev-parse", "main^{tree}"), author, committer)
			return up.Object("commit", []byte(text))
		}
	}
	right := who + " 1700000000 +0000"
	for name, make := range map[string]func(*gittest.Repo) string{
		"badTimezone":             commit(who+" 1700000000 +00000", right),
		"missingSpaceBeforeDate":  commit(right, who+"1700000000 +0000"),
		"zeroPaddedDate":          commit(who+" 01700000000 +0000", right),
		"badDateOverflow":         commit(who+" 99999999999999999999 +0000", right),
		"badDate":                 commit(who+" then +0000", right),
		"missingEmail":            commit("A U Thor 1700000000 +0000", right),
		"missingSpaceBeforeEmail": commit("A U Thor<author@example.org> 1700000000 +0000", right),
		"missingNameBeforeEmail":  commit("<author@example.org> 1700000000 +0000", right),
		"badEmail":                commit("A U Thor <author@exa<mple.org> 1700000000 +0000", right),
		"badName":                 commit("A U> Thor <author@example.org> 1700000000 +0000", right),
		"multipleAuthors":         commit(right+"\nauthor "+right, right),
		"nulInCommit": func(up *gittest.Repo) string {
			return up.Object("commit", []byte(fmt.Sprintf("tree %s\nauthor %s\ncommitter %s\n\no\x00ld\n", up.Git("rev-parse", "main^{tree}"), right, right)))
		},
		"zeroPaddedFilemode": func(up *gittest.Repo) string {
			inner := up.Git("rev-parse", "main^{tree}")
			return up.Git("commit-tree", "-m", "old", up.Object("tree", treeEntry("040000", "d", inner)))
		},
		"badFilemode": func(up *gittest.Repo) string {
			return up.Git("commit-tree", "-m", "old", up.Object("tree", treeEntry("100600", "d", up.Git("rev-parse", "main:a"))))
		},
		"missingTaggerEntry": func(up *gittest.Repo) string {
			return up.Object("tag", []byte(fmt.Sprintf("object %s\ntype commit\ntag v0\n\nold\n", up.Git("rev-parse", "main"))))
		},
		"badTagName": func(up *gittest.Repo) string {
			return up.Object("tag", []byte(fmt.Sprintf("object %s\ntype commit\ntag v 0\ntagger %s\n\nold\n", up.Git("rev-parse", "main"), right)))
		},
		"gitmodulesParse": func(up *gittest.Repo) string {
			tree := up.Object("tree", treeEntry("100644", ".gitmodules", up.Object("blob", []byte("[submodule \"unended\n"))))
			return up.Git("commit-tree", "-m", "old", tree)
		},
		"extraHeaderEntry": func(up *gittest.Repo) string {
			return up.Object("tag", []byte(fmt.Sprintf("object %s\ntype commit\ntag v0\ntagger %s\nmore header\n\nold\n", up.Git("rev-parse", "main"), right)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
			up.Commit("one", map[string]string{"a": "a\n"})
			id := make(up)
			up.Git("update-ref", "refs/tags/v0", id)
			host.Publish("a", up)
			s.must(fmt.Sprintf("- {name: x, url: %q, submodules: none}\n", host.URL("a")))
			if !s.noted("1 with the format error " + name) {
				t.Errorf("notes %q", s.notes)
			}
			dir := t.TempDir()
			s.mustGit(dir, nil, "clone", "-q", "--mirror", s.serve()+"/git/"+hostDir(host.Server.Host())+"/a.git", "c")
			if got := s.mustGit(dir+"/c", nil, "rev-parse", "refs/tags/v0"); got != id {
				t.Errorf("v0 is %s, want %s", got, id)
			}
		})
	}
}

// An upstream that changes while it is read is read once more, and not for ever.
func TestUpstreamMoves(t *testing.T) {
	for _, times := range []int32{1, 100} {
		up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
		up.Commit("one", map[string]string{"a": "a\n"})
		host.Publish("a", up)
		backend := gittest.Backend(t, host.Dir)
		var moved atomic.Int32
		host.Server.Handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			backend.ServeHTTP(w, r)
			if r.Method == http.MethodPost && moved.Add(1) <= times {
				up.Commit("more", nil)
				host.Publish("a", up)
			}
		}))
		_, err := s.export(fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a")))
		if times == 1 && err != nil || times > 1 && (!errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "before and after")) {
			t.Errorf("moved %d times: %v", times, err)
		}
	}
}

// What a dumb upstream can do.
func TestHostileFiles(t *testing.T) {
	for name, test := range map[string]struct {
		harm  func(t *testing.T, dir string)
		class error
		text  string
	}{
		"trailing bytes": {func(t *testing.T, dir string) {
			packs, _ := filepath.Glob(dir + "/objects/pack/*.pack")
			change(t, packs[0], func(b []byte) []byte { return append(b, "trailing"...) })
		}, fetch.ErrUpstream, ""},
		"a pack flipped": {func(t *testing.T, dir string) {
			packs, _ := filepath.Glob(dir + "/objects/pack/*.pack")
			change(t, packs[0], func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}, fetch.ErrUpstream, ""},
		"many refs": {func(t *testing.T, dir string) {
			change(t, dir+"/info/refs", func(b []byte) []byte {
				id := string(b[:40])
				var all strings.Builder
				for i := range 1_000_000 {
					fmt.Fprintf(&all, "%s\trefs/heads/%06d\n", id, i)
				}
				return []byte(all.String())
			})
		}, fetch.ErrUpstream, "more than 200000 refs"},
		"a long ref": {func(t *testing.T, dir string) {
			change(t, dir+"/info/refs", func(b []byte) []byte {
				return []byte(string(b[:40]) + "\trefs/heads/" + strings.Repeat("x", 4096) + "\n")
			})
		}, fetch.ErrUpstream, "more than 1024 bytes"},
		"a ref of another object": {func(t *testing.T, dir string) {
			change(t, dir+"/info/refs", func(b []byte) []byte { return []byte(strings.Repeat("1", 40) + string(b[40:])) })
		}, fetch.ErrUpstream, ""},
		"SHA-256": {func(t *testing.T, dir string) {
			change(t, dir+"/info/refs", func([]byte) []byte { return []byte(strings.Repeat("ab", 32) + "\trefs/heads/main\n") })
		}, fetch.ErrUpstream, ""},
	} {
		t.Run(name, func(t *testing.T) {
			up, host, s := gittest.New(t), gittest.NewHost(t, false), newSite(t)
			up.Grow(5)
			host.Publish("a", up)
			dir := host.Dir + "/a.git"
			s.mustGit(dir, nil, "repack", "-a", "-d", "-q")
			s.mustGit(dir, nil, "update-server-info")
			test.harm(t, dir)
			_, err := s.export(fmt.Sprintf("- {name: x, url: %q, refs: [refs/heads/*]}\n", host.URL("a")))
			if !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), host.URL("a")) {
				t.Errorf("got %v, want %v with %q and the URL", err, test.class, test.text)
			}
		})
	}
}

func change(t *testing.T, name string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		_ = os.Chmod(name, 0o644)
		err = os.WriteFile(name, f(b), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A pack that breaks off is fetched once more, as often as any download is.
func TestBrokenPack(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	up.Grow(30)
	host.Publish("a", up)
	host.Server.Fail("/a.git/git-upload-pack", upstreamtest.Status(503), upstreamtest.Status(503))
	s.must(fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a")))
	other := newSite(t)
	cut := 0
	backend := gittest.Backend(t, host.Dir)
	host.Server.Handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cut++; r.Method == http.MethodPost && cut < 6 {
			upstreamtest.Cut(2000)(backend).ServeHTTP(w, r)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	other.must(fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a")))
}

// A server that lies about what a tag leads to is not believed.
func TestPeeled(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, false), newSite(t)
	up.Commit("one", map[string]string{"a": "a\n"})
	up.Commit("two", map[string]string{"a": "b\n"})
	up.Git("tag", "-a", "-m", "v1", "v1")
	host.Publish("a", up)
	one, two := up.Git("rev-parse", "HEAD~"), up.Git("rev-parse", "HEAD")
	change(t, host.Dir+"/a.git/info/refs", func(b []byte) []byte {
		return []byte(strings.Replace(string(b), two+"\trefs/tags/v1^{}", one+"\trefs/tags/v1^{}", 1))
	})
	s.must(fmt.Sprintf("- {name: x, url: %q, refs: [\"refs/tags/*\"]}\n", host.URL("a")))
	tr := tree{s}
	b, err := os.ReadFile(filepath.Join(s.web, "git", tr.ending("packed-refs")))
	if err != nil || !strings.Contains(string(b), "^"+two) {
		t.Errorf("%s, %v: want ^%s", b, err, two)
	}
}

// Redirects lead to where the spec lets a host lead, alternates nowhere.
func TestRedirects(t *testing.T) {
	up, host, elsewhere := gittest.New(t), gittest.NewHost(t, true), gittest.NewHost(t, true)
	up.Commit("one", map[string]string{"a": "a\n"})
	elsewhere.Publish("a", up)
	for name, to := range map[string]string{"another host": elsewhere.URL("a") + "/info/refs?service=git-upload-pack", "a file": "file:///etc/passwd"} {
		s := newSite(t)
		host.Server.Heal()
		host.Server.FailAlways("/a.git/info/refs", upstreamtest.Redirect(to))
		_, err := s.export(fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a")))
		if !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), host.URL("a")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := elsewhere.Server.AllRequests(); n != 0 {
		t.Errorf("%d requests reached the other host", n)
	}
	// Named in the spec: what follows the redirect goes there, too.
	s := newSite(t)
	s.hosts = map[string]fetch.HostOptions{host.Server.Host(): {RedirectTo: []string{elsewhere.Server.Host()}}}
	host.Server.Heal()
	host.Server.FailAlways("/a.git/info/refs", upstreamtest.Redirect(elsewhere.URL("a")+"/info/refs?service=git-upload-pack"))
	s.must(fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a")))
	if n := host.Server.Requests("/a.git/git-upload-pack"); n != 0 {
		t.Errorf("%d requests for objects at the old address", n)
	}
}

// What cannot be, by the spec.
func TestSpecs(t *testing.T) {
	for spec, want := range map[string]string{
		"- {name: x}\n": "want url or repositories",
		"- {name: x, url: \"git@a.example:o/r.git\"}\n":                           "name the host a.example under hosts",
		"- {name: x, url: \"ftp://a.example/r\"}\n":                               "scheme",
		"- {name: x, url: \"https://a.example/.github\"}\n":                       "begins with a dot",
		"- {name: x, url: \"https://a.example/\"}\n":                              "path",
		"- {name: x, url: \"https://a.example/r\", refs: [main]}\n":               "refs/heads/main",
		"- {name: x, url: \"https://a.example/r\", refs: [\"refs/*/*\"]}\n":       "one star",
		"- {name: x, url: \"https://a.example/r\", submodules: some}\n":           "want pinned, all or none",
		"- {name: x, url: \"https://a.example/r\", lfs: yes}\n":                   "lfs",
		"- {name: x, url: \"https://a.example/r\", repack: often}\n":              "want auto, now or never",
		"- {name: x, url: \"https://a.example/r\", signed: {keys: [none.asc]}}\n": "none.asc",
	} {
		s := newSite(t)
		if _, err := s.plan(spec); !errors.Is(err, bundle.ErrUsage) && !errors.Is(err, fetch.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", spec, err, want)
		}
	}
}

// Submodules in one another, without end.
func TestDeepSubmodules(t *testing.T) {
	host, s := gittest.NewHost(t, true), newSite(t)
	pin := ""
	for i := range maxDepth + 2 {
		r := gittest.New(t)
		if pin != "" {
			r.Submodule("m", fmt.Sprintf("../r%d.git", i-1), pin)
		}
		pin = r.Commit("one", map[string]string{"a": fmt.Sprint(i)})
		host.Publish(fmt.Sprintf("r%d", i), r)
	}
	s.must(fmt.Sprintf("- {name: x, url: %q}\n", host.URL(fmt.Sprintf("r%d", maxDepth))))
	if _, err := s.export(fmt.Sprintf("- {name: x, url: %q}\n", host.URL(fmt.Sprintf("r%d", maxDepth+1)))); err == nil || !strings.Contains(err.Error(), "more than 5 submodules in one another") {
		t.Errorf("got %v", err)
	}
}

// Two sources with one repository: the first has it, with the refs of both.
func TestShared(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	up.Grow(5)
	up.Git("branch", "side", "HEAD~2")
	host.Publish("a", up)
	all := s.must(fmt.Sprintf("- {name: x, url: %[1]q, refs: [refs/heads/main]}\n- {name: y, url: %[1]q, refs: [refs/heads/side]}\n", host.URL("a")))
	if len(s.files["y"]) != 0 || len(s.files["x"]) != len(all) || !s.noted("published with source x, with the refs of both") {
		t.Errorf("x has %d files, y %d, notes %q", len(s.files["x"]), len(s.files["y"]), s.notes)
	}
	s.same(s.serve()+"/git/"+hostDir(host.Server.Host())+"/a.git", host.URL("a"))
}

// repack: now makes one pack of all, once.
func TestRepack(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	spec := func(more string) string { return fmt.Sprintf("- {name: x, url: %q%s}\n", host.URL("a"), more) }
	for i := range 3 {
		up.Commit("more", map[string]string{fmt.Sprint(i): strings.Repeat(fmt.Sprint(i), 100)})
		host.Publish("a", up)
		s.must(spec(""))
	}
	packs := func() int {
		n := 0
		for _, r := range s.files["x"] {
			if strings.HasSuffix(r.File.Path, ".pack") {
				n++
			}
		}
		return n
	}
	if n := packs(); n != 3 {
		t.Errorf("%d packs, want 3", n)
	}
	s.must(spec(", repack: now"))
	if n := packs(); n != 1 || !s.noted("3 packs become one") {
		t.Errorf("%d packs, notes %q", n, s.notes)
	}
	host.Server.ResetCounts()
	s.must(spec(", repack: now"))
	if n := host.Server.AllRequests(); n != 1 || s.carry != 0 {
		t.Errorf("again: %d requests, %d bytes", n, s.carry)
	}
	s.same(s.serve()+"/git/"+hostDir(host.Server.Host())+"/a.git", host.URL("a"))
}

// A repository that a source has which is held back stays with it.
func TestHeld(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	up.Commit("one", map[string]string{"a": "a\n"})
	host.Publish("a", up)
	host.Publish("b", up)
	s.must(fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a")))
	s.held = []string{"x"}
	s.must(fmt.Sprintf("- {name: y, repositories: [%q, %q]}\n", host.URL("a"), host.URL("b")))
	for _, r := range s.files["y"] {
		if !strings.Contains(r.File.Path, "/b.git/") {
			t.Errorf("%s: is in y", r.File.Path)
		}
	}
	if len(s.files["y"]) == 0 || !s.noted("stays as it is with source x, which is held back") {
		t.Errorf("%d files, notes %q", len(s.files["y"]), s.notes)
	}
}

// Keys that change make every ref be looked at again; a branch can be signed by
// its commit.
func TestSigned(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	sign, other := pgpKey(t, filepath.Join(s.dir, "one.asc")), pgpKey(t, filepath.Join(s.dir, "two.asc"))
	up.Commit("one", map[string]string{"a": "a\n"})
	up.SignTag("v1", sign)
	host.Publish("a", up)
	spec := func(key string) string {
		return fmt.Sprintf("- {name: x, url: %q, refs: [refs/tags/*], signed: {keys: [%s]}}\n", host.URL("a"), key)
	}
	s.must(spec("one.asc"))
	for _, r := range s.files["x"] {
		if strings.HasSuffix(r.File.Path, ".pack") && !strings.HasPrefix(r.Vouched, bundle.VouchedOpenPGP) {
			t.Errorf("%s: vouched for by %q", r.File.Path, r.Vouched)
		}
	}
	if _, err := s.export(spec("two.asc")); !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), "refs/tags/v1") {
		t.Errorf("another key: %v", err)
	}
	up.SignTag("v2", other)
	host.Publish("a", up)
	if _, err := s.export(spec("one.asc")); !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), "refs/tags/v2") {
		t.Errorf("a new tag by another key: %v", err)
	}
	s.must(spec("one.asc, two.asc"))
	text := fmt.Sprintf("tree %s\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n", up.Git("rev-parse", "main^{tree}"))
	armor := strings.ReplaceAll(strings.TrimSuffix(sign(text+"\nsigned\n"), "\n"), "\n", "\n ")
	up.Git("update-ref", "refs/heads/release", up.Object("commit", []byte(text+"gpgsig "+armor+"\n\nsigned\n")))
	host.Publish("a", up)
	s.must(fmt.Sprintf("- {name: x, url: %q, refs: [refs/heads/release], signed: {keys: [one.asc]}}\n", host.URL("a")))
	if _, err := s.export(fmt.Sprintf("- {name: x, url: %q, refs: [refs/heads/main], signed: {keys: [one.asc]}}\n", host.URL("a"))); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("a branch that nobody signed: %v", err)
	}
}
