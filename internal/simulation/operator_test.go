package simulation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/unpack"
)

// act takes one step.
func (w *world) act() {
	w.clock = w.clock.Add(time.Duration(1+w.r.IntN(40)) * time.Hour)
	if w.one(12) { // somebody sets it
		w.clock = w.clock.Add(time.Duration(w.r.IntN(400)-200) * 24 * time.Hour)
		w.note("the clock inside is %s", w.clock.Format(time.DateTime))
	}
	w.touched = false
	w.keepState()
	if w.step <= 2 {
		e := w.exporters[w.step-1]
		if w.export(e); w.one(2) {
			w.keepLedger(e)
		}
		return
	}
	if w.model.stateLost && !w.one(3) {
		w.rebuild()
		return
	}
	if len(w.model.sick) > 0 && w.one(4) {
		w.repair()
		return
	}
	acts := []struct {
		weight int
		do     func()
	}{
		{22, func() { w.export(pick(w.r, w.exporters)) }}, {34, w.receive}, {9, w.readOn}, {8, w.collectGarbage}, {6, w.rollback},
		{1, w.forget}, {3, w.receipt}, {2, w.address}, {3, w.harmDisk}, {3, w.harmState}, {5, w.loseExporter}, {1, w.stranger}, {4, w.adopt}, {1, w.setTime},
	}
	total := 0
	for _, a := range acts {
		total += a.weight
	}
	n := w.r.IntN(total)
	for _, a := range acts {
		if n -= a.weight; n < 0 {
			a.do()
			return
		}
	}
}

// collectGarbage runs the command gc. What has to stay is in the model, so that inspect misses it.
func (w *world) collectGarbage() {
	m, keep := w.model, 1+w.r.IntN(3)
	if m.current == 0 {
		return
	}
	previous := w.linked("previous")
	if w.one(2) {
		keep = 1
	}
	killed, err := w.command(fmt.Sprintf("gc --keep %d", keep), func(ctx context.Context, mirror *unpack.Mirror) error {
		o := unpack.GCOptions{Keep: keep, Force: true}
		if w.sabotage.eager {
			o.Keep = 1
		}
		_, err := mirror.GC(ctx, o)
		return err
	})
	whole := err == nil && !killed
	if whole {
		w.count("gc")
		clear(m.left)
	}
	numbers := slices.Sorted(maps.Keys(m.gens))
	for i, n := range numbers {
		young := i+1 < len(numbers) && w.clock.Sub(m.gens[numbers[i+1]].at) < 24*time.Hour
		if stays := i >= len(numbers)-keep || n == previous || young; !stays && !m.stateLost {
			if !whole {
				m.left[n] = m.gens[n]
			}
			delete(m.gens, n)
			w.count("gc of a generation")
		}
	}
	if err != nil && !killed && !errors.Is(err, context.Canceled) && !m.stateLost && len(m.sick) == 0 {
		w.fail("gc: %v", err)
	}
}

// rollback publishes earlier content as a new generation.
func (w *world) rollback() {
	m := w.model
	if m.current == 0 {
		return
	}
	o := unpack.RollbackOptions{Withdraw: w.one(4)}
	if w.one(3) {
		o.To = pick(w.r, slices.Sorted(maps.Keys(m.gens)))
	}
	if w.one(3) {
		o.Set = pick(w.r, w.exporters).name
	}
	was := m.published()
	_, _ = w.command(fmt.Sprintf("rollback %+v", o), func(ctx context.Context, mirror *unpack.Mirror) error {
		_, err := mirror.Rollback(ctx, o)
		return err
	})
	current := w.linked("current")
	if current != m.current+1 {
		if current != m.current {
			w.fail("rollback: generation %d is served, it was %d", current, m.current)
		}
		return
	}
	record := w.generation(current)
	next := &generation{sets: map[string]*made{}, base: m.base, at: record.Time}
	for _, s := range record.Sets {
		i := slices.IndexFunc(w.known(), func(b *made) bool { return b.root == s.Root.Hex() })
		if i < 0 {
			w.fail("rollback: set %s: bundle %d, which nobody made", s.Set, s.Sequence)
		}
		next.sets[s.Set] = w.known()[i]
	}
	w.judgeRollback(o, was, next)
	w.count("rollback")
	if o.Withdraw {
		for set, b := range was {
			if next.sets[set] != b {
				m.withdrawn[b] = true
				w.count("withdraw")
			}
		}
	}
	m.alone = o.Withdraw
	m.gens[current], m.current = next, current
}

// judgeRollback: it is what a kept generation has, and of other sets what there was.
func (w *world) judgeRollback(o unpack.RollbackOptions, was map[string]*made, next *generation) {
	same := func(g *generation) bool {
		if o.Set != "" {
			return g.sets[o.Set] == next.sets[o.Set]
		}
		return maps.Equal(g.sets, next.sets)
	}
	if o.To != 0 && !same(w.model.gens[o.To]) {
		w.fail("rollback to %d: published %v, want %v", o.To, next.sets, w.model.gens[o.To].sets)
	}
	if !slices.ContainsFunc(slices.AppendSeq(slices.Collect(maps.Values(w.model.gens)), maps.Values(w.model.left)), same) {
		w.fail("rollback: no kept generation has %v", next.sets)
	}
	for set, b := range next.sets {
		if o.Set != "" && set != o.Set && was[set] != b {
			w.fail("rollback of set %s: set %s had %v and has %v", o.Set, set, was[set], b)
		}
		if o.To == 0 && w.model.withdrawn[b] && was[set] != b {
			w.fail("rollback: %v was withdrawn and came back by itself", b)
		}
	}
}

// forget takes a set out.
func (w *world) forget() {
	m, set := w.model, pick(w.r, w.exporters).name
	if m.streams[set] == "" || m.stateLost {
		return
	}
	killed, err := w.command("forget "+set, func(ctx context.Context, mirror *unpack.Mirror) error {
		_, err := mirror.Forget(ctx, set)
		return err
	})
	if current := w.linked("current"); current != m.current {
		g := &generation{sets: maps.Clone(m.published()), base: m.base, at: w.generation(current).Time}
		delete(g.sets, set)
		if b := m.published()[set]; b != nil {
			m.withdrawn[b] = true
		}
		m.gens[current], m.current, m.alone = g, current, true
		w.count("forget")
		m.accepted[set] = max(0, m.accepted[set]-1)
		delete(m.roots, set)
		delete(m.newest, set)
		delete(m.acked, set)
		for b := range m.waiting {
			if b.set == set {
				delete(m.waiting, b)
			}
		}
		return
	}
	if err == nil && !killed {
		w.fail("forget %s: exit 0, and nothing was published", set)
	}
}

// receipt carries the newest receipt out.
func (w *world) receipt() {
	e := pick(w.r, w.exporters)
	b := w.model.acked[e.name]
	if b == nil || w.model.stateLost {
		return
	}
	file := filepath.Join(w.mirror(), "state/receipts", fmt.Sprintf("%s-%06d.receipt.json", e.name, b.seq))
	_, err := export.AddReceipt(ctx(), export.ReceiptOptions{
		SpecPath: filepath.Join(e.dir, "gapbundle.yaml"), File: file, Destination: "inside", Confirm: func(string) (bool, error) { return true, nil },
	})
	w.note("receipt of %v: %v", b, brief(err))
	if err == nil {
		w.count("receipt")
		e.destination = true
	}
}

// address gives the mirror another address for clients.
func (w *world) address() {
	m, base := w.model, fmt.Sprintf("https://mirror.example/%d", w.step)
	if m.current == 0 {
		return
	}
	_, _ = w.command("config --base-url "+base, func(ctx context.Context, mirror *unpack.Mirror) error {
		_, err := mirror.SetBaseURL(ctx, base)
		return err
	})
	if current := w.linked("current"); current == m.current+1 {
		m.base = base
		w.count("address")
		m.gens[current], m.current, m.alone = &generation{sets: m.published(), base: base, at: w.generation(current).Time}, current, false
	}
}

// setTime moves the clock floor of every set.
func (w *world) setTime() {
	to := w.clock.Add(-time.Duration(w.r.IntN(1000)) * time.Hour).Truncate(time.Second)
	killed, err := w.command("trust set-time "+to.Format(time.DateTime), func(ctx context.Context, m *unpack.Mirror) error { return m.Trust().SetTime(ctx, to) })
	if err != nil || killed {
		if !killed && !errors.Is(err, context.Canceled) && !w.model.stateLost {
			w.fail("set-time: %v", err)
		}
		if w.with(ctx(), func(m *unpack.Mirror) error { return m.Trust().SetTime(ctx(), to) }) != nil {
			return
		}
	}
	for set := range w.model.streams {
		w.model.floors[set] = to
	}
}

// repair puts everything right from all bundles that there ever were.
func (w *world) repair() {
	var paths []string
	given := map[string]*made{} // two of one number are of no use to repair
	for _, b := range w.bundles() {
		given[filepath.Base(b.dir)] = b
	}
	part := w.one(3)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if part && len(paths) > 0 {
			delete(given, name)
			continue
		}
		paths = append(paths, given[name].dir)
	}
	if w.one(2) {
		w.harmDisk() // and once more, before
	}
	var missing *unpack.MissingError
	var res *unpack.RepairResult
	killed, err := w.command("repair", func(ctx context.Context, m *unpack.Mirror) (err error) {
		res, err = unpack.Repair(ctx, m, paths)
		return err
	})
	switch {
	case killed || errors.Is(err, context.Canceled) || w.model.stateLost:
	case err == nil:
		if len(w.model.sick) > 0 {
			w.count("repair")
		}
		clear(w.model.sick)
		if res.Generation > 0 { // what a publish makes was damaged
			m := w.model
			m.gens[res.Generation], m.current = &generation{sets: m.published(), base: m.base, at: w.generation(res.Generation).Time}, res.Generation
		}
	case errors.As(err, &missing) && !w.recoverable(given):
	default:
		w.fail("repair from %d bundles (part: %v): %v; %q", len(paths), part, err, res.Notes)
	}
	w.follow()
}

// recoverable reports whether one of the bundles carries each of the damaged blobs.
func (w *world) recoverable(given map[string]*made) bool {
	carried := map[string]bool{}
	for _, b := range given {
		for c := range b.carried {
			carried[hexOf(c)] = true
		}
	}
	for h := range w.model.sick {
		if !carried[h] {
			return false
		}
	}
	return true
}

// follow takes over a generation with the same content.
func (w *world) follow() {
	m := w.model
	if current := w.linked("current"); current == m.current+1 {
		record := w.generation(current)
		for _, s := range record.Sets {
			if b := m.published()[s.Set]; b == nil || b.root != s.Root.Hex() {
				w.fail("generation %d: set %s has other content than before", current, s.Set)
			}
		}
		m.gens[current], m.current = &generation{sets: m.published(), base: m.base, at: record.Time}, current
	}
}

// rebuild runs the command state rebuild; then nobody may have gone back.
func (w *world) rebuild() {
	killed, err := w.interrupted("state rebuild", func(ctx context.Context) error {
		_, err := unpack.RebuildState(ctx, w.mirror(), w.options(ctx))
		return err
	}, w.mirror())
	w.touched = true
	w.note("state rebuild killed=%v: %v", killed, brief(err))
	if killed {
		w.serve()
	}
	if killed || errors.Is(err, context.Canceled) {
		return
	}
	if err != nil {
		w.fail("state rebuild: %v", err)
	}
	w.must(w.with(ctx(), func(m *unpack.Mirror) error { return trustBoth(w, m) }))
	w.count("state rebuild")
	w.model.stateLost = false
	w.stateful = map[string][]byte{}
}
