package oci

import (
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// configured puts an image with a config of these bytes under a tag.
func (w *world) configured(name, tag string, config []byte) v1.Descriptor {
	w.t.Helper()
	_, manifestType, configType, _ := w.types()
	w.PutBlob(name, config)
	m := v1.Manifest{MediaType: manifestType, Config: describe(configType, config)}
	m.SchemaVersion = 2
	content := w.json(m)
	w.PutManifest(name, manifestType, content, tag)
	return m.Config
}

// archOf returns the platform and the version of each entry of a source.
func archOf(tr *tree) map[string]string {
	all := map[string]string{}
	for _, entries := range tr.named {
		for e := range entries.All() {
			all[e.Version] = e.Arch
		}
	}
	return all
}

// TestPlatformOfOneImage: an image that no index leads to has the platform that its
// config states, in OCI's types and in Docker's. The config is read once, and not again
// where the base has recorded the platform.
func TestPlatformOfOneImage(t *testing.T) {
	for _, docker := range []bool{false, true} {
		w := newWorld(t, t.TempDir())
		w.docker = docker
		config := w.configured("app", "v7", w.json(v1.Image{Platform: v1.Platform{OS: "Linux", Architecture: "arm", Variant: "v7"}}))
		w.tagged("app", w.image("app", "s390x", "one"), "z")
		pinned := w.image("app", "arm64", "two")
		w.index("app", []v1.Descriptor{w.image("app", "amd64", "three"), pinned}, "both")
		text := w.spec("images", "images: [HOST/app:v7, HOST/app:z, HOST/app:both, 'HOST/app@"+pinned.Digest.String()+"']")
		tr := w.must(nil, text)
		want := map[string]string{"v7": "linux/arm/v7", "z": "linux/s390x", "both": "linux/amd64,linux/arm64", pinned.Digest.String(): "linux/arm64"}
		got := archOf(tr)
		for version, arch := range want {
			if got[version] != arch {
				t.Errorf("docker %v: %s is for %q, want %q", docker, version, got[version], arch)
			}
		}
		path := "/v2/app/blobs/" + config.Digest.String()
		if n := w.Requests(path); n != 1 {
			t.Errorf("the config was asked for %d times", n)
		}
		w.ResetCounts()
		r, err := w.plan(w.env(tr.base()), text)
		if err != nil {
			t.Fatal(err)
		}
		if n := w.Requests(path); n != 0 {
			t.Errorf("the config was asked for %d times by a plan whose base has it", n)
		}
		for repo := range slices.Values(r.Repositories) {
			for a, err := range repo.Artifacts() {
				if err != nil || tr.named[a.File.Path] != a.Entries {
					t.Errorf("%s: not named as before: %v", a.File.Path, err)
				}
			}
		}
	}
}

// TestOtherPlatform: an image without an index that is for another platform than the chosen
// ones is reported, also where the base has recorded its platform.
func TestOtherPlatform(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.tagged("app", w.image("app", "s390x", "one"), "z")
	w.tagged("app", w.image("app", "amd64", "two"), "x")
	text := w.spec("images", "images: [HOST/app:x, HOST/app:z]", "platforms: [linux/amd64, linux/arm64]")
	want := w.Host() + "/app:z: is for linux/s390x alone, and platforms has linux/amd64,linux/arm64: it is carried all the same"
	tr := w.must(nil, text)
	for _, notes := range [][]string{tr.notes, w.must(tr.base(), text).notes} {
		if n := len(slices.DeleteFunc(slices.Clone(notes), func(note string) bool { return note != want })); n != 1 || strings.Contains(strings.Join(notes, "\n"), "app:x: is for") {
			t.Errorf("notes %q, want %q once", notes, want)
		}
	}
}

// TestUnknownAttachments: an answer that does not say whether something is attached ends the
// plan, and the error names the way to carry the image all the same.
func TestUnknownAttachments(t *testing.T) {
	for _, status := range []int{400, 401} {
		w := newWorld(t, t.TempDir())
		app := w.image("app", "amd64", "a")
		w.tagged("app", app, "v1")
		w.FailAlways("/v2/app/manifests/sha256-"+app.Digest.Encoded()+suffixSignature, upstreamtest.Status(status))
		w.refused(w.spec("images", "images: HOST/app:v1"), fetch.ErrUpstream, w.Host()+"/app: what is attached to it (signatures: none carries it without)", suffixSignature)
		w.must(nil, w.spec("images", "images: HOST/app:v1", "signatures: none"))
	}
}

// TestConfigsOfAnotherKind: what states no platform is carried without one; a config that
// is not what the manifest says stops the plan.
func TestConfigsOfAnotherKind(t *testing.T) {
	w := newWorld(t, t.TempDir())
	large := append(w.json(v1.Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}}), make([]byte, maxConfig)...)
	for tag, config := range map[string][]byte{"large": large, "none": []byte("{}"), "half": []byte(`{"os":"linux"}`), "list": []byte("[]"), "text": []byte("x")} {
		w.configured("app", tag, config)
	}
	w.configured("app", "odd", []byte(`{"os":"li,nux\u202e","architecture":"amd64"}`))
	tr := w.must(nil, w.spec("images", "images: [HOST/app:large, HOST/app:none, HOST/app:half, HOST/app:list, HOST/app:text, HOST/app:odd]"))
	for version, arch := range archOf(tr) {
		if want := map[string]string{"odd": "li?nux?/amd64"}[version]; arch != want {
			t.Errorf("%s is for %q, want %q", version, arch, want)
		}
	}
	gone := w.configured("gone", "v1", []byte(`{"os":"linux","architecture":"amd64"}`))
	w.Put("/v2/gone/blobs/"+gone.Digest.String(), []byte(`{"os":"linux","architecture":"arm64"}`))
	w.refused(w.spec("images", "images: HOST/gone:v1"), fetch.ErrUpstream, "gone:v1", gone.Digest.String())
}
