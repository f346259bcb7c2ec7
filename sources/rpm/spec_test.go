package rpm

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

const vendorRepo = `# a vendor's
[main]
cachedir=/x

[base]
name = Base for $releasever - ${basearch}
baseurl = https://a.example/$releasever/os/
  https://b.example/$releasever/os
enabled = 1
gpgcheck=1
repo_gpgcheck=yes
gpgkey=file:///etc/pki/KEY
priority=5
module_hotfixes=true

; off
[extra]
metalink=https://a.example/metalink?repo=extra-$releasever&arch=$basearch
enabled=0
`

// newOne makes a source of a spec's only entry.
func newOne(t testing.TB, dir, text string) (*source, error) {
	t.Helper()
	s, err := newSource(specs(t, dir, "- name: os\n  kind: rpm\n  "+strings.ReplaceAll(text, "\n", "\n  ")+"\n"))
	if err != nil {
		return nil, err
	}
	return s.(*source), nil
}

func TestRepoFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "v.repo"), []byte(vendorRepo), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := newOne(t, dir, "repofile: v.repo\nvars: {releasever: '9', basearch: x86_64}")
	if err != nil {
		t.Fatal(err)
	}
	e := s.entries[0]
	r := e.repos[0]
	if len(e.repos) != 1 || r.id != "base" || r.folder != "" || !r.signed || !r.hotfixes || r.priority != "5" || r.title != "Base for 9 - x86_64" ||
		!slices.Equal(r.bases, []string{"https://a.example/9/os/", "https://b.example/9/os/"}) || e.keys[0].File != "/etc/pki/KEY" {
		t.Errorf("%+v %+v", r, e.keys)
	}
	s, err = newOne(t, dir, "repofile: v.repo\nrepoids: [extra, base]\nvars: {releasever: '9', basearch: x86_64}\ngpgkey: k.asc")
	if err != nil {
		t.Fatal(err)
	}
	e = s.entries[0]
	if r := e.repos[0]; len(e.repos) != 2 || r.folder != "extra/" || r.metalink != "https://a.example/metalink?repo=extra-9&arch=x86_64" || e.keys[0].File != filepath.Join(dir, "k.asc") {
		t.Errorf("%+v %+v", r, e.keys)
	}
}

func TestSpecErrors(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"v.repo": vendorRepo, "key.repo": "[a]\nbaseurl=http://a.example/\ngpgkey=https://a.example/KEY\n", "off.repo": "[a]\nbaseurl=http://a.example/\nenabled=0\n",
		"lines.repo": "[a]\nbaseurl\n", "head.repo": "baseurl=x\n", "goes.repo": "[a]\n  on\n", "twice.repo": "[a]\nbaseurl=http://a.example/\n[a]\n", "none.repo": "[a]\nname=b\n", "less.repo": "[a]\nbaseurl=http://a.example\nexcludepkgs=b\n", "cost.repo": "[a]\nbaseurl=http://a.example\ncost=x\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"gpgkey: k": "want one of baseurl, mirrorlist, metalink and repofile",
		"baseurl: http://a.example\nrepofile: v.repo\ngpgkey: k":                             "want one of",
		"baseurl: http://a.example":                                                          "gpgkey: name the keys that may sign it",
		"baseurl: ftp://a.example\ngpgkey: k":                                                "scheme",
		"baseurl: http://a.example/?x\ngpgkey: k":                                            "no query",
		"baseurl: http://a.example\nrepoids: a\ngpgkey: k":                                   "repoids: are of a repofile",
		"baseurl: http://a.example/$releasever\ngpgkey: k":                                   "$releasever: no value",
		"baseurl: http://a.example\ngpgkey: https://a.example/k":                             "{url: https://a.example/k, fingerprint: ...}",
		"baseurl: http://a.example\ngpgkey: {url: 'https://a.example/k'}":                    "needs fingerprint",
		"baseurl: http://a.example\ngpgkey: {url: 'https://a.example/k', fingerprint: 12}":   "want text",
		"baseurl: http://a.example\ngpgkey: {url: 'https://a.example/k', fingerprint: '12'}": "40 or 64",
		"baseurl: http://a.example\ngpgkey: k\nmode: other":                                  "verbatim or rebuilt",
		"baseurl: http://a.example\ngpgkey: k\nmode: verbatim\npackages: a":                  "need rebuilt",
		"baseurl: http://a.example\ngpgkey: k\nnewest: -1":                                   "newest",
		"baseurl: http://a.example\ngpgkey: k\nrecommends: true":                             "no packages are chosen",
		"baseurl: http://a.example\ngpgkey: k\nsources: true":                                "sources",
		"baseurl: http://a.example\ngpgkey: k\narchitectures: ../x":                          "no name",
		"repofile: gone.repo\ngpgkey: k":                                                     "gone.repo",
		"repofile: https://a.example/x.repo\ngpgkey: k":                                      "so look at it first",
		"repofile: v.repo\nrepoids: nix\ngpgkey: k":                                          "which has base, extra",
		"repofile: v.repo\ngpgkey: k":                                                        "v.repo:5",
		"repofile: key.repo":                                                                 "a URL alone proves nothing",
		"repofile: off.repo\ngpgkey: k":                                                      "no repository is enabled",
		"repofile: lines.repo\ngpgkey: k":                                                    "lines.repo:2:1",
		"repofile: head.repo\ngpgkey: k":                                                     "before the first",
		"repofile: goes.repo\ngpgkey: k":                                                     "goes on with nothing",
		"repofile: twice.repo\ngpgkey: k":                                                    "occurs twice",
		"repofile: none.repo\ngpgkey: k":                                                     "want baseurl, mirrorlist or metalink",
		"repofile: less.repo\ngpgkey: k\npackages: a":                                        "excludepkgs: set it in the spec",
		"repofile: cost.repo\ngpgkey: k":                                                     "cost: want a number",
	} {
		_, err := newOne(t, dir, text)
		if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot %v\nwant %s", text, err, want)
		}
	}
}

// TestClientFile: what a client gets says no more than there is.
func TestClientFile(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	for more, want := range map[string]string{
		"":                     "\n[epel]\nname=epel\nbaseurl=@BASE@/rpm/epel/\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=@BASE@/keys/epel.asc\n",
		"allow-unsigned: true": "gpgcheck is off.\n\n[epel]\nname=epel\nbaseurl=@BASE@/rpm/epel/\nenabled=1\ngpgcheck=0\nrepo_gpgcheck=1\ngpgkey=@BASE@/keys/epel.asc\n",
		"mode: rebuilt\n  architectures: [x86_64]\n  allow-unsigned: true": "gpgcheck is off.\n\n[epel]\nname=epel\nbaseurl=@BASE@/rpm/epel/\nenabled=1\ngpgcheck=0\nrepo_gpgcheck=1\ngpgkey=@BASE@/keys/demo-site.asc\n",
		"mode: rebuilt\n  architectures: [x86_64]":                         "# Of the keys, /keys/demo-site.asc signs repomd.xml (repo_gpgcheck), and /keys/epel.asc the packages (gpgcheck).\n\n[epel]\nname=epel\nbaseurl=@BASE@/rpm/epel/\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=@BASE@/keys/demo-site.asc\n       @BASE@/keys/epel.asc\n",
	} {
		var repos []bundle.Repository
		for _, r := range mustPlan(t, env, a.spec(more)).Repositories {
			repos = append(repos, bundle.Repository{Name: r.Name, Mode: r.Mode, Mount: r.Mount, Annotations: r.Annotations})
		}
		files, err := clients(t.Context(), repos, nil)
		if err != nil || len(files) != 1 || files[0].Path != "dnf/epel.repo" || !strings.HasSuffix(string(files[0].Content), want) {
			t.Errorf("%v, %v:\n%s", files, err, files[0].Content)
		}
	}
	l := layout{Title: "a\n[evil]\nbaseurl=http://e.example $releasever @BASE@"}
	if text := string(repoFile(bundle.Repository{Name: "x", Mount: "rpm/x"}, "x", []layout{l})); !strings.Contains(text, "\nname=a [evil] baseurl=http://e.example releasever\n") {
		t.Errorf("%s", text)
	}
}

// FuzzRepoFile: no text ends the program; a repository has a name that can be
// part of a path.
func FuzzRepoFile(f *testing.F) {
	f.Add(vendorRepo)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseRepoFile(text, "x.repo")
		if err != nil {
			return
		}
		for _, s := range all {
			if bundle.CheckPath(s.id) != nil {
				t.Errorf("%q", s.id)
			}
		}
	})
}

// FuzzLocation: where a location leads is a path of the repository, or above
// it as far as is allowed, or an address.
func FuzzLocation(f *testing.F) {
	f.Add("Packages/a.rpm", "")
	f.Add("../a%2b.rpm", "")
	f.Add("a.rpm", "https://a.example/b")
	f.Fuzz(func(t *testing.T, href, base string) {
		at, err := locate(href, base)
		if err != nil {
			return
		}
		p := at.path
		for n := climbs(p); n > 0; n-- {
			p = strings.TrimPrefix(p, "../")
		}
		if strings.HasPrefix(p, "/") || strings.Contains("/"+p+"/", "/../") || at.isForeign() != (base != "" || isURL(href)) || at.isForeign() && !isURL(at.url) {
			t.Errorf("%q %q leads to %+v", href, base, at)
		}
	})
}

// What a .repo file hides from a client is carried all the same, and that is said.
func TestIgnoredIsNoted(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	text := "[one]\nbaseurl=" + a.server.URL(a.at) + "\nexcludepkgs=hello\nincludepkgs=data\nsslverify=1\nsslclientcert=/etc/x\nusername=me\n"
	if err := os.WriteFile(filepath.Join(a.dir, "one.repo"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), "repofile: one.repo", 1)
	r := mustPlan(t, newEnv(t, a.dir, nil), spec)
	if notes := strings.Join(r.Repositories[0].Notes, "\n"); !strings.Contains(notes, "excludepkgs, includepkgs of [one] are not followed") {
		t.Error(notes)
	} else if !strings.Contains(notes, "of [one] these are not read, set them under hosts: sslclientcert (client-cert), username (auth: netrc, or basic-env)") {
		t.Error(notes)
	}
	_, err := plan(t, newEnv(t, a.dir, nil), strings.Replace(spec, "gpgkey", "mode: rebuilt\n  gpgkey", 1))
	refused(t, err, bundle.ErrUsage, "[one]: excludepkgs", "set it in the spec")
}
