package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/ledger"
)

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

// put changes what upstream has of path.
func (w *world) put(path string, content []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.content = maps.Clone(w.content)
	w.content[path] = content
}

// Upstream that changes between its metadata and what they name is planned
// once more, under the same number, and one state of it is carried.
func TestUpstreamMovesOn(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w, "one", "two")
	once := sync.OnceFunc(func() {
		w.put("large", noise(78, 3<<20))
		w.put("middle", noise(77, 1200<<10))
		w.put("new", noise(79, 100))
	})
	w.before = func(path string) error {
		if path == "middle" {
			once()
		}
		return nil
	}
	r := b.must()
	if r.Sequence != 1 || w.plans.Load() != 2 {
		t.Errorf("number %d, planned %d times", r.Sequence, w.plans.Load())
	}
	same(t, published(t, b, r.Dirs[0], r.Dirs...), b.expect("one", "two"))
	if len(r.Notes) != 2 || r.Notes[0] != (Note{Source: "one", Text: "a remark"}) {
		t.Errorf("notes %+v", r.Notes)
	}
	if again := b.must(); !again.Nothing || len(again.Notes) != 2 {
		t.Errorf("again: %+v", again)
	}
}

// Upstream that keeps changing is given up, naming what both plans met; one
// that contradicts its metadata is, when they say the same again.
func TestUpstreamKeepsMoving(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w)
	n := uint64(100)
	w.before = func(path string) error {
		if path == "middle" {
			n++
			w.put("middle", noise(n, 1200<<10))
		}
		return nil
	}
	_, err := b.run()
	if !errors.Is(err, fetch.ErrUpstream) || errors.Is(err, bundle.ErrCorrupt) || strings.Count(err.Error(), "source one, middle") != 2 || w.plans.Load() != 2 {
		t.Fatalf("planned %d times, got %v", w.plans.Load(), err)
	}
	w.plans.Store(0)
	w.before = func(path string) error {
		if path == "large" {
			return &fetch.StatusError{URL: "mem:///large", Status: 404}
		}
		return nil
	}
	if _, err := b.run(); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "read once more, say the same") || w.plans.Load() != 2 {
		t.Fatalf("planned %d times, got %v", w.plans.Load(), err)
	}
	w.plans.Store(0)
	w.before = func(path string) error {
		if path == "large" {
			return &fetch.StatusError{URL: "mem:///large", Status: 503}
		}
		return nil
	}
	if _, err := b.run(); !errors.Is(err, fetch.ErrUpstream) || w.plans.Load() != 1 {
		t.Fatalf("unreachable: planned %d times, got %v", w.plans.Load(), err)
	}
	w.before = nil
	r := b.must()
	if r.Sequence != 1 {
		t.Errorf("number %d", r.Sequence)
	}
	same(t, published(t, b, r.Dirs[0], r.Dirs...), b.expect("one"))
}

func TestOnlyAndHold(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w, "one", "two")
	first := b.must()
	before := b.expect("one", "two")
	w.content = map[string][]byte{"urgent": []byte("fix")}
	r := b.must(func(o *Options) { o.Only, o.AllowShrink = []string{"two"}, []string{"two"} })
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

// A delta has only the lists that changed. Those that it leaves out are in the bundles
// before it, on the same medium.
func TestLostLedgerIsAdoptedFromADelta(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w)
	b.must()
	w.content["new"] = []byte("new")
	second := b.must()
	if second.Full {
		t.Fatalf("the second is full: %+v", second)
	}
	lost := func(o *Options) { o.StateDir = filepath.Join(b.dir, "elsewhere") }
	w.content["newer"] = []byte("newer")
	if r := b.must(lost, func(o *Options) { o.Adopt = second.Dirs[0] }); r.Full || r.Base != 2 || r.Adopted == nil || !r.Adopted.State {
		t.Fatalf("with the first next to it: %+v, took over %+v", r, r.Adopted)
	}
	alone := filepath.Join(t.TempDir(), filepath.Base(second.Dirs[0]))
	if err := os.CopyFS(alone, os.DirFS(second.Dirs[0])); err != nil {
		t.Fatal(err)
	}
	lost = func(o *Options) { o.StateDir, o.Targets = filepath.Join(b.dir, "elsewhere too"), []string{t.TempDir()} }
	if r := b.must(lost, func(o *Options) { o.Adopt = alone }); !r.Full || r.Adopted == nil || r.Adopted.State || r.Sequence != 3 {
		t.Fatalf("a delta alone: %+v, took over %+v", r, r.Adopted)
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
	medium := t.TempDir()
	again := func(o *Options) { o.StateDir, o.Targets = filepath.Join(b.dir, "elsewhere too"), []string{medium} }
	if r := b.must(again, func(o *Options) { o.Adopt = first.Dirs[0] }); r.Full || r.Base != 1 || !r.Assumed || r.Adopted == nil || !r.Adopted.State || r.Adopted.Sequence != 1 {
		t.Fatalf("without a base: %+v, took over %+v", r, r.Adopted)
	}
	w.content["newer"] = []byte("newer")
	if r := b.must(again); r.Full || r.Base != 2 {
		t.Fatalf("the one after that: %+v", r)
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

func TestFinishedButNotNoted(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w)
	first := b.must()
	// The export died between the last rename on the medium and its own note.
	state := filepath.Join(b.dir, ".gapbundle", "site")
	stream := readState(t, state)
	o := b.o
	o.StateDir, o.writes = t.TempDir(), true
	in, err := open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	request, err := in.request()
	if err := errors.Join(err, in.close()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	pending := fmt.Sprintf(`{"format":1,"next":2,"pending":{"created":"2026-11-01T00:00:00Z","request":"%s","sequence":1,"targets":["x"]},"set":"site","stream":"%s"}`,
		request, stream)
	if err := os.WriteFile(filepath.Join(state, "state.json"), []byte(pending), 0o600); err != nil {
		t.Fatal(err)
	}
	w.content["new"] = []byte("upstream went on")
	// Another request notes the bundle too, and is carried out all the same.
	other := t.TempDir()
	if err := os.CopyFS(other, os.DirFS(state)); err != nil {
		t.Fatal(err)
	}
	ship := b.must(func(o *Options) { o.Destination, o.StateDir = "ship", other })
	if ship.Sequence != 2 || !ship.Full {
		t.Fatalf("another destination was asked for: %+v", ship)
	}
	if err := os.RemoveAll(ship.Dirs[0]); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, b.medium)
	r := b.must()
	if r.Sequence != 1 || r.Root != first.Root || len(r.Dirs) != 1 || r.Dirs[0] != first.Dirs[0] {
		t.Fatalf("result %+v, want the bundle that was complete: %+v", r, first)
	}
	if !maps.Equal(before, snapshot(t, b.medium)) {
		t.Error("the finished bundle was changed")
	}
	next := b.must()
	if next.Sequence != 2 || next.Base != 1 || next.Full {
		t.Fatalf("the next export: %+v", next)
	}
	same(t, published(t, b, next.Dirs[0], append(first.Dirs, next.Dirs...)...), b.expect("one"))
}

func readState(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), `"stream":"`)
	return rest[:32]
}

// The same export again, before a receipt has come back, is no second bundle.
func TestSentButNotAcknowledged(t *testing.T) {
	w := &world{content: mixed(), digests: true, sizes: true}
	b := newBench(t, w)
	b.must()
	l, err := ledger.Open(t.Context(), filepath.Join(b.dir, ".gapbundle", "site"), "site", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Acknowledge("", 1, "key", nil), l.Close()); err != nil {
		t.Fatal(err)
	}
	w.content["new"] = []byte("new")
	if r := b.must(); r.Nothing || r.Base != 1 || r.Sequence != 2 {
		t.Fatalf("the delta: %+v", r)
	}
	r := b.must()
	if !r.Nothing || r.Message != "nothing new since 2 (never acknowledged; if it was lost: --base 1)" {
		t.Fatalf("the same again: %+v", r)
	}
	if r := b.must(func(o *Options) { o.Base = "1" }); r.Nothing || r.Base != 1 || r.Sequence != 3 {
		t.Fatalf("asked for: %+v", r)
	}
	w.content["newer"] = []byte("newer")
	if r := b.must(); r.Nothing || r.Base != 1 {
		t.Fatalf("with something new: %+v", r)
	}
	elsewhere := b.must(func(o *Options) { o.Destination, o.NewDestination = "ship", true })
	if !elsewhere.Full || len(elsewhere.Unknown) != 1 || elsewhere.Unknown[0] != "(without a name)" {
		t.Fatalf("another destination: %+v", elsewhere)
	}
}
