package verify_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/bundletest"
	"github.com/gapbundle/gapbundle/verify"
)

// noise does not compress.
func noise(seed uint64, length int) string {
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, length)
	_, _ = rng.Read(b)
	return string(b)
}

// TestWrittenByWriter: what bundle.Writer makes is what this package reads,
// over several volumes, with blobs that span them, full and as a delta.
func TestWrittenByWriter(t *testing.T) {
	e := bundletest.New(t, "demo")
	repo := bundletest.Repository{Name: "r", Mount: "files", Files: map[string]string{
		"big": noise(1, 5<<20), "text": text("text", 3<<20), "empty": "", "same": noise(2, 1000), "also": noise(2, 1000),
	}}
	for i := range 500 {
		repo.Files[fmt.Sprintf("small/%03d", i)] = noise(uint64(i), i*7)
	}
	full := e.Export(t, []bundletest.Repository{repo}, bundletest.Options{})
	repo.Files["new"] = noise(3, 2<<20)
	delta := e.Export(t, []bundletest.Repository{repo}, bundletest.Options{})

	var p verify.Policy
	if err := e.Trust(&p); err != nil {
		t.Fatal(err)
	}
	sink, receiver := &memory{}, &mirror{}
	for _, made := range []bundletest.Made{full, delta} {
		b, _, err := verify.Open(t.Context(), discover(t, made.Dirs...), verify.Options{Policy: &p, Receiver: receiver, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if err := streamAll(t, b, sink, 2); err != nil {
			t.Fatal(err)
		}
		if err := b.Check(t.Context(), verify.StreamOptions{}); err != nil {
			t.Fatal(err)
		}
		if n := len(b.Volumes()); n < 3 {
			t.Errorf("%s: %d volumes, want several", b.Name(), n)
		}
		for f, err := range b.Files(0) {
			if err != nil || sink.content(f.Digest) != repo.Files[f.Path] {
				t.Errorf("%s: %s: not what was exported, %v", b.Name(), f.Path, err)
			}
		}
		m := b.Manifest()
		receiver.accepted = verify.Accepted{Stream: m.Stream, Sequence: m.Sequence, Root: b.Root()}
		for _, c := range repo.Files {
			if c != repo.Files["new"] {
				receiver.blobs = append(receiver.blobs, c)
			}
		}
	}
}

// BenchmarkStream reads 256 MiB, half of which compresses.
func BenchmarkStream(b *testing.B) {
	e := bundletest.New(b, "demo")
	repo := bundletest.Repository{Name: "r", Mount: "files", Files: map[string]string{}}
	for i := range 8 {
		repo.Files[fmt.Sprintf("noise/%d", i)] = noise(uint64(i), 16<<20)
	}
	for i := range 4000 {
		repo.Files[fmt.Sprintf("text/%d", i)] = text(fmt.Sprint(i), 32<<10)
	}
	made := e.Export(b, []bundletest.Repository{repo}, bundletest.Options{VolumeSize: bundle.DefaultVolumeSize})
	var p verify.Policy
	if err := e.Trust(&p); err != nil {
		b.Fatal(err)
	}
	v, _, err := verify.Open(b.Context(), discover(b, made.Dirs...), verify.Options{Policy: &p, Now: now})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(256 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if err := v.Stream(b.Context(), 0, nil, verify.StreamOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is 100,000 files.
func BenchmarkOpen(b *testing.B) {
	e := bundletest.New(b, "demo")
	repo := bundletest.Repository{Name: "r", Mount: "files", Files: map[string]string{}}
	for i := range 100_000 {
		repo.Files[fmt.Sprintf("pool/main/%d/%d.deb", i/100, i)] = fmt.Sprint(i)
	}
	made := e.Export(b, []bundletest.Repository{repo}, bundletest.Options{VolumeSize: bundle.DefaultVolumeSize})
	var p verify.Policy
	if err := e.Trust(&p); err != nil {
		b.Fatal(err)
	}
	r := discover(b, made.Dirs...)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := verify.Open(b.Context(), r, verify.Options{Policy: &p, Now: now}); err != nil {
			b.Fatal(err)
		}
	}
}
