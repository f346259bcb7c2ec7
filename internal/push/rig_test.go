package push_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/goleak"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/push"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	fake "github.com/gapbundle/gapbundle/internal/test/registrytest"
	"github.com/gapbundle/gapbundle/unpack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// content is a repository below /v2/ in the making.
type content struct {
	files, types map[string]string
}

func newContent() *content { return &content{map[string]string{}, map[string]string{}} }

func (c *content) blob(name string, text string) string {
	c.files[name+"/blobs/"+fake.Digest([]byte(text))] = text
	return descriptor("application/octet-stream", text)
}

func (c *content) manifest(name, mediaType, text string, tags ...string) string {
	for _, reference := range append(tags, fake.Digest([]byte(text))) {
		c.files[name+"/manifests/"+reference] = text
		c.types[name+"/manifests/"+reference] = mediaType
	}
	return descriptor(mediaType, text)
}

func descriptor(mediaType, text string) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, fake.Digest([]byte(text)), len(text))
}

// image adds one with a config and the layers.
func (c *content) image(name string, config string, layers []string, tags ...string) (descriptor, text string) {
	var l []string
	for _, layer := range layers {
		l = append(l, c.blob(name, layer))
	}
	text = fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, ocispec.MediaTypeImageManifest, c.blob(name, config), strings.Join(l, ","))
	return c.manifest(name, ocispec.MediaTypeImageManifest, text, tags...), text
}

func index(children ...string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, ocispec.MediaTypeImageIndex, strings.Join(children, ","))
}

const (
	alpine = "docker.io/library/alpine"
	tool   = "registry.lan_5000/team/tool"
)

// several returns a repository with what a registry may hold: two platforms, an
// index in an index, a signature by tag, a referrer with its tag, an artifact,
// a layer that two images share, a tag that is also without its digest.
func several() *content {
	c := newContent()
	big := string(noise(200_000))
	amd, _ := c.image(alpine, `{"architecture":"amd64"}`, []string{big, "amd layer"})
	arm, _ := c.image(alpine, `{"architecture":"arm64"}`, []string{big, "arm layer"})
	inner := c.manifest(alpine, ocispec.MediaTypeImageIndex, index(amd, arm))
	top := index(inner)
	c.manifest(alpine, ocispec.MediaTypeImageIndex, top, "3.20", "latest")
	c.image(alpine, `{}`, []string{"signature"}, "sha256-"+fake.Digest([]byte(top))[7:]+".sig")
	sbom := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":"application/spdx+json","config":%s,"layers":[%s],"subject":%s}`,
		ocispec.MediaTypeImageManifest, c.blob(alpine, "{}"), c.blob(alpine, "sbom"), descriptor(ocispec.MediaTypeImageIndex, top))
	referrer := c.manifest(alpine, ocispec.MediaTypeImageManifest, sbom)
	c.manifest(alpine, ocispec.MediaTypeImageIndex, index(referrer), "sha256-"+fake.Digest([]byte(top))[7:])
	c.image(tool, `{"architecture":"amd64"}`, []string{big}, "v1")
	return c
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// publish imports what is given as sets into a mirror.
func publish(t *testing.T, sets map[string]*content) (*unpack.Mirror, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mirror")
	m, err := unpack.Create(dir, unpack.Options{Now: func() time.Time { return time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	for set, c := range sets {
		imported(t, m, bundletest.New(t, set), c)
	}
	return m, dir
}

func imported(t *testing.T, m *unpack.Mirror, e *bundletest.Exporter, c *content) {
	t.Helper()
	repo := bundletest.Repository{Name: "images", Mount: "v2", Kind: "oci", Files: c.files, MediaTypes: c.types}
	made := e.Export(t, []bundletest.Repository{repo}, bundletest.Options{})
	check(t, m.Trust().Update(t.Context(), "trust add", e.Trust))
	_, err := m.Receive(t.Context(), made.Dirs, unpack.ImportOptions{})
	check(t, err)
}

func published(t *testing.T, m *unpack.Mirror) push.Published {
	t.Helper()
	tree, err := m.Tree("")
	if err != nil {
		t.Fatal(err)
	}
	return push.Published{Tree: tree, Repositories: tree.Repositories()}
}

// rig is a registry and a client for it.
type rig struct {
	*fake.Registry
	client *registry.Client
	o      push.Options
}

func newRig(t *testing.T, o fake.Options) *rig {
	t.Helper()
	r := &rig{Registry: fake.New(t, o)}
	c, err := fetch.New(fetch.Options{
		Hosts: map[string]fetch.HostOptions{r.Host(): {CA: r.CA()}}, Home: t.TempDir(), Env: func(string) string { return "" },
		Wait: func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if r.client, err = registry.New(c, registry.Options{}); err != nil {
		t.Fatal(err)
	}
	r.o.Registry = r.Host()
	return r
}

// writes returns how many requests were made that change something.
func (r *rig) writes(t *testing.T, names ...string) int {
	t.Helper()
	n := 0
	for _, name := range names {
		for _, path := range []string{"/v2/" + name + "/blobs/uploads/"} {
			n += r.Requests(path)
		}
		for _, tag := range append(r.Tags(name), r.Digests(name)...) {
			for _, seen := range r.Seen("/v2/" + name + "/manifests/" + tag) {
				if seen.Method == http.MethodPut {
					n++
				}
			}
		}
	}
	return n
}

// same compares a repository of the registry with what the mirror has.
func (r *rig) same(t *testing.T, c *content, image, target string) {
	t.Helper()
	for path, text := range c.files {
		name, area, reference := split(path)
		if name != image {
			continue
		}
		if area == "blobs" {
			if string(r.Blob(target, reference)) != text {
				t.Errorf("%s: blob %s is missing or another", target, reference)
			}
			continue
		}
		if got, mediaType := r.Manifest(target, reference); string(got) != text || mediaType != c.types[path] {
			t.Errorf("%s: manifest %s is %q, %s", target, reference, got, mediaType)
		}
	}
}

func split(path string) (name, area, reference string) {
	parts := strings.Split(path, "/")
	n := len(parts)
	return strings.Join(parts[:n-2], "/"), parts[n-2], parts[n-1]
}
