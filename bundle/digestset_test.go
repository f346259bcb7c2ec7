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
// stand in one row, through which each has to be looked for.
func TestDigestSetSpreads(t *testing.T) {
	const n, most = 4000, 200
	s := NewDigestSet(2 * n)
	for i := range n {
		var d Digest
		binary.BigEndian.PutUint64(d[24:], uint64(i)+1)
		s.Add(d, 1)
	}
	longest, row := 0, 0
	for _, slot := range s.slots {
		if row++; slot.digest.IsZero() {
			row = 0
		}
		longest = max(longest, row)
	}
	if longest > most {
		t.Errorf("%d slots in a row are taken", longest)
	}
}

func TestDigestSetMemory(t *testing.T) {
	const n = 1000
	if s := NewDigestSet(n); len(s.slots)*40 > 64*n {
		t.Errorf("%d slots for %d", len(s.slots), n)
	} else {
		before := len(s.slots)
		for i := range int64(n) {
			s.Add(DigestOf([]byte{byte(i), byte(i >> 8)}), i)
		}
		if len(s.slots) != before {
			t.Errorf("grew from %d to %d slots", before, len(s.slots))
		}
	}
}
