package apt

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// signedAlways is why the suite has no unsigned form of an archive.
const signedAlways = "a Release without a signature by one of signed-by is refused, and no option allows it"

func TestSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind()}, Counted: "packages", Signed: signedAlways,
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			a := newArchive(t, dir)
			a.publish()
			payload := map[string][]byte{}
			for _, p := range []string{a.pool("main", "hello", "2.10-3", "amd64"), a.pool("contrib", "extra", "1.0~rc1+b1", "amd64")} {
				payload[a.at+"/"+p] = a.body(p)
			}
			eve := plantest.NewSigner(t, "eve", 0)
			inRelease := a.server.URL(a.base() + "InRelease")
			return &sourcetest.Upstream{
				Server: a.server, Sources: a.spec(), Payload: payload,
				Next: [2]func() string{
					func() string {
						a.packages["main amd64"] = append(a.packages["main amd64"][1:], pkg("hello", "2.11-1", "amd64", "Depends: libhello"))
						a.publish()
						return a.spec()
					},
					func() string {
						delete(a.packages, "contrib amd64")
						a.publish()
						return a.spec()
					},
				},
				Nothing: []sourcetest.Nothing{
					{Sources: a.spec("components: [nosuch]"), Names: []string{"nosuch", "main"}},
					{Sources: a.spec("architectures: [s390x]"), Names: []string{"s390x", "amd64"}},
				},
				Forgeries: []sourcetest.Forgery{
					{Name: "signed by somebody else", Do: func() {
						trusted := a.signer
						a.signer = eve
						a.publish()
						a.signer = trusted
					}, Class: fetch.ErrRefused, Names: []string{inRelease, pgpkeys.Fingerprint(eve), pgpkeys.Fingerprint(a.signer)}},
					{Name: "index replaced", Do: func() {
						a.byHash = false
						a.publish()
						a.server.Put(a.base()+"main/binary-amd64/Packages.gz", upstreamtest.Gzip([]byte("Package: evil\n")))
					}, Class: fetch.ErrUpstream, Names: []string{inRelease, "main/binary-amd64/Packages.gz"}},
					{Name: "index gone", Do: func() {
						a.byHash = false
						a.publish()
						a.server.Remove(a.base() + "main/binary-amd64/Packages.gz")
					}, Class: fetch.ErrUpstream, Names: []string{"main/binary-amd64/Packages"}},
					{Name: "package gone", Do: func() { a.server.Remove(a.at + "/" + a.pool("main", "hello", "2.10-3", "amd64")) },
						Class: fetch.ErrUpstream, Names: []string{a.pool("main", "hello", "2.10-3", "amd64")}},
				},
			}
		},
	})
}

// TestSuiteRebuilt: two releases side by side, of which packages are chosen
// with what they depend on.
func TestSuiteRebuilt(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind()}, Counted: "packages", Signed: signedAlways,
		Site: true, FirstAlone: true,
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			r := newTwoReleases(t, dir)
			return &sourcetest.Upstream{
				Server: r.new.server, Sources: r.spec("hello", "data"), Payload: r.payload(),
				Next:      [2]func() string{r.second, r.third},
				Forgeries: r.forgeries(), Nothing: r.nothing(),
			}
		},
	})
}

// twoReleases are those of two systems, with packages of the same names.
type twoReleases struct{ new, old *archive }

func newTwoReleases(t testing.TB, dir string) *twoReleases {
	r := &twoReleases{new: newArchive(t, dir)}
	old := *r.new
	r.old = &old
	r.new.suite, r.new.fields = "trixie", "Origin: Test\nSuite: stable\nCodename: trixie\nDate: Sat, 31 Oct 2026 12:00:00 UTC\n"
	r.new.extra = map[string]string{"main/i18n/Translation-en": ""}
	r.new.packages = map[string][]string{"main amd64": {
		pkg("hello", "2.10", "amd64", "Depends: libhello (>= 2)"), pkg("libhello", "2.10", "amd64", ""), pkg("data", "1", "all", ""), pkg("dpkg", "1.22", "amd64", ""),
	}}
	r.old.at, r.old.suite, r.old.fields = "/old", "bookworm", "Origin: Other\nSuite: oldstable\nCodename: bookworm\nDate: Sat, 31 Oct 2026 11:00:00 UTC\n"
	r.old.extra = r.new.extra
	r.old.packages = map[string][]string{"main amd64": {
		pkg("hello", "1.8", "amd64", "Depends: libold"), pkg("libold", "1", "amd64", ""), pkg("data", "0.8", "all", ""), pkg("dpkg", "1.21", "amd64", ""),
	}}
	for _, a := range []*archive{r.new, r.old} { // a system has more than the component of its dpkg
		a.packages["universe amd64"] = []string{pkg("game", "1", "amd64", "")}
	}
	r.publish()
	return r
}

func (r *twoReleases) publish() {
	r.new.publish()
	r.old.publish()
}

// spec has a source for each release.
func (r *twoReleases) spec(packages ...string) string {
	lines := []string{"packages: [" + strings.Join(packages, ", ") + "]"}
	return r.new.spec(append(lines, "suites: trixie")...) +
		strings.Replace(r.old.spec(append(lines, "suites: bookworm", "base: vendors", "at: old/deb", "as: old.list")...), "name: os", "name: old", 1)
}

func (r *twoReleases) payload() map[string][]byte {
	all := map[string][]byte{}
	for _, p := range []struct {
		a                   *archive
		name, version, arch string
	}{
		{r.new, "hello", "2.10", "amd64"}, {r.new, "libhello", "2.10", "amd64"}, {r.new, "data", "1", "all"},
		{r.old, "hello", "1.8", "amd64"}, {r.old, "libold", "1", "amd64"}, {r.old, "data", "0.8", "all"},
	} {
		path := p.a.pool("main", p.name, p.version, p.arch)
		all[p.a.at+"/"+path] = p.a.body(path)
	}
	return all
}

// second brings a newer hello for both, which needs something new in one.
func (r *twoReleases) second() string {
	r.new.packages["main amd64"] = append(r.new.packages["main amd64"][1:], pkg("hello", "2.11", "amd64", "Depends: libhello"))
	r.old.packages["main amd64"] = append(r.old.packages["main amd64"][1:], pkg("hello", "1.9", "amd64", "Depends: late"), pkg("late", "1", "all", ""))
	r.publish()
	return r.spec("hello", "data")
}

// third has no hello any more.
func (r *twoReleases) third() string {
	r.new.packages["main amd64"] = r.new.packages["main amd64"][:3]
	r.old.packages["main amd64"] = r.old.packages["main amd64"][:3]
	r.publish()
	return r.spec("data")
}

// nothing returns choices of packages that match none.
func (r *twoReleases) nothing() []sourcetest.Nothing {
	one := func(names []string, lines ...string) sourcetest.Nothing {
		return sourcetest.Nothing{Sources: r.new.spec(append(lines, "suites: trixie")...), Names: names}
	}
	return []sourcetest.Nothing{
		one([]string{"nosuch*", "there are data, dpkg"}, "packages: [hello, \"nosuch*\"]"),
		one([]string{"hello=9.9", "2.10"}, "packages: [hello=9.9]"),
		one([]string{"section nosuch"}, "sections: [nosuch]"),
		one([]string{"exclude", "*"}, "packages: [hello]", "exclude: [\"*\"]"),
		one([]string{"nosuch", "main"}, "components: [nosuch]"),
		one([]string{"s390x", "amd64"}, "architectures: [s390x]"),
	}
}

func (r *twoReleases) forgeries() []sourcetest.Forgery {
	a := r.old
	eve := plantest.NewSigner(a.t, "eve", 0)
	inRelease := a.server.URL(a.base() + "InRelease")
	return []sourcetest.Forgery{
		{Name: "signed by somebody else", Do: func() {
			trusted := a.signer
			a.signer = eve
			a.publish()
			a.signer = trusted
		}, Class: fetch.ErrRefused, Names: []string{inRelease, pgpkeys.Fingerprint(eve), pgpkeys.Fingerprint(a.signer)}},
		{Name: "index replaced", Do: func() {
			a.byHash = false
			a.publish()
			a.server.Put(a.base()+"main/binary-amd64/Packages.gz", upstreamtest.Gzip([]byte("Package: evil\n")))
		}, Class: fetch.ErrUpstream, Names: []string{inRelease, "main/binary-amd64/Packages.gz"}},
		{Name: "dependency gone", Do: func() { a.server.Remove(a.at + "/" + a.pool("main", "libold", "1", "amd64")) },
			Class: fetch.ErrUpstream, Names: []string{a.pool("main", "libold", "1", "amd64")}},
	}
}
