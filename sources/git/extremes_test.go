package git

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// huge is a size that nothing of this machine may be asked for.
const huge = 100 << 30

// packOf publishes a pack made by hand and returns the spec of its repository.
func packOf(t *testing.T, commit string, p *gittest.Pack) (s *site, host *gittest.Host, spec string) {
	t.Helper()
	host = gittest.NewHost(t, true)
	host.PublishPack(t, "a", commit, p.Bytes())
	return newSite(t), host, fmt.Sprintf("- {name: x, url: %q, refs: [refs/heads/main]}\n", host.URL("a"))
}

// commitOf ends a pack with a tree of one entry and a commit of it.
func commitOf(p *gittest.Pack, entry []byte) (commit string) {
	_, tree := p.Object(gittest.TypeTree, entry)
	_, commit = p.Object(gittest.TypeCommit, gittest.CommitText(tree))
	return commit
}

// A chain of 10,000 deltas is taken apart and packed as any other content.
func TestLongChain(t *testing.T) {
	const length = 10_000
	tail := strings.Repeat("the same in every link of the chain\n", 3)
	content := func(i int) []byte { return fmt.Appendf(nil, "%08d%s", i, tail) }
	size := int64(len(content(0)))
	p := &gittest.Pack{}
	base, name := p.Object(gittest.TypeBlob, content(0))
	entries := treeEntry("100644", fmt.Sprintf("f%05d", 0), name)
	for i := 1; i < length; i++ {
		// Eight new bytes, then the rest of the base from its ninth on.
		instructions := append([]byte{8}, content(i)[:8]...)
		instructions = append(instructions, 0x80|0x01|0x10, 8, byte(size-8))
		base = p.Delta(base, size, size, instructions)
		entries = append(entries, treeEntry("100644", fmt.Sprintf("f%05d", i), gittest.Name("blob", content(i)))...)
	}
	s, host, spec := packOf(t, commitOf(p, entries), p)
	s.must(spec)
	dir := t.TempDir()
	s.mustGit(dir, nil, "clone", "-q", s.serve()+"/git/"+hostDir(host.Server.Host())+"/a.git", "c")
	if got, want := readFile(t, fmt.Sprintf("%s/c/f%05d", dir, length-1)), string(content(length-1)); got != want {
		t.Errorf("the last of the chain is %q, want %q", got, want)
	}
}

// Objects that are said to have 100 GB end git by its limits, and not the machine.
func TestHugeClaims(t *testing.T) {
	const limit = "(git may take 6 GiB)"
	for name, test := range map[string]struct {
		add  func(*gittest.Pack)
		text string
	}{
		"a commit": {func(p *gittest.Pack) { p.Claim(gittest.TypeCommit, huge, []byte("tree ")) }, limit},
		"a tree":   {func(p *gittest.Pack) { p.Claim(gittest.TypeTree, huge, []byte("100644 a\x00")) }, limit},
		"a blob":   {func(p *gittest.Pack) { p.Claim(gittest.TypeBlob, huge, []byte("short")) }, "bad object"},
		"a delta": {func(p *gittest.Pack) {
			base, _ := p.Object(gittest.TypeBlob, []byte("base"))
			p.Delta(base, 4, huge, []byte{0x80 | 0x10, 4})
		}, limit},
	} {
		t.Run(name, func(t *testing.T) {
			p := &gittest.Pack{}
			test.add(p)
			s, host, spec := packOf(t, commitOf(p, nil), p)
			_, err := s.export(spec)
			if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), host.URL("a")) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want ErrUpstream with the URL and %s", err, test.text)
			}
		})
	}
}

// Trees that git itself does not send.
func TestTreesByHand(t *testing.T) {
	for text, entry := range map[string][]byte{
		"empty filename in tree entry": treeEntry("100644", "", gittest.Name("blob", []byte("a"))),
		"nullSha1":                     treeEntry("100644", "a", strings.Repeat("0", 40)),
	} {
		p := &gittest.Pack{}
		p.Object(gittest.TypeBlob, []byte("a"))
		s, host, spec := packOf(t, commitOf(p, entry), p)
		if _, err := s.export(spec); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), host.URL("a")) {
			t.Errorf("got %v, want ErrUpstream with %s and the URL", err, text)
		}
	}
}

// A blob of 256 MiB, in a pack of 256 KiB, is streamed: no git takes its size in
// memory.
func TestLargeBlob(t *testing.T) {
	const size = 256 << 20
	p := &gittest.Pack{}
	name := p.Zeros(size)
	s, _, spec := packOf(t, commitOf(p, treeEntry("100644", "zeros", name)), p)
	s.must(spec)
	if s.carry > size>>8 {
		t.Errorf("%d bytes are carried", s.carry)
	}
	var usage, own syscall.Rusage
	if err := errors.Join(syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage), syscall.Getrusage(syscall.RUSAGE_SELF, &own)); err != nil {
		t.Fatal(err)
	}
	// What the kernel counts of a child begins with what this process has when it starts it.
	if peak := usage.Maxrss << 10; peak > max(size/2, own.Maxrss<<10) {
		t.Errorf("a git took %d MiB", peak>>20)
	}
}

// What a dumb upstream names besides its own objects is not followed.
func TestAlternates(t *testing.T) {
	up, host, other, s := gittest.New(t), gittest.NewHost(t, false), gittest.NewHost(t, false), newSite(t)
	up.Grow(5)
	host.Publish("a", up)
	other.Publish("b", up)
	dir := host.Dir + "/a.git"
	if err := os.RemoveAll(dir + "/objects"); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"alternates": "../../b.git/objects\n", "http-alternates": other.URL("b") + "/objects\n", "packs": "\n"} {
		name = filepath.Join(dir, "objects", "info", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	host.Publish("b", up)
	host.Server.ResetCounts()
	if _, err := s.export(fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a"))); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), host.URL("a")) {
		t.Errorf("got %v, want ErrUpstream with the URL", err)
	}
	for _, path := range []string{"/a.git/objects/info/alternates", "/a.git/objects/info/http-alternates"} {
		if n := host.Server.Requests(path); n != 0 {
			t.Errorf("%s: %d requests", path, n)
		}
	}
	if n := other.Server.AllRequests(); n != 0 {
		t.Errorf("%d requests reached the other host", n)
	}
}

// Every request of git is bound by the rules for redirects, not the first alone.
func TestLaterRedirects(t *testing.T) {
	up, elsewhere := gittest.New(t), gittest.NewHost(t, true)
	up.Grow(5)
	elsewhere.Publish("a", up)
	for _, smart := range []bool{true, false} {
		for _, to := range []string{elsewhere.URL("a") + "/git-upload-pack", "file:///etc/passwd"} {
			host, s := gittest.NewHost(t, smart), newSite(t)
			host.Publish("a", up)
			host.Server.FailAlways("/a.git/git-upload-pack", upstreamtest.Redirect(to))
			if !smart {
				host.Server.FailAlways("/a.git/objects/info/packs", upstreamtest.Redirect(to))
				id := up.Git("rev-parse", "main")
				host.Server.FailAlways("/a.git/objects/"+id[:2]+"/"+id[2:], upstreamtest.Redirect(to))
			}
			_, err := s.export(fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a")))
			if !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), host.URL("a")) {
				t.Errorf("smart %v, to %s: got %v, want ErrRefused with the URL", smart, to, err)
			}
		}
	}
	if n := elsewhere.Server.AllRequests(); n != 0 {
		t.Errorf("%d requests reached the other host", n)
	}
}

// A repository of SHA-256 objects is refused by name, also where the server is a smart one.
func TestSHA256(t *testing.T) {
	host, s := gittest.NewHost(t, true), newSite(t)
	work := t.TempDir()
	s.mustGit(work, nil, "init", "-q", "--object-format=sha256", "-b", "main", ".")
	s.mustGit(work, []string{"user.name=A", "user.email=a@example.org"}, "commit", "-q", "--allow-empty", "-m", "one")
	s.mustGit(work, nil, "clone", "-q", "--bare", ".", host.Dir+"/a.git")
	_, err := s.export(fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a")))
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "of a SHA-256 repository, which gapbundle does not carry") || !strings.Contains(err.Error(), host.URL("a")) {
		t.Errorf("got %v, want ErrUpstream that names SHA-256", err)
	}
}

// More submodules than a set may have are refused before any is fetched.
func TestManySubmodules(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	var modules strings.Builder
	entries := map[string]string{}
	for i := range maxRepositories {
		fmt.Fprintf(&modules, "[submodule \"m%[1]d\"]\n\tpath = m%[1]d\n\turl = ../m%[1]d.git\n", i)
		entries[fmt.Sprintf("m%d", i)] = strings.Repeat("1", 40)
	}
	content := treeEntry("100644", ".gitmodules", up.Object("blob", []byte(modules.String())))
	for _, path := range slices.Sorted(maps.Keys(entries)) {
		content = append(content, treeEntry("160000", path, entries[path])...)
	}
	up.Git("update-ref", "refs/heads/main", up.Git("commit-tree", "-m", "many", up.Object("tree", content)))
	host.Publish("a", up)
	_, err := s.export(fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a")))
	if err == nil || !strings.Contains(err.Error(), "more than 200 repositories") {
		t.Errorf("got %v, want the bound", err)
	}
	if n := host.Server.Requests("/m0.git/info/refs"); n != 0 {
		t.Errorf("a submodule was asked for %d times", n)
	}
}
