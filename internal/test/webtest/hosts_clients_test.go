//go:build clients

package webtest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// standFor adds public addresses to the repository at a mount, each as "URL place"; a place
// that begins with keys/ is a key.
func standFor(t *testing.T, set *site.Set, mount string, all ...string) {
	t.Helper()
	at := slices.IndexFunc(set.Repositories, func(r site.Repository) bool { return r.Mount == mount })
	if at < 0 {
		t.Fatalf("no repository at %s", mount)
	}
	var public []bundle.Public
	for _, one := range all {
		address, place, _ := strings.Cut(one, " ")
		key, isKey := strings.CutPrefix(place, "keys/")
		p, err := bundle.ParsePublic(address, key)
		if err != nil {
			t.Fatal(err)
		}
		p.Key = isKey
		public = append(public, p)
	}
	set.Repositories[at].Annotations = map[string]string{}
	if err := bundle.AnnotatePublic(set.Repositories[at].Annotations, public); err != nil {
		t.Fatal(err)
	}
}

// publicFiles returns a mirror with something of every form of public name.
func publicFiles() map[string]File {
	files := map[string]File{
		"apt/demo/stable/deb/amd64/InRelease":                  {Content: "release"},
		"apt/demo/stable/deb/amd64/g++_1%3a2~rc1+b1_amd64.deb": {Content: "deb"},
		"apt/demo/secret": {Content: "not below the public address"},
		"files/github.com/o/tool/releases/v1/tool.tgz":       {Content: "tool"},
		"files/github.com/o/tool/releases/v1/a?b.txt":        {Content: "question"},
		"files/github.com/o/tool/releases/v1/index.htm":      {Content: "typed", MediaType: "application/x-demo+json"},
		"files/other.example/x":                              {Content: "nobody stands for this host"},
		"files/github.com/o/page/index.html":                 {Content: "<p>a page</p>"},
		"files/plus.example/c++~1,a=b@c:d/x":                 {Content: "escaped"},
		"files/strange.example/a b!(c)[d]*/100%41;e'f&g/ü/x": {Content: "strange"},
		"files/strange.example/a bB(c)[d]*/100A;e'f&g/ü/x":   {Content: "another address"},
		"git/strange.example/a (1).git/HEAD":                 {Content: "strange ref"},
		"git/github.com/o/tool.git/HEAD":                     {Content: "ref: refs/heads/main\n"},
		"git/github.com/o/tool.git/info/refs":                {Content: "refs"},
		"git/github.com/o/tool.git/objects/info/packs":       {Content: "P pack-1.pack\n"},
		"git/github.com/o/private.git/HEAD":                  {Content: "private"},
		"keys/demo.asc":                                      {Content: "key"},
		"keys/other.asc":                                     {Content: "another key"},
		"pypi/py/simple/tool/index.html":                     {Content: "page"},
		"pypi/py/simple/tool/index.v1_json":                  {Content: "{}"},
		"v2/docker.io/library/alpine/manifests/3":            {Content: `{"m":3}`, MediaType: indexType},
		"v2/nvcr.io/nvidia/cuda/manifests/13":                {Content: `{"m":13}`, MediaType: indexType},
		"v2/nvcr.io/nvidia/cuda/blobs/" + digest("blob"):     {Content: "blob"},
	}
	for i, name := range odd() {
		files["files/github.com/odd/"+name] = File{Content: fmt.Sprint("odd ", i)}
	}
	return files
}

// newPublicMirror publishes them, and of another set a file and an image in folders that a
// public name leads to.
func newPublicMirror(t *testing.T) *Fixture {
	f := NewFixture(t)
	f.Base = "https://mirror.lan"
	files := publicFiles()
	others := map[string]File{
		"files/github.com/other/set":     {Content: "another set's"},
		"v2/nvcr.io/other/manifests/1":   {Content: `{"m":1}`, MediaType: indexType},
		"files/github.com/o/other.txt":   {Content: "another set's"},
		"files/third.example/own/of/two": {Content: "another set's own"},
	}
	f.Change = func(in *site.Input) {
		set := &in.Sets[0]
		set.Answers = func(string) site.Answer { return site.AnswerNamed }
		standFor(t, set, "apt/demo", "https://nvidia.github.io/libnvidia-container/stable stable", "https://nvidia.github.io/libnvidia-container/gpgkey keys/demo.asc")
		standFor(t, set, "files", "https://github.com github.com", "https://plus.example/c++~1,a=b@c:d plus.example/c++~1,a=b@c:d", "https://ported.example:8443/x github.com/o",
			"https://strange.example/"+strangePath+" strange.example/a b!(c)[d]*/100%41;e'f&g/ü")
		standFor(t, set, "git", "https://github.com/o/tool.git github.com/o/tool.git", "https://strange.example/a%20(1).git strange.example/a (1).git")
		standFor(t, set, "pypi", "https://index.python.example/simple py/simple")
		standFor(t, set, "v2", "https://nvcr.io/v2 nvcr.io", "https://registry-1.docker.io/v2 docker.io", "https://index.docker.io/v2 docker.io")
		two := f.input(others).Sets[0]
		two.Name = "two"
		two.Answers = func(string) site.Answer { return site.AnswerAlone }
		standFor(t, &two, "files", "https://github.com github.com", "https://third.example third.example")
		in.Sets = append(in.Sets, two)
	}
	all := publicFiles()
	for p, file := range others {
		all[p] = file
	}
	f.publishOnly(all, files)
	return f
}

// publishOnly places all files, and lists those of the first set.
func (f *Fixture) publishOnly(all, listed map[string]File) {
	f.t.Helper()
	change := f.Change
	f.Change = func(in *site.Input) {
		in.Sets = f.input(listed).Sets
		change(in)
	}
	f.Publish(all)
	f.Change = change
}

// strangePath is a path with characters that a server's configuration could take for something
// else, as addresses have it.
const strangePath = "a%20b!(c)%5Bd%5D*/100%2541;e'f&g/%C3%BC"

// asked is a question to a public name.
type asked struct {
	host, path string
	status     int
	body       string // "": not looked at
}

func questions() []asked {
	const stable = "/libnvidia-container/stable"
	all := []asked{
		{"nvidia.github.io", stable + "/deb/amd64/InRelease", 200, "release"},
		{"NVIDIA.GitHub.IO", stable + "/deb/amd64/InRelease", 200, "release"},
		{"nvidia.github.io:443", stable + "/deb/amd64/InRelease", 200, "release"},
		{"nvidia.github.io.", stable + "/deb/amd64/InRelease", 200, "release"},
		{"nvidia.github.io.:443", stable + "/deb/amd64/InRelease", 200, "release"},
		{"nvidia.github.io:8443", stable + "/deb/amd64/InRelease", 404, ""},
		{"nvidia.github.io", stable + "/deb/amd64/g++_1%253a2~rc1+b1_amd64.deb", 200, "deb"},
		{"nvidia.github.io", stable + "/deb/amd64/g%2b%2b_1%253a2%7erc1%2bb1_amd64.deb", 200, "deb"},
		{"nvidia.github.io", stable + "/deb/amd64/InRelease?x=..", 200, "release"},
		{"nvidia.github.io", "/libnvidia-container/gpgkey", 200, "key"},
		{"nvidia.github.io", "/libnvidia-container/gpgkey/x", 404, ""},
		{"nvidia.github.io", "/libnvidia-container/secret", 404, ""},
		{"nvidia.github.io", stable + "%2f..%2fsecret", 400, ""},
		{"nvidia.github.io", stable + "/../secret", 400, ""},
		{"nvidia.github.io", stable + "/%2e%2E/secret", 400, ""},
		{"nvidia.github.io", stable + "ish/deb/amd64/InRelease", 404, ""},
		{"nvidia.github.io", "/apt/demo/stable/deb/amd64/InRelease", 404, ""},
		{"nvidia.github.io", "/keys/demo.asc", 404, ""},
		{"nvidia.github.io", "/", 404, ""},
		{"nvidia.github.io", "/_gapbundle/hosts.json", 404, ""},
		{"nvidia.github.io", "/_gapbundle/public/github.com/o/tool.git/HEAD", 404, ""},
		{"nvidia.github.io", "/index.html", 404, ""},
		{"github.com", "/o/tool/releases/v1/tool.tgz", 200, "tool"},
		{"github.com", "/o/page/", 200, "<p>a page</p>"},
		{"github.com", "/o/tool.git/HEAD", 200, "ref: refs/heads/main\n"},
		{"github.com", "/o/tool.git/info/refs?service=git-upload-pack", 200, "refs"},
		{"github.com", "/o/tool/info/refs?service=git-upload-pack", 200, "refs"},
		{"github.com", "/o/tool/objects/info/packs", 200, "P pack-1.pack\n"},
		{"github.com", "/o/private.git/HEAD", 404, ""},
		{"github.com", "/other/set", 404, ""},
		{"github.com", "/o/other.txt", 404, ""},
		{"github.com", "/../other.example/x", 400, ""},
		{"github.com", "/files/github.com/o/tool/releases/v1/tool.tgz", 404, ""},
		{"third.example", "/own/of/two", 200, "another set's own"},
		{"plus.example", "/c++~1,a=b@c:d/x", 200, "escaped"},
		{"plus.example", "/c%2b%2b%7e1%2Ca%3db%40c%3Ad/x", 200, "escaped"},
		{"strange.example", "/" + strangePath + "/x", 200, "strange"},
		{"strange.example", "/a%20b%21%28c%29%5bd%5d%2a/100%2541%3be%27f%26g/%c3%bc/x", 200, "strange"},
		{"strange.example", "/a%20b!(c)%5Bd%5D*/100%2541;e'f&g/%C3%BC/none", 404, ""},
		{"strange.example", "/a%20bB(c)%5Bd%5D*/100%2541;e'f&g/%C3%BC/x", 404, ""},
		{"strange.example", "/a%20b!c%5Bd%5D*/100%2541;e'f&g/%C3%BC/x", 404, ""},
		{"strange.example", "/a%20b!(c)%5Bd%5D*/100A;e'f&g/%C3%BC/x", 404, ""},
		{"strange.example", "/a%20(1).git/HEAD", 200, "strange ref"},
		{"strange.example", "/a%20(1)/HEAD", 200, "strange ref"},
		{"strange.example", "/a%20%281%29/HEAD", 200, "strange ref"},
		{"ported.example:8443", "/x/tool/releases/v1/tool.tgz", 200, "tool"},
		{"ported.example", "/x/tool/releases/v1/tool.tgz", 404, ""},
		{"other.example", "/x", 404, ""},
		{"evil.example", "/x", 404, ""},
		{"index.python.example", "/simple/tool/", 200, "page"},
		{"index.python.example", "/simple/none/", 404, ""},
		{"nvcr.io", "/v2/", 200, "{}\n"},
		{"nvcr.io", "/v2/nvidia/cuda/manifests/13", 200, `{"m":13}`},
		{"nvcr.io", "/v2/nvidia/cuda/blobs/" + digest("blob"), 200, "blob"},
		{"nvcr.io", "/v2/nvidia/cuda/tags/list", 200, ""},
		{"nvcr.io", "/v2/nvidia/cuda/manifests/12", 404, ""},
		{"nvcr.io", "/v2/other/manifests/1", 404, ""},
		{"nvcr.io", "/v2/other/tags/list", 404, ""},
		{"nvcr.io", "/v2/nvcr.io/nvidia/cuda/manifests/13", 404, ""},
		{"nvcr.io", "/v2/docker.io/library/alpine/manifests/3", 404, ""},
		{"nvcr.io", "/v2/../docker.io/library/alpine/manifests/3", 400, ""},
		{"nvcr.io", "/x", 404, ""},
		{"registry-1.docker.io", "/v2/library/alpine/manifests/3", 200, `{"m":3}`},
		{"index.docker.io", "/v2/", 200, "{}\n"},
	}
	return all
}

// TestPublicNames: every server answers by public names for what the sources stand for, and
// for nothing else.
func TestPublicNames(t *testing.T) {
	f := newPublicMirror(t)
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			s := StartNames(t, name, f.Dir)
			for _, q := range questions() {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					resp, body := askPublic(t, s, method, q.host, q.path)
					if name == Serve && (q.host == "other.example" || strings.Contains(q.host, "evil") || strings.HasSuffix(q.host, "nvidia.github.io:8443")) {
						continue // gapbundle serve is itself by every other name
					}
					if resp.StatusCode != q.status {
						t.Errorf("%s %s %s: status %d, want %d: %.200s", method, q.host, q.path, resp.StatusCode, q.status, body)
					} else if method == http.MethodGet && q.body != "" && body != q.body {
						t.Errorf("%s %s: body %.200q, want %q", q.host, q.path, body, q.body)
					}
				}
			}
			for i, odd := range odd() {
				if strings.Contains(odd, "?") && (name == Apache || name == Caddy) {
					continue // an address that is rewritten has no question mark in it there: 404
				}
				resp, body := askPublic(t, s, http.MethodGet, "github.com", escaped("odd/"+odd))
				if resp.StatusCode != http.StatusOK || body != fmt.Sprint("odd ", i) {
					t.Errorf("odd name %q: %d %.100q", odd, resp.StatusCode, body)
				}
			}
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
				if resp, _ := askPublic(t, s, method, "github.com", "/o/tool.git/git-upload-pack"); resp.StatusCode != http.StatusMethodNotAllowed {
					t.Errorf("%s: status %d", method, resp.StatusCode)
				}
			}
			testPublicHeaders(t, s)
		})
	}
}

// testPublicHeaders looks at what is said besides the content.
func testPublicHeaders(t *testing.T, s *Server) {
	t.Helper()
	for _, want := range []struct{ host, path, header, value string }{
		{"nvcr.io", "/v2/", "Docker-Distribution-Api-Version", "registry/2.0"},
		{"nvcr.io", "/v2/", "Www-Authenticate", ""},
		{"nvcr.io", "/v2/nvidia/cuda/manifests/13", "Content-Type", indexType},
		{"nvcr.io", "/v2/nvidia/cuda/manifests/13", digestOf, bundle.DigestOf([]byte(`{"m":13}`)).String()},
		{"nvcr.io", "/v2/nvidia/cuda/blobs/" + digest("blob"), digestOf, digest("blob")},
		{"github.com", "/o/tool/releases/v1/index.htm", "Content-Type", "application/x-demo+json"},
		{"index.python.example", "/simple/tool", "Location", "/simple/tool/"},
		{"github.com", "/o/tool/releases", "Location", "/o/tool/releases/"},
	} {
		resp, _ := askPublic(t, s, http.MethodGet, want.host, want.path)
		got := resp.Header.Get(want.header)
		if want.header == "Location" {
			if u, err := url.Parse(got); err == nil {
				got = u.Path // Apache's has the port that it listens on
			}
		}
		if got != want.value {
			t.Errorf("%s %s: %s is %q (%d), want %q", want.host, want.path, want.header, got, resp.StatusCode, want.value)
		}
	}
	resp, body := askPublic(t, s, http.MethodGet, "index.python.example", "/simple/tool/", "Accept", site.JSONPageType)
	if body != "{}" || resp.Header.Get("Content-Type") != site.JSONPageType {
		t.Errorf("a page as JSON: %q as %s", body, resp.Header.Get("Content-Type"))
	}
}

// askPublic asks a server by a public name.
func askPublic(t *testing.T, s *Server, method, host, path string, header ...string) (reply, string) {
	t.Helper()
	return do(t, s, method, path, append(header, "Host", host)...)
}

// TestManyPublicNames: every server starts with as many rules as one set may have, and answers
// by the last of them.
func TestManyPublicNames(t *testing.T) {
	f := NewFixture(t)
	const repositories, each = 25, bundle.MaxPublic
	files := map[string]File{}
	for i := range repositories {
		files[fmt.Sprintf("apt/r%02d/x", i)] = File{Content: fmt.Sprint(i)}
	}
	f.Change = func(in *site.Input) {
		for i := range repositories {
			var all []string
			for j := range each {
				all = append(all, fmt.Sprintf("https://h%d.example/r%02d/p%03d", j%7, i, j))
			}
			standFor(t, &in.Sets[0], fmt.Sprintf("apt/r%02d", i), all...)
		}
	}
	f.Publish(files)
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			from := time.Now()
			s := StartNames(t, name, f.Dir)
			up := time.Since(from)
			for path, want := range map[string]string{"/r00/p000/x": "0", "/r24/p000/x": "24"} {
				if resp, body := askPublic(t, s, http.MethodGet, "h0.example", path); resp.StatusCode != http.StatusOK || body != want {
					t.Errorf("%s: %d %q", path, resp.StatusCode, body)
				}
			}
			if resp, _ := askPublic(t, s, http.MethodGet, "h0.example", "/r24/p999/x"); resp.StatusCode != http.StatusNotFound {
				t.Errorf("status %d", resp.StatusCode)
			}
			t.Logf("%d prefixes: up in %v", repositories*each, up)
		})
	}
}
