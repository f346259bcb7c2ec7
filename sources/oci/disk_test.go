package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// member is a member of an archive that a test writes.
type member struct {
	tar.Header
	content []byte
}

func file(name string, content []byte) member {
	return member{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}, content}
}

func archive(t testing.TB, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	to := tar.NewWriter(&out)
	for _, m := range members {
		if err := to.WriteHeader(&m.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// savedImage returns the members of one image of "docker save", and its line of manifest.json.
func (w *world) savedImage(tags []string, layers ...member) (all []member, line map[string]any) {
	var ids []digest.Digest
	var names []string
	for _, l := range layers {
		content := l.content
		if bytes.HasPrefix(content, []byte("\x1f\x8b")) {
			r, err := gzip.NewReader(bytes.NewReader(content))
			if err != nil {
				w.t.Fatal(err)
			}
			var plain bytes.Buffer
			if _, err := plain.ReadFrom(r); err != nil {
				w.t.Fatal(err)
			}
			content = plain.Bytes()
		}
		ids, names = append(ids, digest.FromBytes(content)), append(names, l.Name)
	}
	config := w.json(map[string]any{"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": ids}})
	name := digest.FromBytes(config).Encoded() + ".json"
	return append([]member{file(name, config)}, layers...), map[string]any{"Config": name, "RepoTags": tags, "Layers": names}
}

// saved returns an archive of "docker save".
func (w *world) saved(lines []map[string]any, members ...member) []byte {
	return archive(w.t, append(members, file("manifest.json", w.json(lines)))...)
}

// layout writes an image layout with blobs and what its index lists.
func (w *world) layout(name string, manifests []v1.Descriptor, blobs ...[]byte) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Join(w.dir, name, "blobs", "sha256"), 0o755); err != nil {
		w.t.Fatal(err)
	}
	for _, b := range blobs {
		w.write(filepath.Join(name, "blobs", "sha256", digest.FromBytes(b).Encoded()), b)
	}
	w.write(filepath.Join(name, v1.ImageLayoutFile), []byte(`{"imageLayoutVersion": "1.0.0"}`))
	index := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: manifests}
	index.SchemaVersion = 2
	w.write(filepath.Join(name, v1.ImageIndexFile), w.json(index))
}

// called gives a descriptor the name that a layout has for it.
func called(d v1.Descriptor, name string) v1.Descriptor {
	if name != "" {
		d.Annotations = map[string]string{v1.AnnotationRefName: name}
	}
	return d
}

// plain returns an image of one layer, as blobs of a layout.
func (w *world) plain(layer string) (d v1.Descriptor, blobs [][]byte) {
	content, config := noise(layer, 2000), w.json(v1.Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Author: layer})
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: describe(v1.MediaTypeImageConfig, config), Layers: []v1.Descriptor{describe(v1.MediaTypeImageLayerZstd, content)}}
	m.SchemaVersion = 2
	b := w.json(m)
	return describe(v1.MediaTypeImageManifest, b), [][]byte{content, config, b}
}

// TestSavedArchive: two images of one archive, with a packed layer, a plain one, one that both
// share by a link; packed as a whole or not; the same digests every time.
func TestSavedArchive(t *testing.T) {
	w := newWorld(t, t.TempDir())
	base, packed := file("aaa/layer.tar", noise("base", 5000)), file("bbb/layer.tar", upstreamtest.Gzip(noise("more", 4000)))
	one, first := w.savedImage([]string{"team/app:v1", "reg.lan:5000/app:stable"}, base, packed)
	link := member{Header: tar.Header{Name: "ccc/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "../aaa/layer.tar"}, content: nil}
	two, second := w.savedImage([]string{"localhost/tool:latest"}, file("ccc/layer.tar", base.content))
	two[1] = link
	content := w.saved([]map[string]any{first, second}, append(one, two...)...)
	w.write("images.tar", content)
	spec := "- {name: ours, kind: oci, archive: images.tar}\n"
	tr := w.must(nil, spec)
	v1Tag := tr.files["ours"]["docker.io/team/app/manifests/v1"]
	if v1Tag.Digest.IsZero() || v1Tag.Digest != tr.files["ours"]["reg.lan_5000/app/manifests/stable"].Digest {
		t.Errorf("two names of one image: %v", tr.files["ours"])
	}
	var m v1.Manifest
	if err := json.Unmarshal(tr.content["docker.io/team/app/manifests/v1"], &m); err != nil {
		t.Fatal(err)
	}
	want := []v1.Descriptor{describe("application/vnd.docker.image.rootfs.diff.tar", base.content), describe("application/vnd.docker.image.rootfs.diff.tar.gzip", packed.content)}
	if !reflect.DeepEqual(m.Layers, want) {
		t.Errorf("layers %+v", m.Layers)
	}
	if e := tr.found["localhost/tool/manifests/latest"]; e.Vouched != bundle.VouchedLocal || e.Origin != "" || !strings.Contains(e.Reason, "archive images.tar") {
		t.Errorf("evidence %+v", e)
	}
	w.write("images.tar", upstreamtest.Gzip(content))
	again := w.must(nil, spec)
	if again.files["ours"]["docker.io/team/app/manifests/v1"].Digest != v1Tag.Digest {
		t.Error("packed, it has another digest")
	}
	if r := w.must(again.base(), spec); r.files["ours"]["docker.io/team/app/manifests/v1"].Digest != v1Tag.Digest {
		t.Error("planned over its base, it has another digest")
	}
}

// TestNamesInStores: what an image of a layout or an archive is called in the mirror, and
// what is refused because nobody could say.
func TestNamesInStores(t *testing.T) {
	w := newWorld(t, t.TempDir())
	a, blobs := w.plain("a")
	b, more := w.plain("b")
	blobs = append(blobs, more...)
	whole := called(a, "v1")
	whole.Annotations["io.containerd.image.name"] = "quay.io/team/app:v1"
	w.layout("one", []v1.Descriptor{called(a, "v1")}, blobs...)
	w.layout("nameless", []v1.Descriptor{a}, blobs...)
	w.layout("two", []v1.Descriptor{called(a, "v1"), called(b, "v2")}, blobs...)
	w.layout("whole", []v1.Descriptor{whole, called(b, "reg.lan/x:2")}, blobs...)
	w.layout("mixed", []v1.Descriptor{called(a, "v1"), b}, blobs...)
	for spec, want := range map[string]string{
		"layout: {dir: one, as: reg.lan/app}":                  "reg.lan/app:v1",
		"layout: {dir: one, as: \"reg.lan/app:9\"}":            "reg.lan/app:9",
		"layout: {dir: nameless, as: reg.lan/app}":             "reg.lan/app:latest",
		"layout: {dir: two, as: reg.lan/app}":                  "reg.lan/app:v1 reg.lan/app:v2",
		"layout: {dir: two, image: v2, as: \"reg.lan/app:x\"}": "reg.lan/app:x",
		"layout: whole":                       "quay.io/team/app:v1 reg.lan/x:2",
		"layout: {dir: whole, as: reg.lan/y}": "reg.lan/y:2 reg.lan/y:v1",
		"layout: {dir: mixed, image: \"" + b.Digest.String() + "\", as: r.b/c}": "r.b/c:latest",
	} {
		tr := w.must(nil, "- {name: ours, kind: oci, "+spec+"}\n")
		var have []string
		for f, err := range tr.Files("ours") {
			if err != nil {
				t.Fatal(err)
			}
			if dir, area, tag, ok := splitPath(f.Path); ok && area == areaManifests && !strings.Contains(tag, ":") {
				have = append(have, dir+":"+tag)
			}
		}
		if got := strings.Join(have, " "); got != want {
			t.Errorf("%s: got %s, want %s", spec, got, want)
		}
	}
	for spec, names := range map[string][]string{
		"layout: one":                              {`"v1" has no name of a repository there: set as`},
		"layout: nameless":                         {a.Digest.String(), "set as"},
		"layout: {dir: mixed, as: r.b/c}":          {b.Digest.String(), "no tag of its own"},
		"layout: {dir: two, as: \"r.b/c:1\"}":      {"as names one image", `"v1", "v2"`},
		"layout: {dir: two, image: v3, as: r.b/c}": {`no image "v3" in it, there are "v1", "v2"`},

		"layout: {dir: two, as: r.b/c}, images: [\"r.b/c:9\"]":                          {"r.b/c:9", "is in layout two too"},
		"layout: [{dir: one, as: \"r.b/c:1\"}, {dir: two, image: v2, as: \"r.b/c:1\"}]": {a.Digest.String(), b.Digest.String()},
	} {
		w.refused("- {name: ours, kind: oci, "+spec+"}\n", bundle.ErrUsage, names...)
	}
}

// TestLayoutAttached: what a layout has that refers to its image comes along, by subject and
// by cosign's tag.
func TestLayoutAttached(t *testing.T) {
	w := newWorld(t, t.TempDir())
	a, blobs := w.plain("a")
	s, more := w.plain("signature")
	sbom, subject := []byte("bill"), a
	empty := []byte("{}")
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, ArtifactType: "application/x-sbom", Config: describe(v1.MediaTypeEmptyJSON, empty), Layers: []v1.Descriptor{describe("application/x-sbom", sbom)}, Subject: &subject}
	m.SchemaVersion = 2
	refers := w.json(m)
	w.layout("l", []v1.Descriptor{called(a, "r.b/c:1"), called(s, "sha256-"+a.Digest.Encoded()+".sig"), describe(v1.MediaTypeImageManifest, refers)}, append(append(blobs, more...), sbom, empty, refers)...)
	tr := w.must(nil, "- {name: ours, kind: oci, layout: l}\n")
	for _, path := range []string{"r.b/c/manifests/sha256-" + a.Digest.Encoded() + ".sig", "r.b/c/referrers/" + a.Digest.String(), "r.b/c/blobs/" + digest.FromBytes(sbom).String()} {
		if _, ok := tr.files["ours"][path]; !ok {
			t.Errorf("without %s", path)
		}
	}
	tr = w.must(nil, "- {name: ours, kind: oci, layout: l, signatures: none}\n")
	if len(tr.files["ours"]) != 4 {
		t.Errorf("signatures: none has %d files, want the image's 4", len(tr.files["ours"]))
	}
}

// TestHostileStores: each is refused by the name of the layout or the archive, and says what
// is wrong with it.
func TestHostileStores(t *testing.T) {
	w := newWorld(t, t.TempDir())
	layer := file("aaa/layer.tar", noise("base", 5000))
	members, line := w.savedImage([]string{"r.b/c:1"}, layer)
	change := func(key string, value any) []map[string]any {
		c := map[string]any{}
		for k, v := range line {
			c[k] = v
		}
		c[key] = value
		return []map[string]any{c}
	}
	good := []map[string]any{line}
	packed := file("aaa/layer.tar", upstreamtest.Gzip(noise("other", 5000)))
	whole := w.saved(good, members...)
	for name, row := range map[string]struct {
		content []byte
		names   []string
	}{
		"no archive":     {[]byte(strings.Repeat("no archive ", 100)), []string{"after 0 members"}},
		"empty":          {nil, []string{"has neither manifest.json nor index.json"}},
		"cut off":        {whole[:3000], []string{"archive x.tar"}},
		"gzip, cut off":  {upstreamtest.Gzip(whole)[:2000], []string{"archive x.tar"}},
		"old docker":     {archive(t, file("repositories", []byte("{}"))), []string{"before 1.10"}},
		"no images":      {w.saved(nil), []string{"0 images"}},
		"layer missing":  {w.saved(good, members[0]), []string{"aaa/layer.tar", "not in it"}},
		"config missing": {w.saved(good, members[1]), []string{".json", "not in it"}},
		"config changed": {w.saved(good, file(members[0].Name, append(bytes.Clone(members[0].content), ' ')), layer), []string{"the archive is damaged"}},
		"more layers":    {w.saved(change("Layers", []string{layer.Name, layer.Name}), members...), []string{"1 layer,"}},
		"another layer":  {w.saved(good, members[0], packed), []string{"unpacks to", "its image wants"}},
		"xz layer":       {w.saved(good, members[0], file("aaa/layer.tar", []byte("\xfd7zXZ\x00 and so on"))), []string{"packed as .xz"}},
		"link in a ring": {w.saved(good, members[0], member{Header: tar.Header{Name: "aaa/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "layer.tar"}}), []string{"links"}},
		"link outside":   {w.saved(good, members[0], member{Header: tar.Header{Name: "aaa/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "../../../etc/passwd"}}), []string{"not in it"}},
		"device":         {w.saved(good, append(members, member{Header: tar.Header{Name: "dev", Typeflag: tar.TypeChar}})...), []string{"type"}},
		"twice":          {w.saved(good, append(members, layer)...), []string{"occurs twice"}},
		"bad name":       {w.saved(change("RepoTags", []string{"UPPER/../x"}), members...), []string{"UPPER/../x"}},
		"no name":        {w.saved(change("RepoTags", nil), members...), []string{"set as"}},
		"no digest":      {archive(t, file("x.json", []byte(`{"rootfs":{"diff_ids":["md5:00"]}}`)), layer, file("manifest.json", []byte(`[{"Config":"x.json","RepoTags":["a:1"],"Layers":["aaa/layer.tar"]}]`))), []string{"md5:00", "want sha256"}},
		"no layout":      {archive(t, file("index.json", []byte("{}"))), []string{"has no oci-layout"}},
	} {
		w.write("x.tar", row.content)
		class := fetch.ErrUpstream
		if name == "bad name" || name == "no name" {
			class = bundle.ErrUsage
		}
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.refused("- {name: ours, kind: oci, archive: x.tar}\n", class, append(row.names, "source ours")...)
		})
	}
	w.t = t
	a, blobs := w.plain("a")
	for name, do := range map[string]func(){
		"blob missing": func() { w.layout("l1", []v1.Descriptor{called(a, "r.b/c:1")}, blobs[1:]...) },
		"blob shorter": func() {
			w.layout("l2", []v1.Descriptor{called(a, "r.b/c:1")}, blobs...)
			w.write("l2/blobs/sha256/"+digest.FromBytes(blobs[0]).Encoded(), blobs[0][1:])
		},
		"other manifest": func() {
			w.layout("l3", []v1.Descriptor{called(a, "r.b/c:1")}, blobs...)
			w.write("l3/blobs/sha256/"+a.Digest.Encoded(), blobs[2][1:])
		},
		"sha512": func() {
			w.layout("l4", []v1.Descriptor{{MediaType: v1.MediaTypeImageManifest, Digest: "sha512:" + digest.Digest(strings.Repeat("ab", 64))}})
		},
		"another version": func() {
			w.layout("l5", []v1.Descriptor{called(a, "r.b/c:1")}, blobs...)
			w.write("l5/oci-layout", []byte(`{"imageLayoutVersion":"2.0.0"}`))
		},
	} {
		do()
		dir := map[string]string{"blob missing": "l1", "blob shorter": "l2", "other manifest": "l3", "sha512": "l4", "another version": "l5"}[name]
		w.refused("- {name: ours, kind: oci, layout: "+dir+"}\n", fetch.ErrUpstream, "layout "+dir)
	}
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, blobs[0], 0o600); err != nil {
		t.Fatal(err)
	}
	w.layout("l6", []v1.Descriptor{called(a, "r.b/c:1")}, blobs[1:]...)
	if err := os.Symlink(outside, filepath.Join(w.dir, "l6/blobs/sha256", digest.FromBytes(blobs[0]).Encoded())); err != nil {
		t.Fatal(err)
	}
	if _, err := w.plan(w.env(nil), "- {name: ours, kind: oci, layout: l6}\n"); err == nil {
		t.Error("a link that leaves the layout was followed")
	}
}
