package oci

import (
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/test/registrytest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
)

// expect compares the paths of an image with areas and references, "@" for an
// image's digest being "sha256:".
func (tr *tree) expect(t *testing.T, dir string, want ...string) {
	t.Helper()
	var got []string
	for p := range tr.content {
		if rest, ok := strings.CutPrefix(p, dir+"/"); ok && !strings.HasPrefix(rest, areaBlobs) {
			got = append(got, rest)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %s\nwant %s", dir, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// What is pulled is byte for byte what the registry has, in OCI's types and in
// Docker's, an index in an index and an image by digest alone included.
func TestVerbatim(t *testing.T) {
	for _, docker := range []bool{false, true} {
		w := newWorld(t, t.TempDir())
		w.docker = docker
		amd, arm := w.image("a/b", "amd64", "one"), w.image("a/b", "arm64", "two")
		inner := w.index("a/b", []v1.Descriptor{arm})
		outer := w.index("a/b", []v1.Descriptor{amd, inner}, "v1")
		alone := w.image("a/b", "s390x", "three")
		tr := w.must(nil, w.spec("images", "images: [HOST/a/b:v1, 'HOST/a/b@"+alone.Digest.String()+"', 'HOST/a/b:named@"+alone.Digest.String()+"']"))
		dir := w.folder() + "/a/b"
		var want []string
		for _, d := range []v1.Descriptor{amd, arm, inner, outer, alone} {
			want = append(want, "manifests/"+d.Digest.String())
		}
		tr.expect(t, dir, append(want, "manifests/v1", "manifests/named")...)
		for _, d := range []v1.Descriptor{amd, arm, inner, outer, alone} {
			f := tr.files["images"][dir+"/manifests/"+d.Digest.String()]
			upstream, mediaType := w.Manifest("a/b", d.Digest.String())
			if f.MediaType != mediaType || string(tr.content[f.Path]) != string(upstream) {
				t.Errorf("%s: %s is not what the registry has", f.Path, f.MediaType)
			}
		}
		by := tr.found[dir+"/manifests/v1"]
		if by.Annotations["digest"] != outer.Digest.String() || by.Annotations["tag"] != "v1" || by.Vouched != bundle.VouchedNone || !strings.Contains(by.Reason, "images") {
			t.Errorf("evidence of the tag: %+v", by)
		}
		for _, path := range []string{"/manifests/named", "/manifests/" + alone.Digest.String()} {
			if got := tr.found[dir+path].Vouched; got != bundle.VouchedPinned {
				t.Errorf("%s: %s, want pinned", path, got)
			}
		}
	}
}

// Platforms are chosen without changing a digest: the index is there by its
// digest, what it lacks is named, and the tag leads to what was chosen.
func TestPlatforms(t *testing.T) {
	w := newWorld(t, t.TempDir())
	amd, arm, ppc := w.image("app", "amd64", "a"), w.image("app", "arm64", "b"), w.image("app", "ppc64le", "c")
	attestation := w.image("app", "unknown", "statement")
	attestation.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	attestation.Annotations = map[string]string{"vnd.docker.reference.digest": amd.Digest.String()}
	index := w.index("app", []v1.Descriptor{amd, arm, ppc, attestation}, "v1")
	dir := w.folder() + "/app"
	for name, test := range map[string]struct {
		platforms string
		tag       v1.Descriptor
		kept      []v1.Descriptor
		absent    int
		note      string
	}{
		"one":     {"linux/amd64", amd, []v1.Descriptor{amd, attestation, index}, 2, "the tag is " + amd.Digest.String()},
		"two":     {"linux/amd64, linux/arm64/v8", index, []v1.Descriptor{amd, arm, attestation, index}, 1, "1 of its images are left out"},
		"all":     {"linux/amd64, linux/aarch64, linux/ppc64le", index, []v1.Descriptor{amd, arm, ppc, attestation, index}, 0, ""},
		"another": {"linux/arm64", arm, []v1.Descriptor{arm, index}, 3, "left out by platforms linux/arm64"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := w.must(nil, w.spec("images", "images: HOST/app:v1", "platforms: ["+test.platforms+"]"))
			want := []string{"manifests/v1"}
			for _, d := range test.kept {
				want = append(want, "manifests/"+d.Digest.String())
			}
			tr.expect(t, dir, want...)
			if got := tr.files["images"][dir+"/manifests/v1"]; got.Digest.String() != test.tag.Digest.String() {
				t.Errorf("the tag is %s, want %s", got.Digest, test.tag.Digest)
			}
			left, err := absences(tr.files["images"][dir+"/manifests/"+index.Digest.String()].Annotations)
			if err != nil || len(left) != test.absent {
				t.Errorf("absent: %v, %v", left, err)
			}
			if notes := strings.Join(tr.notes, "\n"); !strings.Contains(notes, test.note) || test.note == "" && strings.Contains(notes, "left out") {
				t.Errorf("notes: %s", notes)
			}
			// The same again costs no manifest, and a tag that stays did not move.
			w.ResetCounts()
			env := w.env(tr.base())
			r, err := w.plan(env, w.spec("images", "images: HOST/app:v1", "platforms: ["+test.platforms+"]"))
			if err != nil {
				t.Fatal(err)
			}
			for _, reference := range append([]string{"v1"}, w.Digests("app")...) {
				for _, seen := range w.Seen("/v2/app/manifests/" + reference) {
					if seen.Method != http.MethodHead {
						t.Errorf("%s %s", seen.Method, seen.URL)
					}
				}
			}
			again := w.collect(r)
			if !maps.EqualFunc(tr.files["images"], again.files["images"], func(a, b bundle.File) bool {
				return a.Digest == b.Digest && a.MediaType == b.MediaType && maps.Equal(a.Annotations, b.Annotations)
			}) {
				t.Error("planned from the base, it is another list")
			}
			if strings.Contains(strings.Join(again.notes, "\n"), "moved") {
				t.Errorf("notes: %v", again.notes)
			}
		})
	}
	w.refused(w.spec("images", "images: HOST/app:v1", "platforms: [linux/riscv64]"), bundle.ErrUsage, "app:v1", "linux/riscv64", "linux/ppc64le")
	// Two sources, and what both want of an image together.
	both := w.must(nil, w.spec("one", "images: HOST/app:v1", "platforms: linux/amd64")+w.spec("two", "images: HOST/app:v1", "platforms: linux/arm64"))
	if len(both.files["two"]) != 0 || both.files["one"][dir+"/manifests/"+arm.Digest.String()].Size == 0 {
		t.Errorf("two sources: %v", both.files)
	}
}

// A tag that moved is said, from what to what, and both are by digest.
func TestMovedTag(t *testing.T) {
	w := newWorld(t, t.TempDir())
	first := w.image("app", "amd64", "a")
	w.tagged("app", first, "v1")
	spec := w.spec("images", "images: HOST/app:v1")
	tr := w.must(nil, spec)
	second := w.image("app", "amd64", "a", "b")
	w.tagged("app", second, "v1")
	tr = w.must(tr.base(), spec)
	want := fmt.Sprintf("%s/app:v1: moved from %s to %s", w.Host(), first.Digest, second.Digest)
	if !slices.Contains(tr.notes, want) {
		t.Errorf("notes %q, want %q", tr.notes, want)
	}
}

// What is attached comes along both ways, and what is attached to that.
func TestAttached(t *testing.T) {
	w := newWorld(t, t.TempDir())
	app := w.image("app", "amd64", "a")
	w.tagged("app", app, "v1")
	for _, suffix := range []string{suffixSignature, suffixAttestation, suffixSBOM} {
		w.tagged("app", w.image("app", "unknown", suffix), "sha256-"+app.Digest.Encoded()+suffix)
	}
	w.image("app", "amd64", "stranger")
	sbom := w.refer("app", app, "application/spdx+json", []byte(`{"spdx":1}`))
	proof := w.refer("app", sbom, "application/x-proof", []byte("proof"))
	dir := w.folder() + "/app"
	want := []string{
		"manifests/v1", "manifests/" + app.Digest.String(), "manifests/" + sbom.Digest.String(), "manifests/" + proof.Digest.String(),
		"referrers/" + app.Digest.String(), "referrers/" + sbom.Digest.String(),
	}
	for _, suffix := range []string{suffixSignature, suffixAttestation, suffixSBOM} {
		tag := "sha256-" + app.Digest.Encoded() + suffix
		content, _ := w.Manifest("app", tag)
		want = append(want, "manifests/"+tag, "manifests/"+bundle.DigestOf(content).String())
	}
	tr := w.must(nil, w.spec("images", "images: HOST/app:v1"))
	tr.expect(t, dir, want...)
	listing := tr.files["images"][dir+"/referrers/"+app.Digest.String()]
	m, err := parseManifest(tr.content[listing.Path], listing.MediaType)
	if err != nil || len(m.children) != 1 || m.children[0].Digest != sbom.Digest || m.children[0].ArtifactType != "application/spdx+json" {
		t.Errorf("referrers: %+v, %v", m, err)
	}
	w.must(nil, w.spec("images", "images: HOST/app:v1", "signatures: none")).
		expect(t, dir, "manifests/v1", "manifests/"+app.Digest.String())
}

// Tags are chosen by range, by pattern, and the newest of them.
func TestTags(t *testing.T) {
	w := newWorld(t, t.TempDir())
	for _, tag := range []string{"20240101", "9", "sha256-" + strings.Repeat("ab", 32) + ".sig", "1.7.9", "1.8.0", "v1.9.1", "1.10.0", "2.0.0", "2.1.0-rc1", "latest", "nightly-1"} {
		w.tagged("x/app", w.image("x/app", "amd64", tag), tag)
	}
	for rule, want := range map[string]string{
		`tags: ">=1.8.0 <2"`:                 "1.10.0 1.8.0 v1.9.1",
		`tags: "/^nightly-/"`:                "nightly-1",
		`tags: ">=2"`:                        "2.0.0",
		`tags: "/^(sha|9)/"`:                 "9",
		`tags: [">=2.0.0", "/^latest$/"]`:    "2.0.0 latest",
		`newest: 2`:                          "1.10.0 2.0.0",
		`tags: "^1.0"` + "\n      newest: 1": "1.10.0",
	} {
		tr := w.must(nil, w.spec("images", "repositories:", "  - repository: HOST/x/app", "    "+rule))
		var got []string
		for p := range tr.content {
			if tag, ok := strings.CutPrefix(p, w.folder()+"/x/app/manifests/"); ok && !strings.Contains(tag, ":") {
				got = append(got, tag)
			}
		}
		if slices.Sort(got); strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", rule, got, want)
		}
	}
	w.refused(w.spec("images", "repositories:", "  - repository: HOST/x/app", `    tags: ">=9"`), bundle.ErrUsage, "x/app", "no tag", ">=9")
}

// What is not an image as it should be is refused by name.
func TestHostile(t *testing.T) {
	config := `{"mediaType":"` + v1.MediaTypeImageConfig + `","digest":"sha256:` + strings.Repeat("ab", 32) + `","size":2}`
	for name, test := range map[string]struct {
		mediaType, manifest string
		class               error
		want                string
	}{
		"schema 1":        {mediaTypeSchema1Signed, `{"schemaVersion":1,"fsLayers":[]}`, bundle.ErrUsage, "schema 1"},
		"not JSON":        {v1.MediaTypeImageManifest, `{`, fetch.ErrUpstream, "is not a manifest"},
		"two readings":    {v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + config + `,"manifests":[]}`, fetch.ErrUpstream, "both an index and an image"},
		"another type":    {v1.MediaTypeImageManifest, `{"schemaVersion":2,"mediaType":"` + registry.DockerManifest + `","config":` + config + `}`, fetch.ErrUpstream, "its mediaType is"},
		"digest of words": {v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":{"mediaType":"x/y","digest":"sha256:../../x","size":1},"layers":[]}`, fetch.ErrUpstream, "want sha256"},
		"negative size":   {v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + strings.Replace(config, `"size":2`, `"size":-2`, 1) + `}`, fetch.ErrUpstream, "-2 bytes"},
		"no config":       {v1.MediaTypeImageManifest, `{"schemaVersion":2,"layers":[]}`, fetch.ErrUpstream, "no config"},
		"more behind":     {v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + config + `}{}`, fetch.ErrUpstream, "after its end"},
		"too large":       {v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + config + `}` + strings.Repeat(" ", registry.MaxManifest), fetch.ErrUpstream, "4194304"},
		"a name twice":    {v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + config + `,"config":` + config + `}`, fetch.ErrUpstream, "two ways"},
		"other letters":   {v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + config + `,"Layers":[]}`, fetch.ErrUpstream, `"Layers"`},
		"deep down":       {v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + strings.Replace(config, `"size"`, `"Digest":"x","size"`, 1) + `}`, fetch.ErrUpstream, `"Digest"`},
		"digest of zeros": {v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + strings.Replace(config, strings.Repeat("ab", 32), strings.Repeat("00", 32), 1) + `}`, fetch.ErrUpstream, "want sha256"},
		"foreign layer": {v1.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + config + `,"layers":[` +
			strings.Replace(strings.Replace(config, v1.MediaTypeImageConfig, mediaTypeForeignLayer, 1), "abab", "cdcd", 1) + `]}`, bundle.ErrUsage, "foreign-layers: fetch"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, t.TempDir())
			w.PutManifest("app", test.mediaType, []byte(test.manifest), "v1")
			w.refused(w.spec("images", "images: HOST/app:v1"), test.class, w.Host()+"/app:v1", test.want)
		})
	}
	t.Run("index of itself and of many", func(t *testing.T) {
		w := newWorld(t, t.TempDir())
		d := w.image("app", "amd64", "x")
		for range maxDepth + 2 {
			d = w.index("app", []v1.Descriptor{d}, "v1")
		}
		w.refused(w.spec("images", "images: HOST/app:v1"), fetch.ErrUpstream, "deep")
	})
	t.Run("a size that lies", func(t *testing.T) {
		w := newWorld(t, t.TempDir())
		d := w.image("app", "amd64", "x")
		d.Size++
		w.index("app", []v1.Descriptor{d}, "v1")
		w.refused(w.spec("images", "images: HOST/app:v1"), fetch.ErrUpstream, d.Digest.String(), "as its descriptor states")
	})
}

// A foreign layer is fetched from where its manifest says, by choice.
func TestForeignLayer(t *testing.T) {
	w := newWorld(t, t.TempDir())
	content := noise("foreign", 5000)
	elsewhere := upstreamtest.New(t)
	elsewhere.Put("/layer", content)
	configuration := []byte("{}")
	w.PutBlob("win", configuration)
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: describe(v1.MediaTypeImageConfig, configuration)}
	m.SchemaVersion = 2
	layer := describe(mediaTypeForeignLayer, content)
	layer.URLs = []string{elsewhere.URL("/gone"), elsewhere.URL("/layer")}
	m.Layers = []v1.Descriptor{layer}
	w.PutManifest("win", v1.MediaTypeImageManifest, w.json(m), "v1")
	spec := w.spec("images", "images: HOST/win:v1", "foreign-layers: fetch")
	tr := w.must(nil, spec)
	path := w.folder() + "/win/blobs/" + layer.Digest.String()
	if string(tr.content[path]) != string(content) || tr.found[path].Origin != elsewhere.URL("/gone") {
		t.Errorf("%s: %+v", path, tr.found[path])
	}
	w.must(tr.base(), spec)
	if _, err := w.plan(w.env(tr.base()), w.spec("images", "images: HOST/win:v1")); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("no longer by choice: %v", err)
	}
}

// What a source that is held back has is not made twice, and not otherwise.
func TestHeld(t *testing.T) {
	w := newWorld(t, t.TempDir())
	app := w.image("app", "amd64", "a")
	w.tagged("app", app, "v1")
	w.tagged("app", w.image("app", "amd64", "a", "b"), "v2")
	first := w.must(nil, w.spec("one", "images: HOST/app:v1"))
	env := w.env(nil)
	env.Held = []sources.Held{{Repository: first.repos[0], Files: func() iter.Seq2[bundle.File, error] { return first.Files("one") }}}
	r, err := w.plan(env, w.spec("two", "images: [HOST/app:v1, HOST/app:v2]"))
	if err != nil {
		t.Fatal(err)
	}
	tr := w.collect(r)
	for p := range tr.files["two"] {
		if _, ok := first.files["one"][p]; ok {
			t.Errorf("%s: twice", p)
		}
	}
	w.tagged("app", w.image("app", "amd64", "c"), "v1")
	if _, err := w.plan(env, w.spec("two", "images: HOST/app:v1")); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "held back") {
		t.Errorf("got %v", err)
	}
}

// A tag by which something is attached is not there by the one rule of all kinds: 404,
// 410, and 403, which S3 answers next to what it has. Other answers are errors.
func TestNothingAttached(t *testing.T) {
	for status, absent := range map[int]bool{404: true, 410: true, 403: true, 400: false} {
		w := newWorld(t, t.TempDir())
		app := w.image("app", "amd64", "a")
		w.tagged("app", app, "v1")
		signature := "/v2/app/manifests/" + attachedTag(digestOf(app), suffixSignature)
		w.FailAlways(signature, upstreamtest.Status(status))
		text := w.spec("images", "images: HOST/app:v1")
		if absent {
			w.must(nil, text)
		} else {
			w.refused(text, fetch.ErrUpstream, signature)
		}
	}
}

// A busy registry costs time and nothing else, and a cut blob goes on where it
// was cut.
func TestFaultsThatMend(t *testing.T) {
	w := newWorld(t, t.TempDir())
	app := w.image("app", "amd64", "a")
	w.tagged("app", app, "v1")
	busy := []upstreamtest.Fault{upstreamtest.Status(429, "Retry-After", "1"), upstreamtest.Status(503)}
	for _, path := range []string{"manifests/v1", "manifests/" + app.Digest.String(), "referrers/" + app.Digest.String()} {
		w.Fail("/v2/app/"+path, busy...)
	}
	path := "/v2/app/blobs/" + describe("", noise("a", 3000)).Digest.String()
	w.Fail(path, append(busy, upstreamtest.Cut(2000))...)
	w.must(nil, w.spec("images", "images: HOST/app:v1"))
	if got := w.Bytes(path); got > 3200 {
		t.Errorf("%d bytes were sent for 3000", got)
	}
}

// A mirror is asked before the registry whose images it has.
func TestMirrors(t *testing.T) {
	w, cache := newWorld(t, t.TempDir()), newWorld(t, t.TempDir())
	for _, one := range []struct {
		*world
		name string
	}{{w, "team/app"}, {cache, "hub/team/app"}} {
		one.tagged(one.name, one.image(one.name, "amd64", "a"), "v1")
	}
	tr := w.must(nil, w.spec("images", "images: HOST/team/app:v1", "mirrors: {\"HOST\": [\""+cache.URL("/hub")+"\"]}"))
	if tr.files["images"][w.folder()+"/team/app/manifests/v1"].Size == 0 {
		t.Error("the image does not have the registry's name")
	}
	// That nothing is attached is believed of the registry alone.
	for _, path := range []string{"manifests/v1", "blobs/" + describe("", noise("a", 3000)).Digest.String()} {
		if n := w.Requests("/v2/team/app/" + path); n > 0 {
			t.Errorf("%s: the registry was asked %d times", path, n)
		}
	}
}

// A token that ends between plan and collect, or in the middle of a blob, is
// had again; a login that is wrong is named, and said to nobody.
func TestTokenEndsInMidRun(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.Registry = registrytest.New(t, registrytest.Options{Plain: true, User: "u", Password: "s3cret", Realm: "own"})
	w.tagged("app", w.image("app", "amd64", "a", "b"), "v1")
	if err := os.Mkdir(filepath.Join(w.dir, ".docker"), 0o700); err != nil {
		t.Fatal(err)
	}
	login := func(password string) {
		w.write(".docker/config.json", fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, w.Host(), base64.StdEncoding.EncodeToString([]byte("u:"+password))))
	}
	login("s3cret")
	r, err := w.plan(w.env(nil), w.spec("images", "images: HOST/app:v1"))
	if err != nil {
		t.Fatal(err)
	}
	before := w.Issued()
	w.ExpireTokens()
	w.Fail("/v2/app/blobs/"+describe("", noise("a", 3000)).Digest.String(), upstreamtest.Both(upstreamtest.Do(0, w.ExpireTokens), upstreamtest.Cut(1000)))
	w.collect(r)
	if got := w.Issued(); got < before+2 {
		t.Errorf("%d tokens, then %d", before, got)
	}
	login("wr0ng")
	_, err = w.plan(w.env(nil), w.spec("images", "images: HOST/app:v1"))
	if err == nil || !strings.Contains(err.Error(), "config.json") || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("a wrong login: %v", err)
	}
}

// What cannot be decided, or would have no end, is refused.
func TestRefuses(t *testing.T) {
	w := newWorld(t, t.TempDir())
	one, two := w.image("app", "amd64", "a"), w.image("app", "amd64", "b")
	w.refused(w.spec("images", "images: ['HOST/app:v1@"+one.Digest.String()+"', 'HOST/app:v1@"+two.Digest.String()+"']"),
		bundle.ErrUsage, "app:v1", one.Digest.String(), two.Digest.String())
	// Both would lie in one folder of the mirror.
	w.refused("- name: images\n  kind: oci\n  images: ['a.example:5000/x', 'a.example_5000/x']\n", bundle.ErrUsage)
	configuration := []byte("{}")
	w.PutBlob("many", configuration)
	var all []v1.Descriptor
	for i := range maxManifests + 2 {
		m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: describe(v1.MediaTypeImageConfig, configuration), Annotations: map[string]string{"n": fmt.Sprint(i)}}
		m.SchemaVersion = 2
		content := w.json(m)
		w.PutManifest("many", v1.MediaTypeImageManifest, content)
		all = append(all, describe(v1.MediaTypeImageManifest, content))
	}
	w.index("many", all, "v1")
	w.refused(w.spec("images", "images: HOST/many:v1"), fetch.ErrUpstream, "more than 2000 manifests")
	layer := describe(v1.MediaTypeImageLayer, noise("a", 3000))
	other := layer
	other.Size++
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: describe(v1.MediaTypeImageConfig, configuration), Layers: []v1.Descriptor{layer, other}}
	m.SchemaVersion = 2
	w.PutManifest("twice", v1.MediaTypeImageManifest, w.json(m), "v1")
	w.refused(w.spec("images", "images: HOST/twice:v1"), fetch.ErrUpstream, layer.Digest.String(), "3001")
}

// Nothing is asked about what an attestation in an index may have attached,
// neither when it is read nor when the base has it; and what is attached to
// attachments of attachments is not followed for ever.
func TestAttachedToWhat(t *testing.T) {
	w := newWorld(t, t.TempDir())
	amd := w.image("app", "amd64", "a")
	statement := w.image("app", "unknown", "statement")
	statement.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	w.index("app", []v1.Descriptor{amd, statement}, "v1")
	subject := amd
	for i := range maxAttachment + 2 {
		subject = w.refer("app", subject, "application/x-proof", []byte{byte(i)})
	}
	spec := w.spec("images", "images: HOST/app:v1")
	tr := w.must(nil, spec)
	if notes := strings.Join(tr.notes, "\n"); !strings.Contains(notes, "3 deep and no further") {
		t.Errorf("notes: %s", notes)
	}
	w.must(tr.base(), spec)
	if n := w.Requests("/v2/app/referrers/" + statement.Digest.String()); n > 0 {
		t.Errorf("asked %d times", n)
	}
	// Chosen otherwise than the base has it: read again, and chosen as it is now.
	narrow := w.must(tr.base(), w.spec("images", "images: HOST/app:v1", "platforms: linux/amd64"))
	if f := narrow.files["images"][w.folder()+"/app/manifests/v1"]; f.Digest.String() == amd.Digest.String() {
		t.Error("nothing was left out, and the tag does not lead to the index")
	}
	w.refused(w.spec("images", "images: HOST/app:v1", "platforms: linux/arm64"), bundle.ErrUsage, "linux/amd64")
	if _, err := w.plan(w.env(tr.base()), w.spec("images", "images: HOST/app:v1", "platforms: linux/arm64")); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("from the base: %v", err)
	}
}
