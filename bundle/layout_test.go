package bundle

import (
	"encoding/binary"
	"errors"
	"iter"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func sizesOf(sizes []int64) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for _, s := range sizes {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func TestPlanRuns(t *testing.T) {
	const mib = 1 << 20
	usable := usableRaw(100 * mib)
	for name, c := range map[string]struct {
		volumeSize int64
		sizes      []int64
		want       []Run
	}{
		"none":             {100 * mib, nil, nil},
		"one":              {100 * mib, []int64{5}, []Run{{1, 1, 1, 1024}}},
		"exactly full":     {100 * mib, []int64{usable - 1024, 0}, []Run{{1, 1, 2, usable}}},
		"one block more":   {100 * mib, []int64{usable - 1024, 1}, []Run{{1, 1, 1, usable - 512}, {2, 1, 1, 1024}}},
		"not worth split":  {100 * mib, []int64{50 * mib, SplitBlob}, []Run{{1, 1, 1, 50*mib + 512}, {2, 1, 1, SplitBlob + 512}}},
		"split":            {100 * mib, []int64{50 * mib, SplitBlob + 1, 3}, []Run{{1, 2, 3, 50*mib + 512 + SplitBlob + 512 + 512 + 512 + 1024}}},
		"larger":           {mib, []int64{3 * mib}, []Run{{1, 4, 1, 3*mib + 4*512}}},
		"rest too small":   {100 * mib, []int64{usable - 512 - 512 - 65535, SplitBlob + 1}, []Run{{1, 1, 1, usable - 512 - 65024}, {2, 1, 1, SplitBlob + 512 + 512}}},
		"default":          {0, []int64{DefaultVolumeSize}, []Run{{1, 2, 1, DefaultVolumeSize + 1024}}},
		"two after larger": {mib, []int64{mib, mib, 5}, []Run{{1, 3, 3, 2*mib + 4*512 + 1024}}},
	} {
		got, err := PlanRuns(c.volumeSize, sizesOf(c.sizes))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
}

func TestPlanRunsRefuses(t *testing.T) {
	broken := errors.New("broken list")
	for name, c := range map[string]struct {
		volumeSize int64
		sizes      iter.Seq2[int64, error]
		want       error
	}{
		"small volume": {MinVolumeSize - 1, sizesOf(nil), ErrUsage},
		"large volume": {MaxFileSize + 1, sizesOf(nil), ErrUsage},
		"negative":     {0, sizesOf([]int64{-1}), ErrUsage},
		"too many":     {MinVolumeSize, sizesOf([]int64{MaxVolumes * MinVolumeSize}), ErrUsage},
		"list":         {0, func(yield func(int64, error) bool) { yield(0, broken) }, broken},
	} {
		if runs, err := PlanRuns(c.volumeSize, c.sizes); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, runs, err)
		}
	}
}

// Whatever the sizes, segments lie in order, do not overlap, stay in their
// volumes, cover each blob, and runs cover all volumes without gaps.
func TestPlanRunsProperties(t *testing.T) {
	size := rapid.OneOf(rapid.Int64Range(0, 5000), rapid.Int64Range(0, 5<<20), rapid.Int64Range(SplitBlob-1000, SplitBlob+1000))
	rapid.Check(t, func(t *rapid.T) {
		volumeSize := rapid.OneOf(rapid.Int64Range(MinVolumeSize, 3<<20), rapid.Int64Range(SplitBlob, 4*SplitBlob)).Draw(t, "volume size")
		sizes := rapid.SliceOfN(size, 0, 60).Draw(t, "sizes")
		runs, err := PlanRuns(volumeSize, sizesOf(sizes))
		if err != nil {
			t.Fatal(err)
		}
		c := newCutter(volumeSize, 1)
		volume, end, next, run := 1, int64(0), 1, 0
		var raw, count int64
		for _, s := range sizes {
			segs := c.place(nil, s)
			at := int64(0)
			for i, seg := range segs {
				if seg.volume < volume || seg.volume > volume+1 || seg.volume == volume && seg.offset != end || seg.volume > volume && seg.offset != 0 {
					t.Fatalf("segment %+v behind volume %d, %d", seg, volume, end)
				}
				volume, end = seg.volume, seg.offset+tarBlock+padded(seg.length)
				if seg.at != at || end > usableRaw(volumeSize) || i > 0 && seg.length == 0 {
					t.Fatalf("segment %+v of %d", seg, s)
				}
				at += seg.length
				raw += tarBlock + padded(seg.length)
			}
			if at != s || len(segs) > 1 && tarBlock+padded(s) <= usableRaw(volumeSize) && s <= SplitBlob {
				t.Fatalf("%d bytes in %+v", s, segs)
			}
			if count++; count == runs[run].Count {
				if runs[run].First != next || runs[run].First+runs[run].Volumes-1 != volume || runs[run].Raw != raw {
					t.Fatalf("run %+v ends in volume %d with %d bytes; the one before ends in %d", runs[run], volume, raw, next-1)
				}
				next, count, raw, run = volume+1, 0, 0, run+1
			}
		}
		if run != len(runs) {
			t.Fatalf("%d of %d runs used", run, len(runs))
		}
	})
}

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
