package site

import (
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// standsFor adds public addresses to a repository, each as "URL place"; a place that begins
// with keys/ is a key.
func standsFor(t *testing.T, r Repository, first bool, all ...string) Repository {
	t.Helper()
	var public []bundle.Public
	for _, one := range all {
		address, at, _ := strings.Cut(one, " ")
		key, isKey := strings.CutPrefix(at, "keys/")
		p, err := bundle.ParsePublic(address, key)
		if err != nil {
			t.Fatal(err)
		}
		p.Key = isKey
		public = append(public, p)
	}
	r.Annotations = map[string]string{}
	if err := bundle.AnnotatePublic(r.Annotations, public); err != nil {
		t.Fatal(err)
	}
	if first {
		r.Annotations[bundle.PublicFirstKey] = "true"
	}
	return r
}

func merged(t *testing.T, base string, sets ...Set) *PublicNames {
	t.Helper()
	names, err := MergePublic(sets, base)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestPublicNames(t *testing.T) {
	set := Set{Name: "demo", Repositories: []Repository{
		standsFor(t, repo("tools", "files"), false, "https://github.com github.com"),
		standsFor(t, repo("more", "files"), false, "https://github.com github.com"),
		standsFor(t, repo("code", "git"), false, "https://github.com/NVIDIA/deepops.git github.com/NVIDIA/deepops.git"),
		standsFor(t, repo("ctk", "apt/ctk"), false, "https://nvidia.github.io/libnvidia-container/stable/deb", "https://nvidia.github.io/libnvidia-container/gpgkey keys/ctk.asc"),
		standsFor(t, repo("old", "apt/old"), false, "http://archive.example/ubuntu", "https://archive.example/key keys/other.asc"),
		repo("keys", "keys", "ctk.asc"),
	}}
	names := merged(t, "https://mirror.lan", set)
	for address, want := range map[string]string{
		"https://github.com/NVIDIA/deepops.git/HEAD":                                    "/git/github.com/NVIDIA/deepops.git/HEAD",
		"https://github.com/NVIDIA/deepops.git":                                         "/git/github.com/NVIDIA/deepops.git",
		"https://github.com/NVIDIA/deepops.github/x":                                    "/files/github.com/NVIDIA/deepops.github/x",
		"https://GitHub.com.:443/a/b?raw=1":                                             "/files/github.com/a/b",
		"https://nvidia.github.io/libnvidia-container/gpgkey":                           "/keys/ctk.asc",
		"https://nvidia.github.io/libnvidia-container/stable/deb/amd64/InRelease":       "/apt/ctk/amd64/InRelease",
		"https://nvidia.github.io/libnvidia-container/stable":                           "",
		"https://nvidia.github.io:8443/libnvidia-container/gpgkey":                      "",
		"http://archive.example/ubuntu/":                                                "/apt/old/",
		"https://example.github.com/":                                                   "",
		"https://mirror.lan/apt/ctk":                                                    "",
		"https://nvidia.github.io/libnvidia-container/stable/debian/amd64/InRelease":    "",
		"https://nvidia.github.io/LIBNVIDIA-container/stable/deb/amd64/InRelease":       "",
		"https://nvidia.github.io/libnvidia-container/stable/deb/a%2Fb/../../InRelease": "/apt/ctk/a/b/../../InRelease",
	} {
		if _, at, _ := names.LookupURL(address); at != want {
			t.Errorf("%s: at %q, want %q", address, at, want)
		}
	}
	if got := names.Hosts(); !slices.Equal(got, []string{"archive.example", "github.com", "nvidia.github.io"}) {
		t.Errorf("hosts %q", got)
	}
	// A key that the set does not have is nobody's to hand out.
	if len(names.Unanswered) != 1 || names.Unanswered[0].Path != "/key" {
		t.Errorf("unanswered %+v", names.Unanswered)
	}
}

// TestPublicFirst: two sources that stand for one address at two places.
func TestPublicFirst(t *testing.T) {
	const address = "https://archive.example/ubuntu"
	for name, c := range map[string]struct {
		first [3]bool
		want  string
	}{
		"none":           {[3]bool{}, ""},
		"the second":     {[3]bool{false, true, false}, "/apt/b"},
		"two of them":    {[3]bool{true, true, false}, ""},
		"in another set": {[3]bool{false, false, true}, "/apt/c"},
	} {
		one := Set{Name: "one", Repositories: []Repository{standsFor(t, repo("a", "apt/a"), c.first[0], address), standsFor(t, repo("b", "apt/b"), c.first[1], address)}}
		two := Set{Name: "two", Repositories: []Repository{standsFor(t, repo("c", "apt/c"), c.first[2], address)}}
		named := func(string) Answer { return AnswerNamed }
		one.Answers, two.Answers = named, named
		names := merged(t, "", one, two)
		_, at, _ := names.LookupURL(address + "/dists")
		if strings.TrimSuffix(at, "/dists") != c.want {
			t.Errorf("%s: at %q, want %q", name, at, c.want)
		}
		if c.want == "" && (len(names.Unanswered) != 1 || len(names.Unanswered[0].Claims) != 3 || !strings.Contains(names.Unanswered[0].Reason, "public: true")) {
			t.Errorf("%s: unanswered %+v", name, names.Unanswered)
		}
	}
}

// TestSameKeyTwice: two sources whose keys are at one address have a file each.
func TestSameKeyTwice(t *testing.T) {
	keys := repo("keys", "keys", "a.asc", "b.asc", "c.asc")
	var list []bundle.File
	for f, err := range keys.Files() {
		if err != nil {
			t.Fatal(err)
		}
		if f.Path != "c.asc" {
			f.Digest = bundle.DigestOf([]byte("the key"))
		}
		list = append(list, f)
	}
	keys.Files = func() iter.Seq2[bundle.File, error] { return seq(list, nil) }
	names := merged(t, "", Set{Name: "demo", Repositories: []Repository{
		standsFor(t, repo("a", "apt/a"), false, "https://one.example/key keys/a.asc", "https://two.example/key keys/a.asc"),
		standsFor(t, repo("b", "apt/b"), false, "https://one.example/key keys/b.asc"),
		standsFor(t, repo("c", "apt/c"), false, "https://two.example/key keys/c.asc"), keys,
	}})
	if _, at, _ := names.Lookup("one.example", "/key"); at != "/keys/a.asc" || len(names.Names) != 2 {
		t.Errorf("at %q, %+v", at, names.Names)
	}
	if _, at, ok := names.Lookup("two.example", "/key"); ok {
		t.Errorf("another key: at %q", at)
	}
}

// TestHostsOfOthers: what a key may answer for.
func TestHostsOfOthers(t *testing.T) {
	answers := func(a Answer) func(string) Answer { return func(string) Answer { return a } }
	for name, c := range map[string]struct {
		one, two Answer
		want     string
	}{
		"nobody was given anything": {AnswerAlone, AnswerAlone, ""},
		"one was given the host":    {AnswerNamed, AnswerAlone, "/apt/a"},
		"both were":                 {AnswerNamed, AnswerNamed, "/apt/a /apt/b"},
		"the other was not":         {AnswerAlone, AnswerNo, "/apt/a"},
		"neither was":               {AnswerNo, AnswerNo, ""},
	} {
		names := merged(t, "",
			Set{Name: "one", Answers: answers(c.one), Repositories: []Repository{standsFor(t, repo("a", "apt/a"), true, "https://host.example/a")}},
			Set{Name: "two", Answers: answers(c.two), Repositories: []Repository{standsFor(t, repo("b", "apt/b"), true, "https://host.example/b")}})
		var got []string
		for _, p := range []string{"/a", "/b"} {
			if _, at, ok := names.Lookup("host.example", p); ok {
				got = append(got, at)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if len(names.Names)+len(names.Unanswered) != 2 {
			t.Errorf("%s: %d answered, %+v not", name, len(names.Names), names.Unanswered)
		}
	}
}

// TestHostileNames: what could mean something to a server, or is not another's to take.
func TestHostileNames(t *testing.T) {
	var addresses []string
	for _, bad := range []string{
		"https://localhost", "https://a.localhost/x", "https://mirror.lan/apt", "https://mirror.lan:8443/apt", "https://[::1]/x", "https://-a.example", "https://a..example",
		"https://" + strings.Repeat("a", 64) + ".example", "https://a.example/a%22b", "https://a.example/a$b", "https://a.example/%7Bx", "https://a.example/x%7D", "https://a.example/a%3Fb", "https://a.example/a%23b",
		"https://a.example/a%0Ab", "https://a.example/a%5Cb", "https://a.example/a%60b", "https://a.example/a%3Cb", "https://a.example/a%3Eb", "https://a.example/a%7Cb", "https://a.example/a%5Eb",
		"https://a.example/a%E2%82%ACb", "https://a.example/a%E2%80%AEb", "https://a.example/a%C2%A0b", "https://a.example:123456/x",
	} {
		if _, err := bundle.ParsePublic(bad, ""); err == nil {
			addresses = append(addresses, bad)
		}
	}
	names := merged(t, "https://mirror.lan:8443", Set{Name: "demo", Repositories: []Repository{standsFor(t, repo("a", "apt/a"), true, addresses...)}})
	if len(names.Names) != 0 {
		t.Errorf("answers for %+v", names.Names)
	}
	if len(names.Unanswered) != len(addresses) {
		t.Errorf("%d of %d are told", len(names.Unanswered), len(addresses))
	}
}

// TestManyNames: 1,000 repositories with 200 prefixes each.
func TestManyNames(t *testing.T) {
	set := Set{Name: "demo"}
	for i := range 1000 {
		var all []string
		for j := range bundle.MaxPublic {
			all = append(all, fmt.Sprintf("https://h%d.example/r%d/p%d", j%7, i, j))
		}
		set.Repositories = append(set.Repositories, standsFor(t, repo(fmt.Sprintf("r%d", i), fmt.Sprintf("apt/r%d", i)), false, all...))
	}
	names := merged(t, "", set, Set{Name: "other", Repositories: []Repository{standsFor(t, repo("o", "apt/o"), false, "https://o.example")}})
	if len(names.Names) != maxSetNames+1 || names.LeftOut != 1000*bundle.MaxPublic-maxSetNames {
		t.Errorf("%d names, %d left out", len(names.Names), names.LeftOut)
	}
	if _, _, ok := names.Lookup("o.example", "/x"); !ok {
		t.Error("one set crowds out another")
	}
}

func TestHostsFile(t *testing.T) {
	dir, _ := write(t, input(standsFor(t, repo("ctk", "apt/ctk", "x"), false, "https://nvidia.github.io/deb")))
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	names, err := ReadPublicNames(root)
	if err != nil {
		t.Fatal(err)
	}
	want := PublicName{Scheme: "https", Host: "nvidia.github.io", Path: "/deb", At: "/apt/ctk", Set: "demo", Source: "ctk", Kind: "files"}
	if len(names.Names) != 1 || names.Names[0] != want {
		t.Errorf("hosts.json has %+v", names)
	}
}

// TestPrivateFiles: what a set has in a folder that a public name of another set leads to.
func TestPrivateFiles(t *testing.T) {
	named := func(host string) Answer {
		if host == "both.example" {
			return AnswerNamed
		}
		return AnswerAlone
	}
	in := input()
	in.Sets = []Set{
		{Name: "one", Answers: func(string) Answer { return AnswerNamed }, Repositories: []Repository{
			standsFor(t, repo("a", "files", "github.com/a", "github.com/same", "both.example/x"), false, "https://github.com github.com", "https://both.example both.example"),
			standsFor(t, repo("i", "v2", "nvcr.io/a/blobs/1", "nvcr.io/a/manifests/1"), false, "https://nvcr.io/v2 nvcr.io"),
		}},
		{Name: "two", Answers: named, Repositories: []Repository{
			standsFor(t, repo("b", "files", "github.com/b", "github.com/same", "both.example/y", "own.example/z"), false, "https://github.com github.com", "https://both.example both.example", "https://own.example own.example"),
			standsFor(t, repo("j", "v2", "nvcr.io/b/blobs/1", "nvcr.io/b/manifests/1"), false, "https://nvcr.io/v2 nvcr.io"),
		}},
	}
	dir, _ := write(t, in)
	var got []string
	for name := range tree(t, dir) {
		if rest, ok := strings.CutPrefix(name, PrivateDir+"/"); ok {
			got = append(got, rest)
		}
	}
	slices.Sort(got)
	if want := []string{"files/github.com/b", "v2/nvcr.io/b/blobs/1", "v2/nvcr.io/b/manifests/1", "v2/nvcr.io/b/tags/list"}; !slices.Equal(got, want) {
		t.Errorf("marked %q, want %q", got, want)
	}
}

// FuzzPublicNames: a hosts.json is read or refused, and looking something up in it ends.
func FuzzPublicNames(f *testing.F) {
	f.Add(`{"format":1,"names":[{"scheme":"https","host":"a.example","path":"/x.git","at":"/git/a.example/x.git"}]}`, "a.example", "/x/info/refs")
	f.Add(`{"format":1,"names":[{"host":"a.example","path":"/v2","at":"/v2/a.example"}]}`, "a.example", "/v2/")
	f.Add(`{"format":2}`, "", "")
	f.Fuzz(func(t *testing.T, text, host, path string) {
		names, err := parsePublicNames([]byte(text))
		if err != nil {
			return
		}
		if line, at, ok := names.Lookup(PublicHost(host), path); ok && line.Host != PublicHost(host) {
			t.Errorf("%q %q: %+v at %q", host, path, line, at)
		}
	})
}

// TestPlacesOfAnAddress: settings look for what an address stands for in every source that
// stands for it, answered by its name or not.
func TestPlacesOfAnAddress(t *testing.T) {
	w := &writer{public: merged(t, "", Set{Name: "one", Repositories: []Repository{
		standsFor(t, repo("a", "helm/a"), false, "https://charts.example/x"), standsFor(t, repo("b", "helm/b"), false, "https://charts.example/x"),
		standsFor(t, repo("c", "files"), false, "https://charts.example"),
	}})}
	for address, want := range map[string]string{
		"https://charts.example/x/index.yaml": "true /files/x/index.yaml /helm/a/index.yaml /helm/b/index.yaml",
		"https://charts.example/x":            "true /files/x /helm/a /helm/b",
		"https://charts.example/xy":           "true /files/xy",
		"https://other.example/x":             "false",
	} {
		all, answered := w.lookup(address)
		got := fmt.Sprint(answered)
		for _, p := range all {
			got += " " + p.At
		}
		if got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
