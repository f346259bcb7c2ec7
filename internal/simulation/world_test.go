package simulation

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/serve"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

// The calendar of the simulation is far from any real one: a mirror waits for the second to
// pass when it publishes twice within one of the machine's own clock.
func firstDay() time.Time { return time.Date(2040, 1, 1, 8, 0, 0, 0, time.UTC) }

// built returns the date of the program, where the clock floor of a set begins.
func built() time.Time { return time.Date(2039, 6, 1, 0, 0, 0, 0, time.UTC) }

// world is everything that one seed plays with.
type world struct {
	r         *rand.Rand
	dir       string
	up        *upstreamtest.Server
	seed      uint64
	step      int
	log       []string
	exporters []*exporter
	evil      *exporter
	clock     time.Time // inside
	outside   time.Time // of the exporters
	model     *model
	handler   http.Handler
	close     func() error
	readers   []*reader
	large     bool           // some files need a volume of their own
	seams     map[string]int // how often an operation passed where it can be interrupted
	stateful  map[string][]byte
	counts    map[string]int
	touched   bool // the last step may have changed the mirror
	sabotage  sabotage
}

// broken ends a seed.
type broken struct{ text string }

func (w *world) fail(format string, args ...any) { panic(broken{fmt.Sprintf(format, args...)}) }

func (w *world) must(err error) {
	if err != nil {
		w.fail("the simulation itself: %v", err)
	}
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%2d %s", w.step, fmt.Sprintf(format, args...)))
}

// count counts what happened: a simulation in which something never happens does not check it.
func (w *world) count(what string) { w.counts[what]++ }

// one reports whether something that happens once in n times happens.
func (w *world) one(n int) bool { return w.r.IntN(n) == 0 }

func pick[E any](r *rand.Rand, of []E) E { return of[r.IntN(len(of))] }

// newWorld makes exporters and an empty mirror that trusts them.
func newWorld(up *upstreamtest.Server, dir string, seed uint64) *world {
	w := &world{
		r: rand.New(rand.NewPCG(seed, 21)), dir: dir, up: up, seed: seed, clock: firstDay(), outside: firstDay(),
		seams: map[string]int{"import": 40, "export": 60, "gc": 20, "rollback": 15, "config": 15, "forget": 15, "repair": 40, "state": 10}, stateful: map[string][]byte{}, counts: map[string]int{},
	}
	w.large = w.one(6)
	for i, name := range []string{"alpha", "beta"} {
		w.exporters = append(w.exporters, w.newExporter(name, byte(i+1)))
	}
	w.evil = w.newExporter("alpha", 99)
	w.evil.dir = filepath.Join(dir, "evil")
	w.must(os.MkdirAll(w.evil.dir, 0o755))
	w.model = newModel()
	m, err := unpack.Create(w.mirror(), w.options(context.Background()))
	w.must(err)
	w.must(trustBoth(w, m))
	_, err = m.SetBaseURL(context.Background(), w.model.base)
	w.must(err)
	w.must(m.Close())
	w.serve()
	return w
}

func trustBoth(w *world, m *unpack.Mirror) error {
	return m.Trust().Update(context.Background(), "trust", func(p *verify.Policy) error {
		for _, e := range w.exporters {
			if err := p.Add(verify.Key{Role: verify.RoleExporter, Set: e.name, PEM: string(e.signer.PublicPEM())}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) newExporter(name string, key byte) *exporter {
	signer, err := bundle.SignerOf(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{key}, ed25519.SeedSize)))
	w.must(err)
	e := &exporter{name: name, signer: signer, dir: filepath.Join(w.dir, "outside-"+name), prefix: fmt.Sprintf("/%d-%d/", w.seed, key)}
	e.files, e.parcels = map[string]string{}, map[string]string{}
	w.must(os.MkdirAll(e.dir, 0o755))
	return e
}

func (w *world) mirror() string { return filepath.Join(w.dir, "mirror") }

func (w *world) options(ctx context.Context) unpack.Options {
	return unpack.Options{Jobs: 1, Tool: "simulation", Built: built(), Now: func() time.Time {
		_ = ctx.Err() // a place where an interruption may come
		return w.clock
	}}
}

// with runs a command.
func (w *world) with(ctx context.Context, f func(m *unpack.Mirror) error) error {
	m, err := unpack.Open(w.mirror(), w.options(ctx))
	if err != nil {
		return err
	}
	err = f(m)
	w.must(m.Close())
	return err
}

// serve starts a web server; it is started again when the folder was exchanged.
func (w *world) serve() {
	if w.close != nil {
		w.must(w.close())
	}
	h, err := serve.New(w.mirror(), serve.Options{})
	w.must(err)
	w.handler, w.close = h, h.Close
}

// fresh makes a folder that no step had before.
func (w *world) fresh(what string) string {
	dir := filepath.Join(w.dir, fmt.Sprintf("%s_%02d_%d", what, w.step, w.r.Uint32()))
	w.must(os.MkdirAll(dir, 0o755))
	return dir
}

// outcome is what became of one seed.
type outcome struct {
	log    []string
	counts map[string]int
	err    error
}

// play plays one seed.
func play(t testing.TB, up *upstreamtest.Server, seed uint64, steps int, s sabotage) (o outcome) {
	dir, err := os.MkdirTemp(scratch(), fmt.Sprintf("gapbundle-simulation-%d-", seed))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}()
	var w *world
	defer func() {
		if what := recover(); what != nil {
			b, ok := what.(broken)
			if !ok {
				panic(what)
			}
			o.err = errors.New(b.text)
		}
		if w != nil {
			o.log, o.counts = w.log, w.counts
			w.tidy()
		}
	}()
	w = newWorld(up, dir, seed)
	w.sabotage = s
	for w.step = 1; w.step <= steps; w.step++ {
		w.act()
		if s.after != nil {
			s.after(w)
			w.touched = true
		}
		if w.touched {
			w.inspect()
		}
	}
	return o
}

// tidy ends what a seed holds.
func (w *world) tidy() {
	for _, r := range w.readers {
		_ = r.file.Close()
	}
	if w.close != nil {
		_ = w.close()
	}
	for _, e := range append(slices.Clone(w.exporters), w.evil) {
		e.forgetUpstream(w)
	}
	w.up.ResetCounts()
	w.up.Heal()
}

// scratch returns a folder in memory if there is one.
func scratch() string {
	const memory = "/dev/shm"
	if fi, err := os.Stat(memory); err == nil && fi.IsDir() {
		return memory
	}
	return os.TempDir()
}

func hexOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}
