package unpack

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/tree"
	"github.com/gapbundle/gapbundle/verify"
)

// proving collects what proves that bundles of a set were accepted.
type proving struct {
	set, stream string
	all         map[int64]*accepted
	least       int64 // the highest number that something proves, whatever is known of it
	last        int64 // the number of the newest receipt
	lastTime    int64
	floors      []state.Ratchet // of generations
	forgotten   bool
	from        []string
}

func (p *proving) source(what string) {
	if len(p.from) < 8 && !slices.Contains(p.from, what) {
		p.from = append(p.from, what)
	}
}

func (p *proving) add(n int64, root bundle.Digest) *accepted {
	p.least = max(p.least, n)
	a := p.all[n]
	if a == nil {
		a = &accepted{}
		p.all[n] = a
	}
	if a.root.IsZero() {
		a.root = root
	}
	return a
}

func (p *proving) receipt(of *state.State, k state.Kept) error {
	c, err := of.ReceiptIn(k.File)
	if damaged(err) || errors.Is(err, bundle.ErrUntrusted) || errors.Is(err, bundle.ErrUsage) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.stream == "" {
		p.stream = c.Stream
	}
	if c.Stream != p.stream || c.Set != p.set {
		return nil
	}
	p.add(c.Sequence, c.Root)
	if at := c.Imported.Unix(); at >= p.lastTime {
		p.last, p.lastTime = c.Sequence, at
	}
	p.source(k.File)
	return nil
}

func (p *proving) root(of *state.State, k state.Kept) error {
	m, d, err := of.RootIn(k.File)
	if damaged(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.stream == "" {
		p.stream = m.Stream
	}
	if m.Stream != p.stream || m.Set != p.set {
		return nil
	}
	a := p.add(m.Sequence, d)
	a.manifest = m
	a.content = &state.Content{Sequence: m.Sequence, State: m.State, Repositories: m.Repositories}
	p.source(k.File)
	return nil
}

func (p *proving) generationsOf(all []tree.Generation) {
	for _, g := range slices.Backward(all) {
		s := g.Set(p.set)
		if s == nil {
			continue
		}
		if p.stream == "" {
			p.stream = cmp.Or(s.AcceptedStream, s.Stream)
		}
		if cmp.Or(s.AcceptedStream, s.Stream) == p.stream {
			p.least = max(p.least, s.Accepted)
			p.floors = append(p.floors, state.Ratchet{Floor: s.Floor})
		}
		if s.Stream != p.stream {
			continue
		}
		a := p.add(s.Sequence, s.Root)
		if a.content == nil {
			a.content = &state.Content{Sequence: s.Sequence, State: s.State}
			for _, r := range s.Repositories {
				a.content.Repositories = append(a.content.Repositories, r.Repository)
			}
		}
		p.source(fmt.Sprintf("generation %d", g.Number))
	}
}

// fromJournal adds the roots that the journal has since the set was last adopted or
// forgotten.
func (p *proving) fromJournal(all []state.Entry) {
	for i, e := range slices.Backward(all) {
		if e.Set != p.set {
			continue
		}
		if e.What == "trust" && strings.HasPrefix(e.Detail, "adopt stream ") {
			return
		}
		if e.What == "forget" && e.Sequence == 0 {
			p.forgotten = !slices.ContainsFunc(all[i:], func(l state.Entry) bool {
				return l.Set == p.set && l.What == "import" && l.Outcome == state.Imported
			})
			return
		}
		if e.What == "import" && (e.Outcome == state.Imported || e.Outcome == state.Superseded) && !e.Root.IsZero() {
			p.add(e.Sequence, e.Root)
			p.source("the journal")
		}
	}
}

func (p *proving) ratchet(old state.Ratchet) state.Ratchet {
	next := old
	if old.Stream != p.stream {
		next = state.Ratchet{Set: p.set, Floor: old.Floor}
	}
	next.Stream = p.stream
	next.Sequence = max(next.Sequence, p.least)
	for n, a := range p.all {
		if !a.root.IsZero() && !next.Has(a.root) {
			next.Roots = append(next.Roots, verify.AcceptedRoot{Sequence: n, Root: a.root})
		}
	}
	slices.SortFunc(next.Roots, func(a, b verify.AcceptedRoot) int { return cmp.Compare(a.Sequence, b.Sequence) })
	if a := p.all[next.Sequence]; a != nil {
		next.Root, next.Newest = a.root, a.content
	}
	next.Acknowledged = next.Newest
	if a := p.all[p.last]; a != nil && a.content != nil {
		next.Acknowledged = a.content
	}
	for _, f := range p.floors {
		if f.Floor.After(next.Floor) {
			next.Floor = f.Floor
		}
	}
	for _, r := range next.Roots {
		if a := p.all[r.Sequence]; a != nil && a.manifest != nil {
			next.Floor = verify.NextFloor(next.Floor, a.manifest.Created)
		}
	}
	next.Images, next.ImagesKnown = nil, false // taken from what is published by the next import
	if p.forgotten {
		next.Sequence = max(0, next.Sequence-1)
		next.Root, next.Roots, next.Newest, next.Acknowledged, next.Mounts = bundle.Digest{}, nil, nil, nil, nil
	}
	return next
}
