package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gapbundle/gapbundle/bundle"
)

// Each server reads the digest of a tag in its own way; all have to be there.
func TestDigests(t *testing.T) {
	in := input(repo("one", "v2", "docker.io/lib/x/manifests/1="+index, "docker.io/lib/x/manifests/sha256:aa="+index, "docker.io/lib/x/blobs/sha256:bb"))
	dir, _ := write(t, in)
	want := bundle.DigestOf([]byte("docker.io/lib/x/manifests/1")).String()
	for _, name := range []string{"docker.io/lib/x", "lib/x"} {
		at := filepath.Join(dir, DigestsDir, "v2", name, "manifests")
		if got := read(t, at, "1/"+want); got != want {
			t.Errorf("%s: content %q, want %q", name, got, want)
		}
		if got, err := os.Readlink(filepath.Join(dir, DigestPath("v2/"+name+"/manifests/1"))); got != want {
			t.Errorf("%s: link to %q, %v, want %s", name, got, err, want)
		}
		if entries, err := os.ReadDir(at); len(entries) != 1 {
			t.Errorf("%s: %v, %v, want one tag", name, entries, err)
		}
	}
}

// What is unchanged is linked, what changed is not; the tree is the same.
func TestDigestsOfTheGenerationBefore(t *testing.T) {
	repos := func(second string) Input {
		return input(repo("one", "v2", "docker.io/lib/x/manifests/1="+index), repo("two", "v2", second+"="+index))
	}
	old, _ := write(t, repos("docker.io/lib/x/manifests/2"))
	again := repos("docker.io/lib/x/manifests/3")
	fresh, _ := write(t, again)
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if again.Previous, err = os.OpenRoot(old); err != nil {
		t.Fatal(err)
	}
	defer again.Previous.Close()
	var linked []string
	again.Link = func(p string) error {
		err := os.Link(filepath.Join(old, p), filepath.Join(dir, p))
		if err == nil && strings.HasPrefix(p, DigestsDir) {
			linked = append(linked, p)
		}
		return err
	}
	if _, err := Write(root, again); err != nil {
		t.Fatal(err)
	}
	if len(linked) != 2 || !strings.Contains(linked[0], "/manifests/1/") || !strings.HasSuffix(linked[1], "/manifests/1/digest") {
		t.Errorf("linked %v, want those of tag 1", linked)
	}
	if got, want := tree(t, dir), tree(t, fresh); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("saving work changed bytes")
	}
}

// A tag that lists referrers stands in for a list that is not there, and for
// no list that is.
func TestReferrersOfTags(t *testing.T) {
	one, two, three, four := strings.Repeat("1", 64), strings.Repeat("2", 64), strings.Repeat("3", 64), strings.Repeat("4", 64)
	m := "docker.io/lib/x/manifests/sha256-"
	dir, _ := write(t, input(
		repo("one", "v2", m+one+"="+index, m+two+"="+index, m+three+"=application/vnd.oci.image.manifest.v1+json", m+four+".sig="+index, m+"short="+index,
			"docker.io/lib/x/n/manifests/1="+index, m+strings.Repeat("G", 64)+"="+index),
		repo("two", "v2", "docker.io/lib/x/referrers/sha256:"+two+"="+index),
	))
	entries, err := os.ReadDir(filepath.Join(dir, "v2/docker.io/lib/x/referrers"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "sha256:"+one {
		t.Errorf("%v, %v, want that of %s", entries, err, one)
	}
	at := "docker.io/lib/x/referrers/sha256:" + one
	if target, err := os.Readlink(filepath.Join(dir, "v2", at)); target != "../../../../../v2/docker.io/lib/x/manifests/sha256-"+one {
		t.Errorf("link to %q, %v", target, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, Type{Extension: extension(index)}.TypedPath("v2/"+at))); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "v2/lib/x/referrers")); err != nil {
		t.Errorf("alias: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, DigestsDir, "v2", at)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a digest of referrers: %v", err)
	}
}

func TestTags(t *testing.T) {
	read := func(s string) (tags []string, err error) {
		for tag, terr := range Tags(strings.NewReader(s)) {
			if terr != nil {
				return tags, terr
			}
			tags = append(tags, tag)
		}
		return tags, nil
	}
	if got, err := read(`{"name":"x","tags":["1","2"]}` + "\n"); err != nil || !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := read(`{"name":"x","tags":[]}`); err != nil || len(got) != 0 {
		t.Errorf("none: %v, %v", got, err)
	}
	if got, err := read(`{"name":"x","tags":["1",`); err == nil || len(got) != 1 {
		t.Errorf("cut off: %v, %v", got, err)
	}
	for _, err := range Tags(iotest.ErrReader(errLists)) {
		if !errors.Is(err, errLists) {
			t.Error(err)
		}
	}
}

// BenchmarkManyTags is an image of 10,000 tags: what an import does for it.
func BenchmarkManyTags(b *testing.B) {
	var files []string
	for i := range 10_000 {
		files = append(files, fmt.Sprintf("docker.io/lib/x/manifests/v1.%d=%s", i, index))
	}
	in := input(repo("one", "v2", files...))
	b.ReportAllocs()
	for b.Loop() {
		root, err := os.OpenRoot(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Write(root, in); err != nil {
			b.Fatal(err)
		}
		_ = root.Close()
	}
}
