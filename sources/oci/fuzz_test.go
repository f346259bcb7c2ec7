package oci

import (
	"errors"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/registry"
)

// FuzzManifest: what is accepted is an index or an image and not both, and
// every digest in it can be a path.
func FuzzManifest(f *testing.F) {
	d := `{"mediaType":"` + v1.MediaTypeImageManifest + `","digest":"sha256:` + strings.Repeat("ab", 32) + `","size":2,"platform":{"os":"linux","architecture":"amd64"}}`
	f.Add([]byte(`{"schemaVersion":2,"config":`+d+`,"layers":[`+d+`]}`), v1.MediaTypeImageManifest)
	f.Add([]byte(`{"schemaVersion":2,"manifests":[`+d+`]}`), v1.MediaTypeImageIndex)
	f.Add([]byte(`{"blobs":[`+d+`],"subject":`+d+`}`), mediaTypeArtifact)
	f.Add([]byte(`{"schemaVersion":1}`), registry.DockerManifest)
	f.Fuzz(func(t *testing.T, b []byte, told string) {
		m, err := parseManifest(b, told)
		if err != nil {
			if !errors.Is(err, errFormat) && !errors.Is(err, errSchema1) {
				t.Errorf("%v: of no class", err)
			}
			return
		}
		if m.index != isIndexType(m.mediaType) || m.index && len(m.layers) > 0 {
			t.Errorf("%s: index %v, %d layers", m.mediaType, m.index, len(m.layers))
		}
		for _, c := range m.children {
			if digestOf(c).IsZero() || c.Size < 0 || bundle.CheckPath("x/blobs/"+string(c.Digest)) != nil {
				t.Errorf("accepted %+v", c)
			}
		}
		kept, absent := m.chosen(platforms{{os: "linux", arch: "amd64"}})
		if len(kept)+len(absent) != len(m.children) {
			t.Errorf("%d of %d kept, %d absent", len(kept), len(m.children), len(absent))
		}
	})
}

// FuzzReference: what is accepted is a path, and reads as itself.
func FuzzReference(f *testing.F) {
	for _, s := range []string{"nginx", "docker.io/library/nginx:1.27", "registry.lan:5000/a/b@sha256:" + strings.Repeat("ab", 32), "[::1]:5000/x", "a/manifests/b", "LOCALHOST/x", "x:sha256-" + strings.Repeat("ab", 32) + ".sig"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRef(s)
		if err != nil {
			if !errors.Is(err, bundle.ErrUsage) {
				t.Errorf("%v: of no class", err)
			}
			return
		}
		if err := bundle.CheckPath(r.manifestPath("latest")); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		again, err := parseRef(r.String())
		if err != nil || again != r {
			t.Errorf("%s is %s, and that %s (%v)", s, r, again, err)
		}
		if dir, area, reference, ok := splitPath(r.manifestPath("v1")); !ok || dir != r.dir() || area != areaManifests || reference != "v1" {
			t.Errorf("%s: %s is %s, %s, %s", s, r.manifestPath("v1"), dir, area, reference)
		}
	})
}
