//go:build clients

package webtest

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/settest"
	"github.com/gapbundle/gapbundle/unpack"
)

// TestASetsReach: whoever has beta's key publishes an image by a name without a registry,
// a tag in alpha's image, files by alpha's names and client files that lead to alpha's
// packages. On every server clients get what they got before.
func TestASetsReach(t *testing.T) {
	w := settest.New(t)
	_, err := w.SetBaseURL(t.Context(), "http://mirror.lan")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := settest.Image(settest.SharedImage, "3", "the layer of both")
	manifest := files[settest.SharedImage+"/manifests/3"]
	sources := strings.ReplaceAll(settest.SourcesFile("apt/alpha-debs", "alpha-debs.asc"), "@BASE@", "http://mirror.lan")
	const clients = "/_gapbundle/clients/"
	asked := []answer{
		{"/v2/" + settest.SharedImage + "/manifests/3", 200, manifest, imageType},
		{"/v2/library/alpine/manifests/3", 200, manifest, imageType},
		{"/v2/library/alpine/tags/list", 200, "{\"name\":\"library/alpine\",\"tags\":[\"3\"]}\n", "application/json"},
		{"/v2/" + settest.SharedImage + "/manifests/4", 404, "", ""},
		{"/v2/library/evil/manifests/1", 404, "", ""},
		{"/v2/team/app/manifests/1", 404, "", ""}, // registry.alpha.example has it, and it is no short name
		{"/files/alpha.example/tool", 200, "a tool of alpha", "application/octet-stream"},
		{"/files/both.example/tool", 200, "a tool of both", "application/octet-stream"},
		{clients + "apt/alpha-debs.sources", 200, sources, "text/plain; charset=utf-8"},
		{clients + "apt/alpha-debs-new.sources", 404, "", ""},
		{clients + "apt/beta-debs-new.sources", 404, "", ""},
		{"/keys/unlisted.asc", 404, "", ""},
	}
	attacks := map[string]func(c *settest.Content){
		"no registry":   func(c *settest.Content) { c.PutImage("library/evil", "1", "evil") },
		"alpha's image": func(c *settest.Content) { c.PutImage(settest.SharedImage, "4", "evil") },
		"alpha's file":  func(c *settest.Content) { c.Put("tools", "alpha.example/tool", "evil") },
		"another type": func(c *settest.Content) {
			c.Repository("tools").MediaTypes = map[string]string{"both.example/tool": "text/html"}
		},
		"alpha's name": func(c *settest.Content) {
			c.Put("_clients", "apt/alpha-debs-new.sources", "URIs: @BASE@/apt/beta-debs/\n")
		},
		"alpha's packages": func(c *settest.Content) {
			c.Put("_clients", "apt/beta-debs-new.sources", "URIs: @BASE@/apt/alpha-debs/\n")
		},
		"unsigned": func(c *settest.Content) {
			c.Put("_clients", "apt/beta-debs-new.sources", "URIs: @BASE@/apt/beta-debs/\nTrusted: yes\n")
		},
		"another key": func(c *settest.Content) { c.Put("_keys", "unlisted.asc", settest.NewKey(t, false).Armored) },
	}
	Each(t, w.Dir, func(t *testing.T, s *Server) {
		testAnswers(t, s, asked)
		for name, attack := range attacks {
			c := w.Content(settest.Beta)
			c.Options.Base = 1
			attack(c)
			if _, err := w.Import(w.Export(c).Dirs...); err == nil {
				t.Errorf("%s: imported", name)
			}
			testAnswers(t, s, asked)
		}
		resp, _ := do(t, s, http.MethodGet, "/v2/library/alpine/manifests/3")
		if got := resp.Header.Get(digestOf); got != bundle.DigestOf([]byte(manifest)).String() {
			t.Errorf("digest %s", got)
		}
		alpha := w.Content(settest.Alpha)
		alpha.Options.Base = 1
		alpha.Put("debs", "pool/main/"+filepath.Base(s.Name)+".deb", s.Name)
		if _, err := w.Import(w.Export(alpha).Dirs...); err != nil {
			t.Error(err)
		}
		testAnswers(t, s, []answer{{fmt.Sprintf("/apt/alpha-debs/pool/main/%s.deb", s.Name), 200, s.Name, "application/vnd.debian.binary-package"}})
	})
}

// TestWithdrawn: on every server what was withdrawn or forgotten is answered with 404 from
// then on, although servers fall back to what was published before, and what the other set
// has is answered as ever. Client files of two sets with one name are both there.
func TestWithdrawn(t *testing.T) {
	w := settest.New(t)
	if _, err := w.SetBaseURL(t.Context(), "http://mirror.lan"); err != nil {
		t.Fatal(err)
	}
	const podman, clients = "oci/podman/registries.conf", "/_gapbundle/clients/"
	bring := func(t *testing.T, set, name string) {
		t.Helper()
		c := w.Content(set)
		c.Put("debs", "pool/main/"+name+".deb", name)
		c.Put("tools", set+".example/"+name, name)
		c.Put("_clients", podman, "of "+set+" @BASE@\n")
		c.PutImage("registry."+set+".example/team/app", name, name)
		c.Options.Full = true
		if _, err := w.Import(w.Export(c).Dirs...); err != nil {
			t.Fatal(err)
		}
	}
	Each(t, w.Dir, func(t *testing.T, s *Server) {
		name := filepath.Base(s.Name)
		bring(t, settest.Alpha, "first-"+name)
		bring(t, settest.Beta, "of-"+name)
		bring(t, settest.Alpha, "bad-"+name)
		places := func(set, name string) []string {
			return []string{"/apt/" + set + "-debs/pool/main/" + name + ".deb", "/files/" + set + ".example/" + name, "/v2/registry." + set + ".example/team/app/manifests/" + name}
		}
		expect := func(status int, paths ...string) {
			t.Helper()
			for _, path := range paths {
				if resp, _ := do(t, s, http.MethodGet, path); resp.StatusCode != status {
					t.Errorf("%s: %d, want %d", path, resp.StatusCode, status)
				}
			}
		}
		good, bad, other := places(settest.Alpha, "first-"+name), places(settest.Alpha, "bad-"+name), places(settest.Beta, "of-"+name)
		expect(http.StatusOK, bad...)
		testAnswers(t, s, []answer{
			{clients + podman, 200, "of alpha http://mirror.lan\n", "text/plain; charset=utf-8"},
			{clients + "_sets/beta/" + podman, 200, "of beta http://mirror.lan\n", "text/plain; charset=utf-8"},
		})
		if _, err := w.Rollback(t.Context(), unpack.RollbackOptions{Set: settest.Alpha, Withdraw: true}); err != nil {
			t.Fatal(err)
		}
		expect(http.StatusNotFound, bad...)
		expect(http.StatusOK, good...)
		expect(http.StatusOK, other...)
		if _, err := w.Forget(t.Context(), settest.Alpha); err != nil {
			t.Fatal(err)
		}
		expect(http.StatusNotFound, good...)
		expect(http.StatusNotFound, clients+"_sets/beta/"+podman)
		expect(http.StatusOK, other...)
		testAnswers(t, s, []answer{{clients + podman, 200, "of beta http://mirror.lan\n", "text/plain; charset=utf-8"}})
		if _, err := w.Forget(t.Context(), settest.Beta); err != nil { // the next server begins with alpha
			t.Fatal(err)
		}
		expect(http.StatusNotFound, other...)
	})
}
