package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/collect"
	"github.com/gapbundle/gapbundle/sources/config"
)

// world is a registry and the folder of a spec that names it.
type world struct {
	*registrytest.Registry
	t   testing.TB
	dir string
	// oci says what is pushed: OCI's media types, else Docker's.
	docker bool
}

func newWorld(t testing.TB, dir string) *world {
	return &world{Registry: registrytest.New(t, registrytest.Options{Plain: true}), t: t, dir: dir}
}

// noise returns n bytes that do not shrink, the same for the same name.
func noise(name string, n int) []byte {
	var seed [32]byte
	copy(seed[:], name)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

func (w *world) types() (index, manifest, config, layer string) {
	if w.docker {
		return registry.DockerManifestList, registry.DockerManifest, "application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"
	}
	return v1.MediaTypeImageIndex, v1.MediaTypeImageManifest, v1.MediaTypeImageConfig, v1.MediaTypeImageLayerZstd
}

func describe(mediaType string, content []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

func (w *world) json(v any) []byte {
	w.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// image puts an image of one platform, with a layer of each name.
func (w *world) image(name, arch string, layers ...string) v1.Descriptor {
	w.t.Helper()
	_, manifestType, configType, layerType := w.types()
	configuration := w.json(v1.Image{Platform: v1.Platform{OS: "linux", Architecture: arch}, Author: strings.Join(layers, " ")})
	w.PutBlob(name, configuration)
	m := v1.Manifest{MediaType: manifestType, Config: describe(configType, configuration)}
	m.SchemaVersion = 2
	for _, l := range layers {
		content := noise(l, 3000)
		w.PutBlob(name, content)
		m.Layers = append(m.Layers, describe(layerType, content))
	}
	content := w.json(m)
	w.PutManifest(name, manifestType, content)
	d := describe(manifestType, content)
	d.Platform = &v1.Platform{OS: "linux", Architecture: arch}
	return d
}

// index puts an index of manifests under tags.
func (w *world) index(name string, manifests []v1.Descriptor, tags ...string) v1.Descriptor {
	w.t.Helper()
	indexType, _, _, _ := w.types()
	i := v1.Index{MediaType: indexType, Manifests: manifests}
	i.SchemaVersion = 2
	content := w.json(i)
	w.PutManifest(name, indexType, content, tags...)
	return describe(indexType, content)
}

// refer puts an artifact that refers to a manifest.
func (w *world) refer(name string, subject v1.Descriptor, artifactType string, content []byte) v1.Descriptor {
	w.t.Helper()
	empty := []byte("{}")
	w.PutBlob(name, empty)
	w.PutBlob(name, content)
	subject.Platform = nil
	m := v1.Manifest{
		MediaType: v1.MediaTypeImageManifest, ArtifactType: artifactType, Config: describe(v1.MediaTypeEmptyJSON, empty),
		Layers: []v1.Descriptor{describe(artifactType, content)}, Subject: &subject,
	}
	m.SchemaVersion = 2
	b := w.json(m)
	w.PutManifest(name, v1.MediaTypeImageManifest, b)
	return describe(v1.MediaTypeImageManifest, b)
}

// tagged puts a manifest that exists under a tag.
func (w *world) tagged(name string, d v1.Descriptor, tag string) {
	content, mediaType := w.Manifest(name, d.Digest.String())
	w.PutManifest(name, mediaType, content, tag)
}

func (w *world) write(name string, content []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), content, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// spec returns a source over the registry, with further lines; HOST stands for it.
func (w *world) spec(name string, lines ...string) string {
	text := "- name: " + name + "\n  kind: oci\n  plain-http: [HOST]\n"
	for _, l := range lines {
		text += "  " + l + "\n"
	}
	return strings.ReplaceAll(text, "HOST", w.Host())
}

// folder returns the registry's part of paths.
func (w *world) folder() string { return hostFolder(w.Host()) }

// env returns what a plan gets; base may be nil.
func (w *world) env(base sources.Base) *sources.Env {
	w.t.Helper()
	client, err := fetch.New(fetch.Options{Env: func(string) string { return "" }, Home: w.dir, Retries: 2, Wait: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	client.Name(upstreamtest.Running()) // layers elsewhere, which no spec of these tests names
	scratch, err := os.OpenRoot(w.t.TempDir())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = scratch.Close() }) // a folder of the test
	return &sources.Env{
		Set: "site", Fetch: client, Base: base, Dir: w.dir, Now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		Scratch: scratch, Log: slog.New(slog.DiscardHandler),
	}
}

func (w *world) plan(env *sources.Env, text string) (*collect.Resolved, error) {
	w.t.Helper()
	w.write("spec.yaml", []byte("version: 1\nname: site\nsources:\n"+text))
	spec, err := config.Load(filepath.Join(w.dir, "spec.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	return collect.Resolve(w.t.Context(), sources.Kinds{Kind()}, spec.Sources, env)
}

// tree is what a plan amounts to once it is collected.
type tree struct {
	repos   []bundle.Repository
	notes   []string
	files   map[string]map[string]bundle.File
	found   map[string]bundle.Evidence
	named   map[string]sources.EntryList
	content map[string][]byte
	// held: no content is at hand.
	held bool
}

func (w *world) collect(r *collect.Resolved) *tree {
	w.t.Helper()
	tr := &tree{files: map[string]map[string]bundle.File{}, found: map[string]bundle.Evidence{}, named: map[string]sources.EntryList{}, content: map[string][]byte{}}
	for _, repo := range r.Repositories {
		tr.repos = append(tr.repos, bundle.Repository{Name: repo.Name, Kind: repo.Kind, Mount: repo.Mount, Annotations: repo.Annotations})
		tr.notes = append(tr.notes, repo.Notes...)
		tr.files[repo.Name] = map[string]bundle.File{}
		for a, err := range repo.Artifacts() {
			if err != nil {
				w.t.Fatal(err)
			}
			c, err := a.Open(w.t.Context(), 0, "")
			if err != nil {
				w.t.Fatal(err)
			}
			b, err := io.ReadAll(c.Body)
			if err := errors.Join(err, c.Body.Close()); err != nil {
				w.t.Fatal(err)
			}
			if a.File.Size != int64(len(b)) || a.File.Digest != bundle.DigestOf(b) {
				w.t.Errorf("%s: %d bytes %s, planned as %d bytes %s", a.File.Path, len(b), bundle.DigestOf(b), a.File.Size, a.File.Digest)
			}
			tr.files[repo.Name][a.File.Path], tr.content[a.File.Path], tr.found[a.File.Path] = a.File, b, a.Evidence
			tr.named[a.File.Path] = a.Entries
		}
	}
	return tr
}

func (tr *tree) Repositories() []bundle.Repository { return tr.repos }

func (tr *tree) Files(repo string) iter.Seq2[bundle.File, error] {
	return func(yield func(bundle.File, error) bool) {
		for _, p := range slices.SortedFunc(maps.Keys(tr.files[repo]), bundle.ComparePaths) {
			if !yield(tr.files[repo][p], nil) {
				return
			}
		}
	}
}

func (tr *tree) Open(_ context.Context, repo, path string) (io.ReadCloser, error) {
	if tr.held {
		return nil, sources.ErrNotAtHand
	}
	if _, ok := tr.files[repo][path]; !ok {
		return nil, fmt.Errorf("%s: %w", path, os.ErrNotExist)
	}
	return io.NopCloser(strings.NewReader(string(tr.content[path]))), nil
}

// base makes the tree what the last export recorded.
func (tr *tree) base() sources.Base { return recorded{tr} }

type recorded struct{ tr *tree }

func (r recorded) Files(repo string) iter.Seq2[sources.Recorded, error] {
	return func(yield func(sources.Recorded, error) bool) {
		for f, err := range r.tr.Files(repo) {
			e := r.tr.found[f.Path]
			if !yield(sources.Recorded{File: f, Origin: e.Origin, Vouched: e.Vouched, Reason: e.Reason}, err) {
				return
			}
		}
	}
}

func (r recorded) Entries(repo string) (iter.Seq2[sources.NamedPath, error], bool) {
	return func(yield func(sources.NamedPath, error) bool) {
		for f, err := range r.tr.Files(repo) {
			if e := r.tr.named[f.Path]; (e != "" || err != nil) && !yield(sources.NamedPath{Path: f.Path, Entries: e}, err) {
				return
			}
		}
	}, true
}

// must plans and collects, and checks what came of it.
func (w *world) must(base sources.Base, text string) *tree {
	w.t.Helper()
	r, err := w.plan(w.env(base), text)
	if err != nil {
		w.t.Fatal(err)
	}
	tr := w.collect(r)
	if _, err := check(w.t.Context(), tr); err != nil {
		w.t.Errorf("check: %v", err)
	}
	return tr
}

// refused plans, which has to end with an error of the class that names all of names.
func (w *world) refused(text string, class error, names ...string) {
	w.t.Helper()
	_, err := w.plan(w.env(nil), text)
	if !errors.Is(err, class) {
		w.t.Errorf("got %v, want %v", err, class)
		return
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), name) {
			w.t.Errorf("%v: does not name %q", err, name)
		}
	}
}

func slicesContain(all []string, s string) bool { return slices.Contains(all, s) }

func isIncomplete(err error, path string) bool {
	return errors.Is(err, bundle.ErrIncomplete) && strings.Contains(err.Error(), path)
}
