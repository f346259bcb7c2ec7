package rpm

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

func TestSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind()},
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			a := newArchive(t, dir)
			a.publish()
			_, eve := signers(t)
			payload := map[string][]byte{}
			for _, p := range []string{a.find("Packages/hello"), a.find("Packages/data")} {
				payload[a.at+"/"+p] = a.files[p]
			}
			hello := a.find("Packages/hello")
			own, foreign := pgpkeys.Fingerprint(a.key), pgpkeys.Fingerprint(eve)
			return &sourcetest.Upstream{
				Server: a.server, Sources: a.spec(), Payload: payload,
				Next: [2]func() string{
					func() string {
						a.Packages = append(a.Packages[1:], a.pkg("hello", "2.11", "x86_64", "libhello.so"))
						a.publish()
						return a.spec()
					},
					func() string {
						a.Packages = a.Packages[:2]
						a.publish()
						return a.spec()
					},
				},
				Forgeries: []sourcetest.Forgery{
					{Name: "repomd signed by somebody else", Do: func() {
						a.Signer = eve
						a.publish()
					}, Class: fetch.ErrRefused, Names: []string{nameSignature, own, foreign}},
					{Name: "metadata replaced", Do: func() {
						a.server.Put(a.at+"/"+a.find("primary"), rpmtest.GZ(t, []byte("<metadata/>")))
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
						body := p.Build(t)
						a.Packages[0].Spoil = func([]byte) []byte { return body }
						a.publish()
					}, Class: fetch.ErrRefused, Names: []string{hello, "hello-1.0-1.el9.x86_64"}},
					{Name: "package gone", Do: func() { a.server.Remove(a.at + "/" + hello) },
						Class: fetch.ErrUpstream, Names: []string{hello}},
				},
			}
		},
	})
}
