package apt

import (
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func TestSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind()},
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			a := newArchive(t, dir)
			a.publish()
			payload := map[string][]byte{}
			for _, p := range []string{a.pool("main", "hello", "2.10-3", "amd64"), a.pool("contrib", "extra", "1.0~rc1+b1", "amd64")} {
				payload[a.at+"/"+p] = a.body(p)
			}
			eve := newSigner(t, "eve", 0)
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
				Forgeries: []sourcetest.Forgery{
					{Name: "signed by somebody else", Do: func() {
						trusted := a.signer
						a.signer = eve
						a.publish()
						a.signer = trusted
					}, Class: fetch.ErrRefused, Names: []string{inRelease, fingerprint(eve), fingerprint(a.signer)}},
					{Name: "index replaced", Do: func() {
						a.byHash = false
						a.publish()
						a.server.Put(a.base()+"main/binary-amd64/Packages.gz", gz(t, []byte("Package: evil\n")))
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
