package simulation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack"
)

// imports is one run of the command import.
type imports struct {
	all      []*delivery
	options  unpack.ImportOptions
	before   *model
	result   *unpack.Result
	err      error
	stopped  bool // it was asked to stop, or killed
	override bool
}

func (w *world) receive() {
	if e := pick(w.r, w.exporters); len(e.made) > 0 && w.model.newest[e.name] == e.made[len(e.made)-1] && !w.one(3) {
		w.export(e) // there was nothing new to bring
	}
	in := &imports{all: w.deliver(), before: w.model.clone()}
	if len(in.all) == 0 {
		return
	}
	var paths []string
	for _, d := range in.all {
		paths = append(paths, d.dirs...)
	}
	w.r.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	if w.one(12) && len(in.all) == 1 {
		in.override = true
	}
	in.options.AllowRollback = in.override || w.sabotage.rollback && len(in.all) == 1
	in.options.AcceptExpired = w.sabotage.expired
	killed, err := w.interrupted("import", func(ctx context.Context) error {
		return w.with(ctx, func(m *unpack.Mirror) (err error) {
			in.result, err = m.Receive(ctx, paths, in.options)
			return err
		})
	}, w.mirror())
	if w.sabotage.lenient {
		err = nil
	}
	in.err, in.stopped = err, killed || errors.Is(err, context.Canceled)
	w.touched = true
	w.note("import %v at %s override=%v killed=%v: %v", in.all, w.clock.Format(time.DateTime), in.override, killed, brief(err))
	if killed {
		w.count("killed import")
		w.revive()
	}
	w.judge(in)
}

// revive goes on after a kill: the next command that changes the mirror completes what was decided.
func (w *world) revive() {
	w.serve()
	if err := w.with(ctx(), func(m *unpack.Mirror) error { return trustBoth(w, m) }); err != nil && !w.model.stateLost {
		w.fail("the command after a kill: %v", err)
	}
}

// judge looks at what an import did.
func (w *world) judge(in *imports) {
	m := w.model
	current := w.linked("current")
	for n := in.before.current + 1; n <= current; n++ {
		w.judgeGeneration(in, n)
		m.current, m.alone = n, false
	}
	for _, d := range in.all {
		if b := m.published()[d.set]; b != nil && b.root == d.root {
			m.again[d.set] = d.root
		}
	}
	if current < in.before.current {
		w.fail("generation %d is served after %d", current, in.before.current)
	}
	if m.stateLost {
		w.count("import with a damaged state")
		if !errors.Is(in.err, bundle.ErrUntrusted) && !in.stopped && in.err == nil {
			w.judgeDamagedState(in)
		}
		return
	}
	w.judgeError(in)
	if in.stopped {
		w.wait(in)
		return
	}
	for set := range w.sets(in) {
		w.judgeSet(in, set)
	}
	w.wait(in)
}

// judgeDamagedState: the state was damaged, and the import went well. Then the damage must not
// have mattered.
func (w *world) judgeDamagedState(in *imports) {
	for _, d := range in.all {
		if !in.before.roots[d.set][d.root] && d.seq <= in.before.accepted[d.set] {
			w.fail("with a damaged state, %v was taken although %d was accepted", d, in.before.accepted[d.set])
		}
	}
}

// wait notes what may be in parts in the mirror.
func (w *world) wait(in *imports) {
	for _, d := range in.all {
		if !w.model.roots[d.set][d.root] {
			w.model.waiting[d.made] = true
		}
	}
}

func (w *world) sets(in *imports) map[string]bool {
	sets := map[string]bool{}
	for _, d := range in.all {
		sets[d.set] = true
	}
	return sets
}

// generation reads the record of a generation: which bundles, as the mirror has it.
func (w *world) generation(n int) *unpack.Generation {
	var g *unpack.Generation
	w.must(w.with(ctx(), func(m *unpack.Mirror) error {
		all, err := m.Generations()
		for i := range all {
			if all[i].Number == n {
				g = &all[i]
			}
		}
		return err
	}))
	if g == nil {
		w.fail("generation %d was published and is not on record", n)
	}
	return g
}

// judgeGeneration: each set has what it had, or a bundle that it may have.
func (w *world) judgeGeneration(in *imports, n int) {
	m, record := w.model, w.generation(n)
	next := &generation{sets: map[string]*made{}, base: m.base, at: record.Time}
	if last := m.gens[m.current]; last != nil && !record.Time.After(last.at) {
		w.fail("generation %d has the time %v, the one before %v", n, record.Time, last.at)
	}
	was := m.published()
	for _, s := range record.Sets {
		if b := was[s.Set]; b != nil && b.root == s.Root.Hex() {
			next.sets[s.Set] = b
			continue
		}
		i := slices.IndexFunc(w.known(), func(b *made) bool { return b.root == s.Root.Hex() })
		if i < 0 {
			w.fail("generation %d: set %s: bundle %d %s, which nobody made", n, s.Set, s.Sequence, s.Root.Short())
		}
		b := w.known()[i]
		w.eligible(in, b)
		w.countImport(in, b)
		next.sets[s.Set] = b
		m.accept(b)
		for _, d := range in.all {
			if d.set == b.set && d.seq < b.seq {
				m.passed[d.made] = true
			}
		}
		for waits := range in.before.waiting {
			if waits.set == b.set && waits.seq < b.seq {
				m.passed[waits] = true
			}
		}
	}
	for set, b := range was {
		if next.sets[set] == nil {
			w.fail("generation %d: %v is gone", n, b)
		}
	}
	m.gens[n] = next
}

func (w *world) known() []*made { return append(w.bundles(), w.evil.made...) }

func (w *world) countImport(in *imports, b *made) {
	w.count("import")
	for what, is := range map[string]bool{
		"import of a delta":             b.base != nil,
		"import of what waited":         in.before.waiting[b],
		"import of an older bundle":     b.seq < in.before.accepted[b.set],
		"import that heals":             len(w.model.sick) > 0 && slices.ContainsFunc(slices.Collect(maps.Keys(b.carried)), func(c string) bool { return w.model.sick[hexOf(c)] }),
		"import that was stopped":       in.stopped,
		"import next to a harmed one":   in.err != nil,
		"import of a number used twice": slices.ContainsFunc(w.bundles(), func(o *made) bool { return o.set == b.set && o.seq == b.seq && o.root != b.root }),
		"import of another stream":      w.model.newest[b.set] != nil && w.model.newest[b.set].stream != b.stream,
	} {
		if is {
			w.count(what)
		}
	}
}

// eligible fails if a bundle was published that must not be.
func (w *world) eligible(in *imports, b *made) {
	before := in.before
	brought := before.waiting[b] || slices.ContainsFunc(in.all, func(d *delivery) bool { return d.made == b })
	switch stream := before.streams[b.set]; {
	case b.evil:
		w.fail("%v of a stranger was published", b)
	case !brought:
		w.fail("%v was published, and nobody brought it", b)
	case before.roots[b.set][b.root]:
		w.fail("%v was published again: it was imported before", b)
	case stream != "" && stream != b.stream:
		w.fail("%v of another stream was published", b)
	case b.seq <= before.accepted[b.set] && !in.override:
		w.fail("%v was published after %d was accepted", b, before.accepted[b.set])
	case w.expired(before, b):
		w.fail("%v expired %v, and was published at %v (floor %v)", b, b.expires, w.clock, before.floor(b.set))
	}
}

// expired returns the rule of docs/trust.md, "Clocks".
func (w *world) expired(m *model, b *made) bool {
	now := w.clock
	if floor := m.floor(b.set); floor.After(now) {
		now = floor
	}
	return !b.expires.IsZero() && now.After(b.expires)
}

// judgeError: exit 0 means that everything at hand was taken, or was not needed.
func (w *world) judgeError(in *imports) {
	if in.stopped || in.err != nil {
		return
	}
	for _, d := range in.all {
		if in.before.roots[d.set][d.root] || in.before.passed[d.made] || w.madeUpFor(in, d) {
			continue
		}
		switch {
		case d.condition == harmed || d.condition == short:
			if in.before.waiting[d.made] && w.model.published()[d.set] == d.made {
				continue // an earlier copy had what this one has not
			}
			w.fail("exit 0, and %v was not whole", d)
		case d.condition == sound && w.model.published()[d.set] != d.made:
			w.fail("exit 0, and %v was not published", d)
		}
	}
}

// madeUpFor reports whether something newer of the set was at hand, too, and is published.
func (w *world) madeUpFor(in *imports, d *delivery) bool {
	now := w.model.published()[d.set]
	return now != nil && now.seq > d.seq && (in.before.waiting[now] || slices.ContainsFunc(in.all, func(o *delivery) bool { return o.made == now }))
}

// judgeSet: what is whole, newer and complete is published, whatever else is brought.
func (w *world) judgeSet(in *imports, set string) {
	var best *delivery
	clash := false
	for _, d := range in.all {
		if d.set != set {
			continue
		}
		clash = clash || w.clashes(in, d)
		if d.condition == sound && !d.evil && (best == nil || d.seq > best.seq) {
			best = d
		}
	}
	if clash {
		w.count("two bundles of one number at hand")
	}
	if best == nil || clash {
		return
	}
	before, now := in.before, w.model.published()[set]
	stream := before.streams[set]
	alone := len(in.all) == 1
	switch {
	case before.passed[best.made]:
		return // refused, or known
	case before.roots[set][best.root]:
		w.count("known bundle")
		if alone && in.err != nil && len(before.sick) == 0 {
			w.fail("%v was imported before, and is an error now: %v", best, in.err)
		}
		return
	case best.seq <= before.accepted[set] || stream != "" && stream != best.stream || w.expired(before, best.made):
		if in.override {
			return
		}
		w.countRefusal(before, best)
		if alone && !errors.Is(in.err, bundle.ErrUntrusted) {
			w.fail("%v has to be refused as not to be trusted (accepted: %d), got: %v", best, before.accepted[set], in.err)
		}
		return
	case now == best.made || !applies(in, best.made):
		return
	case now != nil && now.seq > best.seq && !before.roots[set][now.root]:
		return // what waited for a volume
	}
	w.fail("%v is whole and newer than %d, and was not published: %v", best, before.accepted[set], in.err)
}

func (w *world) countRefusal(before *model, d *delivery) {
	switch {
	case before.streams[d.set] != "" && before.streams[d.set] != d.stream:
		w.count("refusal of another stream")
	case d.seq == before.accepted[d.set]:
		w.count("refusal of another bundle of the same number")
	case d.seq < before.accepted[d.set]:
		w.count("refusal of an older bundle")
	default:
		w.count("refusal of an expired bundle")
	}
}

// clashes reports whether two bundles of one number are at hand.
func (w *world) clashes(in *imports, d *delivery) bool {
	other := func(b *made) bool { return b.set == d.set && b.seq == d.seq && b.root != d.root }
	if slices.ContainsFunc(in.all, func(o *delivery) bool { return other(o.made) }) {
		return true
	}
	for b := range in.before.waiting {
		if other(b) {
			return true
		}
	}
	return false
}

// applies reports whether the mirror must have what a bundle leaves out.
func applies(in *imports, b *made) bool {
	return len(in.before.sick) == 0 && (b.base == nil || in.before.holds(b.base))
}

// command runs another command that changes the mirror. check is told how the model has to be if it
// went well.
func (w *world) command(what string, f func(ctx context.Context, m *unpack.Mirror) error) (killed bool, err error) {
	killed, err = w.interrupted(strings.Fields(what)[0], func(ctx context.Context) error {
		return w.with(ctx, func(m *unpack.Mirror) error { return f(ctx, m) })
	}, w.mirror())
	if killed {
		w.revive()
	}
	w.touched = true
	if killed {
		w.count("killed command")
	}
	w.note("%s killed=%v: %v", what, killed, brief(err))
	return killed, err
}
