package oci

import (
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/internal/fetch"
)

// TestAttestationGone: an attestation that an index names and the registry lacks stops
// nothing; an image that it lacks does.
func TestAttestationGone(t *testing.T) {
	w := newWorld(t, t.TempDir())
	amd, arm := w.image("app", "amd64", "a"), w.image("app", "arm64", "b")
	gone := v1.Descriptor{
		MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("gone"), Size: 500, Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"},
		Annotations: map[string]string{"vnd.docker.reference.digest": amd.Digest.String()},
	}
	index := w.index("app", []v1.Descriptor{amd, gone, arm}, "v1")
	dir := w.folder() + "/app"
	for spec, kept := range map[string][]v1.Descriptor{w.spec("images", "images: HOST/app:v1"): {amd, arm, index}, w.spec("images", "images: HOST/app:v1", "platforms: [linux/amd64]"): {amd, index}} {
		tr := w.must(nil, spec)
		want := []string{"manifests/v1"}
		for _, d := range kept {
			want = append(want, "manifests/"+d.Digest.String())
		}
		tr.expect(t, dir, want...)
		if notes := strings.Join(tr.notes, "\n"); !strings.Contains(notes, "left out are "+gone.Digest.String()) {
			t.Errorf("notes: %s", notes)
		}
		again := w.must(tr.base(), spec)
		if notes := strings.Join(again.notes, "\n"); !strings.Contains(notes, "left out are "+gone.Digest.String()) {
			t.Errorf("notes of the next plan: %s", notes)
		}
		if _, err := check(t.Context(), tr); err != nil {
			t.Error(err)
		}
	}
	gone.Platform = &v1.Platform{OS: "linux", Architecture: "ppc64le"}
	w.index("app", []v1.Descriptor{amd, gone}, "v2")
	_, err := w.plan(w.env(nil), w.spec("images", "images: HOST/app:v2"))
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), gone.Digest.String()) {
		t.Error(err)
	}
}
