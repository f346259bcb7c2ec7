package export

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// bench is a spec folder, a medium and options for them.
type bench struct {
	t      *testing.T
	world  *world
	dir    string
	medium string
	o      Options
}

func newBench(t *testing.T, w *world, sourceNames ...string) *bench {
	t.Helper()
	if len(sourceNames) == 0 {
		sourceNames = []string{"one"}
	}
	b := &bench{t: t, world: w, dir: t.TempDir(), medium: t.TempDir()}
	private, public, _, err := keys.GenerateExporter([]byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	var spec strings.Builder
	spec.WriteString("version: 1\nname: site\nsigning: {exporter: exporter.key}\nsources:\n")
	for _, n := range sourceNames {
		fmt.Fprintf(&spec, "  - {name: %s, kind: mem}\n", n)
	}
	for name, content := range map[string][]byte{"gapbundle.yaml": []byte(spec.String()), "exporter.key": private, "exporter.pub": public} {
		if err := os.WriteFile(filepath.Join(b.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.o = Options{
		SpecPath: filepath.Join(b.dir, "gapbundle.yaml"), Targets: []string{b.medium}, VolumeSize: bundle.MinVolumeSize,
		Now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Kinds: sources.Kinds{w.kind()}, Tool: "test",
		Passphrase: func(string) ([]byte, error) { return []byte("pass"), nil },
	}
	return b
}

func (b *bench) run(change ...func(*Options)) (*Result, error) {
	o := b.o
	for _, c := range change {
		c(&o)
	}
	return Run(context.Background(), o)
}

func (b *bench) must(change ...func(*Options)) *Result {
	b.t.Helper()
	r, err := b.run(change...)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// content is what the volumes of the bundles hold, by digest, read with
// nothing but tar and zstd.
func volumeContent(t *testing.T, dirs ...string) map[bundle.Digest][]byte {
	t.Helper()
	segments := make(map[string][]byte)
	for _, dir := range dirs {
		names, err := filepath.Glob(filepath.Join(dir, "volume-*.tar.zst"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			z, err := zstd.NewReader(f)
			if err != nil {
				t.Fatal(err)
			}
			for tr := tar.NewReader(z); ; {
				h, err := tr.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				b, err := io.ReadAll(tr)
				if err != nil {
					t.Fatal(err)
				}
				whole, _, split := strings.Cut(dir+"/"+h.Name, ".part-")
				if !split { // it may be there twice, when two runs found the same content
					segments[whole] = nil
				}
				segments[whole] = append(segments[whole], b...)
			}
			z.Close()
			_ = f.Close()
		}
	}
	out := make(map[bundle.Digest][]byte)
	for _, b := range segments {
		out[bundle.DigestOf(b)] = b
	}
	return out
}

// published returns what the newest bundle says the mirror has, per repository
// mount, with the content taken from all bundles so far.
func published(t *testing.T, b *bench, newest string, all ...string) map[string]string {
	t.Helper()
	r, err := bundle.Discover([]string{newest})
	if err != nil {
		t.Fatal(err)
	}
	root, err := r[0].Root()
	if err != nil {
		t.Fatal(err)
	}
	m, err := bundle.ParseManifest(root)
	if err != nil {
		t.Fatal(err)
	}
	content := volumeContent(t, all...)
	out := make(map[string]string)
	for _, repo := range m.Repositories {
		d, err := bundle.ParseDigest(string(repo.Files.Digest))
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(filepath.Join(b.dir, ".gapbundle", "site", "lists", d.Hex()))
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range bundle.ReadList[bundle.File](f, "list") {
			if err != nil {
				t.Fatal(err)
			}
			c, ok := content[e.Digest]
			if !ok && e.Size > 0 || int64(len(c)) != e.Size {
				t.Errorf("%s/%s: content of %s is in no volume", repo.Mount, e.Path, e.Digest)
			}
			out[repo.Mount+"/"+e.Path] = string(c)
		}
		_ = f.Close()
	}
	return out
}

func (b *bench) expect(sourceNames ...string) map[string]string {
	out := make(map[string]string)
	var mounts strings.Builder
	for _, n := range sourceNames {
		for _, p := range b.world.paths() {
			out["mem/"+n+"/"+p] = string(b.world.get(p))
		}
		fmt.Fprintf(&mounts, "@BASE@/mem/%s\n", n)
	}
	out["_gapbundle/clients/mem/mounts.txt"] = mounts.String()
	return out
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	for p := range want {
		if g, ok := got[p]; !ok || g != want[p] {
			t.Errorf("%s: published %v with %d bytes, want %d", p, ok, len(g), len(want[p]))
		}
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			t.Errorf("%s: published, not wanted", p)
		}
	}
}

func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32() >> (seed % 7))
	}
	return b
}

func mixed() map[string][]byte {
	c := map[string][]byte{
		"empty": {}, "a/small": []byte("small"), "a-b": []byte("dash"), "a.b": []byte("dot"),
		"twin/1": noise(9, 3000), "twin/2": noise(9, 3000),
		"large": noise(1, 3<<20), "middle": noise(2, 1200<<10), "z/last": noise(3, 700<<10),
	}
	for i := range 200 {
		c[fmt.Sprintf("many/%03d", i)] = noise(uint64(i+10), i*37)
	}
	return c
}
