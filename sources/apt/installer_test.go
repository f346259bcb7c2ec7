package apt

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

// installer adds what the Debian installer reads: udebs, of which one has the name of a package,
// and Release with Release.gpg.
func (a *archive) installer() {
	a.t.Helper()
	var text strings.Builder
	for _, name := range []string{"anna", "libhello"} {
		path := "pool/main/" + name + "_9_amd64.udeb"
		body := []byte("udeb " + name)
		a.server.Put(a.at+"/"+path, body)
		fmt.Fprintf(&text, "%sFilename: %s\nSize: %d\nSHA256: %s\n\n", pkg(name, "9", "amd64", "Section: debian-installer"), path, len(body), bundle.DigestOf(body).Hex())
	}
	a.extra["main/debian-installer/binary-amd64/Packages"] = text.String()
	a.detached()
}

// detached puts Release and Release.gpg.
func (a *archive) detached() {
	a.t.Helper()
	r := a.indexes()
	a.server.Put(a.base()+"Release", r)
	a.server.Put(a.base()+"Release.gpg", plantest.Detach(a.t, r, a.signer))
}

// TestInstaller: of suites in installer udebs are carried, and no package is chosen among them.
func TestInstaller(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.installer()
	a.publish()
	const part = "dists/stable/main/debian-installer/binary-amd64/"
	for name, test := range map[string]struct {
		more        []string
		there, gone []string
	}{
		"without":          {nil, []string{"dists/stable/InRelease"}, []string{part + "Packages.gz", "dists/stable/Release", "pool/main/anna_9_amd64.udeb"}},
		"verbatim":         {[]string{"installer: stable"}, []string{part + "Packages.gz", "dists/stable/InRelease", "dists/stable/Release", "dists/stable/Release.gpg", "pool/main/anna_9_amd64.udeb"}, nil},
		"rebuilt":          {[]string{"installer: stable", "packages: [hello]"}, []string{part + "Packages", part + "Packages.gz", part + "Release", "dists/stable/main/binary-amd64/Release", "dists/stable/Release", "pool/main/anna_9_amd64.udeb", "pool/main/libhello_9_amd64.udeb", "pool/main/libhello/libhello_2.10-3_amd64.deb"}, []string{"pool/main/other/other_1_amd64.deb"}},
		"rebuilt, without": {[]string{"packages: [hello]"}, []string{"dists/stable/Release"}, []string{part + "Packages", "dists/stable/main/binary-amd64/Release", "pool/main/anna_9_amd64.udeb"}},
	} {
		paths, _, client := mustPlan(t, a, strings.HasPrefix(name, "rebuilt"), test.more...)
		for _, p := range test.there {
			if !paths[p] {
				t.Errorf("%s: no %s", name, p)
			}
		}
		for _, p := range test.gone {
			if paths[p] {
				t.Errorf("%s: there is %s", name, p)
			}
		}
		if strings.Contains(client, "debian-installer") {
			t.Errorf("%s: apt reads no udebs:\n%s", name, client)
		}
	}
	if text := madeRelease(t, a, "installer: stable", "packages: [hello]"); !strings.Contains(text, "\nComponents: contrib main\n") {
		t.Errorf("Release is\n%s", text)
	}
}

// TestInstallerRefuses: nothing of it, and a Release of another state than InRelease.
func TestInstallerRefuses(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	a.detached()
	refused(t, a, false, bundle.ErrUsage, []string{"source os: installer: ", "debian/ stable has no udebs"}, "installer: stable")
	refused(t, a, false, bundle.ErrUsage, []string{"source os: installer: forky: no suite of the source, there are stable"}, "installer: forky")
	a.installer()
	a.packages["main amd64"] = a.packages["main amd64"][:3]
	a.publish()
	refused(t, a, false, fetch.ErrUpstream, []string{"dists/stable/Release: is of another state than InRelease"}, "installer: stable")
	a.detached()
	mustPlan(t, a, false, "installer: stable")
	a.server.Put(a.base()+"Release.gpg", plantest.Detach(t, []byte("x"), a.signer))
	refused(t, a, false, fetch.ErrRefused, []string{"Release.gpg"}, "installer: stable")
	a.server.Remove(a.base() + "Release.gpg")
	env := plantest.NewEnv(t, a.dir, nil)
	if _, err := plan(t, env, a.spec("installer: stable")); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("no signature: got %v", err)
	}
}
