package export

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/keys"
	"github.com/gapbundle/gapbundle/sources"
)

// world is an upstream of in-memory content behind a kind "mem": what a
// source of any kind does with digests, sizes and validators, without a
// network.
type world struct {
	mu      sync.Mutex
	content map[string][]byte
	// digests and sizes say whether upstream tells them before the content moves.
	digests, sizes, validators bool
	opened                     atomic.Int64
	// before is called with the path of everything that is opened.
	before func(path string) error
	// late, when set, is the content of "zz-index", made last.
	late func(paths []string) []byte
}

func (w *world) kind() sources.Kind {
	return sources.Kind{
		Name: "mem", Doc: "content in memory",
		New: func(specs []sources.Spec) (sources.Source, error) { return memory{w, specs}, nil },
		Check: func(_ context.Context, t sources.Tree) ([]bundle.CheckCount, error) {
			var n int64
			for _, r := range t.Repositories() {
				for f, err := range t.Files(r.Name) {
					if err != nil {
						return nil, err
					}
					if f.Digest.IsZero() || f.Size < 0 {
						return nil, fmt.Errorf("%s: not collected: %w", f.Path, bundle.ErrIncomplete)
					}
					n++
				}
			}
			return []bundle.CheckCount{{Name: "files", Count: n}}, nil
		},
		Clients: func(_ context.Context, repos []bundle.Repository, _ sources.Tree) ([]sources.ClientFile, error) {
			var b strings.Builder
			for _, r := range repos {
				fmt.Fprintf(&b, "%s/%s\n", sources.BaseMark, r.Mount)
			}
			return []sources.ClientFile{{Path: "mounts.txt", Content: []byte(b.String())}}, nil
		},
	}
}

type memory struct {
	w     *world
	specs []sources.Spec
}

func (m memory) Plan(_ context.Context, env *sources.Env) (*sources.Plan, error) {
	var p sources.Plan
	for _, s := range m.specs {
		r := sources.Repository{Name: s.Name, Mount: "mem/" + s.Name, Artifacts: func() iter.Seq2[sources.Artifact, error] { return m.w.artifacts(env, s.Name) }}
		if m.w.late != nil {
			r.Late = m.w.index
		}
		p.Repositories = append(p.Repositories, r)
	}
	return &p, nil
}

func (w *world) paths() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.SortedFunc(maps.Keys(w.content), bundle.ComparePaths)
}

func (w *world) artifacts(env *sources.Env, repo string) iter.Seq2[sources.Artifact, error] {
	return func(yield func(sources.Artifact, error) bool) {
		cursor := env.Cursor(repo)
		defer cursor.Close()
		for _, path := range w.paths() {
			content := w.get(path)
			a := sources.Artifact{
				File:     bundle.File{Path: path, Size: -1},
				Evidence: bundle.Evidence{Origin: "mem:///" + path, Vouched: bundle.VouchedIndex},
				Open:     w.open(path),
			}
			if w.sizes {
				a.File.Size = int64(len(content))
			}
			if w.digests {
				a.File.Digest = bundle.DigestOf(content)
			}
			if w.validators {
				a.Validator = bundle.DigestOf(content).Short()
				known, ok, err := cursor.Lookup(path)
				if err != nil {
					yield(a, err)
					return
				}
				if ok && known.Validator == a.Validator {
					a.File.Digest, a.File.Size = known.File.Digest, known.File.Size
				}
			}
			if !yield(a, nil) {
				return
			}
		}
	}
}

func (w *world) get(path string) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.content[path]
}

func (w *world) open(path string) bundle.Open {
	return func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
		w.opened.Add(1)
		if w.before != nil {
			if err := w.before(path); err != nil {
				return nil, err
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		content := w.get(path)
		now := bundle.DigestOf(content).Short()
		if validator != now {
			at = 0
		}
		return &bundle.Content{Body: io.NopCloser(bytes.NewReader(content[at:])), At: at, Validator: now}, nil
	}
}

func (w *world) index(ctx context.Context, done sources.Results) ([]sources.Artifact, error) {
	var paths []string
	for _, p := range w.paths() {
		f, ok, err := done.Lookup(ctx, p)
		if err != nil || !ok {
			return nil, errors.Join(err, fmt.Errorf("%s: collected %v", p, ok))
		}
		paths = append(paths, p+" "+f.Digest.Hex())
	}
	content := w.late(paths)
	return []sources.Artifact{{
		File:     bundle.File{Path: "zz-index", Size: int64(len(content)), Digest: bundle.DigestOf(content)},
		Evidence: bundle.Evidence{Vouched: bundle.VouchedMade},
		Open: func(context.Context, int64, string) (*bundle.Content, error) {
			return &bundle.Content{Body: io.NopCloser(bytes.NewReader(content))}, nil
		},
	}}, nil
}

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

// published is what the newest bundle says the mirror has, per repository
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

func TestExportWhateverUpstreamTells(t *testing.T) {
	for _, c := range []struct{ digests, sizes bool }{{true, true}, {false, true}, {true, false}, {false, false}} {
		t.Run(fmt.Sprintf("digests %v, sizes %v", c.digests, c.sizes), func(t *testing.T) {
			b := newBench(t, &world{content: mixed(), digests: c.digests, sizes: c.sizes}, "one", "two")
			r := b.must()
			if !r.Full || r.Sequence != 1 || len(r.Dirs) != 1 {
				t.Fatalf("result %+v", r)
			}
			same(t, published(t, b, r.Dirs[0], r.Dirs...), b.expect("one", "two"))
		})
	}
}

func TestLateArtifacts(t *testing.T) {
	w := &world{content: mixed(), sizes: true, late: func(p []string) []byte { return []byte(strings.Join(p, "\n")) }}
	b := newBench(t, w)
	r := b.must()
	got := published(t, b, r.Dirs[0], r.Dirs...)
	index := got["mem/one/zz-index"]
	if n := strings.Count(index, "\n") + 1; n != len(w.content) {
		t.Fatalf("the late index has %d lines, want %d", n, len(w.content))
	}
	delete(got, "mem/one/zz-index")
	same(t, got, b.expect("one"))
}

func TestSecondExportDoesNothing(t *testing.T) {
	for _, w := range []*world{
		{content: mixed(), digests: true, sizes: true},
		{content: mixed(), sizes: true, validators: true},
		{content: mixed(), sizes: true}, // upstream tells nothing: it is read again, and found to be the same
	} {
		b := newBench(t, w)
		first := b.must()
		opened := w.opened.Load()
		second := b.must()
		if !second.Nothing || !strings.Contains(second.Message, "nothing new since 1") || !strings.Contains(second.Message, "--full") {
			t.Fatalf("second export: %+v", second)
		}
		if told := w.digests || w.validators; told && w.opened.Load() != opened {
			t.Errorf("%d artifacts were fetched again", w.opened.Load()-opened)
		}
		entries, err := os.ReadDir(b.medium)
		if err != nil || len(entries) != 1 || filepath.Join(b.medium, entries[0].Name()) != first.Dirs[0] {
			t.Errorf("medium holds %v (%v)", entries, err)
		}
	}
}

func TestDeltasConverge(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w)
	dirs := slices.Clone(b.must().Dirs)
	rng := rand.New(rand.NewPCG(7, 7))
	for round := range 8 {
		w.content = maps.Clone(w.content)
		paths := w.paths()
		victim := paths[rng.IntN(len(paths))]
		switch round % 4 {
		case 0:
			w.content[fmt.Sprintf("new/%d", round)] = noise(uint64(round+1000), 5000)
		case 1:
			w.content[victim] = noise(uint64(round+2000), 1<<20+round)
		case 2:
			w.content["renamed/"+victim] = w.content[victim]
			delete(w.content, victim)
		case 3:
			delete(w.content, victim)
		}
		opened := w.opened.Load()
		r := b.must()
		if r.Nothing || r.Full || r.Base != int64(round+1) {
			t.Fatalf("round %d: %+v", round, r)
		}
		if fetched := w.opened.Load() - opened; fetched > 1 {
			t.Errorf("round %d: %d artifacts fetched, at most one is new", round, fetched)
		}
		dirs = append(dirs, r.Dirs...)
		same(t, published(t, b, r.Dirs[0], dirs...), b.expect("one"))
	}
	full := b.must(func(o *Options) { o.Full = true })
	same(t, published(t, b, full.Dirs[0], full.Dirs...), b.expect("one"))
}

func TestInterruptedExportGoesOn(t *testing.T) {
	for _, sizes := range []bool{true, false} {
		w := &world{content: mixed(), sizes: sizes}
		b := newBench(t, w)
		var result *Result
		for stop := int64(20); ; stop += 20 {
			ctx, cancel := context.WithCancel(context.Background())
			start := w.opened.Load()
			w.before = func(string) error {
				if w.opened.Load()-start > stop {
					cancel()
				}
				return nil
			}
			r, err := Run(ctx, b.o)
			cancel()
			if err == nil {
				result = r
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			entries, _ := os.ReadDir(b.medium)
			for _, e := range entries {
				if !strings.HasSuffix(e.Name(), bundle.PartialSuffix) {
					t.Fatalf("%s: there before the export ended", e.Name())
				}
			}
		}
		if result.Sequence != 1 {
			t.Errorf("the interrupted export took number %d", result.Sequence)
		}
		same(t, published(t, b, result.Dirs[0], result.Dirs...), b.expect("one"))
	}
}

func TestUpstreamFaults(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w)
	w.before = func(path string) error {
		if path == "many/100" || path == "large" {
			return fmt.Errorf("mem:///%s: 404: %w", path, fetch.ErrUpstream)
		}
		return nil
	}
	_, err := b.run()
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "source one, large") {
		t.Fatalf("got %v", err)
	}
	w.before = nil
	r := b.must()
	same(t, published(t, b, r.Dirs[0], r.Dirs...), b.expect("one"))
}

func TestPinnedContentThatDiffers(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w)
	w.before = func(path string) error {
		if path == "middle" {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.content = maps.Clone(w.content)
			w.content["middle"] = noise(77, 1200<<10)
		}
		return nil
	}
	_, err := b.run()
	if !errors.Is(err, fetch.ErrUpstream) || errors.Is(err, bundle.ErrCorrupt) || !strings.Contains(err.Error(), "middle") {
		t.Fatalf("got %v", err)
	}
}

func TestOnlyAndHold(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w, "one", "two")
	first := b.must()
	before := b.expect("one", "two")
	w.content = map[string][]byte{"urgent": []byte("fix")}
	r := b.must(func(o *Options) { o.Only = []string{"two"} })
	got := published(t, b, r.Dirs[0], append(first.Dirs, r.Dirs...)...)
	want := b.expect("two")
	for p, c := range before {
		if strings.HasPrefix(p, "mem/one/") {
			want[p] = c
		}
	}
	want["_gapbundle/clients/mem/mounts.txt"] = got["_gapbundle/clients/mem/mounts.txt"]
	same(t, got, want)
	for _, bad := range []func(*Options){
		func(o *Options) { o.Only = []string{"three"} },
		func(o *Options) { o.Only, o.Hold = []string{"one"}, []string{"two"} },
		func(o *Options) { o.Only, o.Full = []string{"one"}, true },
	} {
		if _, err := b.run(bad); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("got %v, want a usage error", err)
		}
	}
}

func TestPlanChangesNothing(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w)
	before := snapshot(t, b.dir, b.medium)
	report, err := Plan(context.Background(), b.o)
	if err != nil {
		t.Fatal(err)
	}
	if w.opened.Load() != 0 {
		t.Errorf("plan read %d payloads", w.opened.Load())
	}
	if after := snapshot(t, b.dir, b.medium); !maps.Equal(before, after) {
		t.Errorf("plan changed %v to %v", before, after)
	}
	// One twin and one of two empty files need not be fetched.
	if report.Total.Files != int64(len(w.content)) || report.Total.Fetch != int64(len(w.content)-2) || report.Sequence != 1 || !report.Full {
		t.Errorf("report %+v", report)
	}
	r := b.must()
	if report.Volumes < r.Volumes-1 {
		t.Errorf("plan said %d volumes, there are %d", report.Volumes, r.Volumes)
	}
	report, err = Plan(context.Background(), b.o)
	if err != nil || report.Total.Fetch != 0 || report.Base == nil || report.Base.Sequence != 1 {
		t.Errorf("second report %+v, %v", report, err)
	}
}

func snapshot(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for _, d := range dirs {
		err := filepath.WalkDir(d, func(p string, e os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil {
				out[p] = fmt.Sprint(info.Size(), info.ModTime(), info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestBytesDoNotDependOnJobs(t *testing.T) {
	var first map[string]bundle.Digest
	for _, jobs := range []int{1, 8} {
		w := &world{content: mixed(), sizes: true}
		b := newBench(t, w)
		r := b.must(func(o *Options) { o.Jobs = jobs })
		got := make(map[string]bundle.Digest)
		names, _ := filepath.Glob(filepath.Join(r.Dirs[0], "volume-*"))
		for _, n := range names {
			c, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			got[filepath.Base(n)] = bundle.DigestOf(c)
		}
		if first == nil {
			first = got
		} else if !maps.Equal(first, got) {
			t.Errorf("jobs 1: %v\njobs 8: %v", first, got)
		}
	}
}

func TestOldCopyOfTheLedger(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w)
	b.must()
	old := t.TempDir()
	if err := os.CopyFS(filepath.Join(old, "ledger"), os.DirFS(filepath.Join(b.dir, ".gapbundle", "site"))); err != nil {
		t.Fatal(err)
	}
	w.content["new"] = []byte("new")
	second := b.must()
	w.content["newer"] = []byte("newer")
	restored := func(o *Options) { o.StateDir = filepath.Join(old, "ledger") }
	if _, err := b.run(restored); !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "old copy") {
		t.Fatalf("export from an old copy: %v", err)
	}
	r := b.must(restored, func(o *Options) { o.Adopt = second.Dirs[0] })
	if r.Sequence != 3 {
		t.Fatalf("after adoption: number %d", r.Sequence)
	}
}

func TestLostLedgerIsAdopted(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w)
	first := b.must()
	w.content["new"] = []byte("new")
	lost := func(o *Options) { o.StateDir = filepath.Join(b.dir, "elsewhere") }
	r := b.must(lost, func(o *Options) { o.Adopt, o.Base = first.Dirs[0], first.Dirs[0] })
	if r.Full || r.Base != 1 || r.Sequence != 2 {
		t.Fatalf("result %+v", r)
	}
	other := newBench(t, w)
	if _, err := other.run(func(o *Options) { o.Adopt = first.Dirs[0] }); !errors.Is(err, bundle.ErrUntrusted) {
		t.Fatalf("a bundle signed by somebody else was adopted: %v", err)
	}
}

func TestMemoryDoesNotGrowWithTheWork(t *testing.T) {
	if testing.Short() {
		t.Log("20,000 files all the same: this takes a second")
	}
	w := &world{content: make(map[string][]byte), sizes: true}
	for i := range 20000 {
		w.content[fmt.Sprintf("d%03d/%05d", i%97, i)] = noise(uint64(i), 300)
	}
	b := newBench(t, w)
	before := runtime.NumGoroutine()
	r := b.must(func(o *Options) { o.VolumeSize = 64 << 20 })
	if r.Files != 20001 {
		t.Fatalf("%d files", r.Files)
	}
	if after := runtime.NumGoroutine(); after > before+5 {
		t.Errorf("%d goroutines were left behind", after-before)
	}
}
