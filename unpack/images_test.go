package unpack_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/internal/test/settest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/unpack/site"
)

const imageIndex = "application/vnd.oci.image.index.v1+json"

// imageRepository has a tag per path, with the path as manifest.
func imageRepository(tags ...string) bundletest.Repository {
	r := bundletest.Repository{Name: "images", Kind: "oci", Mount: "v2", Files: map[string]string{}, MediaTypes: map[string]string{}}
	for _, p := range tags {
		dir, _ := filepath.Split(p)
		for _, at := range []string{p, dir + bundle.DigestOf([]byte(p)).String()} {
			r.Files[at], r.MediaTypes[at] = p, imageIndex
		}
	}
	return r
}

// TestImagesOfTwoSets: two sets bring images, and one of both with one tag. Digests
// belong to what is published, by the name without docker.io too.
func TestImagesOfTwoSets(t *testing.T) {
	w := settest.New(t)
	r := &rig{Mirror: w.Mirror, t: t, dir: w.Dir}
	r.intact()
	const tag = settest.SharedImage + "/manifests/3"
	files, _ := settest.Image(settest.SharedImage, "3", "the layer of both")
	digest := bundle.DigestOf([]byte(files[tag])).String()
	for _, name := range []string{"docker.io/library/alpine", "library/alpine"} {
		if got, want := readFile(t, filepath.Join(w.Dir, "current/v2", name, "tags/list")), `{"name":"`+name+`","tags":["3"]}`+"\n"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got, err := os.Readlink(filepath.Join(w.Dir, "current", site.DigestPath("v2/"+name+"/manifests/3"))); err != nil || got != digest {
			t.Errorf("digest by %s: %q, %v", name, got, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(w.Dir, "current/v2/team/app")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a name without its registry: %v", err)
	}
	file := filepath.Join(w.Dir, "current", site.DigestsDir, "v2", tag, digest)
	if err := spoil(file, "sha256:"+bundle.DigestOf(nil).Hex()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Check(t.Context(), unpack.CheckOptions{Data: 1}); !errors.Is(err, bundle.ErrCorrupt) {
		t.Errorf("a digest that was changed: %v", err)
	}
}

// A file that web servers may not read, and one whose media type they would not
// know, are damage: a client gets an error, or takes it for something else.
func TestCheckModeAndMediaType(t *testing.T) {
	e := bundletest.New(t, "site")
	r := newRig(t, e)
	const tag = "a.example/y/manifests/1"
	r.receive(e.Export(t, []bundletest.Repository{imageRepository(tag), apt(map[string]string{"closed": "closed"})}, bundletest.Options{}).Dirs...)
	r.intact()
	current := filepath.Join(r.dir, "current")
	link, marked := site.TypedName("v2/"+tag, imageIndex)
	if !marked {
		t.Fatal("an image index by its name?")
	}
	if err := os.Remove(filepath.Join(current, link)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(current, "apt/debs/closed"), 0o400); err != nil {
		t.Fatal(err)
	}
	res, err := r.Check(t.Context(), unpack.CheckOptions{})
	if !errors.Is(err, bundle.ErrCorrupt) {
		t.Fatalf("%v, want ErrCorrupt", err)
	}
	found := map[string]string{}
	for _, d := range res.Damage {
		found[d.Path] = d.Problem
	}
	if !strings.Contains(found["apt/debs/closed"], "mode 0400") || !strings.Contains(found["v2/"+tag], "media type "+imageIndex) {
		t.Errorf("%+v", res.Damage)
	}
}
