//go:build clients

package imagetest

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// signed pushes an image to registry, signs it there and copies all of it. In
// the old form a signature has a tag that ends with ".sig", in the new one it
// refers to the image; this registry has no referrers API, so by a tag again.
func signed(t *testing.T, w *World, r *runner, registry, name, form string) Image {
	t.Helper()
	at := registry + "/signed/" + form
	if _, err := r.do(t.Context(), "crane", "append", "--oci-empty-base", "-f", "layer.tar", "-t", at+":1"); err != nil {
		t.Fatal(err)
	}
	i := w.Copy(registry, "signed/"+form, name, "1")
	_, err := r.do(t.Context(), "cosign", "sign", "--yes", "--key", "cosign.key", "--tlog-upload=false", "--use-signing-config=false", "--allow-http-registry",
		"--new-bundle-format="+map[string]string{"tag": "false", "referrer": "true"}[form], at+"@"+i.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	tag := strings.Replace(i.Digest.String(), ":", "-", 1) + map[string]string{"tag": ".sig", "referrer": ""}[form]
	w.Copy(registry, "signed/"+form, name, tag)
	return i
}

// TestSignatures: cosign finds what it attached, in both forms, and says no
// to another key.
func TestSignatures(t *testing.T) {
	w := NewWorld(t)
	registry := Registry(t)
	r := newRunner(t)
	r.env = append(r.env, "COSIGN_PASSWORD=")
	for _, args := range [][]string{
		{"cosign", "generate-key-pair"}, {"cosign", "generate-key-pair", "--output-key-prefix", "other"}, {"tar", "-cf", "layer.tar", "-C", "/etc", "os-release"},
	} {
		if _, err := r.do(t.Context(), args[0], args[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]Image{}
	for _, form := range []string{"tag", "referrer"} {
		all[form] = signed(t, w, r, registry, hub+"/signed/"+form, form)
	}
	f := webtest.NewFixture(t)
	f.Publish(w.Files)
	webtest.Each(t, f.Dir, func(t *testing.T, s *webtest.Server) {
		for form, i := range all {
			for _, name := range []string{i.Name, i.Alias} {
				for _, reference := range []string{i.Tag, i.Digest.String()} {
					for key, good := range map[string]bool{"cosign.pub": true, "other.pub": false} {
						ref := Pull{Server: strings.TrimPrefix(s.URL, "http://"), Name: name, Reference: reference}.Ref()
						_, err := r.do(t.Context(), "cosign", "verify", "--key", key, "--insecure-ignore-tlog", "--allow-http-registry", ref)
						if (err == nil) != good {
							t.Errorf("%s, %s, %s: %v", form, key, ref, err)
						}
					}
				}
			}
		}
	})
}
