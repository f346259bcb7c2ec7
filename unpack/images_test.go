package unpack_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
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

// Two sets bring images: tags are united, a short name that both could mean
// is dropped and said, digests belong to what is published.
func TestImagesOfTwoSets(t *testing.T) {
	one, two := bundletest.New(t, "one"), bundletest.New(t, "two")
	r := newRig(t, one, two)
	const tag = "a.example/lib/x/manifests/1"
	r.receive(one.Export(t, []bundletest.Repository{imageRepository(tag, "a.example/y/manifests/1")}, bundletest.Options{}).Dirs...)
	r.intact()
	link := filepath.Join(r.dir, "current", site.DigestPath("v2/lib/x/manifests/1"))
	if got, err := os.Readlink(link); err != nil || got != bundle.DigestOf([]byte(tag)).String() {
		t.Errorf("digest by alias: %q, %v", got, err)
	}
	r.receive(two.Export(t, []bundletest.Repository{imageRepository("a.example/y/manifests/2", "b.example/lib/x/manifests/1")}, bundletest.Options{}).Dirs...)
	r.intact()
	for _, name := range []string{"a.example/y", "y"} {
		if got, want := readFile(t, filepath.Join(r.dir, "current/v2", name, "tags/list")), `{"name":"`+name+`","tags":["1","2"]}`+"\n"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if _, err := os.Lstat(filepath.Join(r.dir, "current/v2/lib/x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the alias of two: %v", err)
	}
	if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a digest of the alias of two: %v", err)
	}
	status, err := r.Status(t.Context())
	if err != nil || len(status.Ambiguous) != 1 || status.Ambiguous[0].Alias != "lib/x" || !slices.Equal(status.Ambiguous[0].Images, []string{"a.example/lib/x", "b.example/lib/x"}) {
		t.Errorf("%+v, %v", status.Ambiguous, err)
	}
	if len(status.Notes) != 0 {
		t.Errorf("said twice: %q", status.Notes)
	}
	file := filepath.Join(r.dir, "current", site.DigestsDir, "v2", tag, bundle.DigestOf([]byte(tag)).String())
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
