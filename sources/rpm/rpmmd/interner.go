package rpmmd

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// MaxHeld bounds what the lists of a set may need of memory while it is planned,
// all repositories together, if everything is chosen: millions of tiny packages,
// or one with millions of relations, would take all that there is. A choice
// of 72,000 packages with 3 million requirements counts as 1.1 GiB, and
// needs 1 GB if it is everything.
const MaxHeld = 2 << 30 // bytes

// The sizes that are counted in addition to the bytes of texts, in bytes: the values here with their
// places in the indexes, and what a choice among them needs besides
// (TestMemory measures it).
const (
	costString   = 80
	costRelation = 96
	costPackage  = 1536
	// costListed is for a relation or file in a package's list, costNeed for
	// what it needs besides if something has to be chosen for it.
	costListed = 32
	costNeed   = 288
	// costElement is for an element of a rich dependency, which is parsed when
	// it is looked at.
	costElement = 136
)

// Interner keeps one copy of each string and relation, and counts what they
// need. It is for one reader at a time; the zero value is ready.
//
// Package unique in its place took 6 times as long, with 2,159,505 allocations in place
// of 753 for 3,000,000 references to 300,000 names (BenchmarkInterner). It counts
// nothing either, so hostile lists would need another bound.
type Interner struct {
	// Limit bounds what is held, in bytes; 0: MaxHeld.
	Limit int64
	held  int64

	seed      maphash.Seed
	text      strings.Builder // the block that strings are part of
	strings   slab[string]
	relations slab[Relation]
	// The indexes find what the slabs have.
	stringAt, relationAt index
	key                  []byte // of a relation
}

// Hold counts n bytes more. Beyond the limit the error matches
// bundle.ErrMalformed.
func (in *Interner) Hold(n int64) error {
	limit := in.Limit
	if limit == 0 {
		limit = MaxHeld
	}
	if in.held += n; in.held > limit {
		return fmt.Errorf("the packages and relations of the set need more than %d MiB of memory: %w", limit>>20, bundle.ErrMalformed)
	}
	return nil
}

// Held returns how many bytes are counted.
func (in *Interner) Held() int64 { return in.held }

// Keep returns a copy of p without its relations and files, which holds on to nothing
// that p is part of.
func (in *Interner) Keep(p *Package) (*Package, error) {
	kept := &Package{Name: in.again(p.Name), Arch: in.again(p.Arch), PackageSize: p.PackageSize, SourceRPM: in.again(p.SourceRPM)}
	kept.EVR = EVR{Epoch: p.EVR.Epoch, Version: in.again(p.EVR.Version), Release: in.again(p.EVR.Release)}
	kept.Checksum = Checksum{Type: in.again(p.Checksum.Type), Hex: in.keep([]byte(p.Checksum.Hex))}
	kept.Summary, kept.Licence = p.Summary, in.again(p.Licence)
	kept.Location, kept.BaseURL = in.keep([]byte(p.Location)), in.again(p.BaseURL)
	return kept, in.Hold(costPackage)
}

func (in *Interner) again(s string) string { return in.intern([]byte(s)) }

// block is how many bytes strings are kept together.
const block = 64 << 10

// keep returns a copy of s, which shares its memory with others that are kept.
func (in *Interner) keep(s []byte) string {
	if in.text.Cap()-in.text.Len() < len(s) {
		in.text = strings.Builder{}
		in.text.Grow(max(block, len(s)))
	}
	in.text.Write(s)
	in.held += int64(len(s))
	return in.text.String()[in.text.Len()-len(s):]
}

// intern returns the kept copy of s, made for the first time if need be.
func (in *Interner) intern(s []byte) string {
	if len(s) == 0 {
		return ""
	}
	hash := in.hash(s)
	slot, place, ok := in.stringAt.find(hash, func(place uint32) bool { return *in.strings.get(place) == string(s) })
	if ok {
		return *in.strings.get(place)
	}
	in.held += costString
	kept := in.keep(s)
	in.stringAt.put(slot, hash, in.strings.add(kept))
	return kept
}

func (in *Interner) hash(b []byte) uint32 {
	if in.seed == (maphash.Seed{}) {
		in.seed = maphash.MakeSeed()
	}
	return uint32(maphash.Bytes(in.seed, b))
}

// relation returns the kept copy of a relation.
func (in *Interner) relation(name []byte, op Op, epoch uint32, version, release []byte) *Relation {
	in.key = append(in.key[:0], byte(op), byte(epoch), byte(epoch>>8), byte(epoch>>16), byte(epoch>>24))
	in.key = append(append(append(append(append(in.key, name...), 0), version...), 0), release...)
	hash := in.hash(in.key)
	slot, place, ok := in.relationAt.find(hash, func(place uint32) bool {
		r := in.relations.get(place)
		return r.Op == op && r.Name == string(name) && r.EVR.Epoch == epoch && r.EVR.Version == string(version) && r.EVR.Release == string(release)
	})
	if ok {
		return in.relations.get(place)
	}
	in.held += costRelation
	if len(name) > 0 && name[0] == '(' { // each element has a blank before it
		in.held += costElement * int64(1+bytes.Count(name, []byte(" ")))
	}
	place = in.relations.add(Relation{Name: in.intern(name), Op: op, EVR: EVR{Epoch: epoch, Version: in.intern(version), Release: in.intern(release)}})
	in.relationAt.put(slot, hash, place)
	return in.relations.get(place)
}

// slab has values that stay where they are: nothing is copied when it grows.
type slab[T any] struct {
	blocks [][]T
}

// perBlock is how many values a block has.
const perBlock = 512

func (s *slab[T]) add(v T) (at uint32) {
	if n := len(s.blocks); n == 0 || len(s.blocks[n-1]) == perBlock {
		s.blocks = append(s.blocks, make([]T, 0, perBlock))
	}
	last := &s.blocks[len(s.blocks)-1]
	*last = append(*last, v)
	return uint32((len(s.blocks)-1)*perBlock + len(*last) - 1)
}

func (s *slab[T]) get(at uint32) *T { return &s.blocks[at/perBlock][at%perBlock] }

// index is a hash table of places in a slab. It has no pointers, so that
// the garbage collector passes it over.
type index struct {
	slots []slot // a power of two
	n     int
}

// slot has a place, counted from 1; 0: it is empty.
type slot struct{ hash, place uint32 }

// find looks for what has that hash and is the same. Where it is not there, slot
// is where it has to be put.
func (x *index) find(hash uint32, same func(place uint32) bool) (slot int, place uint32, ok bool) {
	if 4*(x.n+1) > 3*len(x.slots) {
		x.grow()
	}
	for slot = int(hash) & (len(x.slots) - 1); ; slot = x.next(slot) {
		switch s := x.slots[slot]; {
		case s.place == 0:
			return slot, 0, false
		case s.hash == hash && same(s.place-1):
			return slot, s.place - 1, true
		}
	}
}

func (x *index) next(slot int) int { return (slot + 1) & (len(x.slots) - 1) }

func (x *index) put(at int, hash, place uint32) {
	x.slots[at] = slot{hash, place + 1}
	x.n++
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]slot, max(1024, 2*len(old)))
	for _, s := range old {
		if s.place == 0 {
			continue
		}
		at := int(s.hash) & (len(x.slots) - 1)
		for x.slots[at].place != 0 {
			at = x.next(at)
		}
		x.slots[at] = s
	}
}
