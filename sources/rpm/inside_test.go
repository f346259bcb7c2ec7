package rpm

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// TestMirrorsThatLeadInside: what a list of mirrors, a metalink or a redirect names is
// upstream's word, and leads to no other port of this machine.
func TestMirrorsThatLeadInside(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	inside := upstreamtest.New(t)
	for name, content := range a.files {
		inside.Put("/r/"+name, content)
	}
	address := inside.URL("/r")
	repomd := a.files["repodata/repomd.xml"]
	a.server.Put("/list", []byte(address+"\n"))
	a.server.Put("/metalink", []byte(fmt.Sprintf(`<?xml version="1.0"?><metalink version="3.0" xmlns="http://www.metalinker.org/"><files><file name="repomd.xml"><size>%d</size><verification><hash type="sha256">%s</hash></verification><resources><url protocol="http" type="http" preference="100">%s/repodata/repomd.xml</url></resources></file></files></metalink>`,
		len(repomd), bundle.DigestOf(repomd).Hex(), address)))
	a.server.FailAlways("/moved/repodata/repomd.xml", func(http.Handler) http.Handler {
		return http.RedirectHandler(address+"/repodata/repomd.xml", http.StatusFound)
	})
	for name, line := range map[string]string{
		"mirrorlist": "mirrorlist: " + a.server.URL("/list"), "metalink": "metalink: " + a.server.URL("/metalink"), "redirect": "baseurl: " + a.server.URL("/moved"),
	} {
		spec := strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), line, 1)
		_, err := plan(t, newEnv(t, a.dir, nil), spec)
		if !errors.Is(err, fetch.ErrRefused) || name != "redirect" && !errors.As(err, new(*fetch.AddressError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := inside.AllRequests(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// TestPackagesOnAnotherHost: xml:base leads to the hosts that the spec allows, and no further.
func TestPackagesOnAnotherHost(t *testing.T) {
	a := newArchive(t, t.TempDir())
	other := upstreamtest.New(t)
	p := a.Packages[0]
	p.Base = other.URL("/r")
	a.publish()
	other.Put("/r/Packages/"+p.FileName(), p.Build(t))
	env := newEnv(t, a.dir, nil)
	env.Site = siteKey(t)
	_, err := plan(t, env, a.spec("mode: rebuilt", "architectures: [x86_64]"))
	if !errors.As(err, new(*fetch.RedirectError)) || !strings.Contains(err.Error(), p.Name) || other.AllRequests() != 0 {
		t.Errorf("%v, %d requests", err, other.AllRequests())
	}
	env = naming(t, other, a.dir, nil)
	env.Site = siteKey(t)
	collectAll(t, mustPlan(t, env, a.spec("mode: rebuilt", "architectures: [x86_64]")))
}
