package apt

import (
	"crypto/sha512"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// bySHA512 makes an archive whose Release and stanzas have SHA-512 and nothing else.
func bySHA512(t *testing.T) *archive {
	a := newArchive(t, t.TempDir())
	a.change = func(release string) string {
		return regexp.MustCompile(`(?m)^(MD5Sum|SHA256):\n(?: .*\n)*`).ReplaceAllString(release, "")
	}
	a.publish()
	for key, stanzas := range a.packages {
		component, _, _ := strings.Cut(key, " ")
		for i, stanza := range stanzas {
			text := a.stanza(component, stanza)
			path := regexp.MustCompile(`Filename: (.*)`).FindStringSubmatch(text)[1]
			digest := sha512.Sum512(a.body(path))
			stanzas[i] = regexp.MustCompile(`SHA256: .*`).ReplaceAllString(text, "SHA512: "+hex.EncodeToString(digest[:]))
		}
	}
	a.publish()
	return a
}

// TestSHA512Alone: apt takes a repository without SHA-256, whole and in part; what comes is
// compared, and its SHA-256 is that of the mirror's lists.
func TestSHA512Alone(t *testing.T) {
	for _, more := range []string{"components: [main, contrib]", "packages: [hello]"} {
		a := bySHA512(t)
		env := plantest.NewEnv(t, a.dir, nil)
		env.Site, _ = siteKey(t)
		r, err := plan(t, env, a.spec(more))
		if err != nil {
			t.Fatal(err)
		}
		tr := collectAll(t, r)
		if _, err := check(t.Context(), tr); err != nil {
			t.Error(err)
		}
		if f := tr.files["os"]["pool/main/hello/hello_2.10-3_amd64.deb"]; f.Digest.IsZero() {
			t.Errorf("%s: hello: %+v", more, f)
		}
		byHash, folder := 0, "dists/stable/main/binary-amd64/by-hash/SHA512/"
		for path := range tr.files["os"] {
			if strings.HasPrefix(path, folder) {
				byHash++
			}
		}
		if more == "components: [main, contrib]" && byHash != 1 {
			t.Errorf("%d files in %s", byHash, folder)
		}
		env.Base = plantest.Record(t, r)
		a.server.ResetCounts()
		if _, err := plan(t, env, a.spec(more)); err != nil || a.server.AllRequests() != 1 {
			t.Errorf("%s: nothing changed: %d requests, %v", more, a.server.AllRequests(), err)
		}
	}
}

// TestSHA512Refuses: content of another checksum, and an index or a package without any that
// apt would take.
func TestSHA512Refuses(t *testing.T) {
	a := bySHA512(t)
	a.byHash = false
	a.publish()
	a.server.Put(a.base()+"main/binary-amd64/Packages.gz", upstreamtest.Gzip([]byte("Package: evil\n")))
	refused(t, a, false, fetch.ErrUpstream, []string{"main/binary-amd64/Packages.gz", "sha512:"})

	a = bySHA512(t)
	path := a.pool("main", "hello", "2.10-3", "amd64")
	a.server.Put(a.at+"/"+path, []byte(strings.Repeat("x", len(a.body(path)))))
	r, err := plan(t, plantest.NewEnv(t, a.dir, nil), a.spec())
	if err != nil {
		t.Fatal(err)
	}
	c, err := plantest.Artifacts(t, r, "os")[path].Open(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = c.Body.Read(make([]byte, 4096))
	}
	if !strings.Contains(err.Error(), "sha512:") {
		t.Errorf("another content of a package: %v", err)
	}

	a = bySHA512(t)
	a.change = func(release string) string {
		return regexp.MustCompile(`(?m)^SHA(256|512):\n(?: .*\n)*`).ReplaceAllString(release, "")
	}
	a.publish()
	refused(t, a, false, fetch.ErrUpstream, []string{"neither SHA256 nor SHA512", "Packages"})
	for _, with := range []string{"SHA1: 0123", "SHA512: 0123"} {
		a = bySHA512(t)
		for i, stanza := range a.packages["main amd64"] {
			a.packages["main amd64"][i] = regexp.MustCompile(`SHA512: .*`).ReplaceAllString(stanza, with)
		}
		a.publish()
		refused(t, a, false, fetch.ErrUpstream, []string{path})
		refused(t, a, true, fetch.ErrUpstream, []string{path}, "packages: hello")
	}
}
