package rpm

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func TestSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind()}, Counted: "packages",
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			r := newTwoReleases(t, dir)
			up := r.upstream("", "")
			up.Nothing = []sourcetest.Nothing{{Sources: r.spec("  packages: hello\n  mode: verbatim\n"), Names: []string{"packages", "verbatim"}}}
			return up
		},
	})
}

// TestSuiteRebuilt: the same upstream, of which packages are chosen with what
// they depend on.
func TestSuiteRebuilt(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind()}, Counted: "packages",
		Site: true, FirstAlone: true,
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			return newTwoReleases(t, dir).upstream("  architectures: [x86_64]\n  packages: [hello, data]\n", "  architectures: [x86_64]\n  packages: data\n")
		},
	})
}

// twoReleases are those of an archive side by side, with packages of the
// same names.
type twoReleases struct {
	t        testing.TB
	new, old *archive
}

func newTwoReleases(t testing.TB, dir string) *twoReleases {
	r := &twoReleases{t: t, new: newArchive(t, dir)}
	r.new.publish()
	r.old = &archive{t: t, server: r.new.server, dir: dir, at: "/epel/8", key: r.new.key}
	r.old.Signer = r.new.key
	r.old.Packages = []*rpmtest.Package{r.old.pkg("hello", "1.8", "x86_64", "libold"), r.old.pkg("data", "0.8", "noarch"), r.old.pkg("libold", "1", "x86_64")}
	r.old.publish()
	return r
}

// spec has a source for each release, with further lines.
func (r *twoReleases) spec(more string) string {
	one := func(name, release string) string {
		return "- name: " + name + "\n  kind: rpm\n  baseurl: " + r.new.server.URL("/epel/$releasever") + "\n  vars: {releasever: \"" + release + "\"}\n  gpgkey: archive.asc\n" + more
	}
	return one("epel", "9") + one("epel8", "8") + "  base: fedora\n  at: epel/$releasever\n  repoid: [epel, powertools]\n  as: epel.repo\n"
}

// upstream returns what the suite asks for: more are further lines of each source,
// last those of the third state, in which hello is gone.
func (r *twoReleases) upstream(more, last string) *sourcetest.Upstream {
	a := r.new
	payload := map[string][]byte{}
	for _, p := range []string{a.find("Packages/hello"), a.find("Packages/data")} {
		payload[a.at+"/"+p] = a.files[p]
	}
	for _, p := range []string{r.old.find("Packages/hello"), r.old.find("Packages/libold")} {
		payload[r.old.at+"/"+p] = r.old.files[p]
	}
	return &sourcetest.Upstream{
		Server: a.server, Sources: r.spec(more), Payload: payload,
		Next: [2]func() string{
			func() string {
				a.Packages = append(a.Packages[1:], a.pkg("hello", "2.11", "x86_64", "libhello.so"))
				a.publish()
				r.old.Packages = append(r.old.Packages[1:], r.old.pkg("hello", "1.9", "x86_64", "late"), r.old.pkg("late", "1", "noarch"))
				r.old.publish()
				return r.spec(more)
			},
			func() string {
				a.Packages = a.Packages[:2]
				a.publish()
				r.old.Packages = r.old.Packages[:2]
				r.old.publish()
				return r.spec(last)
			},
		},
		Unsigned: func() string {
			r.new.Signer, r.old.Signer = nil, nil
			r.new.publish()
			r.old.publish()
			return r.spec(more)
		},
		Forgeries: r.forgeries(), Nothing: r.nothing(),
	}
}

// nothing returns choices of packages that match none.
func (r *twoReleases) nothing() []sourcetest.Nothing {
	one := func(more string, names ...string) sourcetest.Nothing {
		return sourcetest.Nothing{Sources: r.spec("  " + strings.ReplaceAll(more, "; ", "\n  ") + "\n"), Names: names}
	}
	return []sourcetest.Nothing{
		one("architectures: [x86_64]; packages: [hello, \"nosuch*\"]", "nosuch*", "hello"),
		one("architectures: [x86_64]; packages: [hello-9.9]", "hello-9.9", "hello-1.8"),
		one("architectures: [x86_64]; packages: hello; exclude: [\"*\"]", "exclude", "*"),
		one("architectures: [x86_64]; exclude: [\"*\"]", "exclude", "*"),
		one("architectures: [x86_64]; packages: hello; exclude: [helo]", "exclude helo", "hello"),
		one("architectures: [x86_64]; exclude: [hello, \"nosuch*\"]", "exclude nosuch*", "hello"),
		one("architectures: [x86_64]; exclude: [hello-9.9]", "exclude hello-9.9", "hello-1.8"),
		one("architectures: [x86_64]; exclude: [hello=9.9]", "exclude hello=9.9", "hello-1.8"),
		one("architectures: [x86_64]; modules: [nosuch]", "nosuch", "modules"),
		one("architectures: [s390x]; packages: hello", "s390x", "x86_64"),
	}
}

func (r *twoReleases) forgeries() []sourcetest.Forgery {
	a := r.new
	_, eve := signers(r.t)
	hello := a.find("Packages/hello")
	own, foreign := pgpkeys.Fingerprint(a.key), pgpkeys.Fingerprint(eve)
	return []sourcetest.Forgery{
		{Name: "repomd signed by somebody else", Do: func() {
			a.Signer = eve
			a.publish()
		}, Class: fetch.ErrRefused, Names: []string{nameSignature, own, foreign}},
		{Name: "metadata replaced", Do: func() {
			a.server.Put(a.at+"/"+a.find("primary"), upstreamtest.Gzip([]byte("<metadata/>")))
		}, Class: fetch.ErrUpstream, Names: []string{nameRepomd, "primary"}},
		{Name: "metadata gone", Do: func() { a.server.Remove(a.at + "/" + a.find("filelists")) },
			Class: fetch.ErrUpstream, Names: []string{"filelists"}},
		{Name: "package signed by somebody else", Do: func() {
			a.Packages[0].Signer = eve
			a.publish()
		}, Class: fetch.ErrRefused, Names: []string{hello, own, foreign[len(foreign)-16:]}},
		{Name: "package not signed", Do: func() {
			a.Packages[0].Form = rpmtest.Unsigned
			a.publish()
		}, Class: fetch.ErrRefused, Names: []string{hello, own, "not signed"}},
		{Name: "payload not what was signed", Do: func() {
			a.Packages[0].Spoil = func(rpm []byte) []byte {
				return []byte(strings.Replace(string(rpm), "hello-2.10-1.el9.x86_64.rpm\n", "jello-2.10-1.el9.x86_64.rpm\n", 1))
			}
			a.publish()
		}, Class: fetch.ErrRefused, Names: []string{hello, "digest"}},
		{Name: "another package under that name", Do: func() {
			p := *a.Packages[0]
			p.Version = "1.0"
			body := p.Build(r.t)
			a.Packages[0].Spoil = func([]byte) []byte { return body }
			a.publish()
		}, Class: fetch.ErrRefused, Names: []string{hello, "hello-1.0-1.el9.x86_64"}},
		{Name: "package gone", Do: func() { a.server.Remove(a.at + "/" + hello) },
			Class: fetch.ErrUpstream, Names: []string{hello}},
	}
}
