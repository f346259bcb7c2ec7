package tidy_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/tidy"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
)

// rig is a bundle of several volumes on a stick.
type rig struct {
	*testing.T
	stick, dir string
	root       bundle.Digest
}

func newRig(t *testing.T) *rig {
	t.Helper()
	noise := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(noise)
	stick := t.TempDir()
	e := bundletest.New(t, "site")
	made := e.Export(t, []bundletest.Repository{{Name: "data", Kind: "files", Mount: "files", Files: map[string]string{"large": string(noise), "small": "small"}}},
		bundletest.Options{Targets: []string{stick}})
	return &rig{t, stick, made.Dirs[0], made.Root}
}

func (r *rig) find(paths ...string) []*tidy.Bundle {
	r.Helper()
	all, err := tidy.Find(paths)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		for _, b := range all {
			b.Close()
		}
	})
	return all
}

// remove removes the only bundle in paths, and returns what was left of it.
func (r *rig) remove(paths ...string) []string {
	r.Helper()
	all := r.find(paths...)
	if len(all) != 1 || all[0].Root != r.root {
		r.Fatalf("found %d bundles", len(all))
	}
	left, err := all[0].Remove(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return left
}

func (r *rig) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) names(dir string) []string {
	r.Helper()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r.check(err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// copyVolumes copies the volumes to a folder of a medium that was taken out before the
// export ended.
func (r *rig) copyVolumes(to string) {
	r.Helper()
	r.check(os.Mkdir(to, 0o755))
	for _, name := range r.names(r.dir) {
		if strings.HasPrefix(name, "volume-") || name == bundle.MediumName {
			b, err := os.ReadFile(filepath.Join(r.dir, name))
			r.check(err)
			r.check(os.WriteFile(filepath.Join(to, name), b, 0o644))
		}
	}
}

// TestRemove: what a bundle has is listed and goes, with the folder; a second removal
// finds nothing.
func TestRemove(t *testing.T) {
	r := newRig(t)
	b := r.find(r.stick)[0]
	if d := b.Dirs[0]; len(b.Dirs) != 1 || d.Path != r.dir || d.Partial || d.Volumes < 3 || b.Bytes() < 3<<20 || len(d.Strange) > 0 || b.Err != nil || b.Manifest.Set != "site" {
		t.Errorf("found %+v", b)
	}
	if left := r.remove(r.stick); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	if got := r.names(r.stick); len(got) > 0 {
		t.Errorf("on the stick: %q", got)
	}
	if all := r.find(r.stick); len(all) > 0 {
		t.Errorf("found %d bundles on an empty stick", len(all))
	}
}

// TestStrangeFilesStay: files of people, links, folders and volumes that the bundle does
// not have are left alone, and what they lead to.
func TestStrangeFilesStay(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(r *rig, at string) error
		// all means that nothing is removed: what is there may be another bundle's.
		all bool
	}{
		{"notes.txt", func(_ *rig, at string) error { return os.WriteFile(at, []byte("mine"), 0o644) }, false},
		{"bundle.json.tmp", func(_ *rig, at string) error { return os.WriteFile(at, nil, 0o644) }, false},
		{"catalog-07.tar.zst", func(_ *rig, at string) error { return os.Mkdir(at, 0o755) }, false},
		{"bundle.0123456789abcdef.sigstore.json", func(r *rig, at string) error { return os.Symlink(filepath.Join(r.stick, "film"), at) }, false},
		{"volume-00099.tar.zst", func(_ *rig, at string) error { return os.WriteFile(at, []byte("another's"), 0o644) }, true},
		{"volume-00098.tar.zst", func(r *rig, at string) error { return os.Symlink(filepath.Join(r.stick, "film"), at) }, true},
		{"volume-00001.tar.zst", func(_ *rig, at string) error { return os.WriteFile(at, []byte("longer or shorter"), 0o644) }, true},
	} {
		r := newRig(t)
		r.check(os.WriteFile(filepath.Join(r.stick, "film"), []byte("film"), 0o644))
		at := filepath.Join(r.dir, test.name)
		r.check(test.make(r, at))
		before := r.names(r.dir)
		if left := r.remove(r.stick); !slices.Equal(left, []string{at}) {
			t.Errorf("%s: left %q", test.name, left)
		}
		want := []string{test.name}
		if test.all {
			want = before
		}
		if got := r.names(r.dir); !slices.Equal(got, want) {
			t.Errorf("%s: in the folder: %q, want %q", test.name, got, want)
		}
		if b, err := os.ReadFile(filepath.Join(r.stick, "film")); err != nil || string(b) != "film" {
			t.Errorf("%s: the film: %q %v", test.name, b, err)
		}
	}
}

// TestPayloadWithoutRoot: the folder of a medium that was taken out before the export ended
// goes if its volumes are those of the bundle, whose root is on another medium at hand.
func TestPayloadWithoutRoot(t *testing.T) {
	r := newRig(t)
	other := t.TempDir()
	part := filepath.Join(other, "site-000001"+bundle.PartialSuffix)
	r.copyVolumes(part)
	b := r.find(other)[0]
	if b.Manifest != nil || !errors.Is(b.Err, bundle.ErrIncomplete) || !b.Dirs[0].Partial {
		t.Errorf("alone: %+v", b)
	}
	if _, err := b.Remove(t.Context()); !errors.Is(err, bundle.ErrIncomplete) || len(r.names(part)) < 4 {
		t.Errorf("removed alone: %v", err)
	}
	if left := r.remove(r.stick, other); len(left) > 0 || len(r.names(other)) > 0 || len(r.names(r.stick)) > 0 {
		t.Errorf("left %q, %q, %q", left, r.names(other), r.names(r.stick))
	}

	// Another export's payload under the same name stays, and so does one that is being finished.
	for _, name := range []string{bundle.VolumeName(1), bundle.RootName} {
		r := newRig(t)
		other := t.TempDir()
		part := filepath.Join(other, "site-000001"+bundle.PartialSuffix)
		r.copyVolumes(part)
		content := []byte("of another export")
		if name == bundle.RootName {
			b, err := os.ReadFile(filepath.Join(r.dir, name))
			r.check(err)
			content = b
		}
		r.check(os.WriteFile(filepath.Join(part, name), content, 0o644))
		before := r.names(part)
		if left := r.remove(r.stick, other); len(left) != 1 || !strings.HasPrefix(left[0], part) || !slices.Equal(r.names(part), before) {
			t.Errorf("%s: left %q, %q", name, left, r.names(part))
		}
	}
}

// TestInterruptedRemoval: bundle.json goes last, so a removal that was killed at any point
// is finished by the next one.
func TestInterruptedRemoval(t *testing.T) {
	r := newRig(t)
	for _, gone := range []string{"volume-", "catalog-", bundle.SumsName, bundle.ReadmeName} {
		r := newRig(t)
		for _, name := range r.names(r.dir) {
			if strings.HasPrefix(name, "volume-") || strings.HasPrefix(name, gone) || gone != "volume-" && strings.HasPrefix(name, "catalog-") {
				r.check(os.Remove(filepath.Join(r.dir, name)))
			}
		}
		if left := r.remove(r.stick); len(left) > 0 || len(r.names(r.stick)) > 0 {
			t.Errorf("after %s: left %q, %q", gone, left, r.names(r.stick))
		}
	}
	// Volumes without a catalogue cannot be told from others.
	r.check(os.Remove(filepath.Join(r.dir, bundle.CatalogName(1))))
	before := r.names(r.dir)
	if left := r.remove(r.stick); len(left) < 3 || !slices.Equal(r.names(r.dir), before) {
		t.Errorf("without a catalogue: left %q, %q", left, r.names(r.dir))
	}
}

// TestRootThatChanges: what was proven has to be what is removed.
func TestRootThatChanges(t *testing.T) {
	r := newRig(t)
	b := r.find(r.stick)[0]
	r.check(os.WriteFile(filepath.Join(r.dir, bundle.RootName), []byte("{}"), 0o644))
	before := r.names(r.dir)
	if _, err := b.Remove(t.Context()); !errors.Is(err, bundle.ErrCorrupt) || !slices.Equal(r.names(r.dir), before) {
		t.Errorf("got %v; in the folder: %q", err, r.names(r.dir))
	}
}
