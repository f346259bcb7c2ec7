// Package settest is one mirror with two sets, each with an exporter and a key of
// its own: what tests about the reach of a key begin with. Content returns what a set
// honestly has, for a test to change and to export.
//
// It is for tests only.
package settest

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/unpack"
)

// The names of the two sets. The names of their sources begin with the name of the set.
const (
	Alpha = "alpha"
	Beta  = "beta"
)

// SharedImage is an image that both sets have, with the same tag and content.
const SharedImage = "docker.io/library/alpine"

// World is the mirror, its clock and its two exporters.
type World struct {
	*unpack.Mirror
	Dir         string
	Alpha, Beta *bundletest.Exporter
	// Keys are the OpenPGP keys that the sets publish, by the name of the set.
	Keys map[string]Key
	// Now is the mirror's local clock. Import moves it by an hour.
	Now time.Time

	t testing.TB
}

// Empty makes a mirror that trusts both exporters and has nothing yet.
func Empty(t testing.TB) *World {
	t.Helper()
	w := &World{
		t: t, Dir: filepath.Join(t.TempDir(), "mirror"), Now: time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC),
		Alpha: bundletest.New(t, Alpha), Beta: bundletest.New(t, Beta),
		Keys: map[string]Key{Alpha: NewKey(t, false), Beta: NewKey(t, true)},
	}
	w.Reopen(unpack.Options{})
	for _, e := range []*bundletest.Exporter{w.Alpha, w.Beta} {
		w.check(w.Trust().Update(context.Background(), "trust "+e.Set, e.Trust))
	}
	return w
}

// New makes a mirror that has imported a bundle of each set, alpha's first.
func New(t testing.TB) *World {
	t.Helper()
	w := Empty(t)
	for _, set := range []string{Alpha, Beta} {
		made := w.Export(w.Content(set))
		w.Now = w.Now.Add(time.Hour)
		_, err := w.Receive(context.Background(), made.Dirs, unpack.ImportOptions{AcceptKeys: true})
		w.check(err)
	}
	return w
}

func (w *World) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// Reopen opens the mirror again, with other options.
func (w *World) Reopen(o unpack.Options) {
	w.t.Helper()
	o.Now, o.Tool = func() time.Time { return w.Now }, "test"
	o.Built = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m, err := unpack.Create(w.Dir, o)
	w.check(err)
	w.t.Cleanup(func() {
		if err := m.Close(); err != nil {
			w.t.Error(err)
		}
	})
	w.Mirror = m
}

// Exporter returns the exporter of a set.
func (w *World) Exporter(set string) *bundletest.Exporter {
	if set == Beta {
		return w.Beta
	}
	return w.Alpha
}

// Export makes the next bundle of the content's set.
func (w *World) Export(c *Content) bundletest.Made {
	w.t.Helper()
	o := c.Options
	o.Keys = slices.SortedFunc(slices.Values(c.Keys), func(a, b bundle.PublishedKey) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
	return w.Exporter(c.Set).Export(w.t, c.Repositories, o)
}

// Import imports what is in paths, an hour later.
func (w *World) Import(paths ...string) (*unpack.Result, error) {
	w.t.Helper()
	w.Now = w.Now.Add(time.Hour)
	return w.Receive(context.Background(), paths, unpack.ImportOptions{})
}

// Content is what a set exports. Its fields may be changed.
type Content struct {
	Set          string
	Repositories []bundletest.Repository
	Keys         []bundle.PublishedKey
	Options      bundletest.Options
}

// Repository returns the repository of a source, named without the set.
func (c *Content) Repository(name string) *bundletest.Repository {
	for i := range c.Repositories {
		if r := &c.Repositories[i]; r.Name == c.Set+"-"+name || r.Name == name {
			return r
		}
	}
	panic("settest: no repository " + name)
}

// Put adds to a repository one more file, or another content.
func (c *Content) Put(repository, path, content string) {
	c.Repository(repository).Files[path] = content
}

// Drop takes a repository out.
func (c *Content) Drop(name string) {
	c.Repositories = slices.DeleteFunc(c.Repositories, func(r bundletest.Repository) bool {
		return r.Name == c.Set+"-"+name || r.Name == name
	})
}

// PutImage adds to the repository "images" a tag of an image, with all that it needs.
func (c *Content) PutImage(name, tag, layer string) {
	r := c.Repository("images")
	files, types := Image(name, tag, layer)
	maps.Copy(r.Files, files)
	maps.Copy(r.MediaTypes, types)
}

// Content returns what a set has at first: packages for apt and dnf, plain files, images, a
// key, and client files, in mounts of its own and in all that are shared.
func (w *World) Content(set string) *Content {
	key, name := w.Keys[set], func(source string) string { return set + "-" + source }
	keyFile, apt, rpm := name("debs")+".asc", "apt/"+name("debs"), "rpm/"+name("rpms")
	c := &Content{Set: set, Keys: []bundle.PublishedKey{key.At(keyFile, apt, rpm)}}
	c.Repositories = []bundletest.Repository{
		{Name: name("debs"), Kind: "apt", Mount: apt, Files: map[string]string{
			"dists/stable/Release": "Suite: stable, of " + set, "pool/main/a.deb": "a package of " + set,
		}},
		{Name: name("rpms"), Kind: "rpm", Mount: rpm, Files: map[string]string{
			"repodata/repomd.xml": "<repomd/> of " + set, "repodata/repomd.xml.key": key.Armored,
		}},
		{Name: name("tools"), Mount: "files", Files: map[string]string{
			set + ".example/tool": "a tool of " + set, "both.example/tool": "a tool of both",
		}},
		{Name: name("images"), Kind: "oci", Mount: "v2", Files: map[string]string{}, MediaTypes: map[string]string{}},
		{Name: "_keys", Kind: "gapbundle", Mount: "keys", Files: map[string]string{keyFile: key.Armored}},
		{Name: "_clients", Kind: "gapbundle", Mount: "_gapbundle/clients", Files: map[string]string{
			"apt/" + name("debs") + ".sources":  SourcesFile(apt, keyFile),
			"rpm/dnf/" + name("rpms") + ".repo": RepoFile(name("rpms"), rpm, keyFile),
			"files/" + name("tools") + ".txt":   "@BASE@/files/" + set + ".example/tool\n",
			"oci/docker/daemon.json":            `{"registry-mirrors":["@BASE@"]}`,
		}},
	}
	c.PutImage("registry."+set+".example/team/app", "1", "a layer of "+set)
	c.PutImage(SharedImage, "3", "the layer of both")
	return c
}

// SourcesFile returns a client file for apt as the exporter writes one.
func SourcesFile(mount, keyFile string) string {
	local := "/usr/share/keyrings/gapbundle-" + keyFile
	return fmt.Sprintf("#   curl -f -o %s @BASE@/keys/%s\n\nTypes: deb\nURIs: @BASE@/%s/\nSuites: stable\nComponents: main\nArchitectures: amd64\nSigned-By: %s\n",
		local, keyFile, mount, local)
}

// RepoFile returns a client file for dnf as the exporter writes one.
func RepoFile(id, mount, keyFile string) string {
	return fmt.Sprintf("# %s\n\n[%s]\nname=%s\nbaseurl=@BASE@/%s/\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=@BASE@/keys/%s\n", id, id, id, mount, keyFile)
}

// Image returns the files below v2/ of one tag of an image with one layer, and their
// media types.
func Image(name, tag, layer string) (files, types map[string]string) {
	const config = `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`
	describe := func(mediaType, content string) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, bundle.DigestOf([]byte(content)), len(content))
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, manifestType,
		describe("application/vnd.oci.image.config.v1+json", config), describe("application/vnd.oci.image.layer.v1.tar", layer))
	files, types = map[string]string{}, map[string]string{}
	for _, blob := range []string{config, layer} {
		files[name+"/blobs/"+bundle.DigestOf([]byte(blob)).String()] = blob
	}
	for _, reference := range []string{tag, bundle.DigestOf([]byte(manifest)).String()} {
		path := name + "/manifests/" + reference
		files[path], types[path] = manifest, manifestType
	}
	return files, types
}
