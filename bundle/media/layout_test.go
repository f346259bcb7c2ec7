package media

import (
	"errors"
	"iter"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gapbundle/gapbundle/bundle"
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
		"not worth split":  {100 * mib, []int64{50 * mib, bundle.SplitBlob}, []Run{{1, 1, 1, 50*mib + 512}, {2, 1, 1, bundle.SplitBlob + 512}}},
		"split":            {100 * mib, []int64{50 * mib, bundle.SplitBlob + 1, 3}, []Run{{1, 2, 3, 50*mib + 512 + bundle.SplitBlob + 512 + 512 + 512 + 1024}}},
		"larger":           {mib, []int64{3 * mib}, []Run{{1, 4, 1, 3*mib + 4*512}}},
		"rest too small":   {100 * mib, []int64{usable - 512 - 512 - 65535, bundle.SplitBlob + 1}, []Run{{1, 1, 1, usable - 512 - 65024}, {2, 1, 1, bundle.SplitBlob + 512 + 512}}},
		"default":          {0, []int64{bundle.DefaultVolumeSize}, []Run{{1, 2, 1, bundle.DefaultVolumeSize + 1024}}},
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
		"small volume": {bundle.MinVolumeSize - 1, sizesOf(nil), bundle.ErrUsage},
		"large volume": {bundle.MaxFileSize + 1, sizesOf(nil), bundle.ErrUsage},
		"negative":     {0, sizesOf([]int64{-1}), bundle.ErrUsage},
		"too many":     {bundle.MinVolumeSize, sizesOf([]int64{bundle.MaxVolumes * bundle.MinVolumeSize}), bundle.ErrUsage},
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
	size := rapid.OneOf(rapid.Int64Range(0, 5000), rapid.Int64Range(0, 5<<20), rapid.Int64Range(bundle.SplitBlob-1000, bundle.SplitBlob+1000))
	rapid.Check(t, func(t *rapid.T) {
		volumeSize := rapid.OneOf(rapid.Int64Range(bundle.MinVolumeSize, 3<<20), rapid.Int64Range(bundle.SplitBlob, 4*bundle.SplitBlob)).Draw(t, "volume size")
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
				volume, end = seg.volume, seg.offset+bundle.TarBlock+bundle.Padded(seg.length)
				if seg.at != at || end > usableRaw(volumeSize) || i > 0 && seg.length == 0 {
					t.Fatalf("segment %+v of %d", seg, s)
				}
				at += seg.length
				raw += bundle.TarBlock + bundle.Padded(seg.length)
			}
			if at != s || len(segs) > 1 && bundle.TarBlock+bundle.Padded(s) <= usableRaw(volumeSize) && s <= bundle.SplitBlob {
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
