package bundle

import (
	"hash/maphash"
	"math/bits"
)

// DigestSet holds the digests and sizes of blobs: what the base has, what was
// written already. It is open addressing over one array, at 50 bytes an entry
// when its size was foreseen, because a map costs three times that and there
// may be twenty million. It is not safe for concurrent use.
type DigestSet struct {
	slots []digestSlot
	seed  maphash.Seed
	count int64
	zero  bool // the zero digest, which marks a free slot, was added
	size0 int64
}

// marked is the bit of a slot's size that Mark sets: sizes end at MaxInteger.
const marked = 1 << 62

type digestSlot struct {
	digest Digest
	size   int64
}

// minSlots keeps an unforeseen set from growing in tiny steps.
const minSlots = 64

// NewDigestSet makes a set that takes hint digests without growing.
func NewDigestSet(hint int64) *DigestSet {
	return &DigestSet{seed: maphash.MakeSeed(), slots: make([]digestSlot, max(minSlots, hint+hint/4+1))}
}

// find returns the slot of d, or the free one where it belongs. A digest that
// somebody claims is not random: its bytes are hashed by a seed that nobody
// knows, and spread over the slots by the high half of a product.
func (s *DigestSet) find(d Digest) *digestSlot {
	hi, _ := bits.Mul64(maphash.Bytes(s.seed, d[:]), uint64(len(s.slots)))
	for {
		slot := &s.slots[hi]
		if slot.digest == d || slot.digest.IsZero() {
			return slot
		}
		if hi++; hi == uint64(len(s.slots)) {
			hi = 0
		}
	}
}

// Add puts d in. False says that it was there already, whose size then stays.
func (s *DigestSet) Add(d Digest, size int64) (added bool) {
	if d.IsZero() {
		added = !s.zero
		if added {
			s.zero, s.size0 = true, size
		}
		return added
	}
	slot := s.find(d)
	if slot.digest == d {
		return false
	}
	*slot = digestSlot{d, size}
	s.count++
	if s.count*5 > int64(len(s.slots))*4 {
		s.grow()
	}
	return true
}

// grow makes half as many slots more: while it runs both arrays are there.
func (s *DigestSet) grow() {
	old := s.slots
	s.slots = make([]digestSlot, len(old)+len(old)/2)
	for _, slot := range old {
		if !slot.digest.IsZero() {
			*s.find(slot.digest) = slot
		}
	}
}

// Size returns the size that d was added with.
func (s *DigestSet) Size(d Digest) (size int64, ok bool) {
	if d.IsZero() {
		return s.size0, s.zero
	}
	slot := s.find(d)
	return slot.size &^ marked, slot.digest == d
}

// Mark notes something about d, at no cost in memory. first says that it was
// not marked before; ok that d, which is not the zero digest, is in the set.
func (s *DigestSet) Mark(d Digest) (first, ok bool) {
	slot := s.find(d)
	if d.IsZero() || slot.digest != d {
		return false, false
	}
	first = slot.size&marked == 0
	slot.size |= marked
	return first, true
}

// Marked says that d is in the set and was marked.
func (s *DigestSet) Marked(d Digest) bool {
	slot := s.find(d)
	return !d.IsZero() && slot.digest == d && slot.size&marked != 0
}

// Len is how many digests are in the set.
func (s *DigestSet) Len() int64 {
	if s.zero {
		return s.count + 1
	}
	return s.count
}
