package helm

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
)

func TestMain(m *testing.M) { helmtest.Main(m) }

// world is a chart repository and a registry on one loopback address each.
type world struct {
	t        testing.TB
	dir      string
	server   *upstreamtest.Server
	registry *registrytest.Registry // nil until one is wanted
	entries  map[string]string      // entries of the index by name-version, YAML of one list item
	packages map[string][]byte      // by name-version
	signer   *openpgp.Entity
}

func newWorld(t testing.TB, dir string) *world {
	return &world{t: t, dir: dir, server: upstreamtest.New(t), entries: map[string]string{}, packages: map[string][]byte{}}
}

// root is where the repository is on the server.
const root = "/charts/"

func (w *world) url(name string) string { return w.server.URL(root + name) }

// chart publishes a package, and an entry of the index for it.
func (w *world) chart(name, version string, content []byte) {
	w.packages[name+"-"+version] = content
	w.server.Put(root+name+"-"+version+".tgz", content)
	w.entries[name+"-"+version] = fmt.Sprintf("name: %s\n    version: %s\n    apiVersion: v2\n    appVersion: 1.10\n    description: \"of %s\"\n    created: \"2026-03-0%dT10:00:00.5Z\"\n    digest: %x\n    urls:\n    - %s-%s.tgz\n",
		name, version, name, 1+len(w.entries)%8, sha256.Sum256(content), name, version)
	w.publish()
}

// simple publishes a chart with one image.
func (w *world) simple(name, version, image string) []byte {
	content := helmtest.Simple(w.t, name, version, image)
	w.chart(name, version, content)
	return content
}

// edit changes the entry of a chart.
func (w *world) edit(id, from, to string) {
	w.t.Helper()
	if !strings.Contains(w.entries[id], from) {
		w.t.Fatalf("%s: no %q in\n%s", id, from, w.entries[id])
	}
	w.entries[id] = strings.ReplaceAll(w.entries[id], from, to)
	w.publish()
}

// publish writes the index.
func (w *world) publish() { w.server.Put(root+"index.yaml", []byte(w.index())) }

// index returns the index of what was published.
func (w *world) index() string {
	byName := map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(w.entries)) {
		name := strings.TrimPrefix(strings.SplitN(w.entries[id], "\n", 2)[0], "name: ")
		byName[name] = append(byName[name], w.entries[id])
	}
	var b strings.Builder
	b.WriteString("apiVersion: v1\nentries:\n")
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		fmt.Fprintf(&b, "  %s:\n", name)
		for _, e := range byName[name] {
			fmt.Fprintf(&b, "  - %s", e)
		}
	}
	b.WriteString("generated: \"2026-03-09T10:00:00Z\"\n")
	return b.String()
}

// prove signs the provenance file of a package.
func (w *world) prove(name, version string, by *openpgp.Entity) {
	w.t.Helper()
	id := name + "-" + version
	text := fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\n\n...\nfiles:\n  %s.tgz: sha256:%x\n", name, version, id, sha256.Sum256(w.packages[id]))
	w.server.Put(root+id+".tgz.prov", plantest.ClearSign(w.t, []byte(text), by))
}

// trust makes a key and the keyring of the spec.
func (w *world) trust() *openpgp.Entity {
	w.signer = plantest.NewSigner(w.t, "charts", 0)
	plantest.WriteKeys(w.t, filepath.Join(w.dir, "charts.asc"), w.signer)
	return w.signer
}

// spec returns a source with these options, one on a line.
func (w *world) spec(options ...string) string {
	text := "- name: charts\n  kind: helm\n  " + strings.Join(options, "\n  ") + "\n"
	text = strings.ReplaceAll(text, "REPO", strings.TrimSuffix(w.url(""), "/"))
	if w.registry != nil {
		text = strings.ReplaceAll(text, "HOST", w.host())
	}
	return text
}

// withRegistry returns a world whose chart repository and registry have one address.
func withRegistry(t testing.TB, dir string) *world {
	w := newWorld(t, dir)
	w.registry = registrytest.New(t, registrytest.Options{Plain: true})
	w.server = w.registry.Server
	return w
}

func (w *world) host() string { return strings.TrimPrefix(w.registry.URL(""), "http://") }

func descriptor(mediaType string, content []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

// image puts an image with one layer.
func (w *world) image(name, tag string) (layer []byte) {
	layer = []byte(strings.Repeat("layer of "+name+":"+tag+"\n", 40))
	config, _ := json.Marshal(v1.Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Author: name})
	w.push(name, tag, v1.MediaTypeImageConfig, config, nil, descriptor(v1.MediaTypeImageLayerGzip, layer), layer)
	return layer
}

func (w *world) push(name, tag, configType string, config []byte, annotations map[string]string, layer v1.Descriptor, content []byte, more ...any) {
	w.registry.PutBlob(name, config)
	w.registry.PutBlob(name, content)
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: descriptor(configType, config), Layers: []v1.Descriptor{layer}, Annotations: annotations}
	for i := 0; i+1 < len(more); i += 2 {
		extra := more[i+1].([]byte)
		w.registry.PutBlob(name, extra)
		m.Layers = append(m.Layers, descriptor(more[i].(string), extra))
	}
	m.SchemaVersion = 2
	text, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	w.registry.PutManifest(name, v1.MediaTypeImageManifest, text, tag)
}

// ociChart puts a chart into the registry.
func (w *world) ociChart(repository, name, version string, content []byte) {
	config := fmt.Appendf(nil, `{"name":%q,"version":%q,"apiVersion":"v2","description":"in a registry"}`, name, version)
	w.push(repository+"/"+name, strings.ReplaceAll(version, "+", "_"), "application/vnd.cncf.helm.config.v1+json", config,
		map[string]string{"org.opencontainers.image.created": "2026-03-08T10:00:00Z"}, descriptor(mediaChart, content), content)
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
