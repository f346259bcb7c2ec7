package bundle

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

func TestDigestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few different ones, the zero digest among them.
		digest := rapid.Custom(func(t *rapid.T) Digest {
			var d Digest
			d[0], d[31] = rapid.SampledFrom([]byte{0, 1, 255}).Draw(t, "first"), rapid.Byte().Draw(t, "last")
			return d
		})
		s := NewDigestSet(rapid.Int64Range(0, 50).Draw(t, "hint"))
		m := make(map[Digest]int64)
		for i, d := range rapid.SliceOfN(digest, 0, 300).Draw(t, "digests") {
			_, had := m[d]
			if s.Add(d, int64(i)) == had {
				t.Fatalf("%s: added %v", d, !had)
			}
			if !had {
				m[d] = int64(i)
			}
			probe := digest.Draw(t, "probe")
			want, ok := m[probe]
			if got, has := s.Size(probe); has != ok || got != want {
				t.Fatalf("%s: %d, %v; want %d, %v", probe, got, has, want, ok)
			}
		}
		if s.Len() != int64(len(m)) {
			t.Fatalf("%d, want %d", s.Len(), len(m))
		}
	})
}

// TestDigestSetSpreads: digests that somebody made up to begin alike do not
// are in one row, through which each has to be looked for.
func TestDigestSetSpreads(t *testing.T) {
	const n, most = 4000, 200
	s := NewDigestSet(2 * n)
	for i := range n {
		var d Digest
		binary.BigEndian.PutUint64(d[24:], uint64(i)+1)
		s.Add(d, 1)
	}
	longest, row := 0, 0
	for i := range s.shards {
		for _, slot := range s.shards[i].slots {
			if row++; slot.digest.IsZero() {
				row = 0
			}
			longest = max(longest, row)
		}
	}
	if longest > most {
		t.Errorf("%d slots in a row are taken", longest)
	}
}

func TestDigestSetMemory(t *testing.T) {
	slots := func(s *DigestSet) (n int) {
		for i := range s.shards {
			n += len(s.shards[i].slots)
		}
		return n
	}
	fill := func(s *DigestSet, n int64) {
		for i := range n {
			s.Add(DigestOf([]byte{byte(i), byte(i >> 8), byte(i >> 16)}), i)
		}
	}
	const n = 200_000
	s := NewDigestSet(n)
	before := slots(s)
	if before*40 > 64*n {
		t.Errorf("%d slots for %d", before, n)
	}
	if fill(s, n); slots(s) != before {
		t.Errorf("grew from %d to %d slots", before, slots(s))
	}
	s = NewDigestSet(0)
	for i := int64(1); i <= n; i++ {
		s.Add(DigestOf([]byte{byte(i), byte(i >> 8), byte(i >> 16)}), i)
		if i > 50_000 && i%1000 == 0 && int64(slots(s))*40 > 66*i {
			t.Errorf("%d slots for %d that were not foreseen", slots(s), i)
		}
	}
}

// A claim that nobody has checked does not cost more than the bytes of its lists, and
// never more than a set that grows by itself.
func TestForeseen(t *testing.T) {
	for _, x := range []struct{ claimed, bytes, want int64 }{
		{10, 1 << 20, 10}, {20_000_000, 1000, 10}, {MaxFiles, 1 << 50, 1 << 20}, {-1, 1 << 20, 0},
	} {
		if got := Foreseen(x.claimed, x.bytes); got != x.want {
			t.Errorf("%d claimed in %d bytes: %d, want %d", x.claimed, x.bytes, got, x.want)
		}
	}
}
