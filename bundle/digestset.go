package bundle

import (
	"hash/maphash"
	"math/bits"
)

// DigestSet holds the digests and sizes of blobs, for example those of the base or those
// that are written already. It uses open addressing over arrays, because there may be twenty
// million entries and a map takes three times the memory. An entry takes 50 bytes if the
// size of the set was foreseen, otherwise up to 63: the set is cut into shards, so that only
// the one that grows needs a second copy. It is not safe for concurrent use.
type DigestSet struct {
	shards [digestShards]digestShard
	seed   maphash.Seed
	zero   bool // the zero digest, which marks a free slot, was added
	size0  int64
}

const digestShards = 64

type digestShard struct {
	slots []digestSlot
	count int
}

// marked is the bit of a slot's size that Mark sets: sizes end at MaxInteger.
const marked = 1 << 62

type digestSlot struct {
	digest Digest
	size   int64
}

// minSlots keeps an unforeseen set from growing in tiny steps.
const minSlots = 8

// Foreseen returns the hint for a set of the digests in lists that nobody has read yet: as
// many as are claimed, but not more than the bytes of the lists have room for, and not
// more than a claim may cost before it is true.
func Foreseen(claimed, listBytes int64) int64 {
	const leastLine, unchecked = 100, 1 << 20 // bytes of a line with a digest; digests
	return max(0, min(claimed, listBytes/leastLine, unchecked))
}

// NewDigestSet makes a set that takes hint digests without growing.
func NewDigestSet(hint int64) *DigestSet {
	s := &DigestSet{seed: maphash.MakeSeed()}
	each := hint / digestShards
	each += each/3 + each/64 + minSlots // digests do not spread evenly
	for i := range s.shards {
		s.shards[i].slots = make([]digestSlot, each)
	}
	return s
}

// place returns the shard of d and what is left of its hash. A digest that
// somebody claims is not random: its bytes are hashed by a seed that nobody
// knows.
func (s *DigestSet) place(d Digest) (*digestShard, uint64) {
	h := maphash.Bytes(s.seed, d[:])
	return &s.shards[h%digestShards], h
}

// find returns the slot of d, or the free one where it belongs.
func (s *DigestSet) find(d Digest) *digestSlot {
	shard, h := s.place(d)
	return shard.find(d, h)
}

// find spreads over the slots by the high half of a product.
func (s *digestShard) find(d Digest, h uint64) *digestSlot {
	hi, _ := bits.Mul64(h, uint64(len(s.slots)))
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

// Add puts d in. False means that it was there already, whose size then stays.
func (s *DigestSet) Add(d Digest, size int64) (added bool) {
	if d.IsZero() {
		added = !s.zero
		if added {
			s.zero, s.size0 = true, size
		}
		return added
	}
	shard, h := s.place(d)
	slot := shard.find(d, h)
	if slot.digest == d {
		return false
	}
	*slot = digestSlot{d, size}
	if shard.count++; shard.count*5 > len(shard.slots)*4 {
		s.grow(shard)
	}
	return true
}

// grow makes a quarter more slots: while it runs both arrays of the shard are there.
func (s *DigestSet) grow(shard *digestShard) {
	old := shard.slots
	shard.slots = make([]digestSlot, len(old)+len(old)/4+1)
	for _, slot := range old {
		if !slot.digest.IsZero() {
			_, h := s.place(slot.digest)
			*shard.find(slot.digest, h) = slot
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

// Mark notes something about d, at no cost in memory. first reports whether it was
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

// Marked reports whether d is in the set and was marked.
func (s *DigestSet) Marked(d Digest) bool {
	slot := s.find(d)
	return !d.IsZero() && slot.digest == d && slot.size&marked != 0
}

// Len returns how many digests are in the set.
func (s *DigestSet) Len() int64 {
	n := int64(0)
	for i := range s.shards {
		n += int64(s.shards[i].count)
	}
	if s.zero {
		n++
	}
	return n
}
