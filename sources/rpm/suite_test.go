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
			// Another release beside it, with packages of the same names.
			old := &archive{t: t, server: a.server, dir: dir, at: "/epel/8", key: a.key}
			old.Signer = a.key
			old.Packages = []*rpmtest.Package{old.pkg("hello", "1.8", "x86_64"), old.pkg("data", "0.8", "noarch")}
			old.publish()
			spec := func() string {
				return a.spec() + "- name: epel8\n  kind: rpm\n  baseurl: " + a.server.URL("/epel/$releasever") + "\n  vars: {releasever: \"8\"}\n  gpgkey: archive.asc\n"
			}
			_, eve := signers(t)
			payload := map[string][]byte{}
			for _, p := range []string{a.find("Packages/hello"), a.find("Packages/data")} {
				payload[a.at+"/"+p] = a.files[p]
			}
			hello := a.find("Packages/hello")
			own, foreign := pgpkeys.Fingerprint(a.key), pgpkeys.Fingerprint(eve)
			return &sourcetest.Upstream{
				Server: a.server, Sources: spec(), Payload: payload,
				Next: [2]func() string{
					func() string {
						a.Packages = append(a.Packages[1:], a.pkg("hello", "2.11", "x86_64", "libhello.so"))
						a.publish()
						old.Packages = append(old.Packages, old.pkg("late", "1", "noarch"))
						old.publish()
						return spec()
					},
					func() string {
						a.Packages = a.Packages[:2]
						a.publish()
						old.Packages = old.Packages[1:]
						old.publish()
						return spec()
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
