package media

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/gapbundle/gapbundle/bundle"
)

func runsOf(t testing.TB, volumeSize int64, sizes ...int64) []Run {
	t.Helper()
	runs, err := PlanRuns(volumeSize, func(yield func(int64, error) bool) {
		for _, s := range sizes {
			if !yield(s, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// fitting returns the first size of those that Sizes gives with which everything fits, as
// an export chooses it.
func fitting(t testing.TB, on []Space, sizes ...int64) (Load, Fit) {
	t.Helper()
	l := Load{VolumeSize: bundle.DefaultVolumeSize, Tail: 1 << 20, Lists: 256 << 10}
	l.Runs = runsOf(t, l.VolumeSize, sizes...)
	f := l.Fit(on)
	for _, size := range l.Sizes(on) {
		if f.Left == 0 {
			break
		}
		l.VolumeSize, l.Runs = size, runsOf(t, size, sizes...)
		f = l.Fit(on)
	}
	return l, f
}

// TestTwoSmallSticks: 495 MiB go onto two sticks of 252 MiB each.
func TestTwoSmallSticks(t *testing.T) {
	stick := func(device uint64) Space { return Space{252 << 20, 252 << 20, device} }
	two := []Space{stick(1), stick(2)}
	for _, sizes := range [][]int64{{495 << 20}, {300 << 20, 195 << 20}, equal(99, 5<<20), equal(33, 15<<20)} {
		l, f := fitting(t, two, sizes...)
		if f.Left != 0 || f.More != 0 || f.Shares[0].Volumes == 0 || f.Shares[1].Volumes == 0 {
			t.Errorf("%d blobs: volumes of %d, %+v", len(sizes), l.VolumeSize, f)
		}
	}
	// The same on one stick: what is left fits one more.
	l, f := fitting(t, two[:1], 495<<20)
	if f.More != 1 || f.Left < 240<<20 || f.Left > 250<<20 || l.VolumeSize > 16<<20 {
		t.Errorf("one stick: volumes of %d, %+v", l.VolumeSize, f)
	}
	// A large stick keeps the usual size, and so do two folders of one disk.
	if l, f = fitting(t, []Space{{60 << 30, 60 << 30, 1}}, 495<<20, 50<<30); l.VolumeSize != bundle.DefaultVolumeSize || f.Left != 0 {
		t.Errorf("a large stick: volumes of %d, %+v", l.VolumeSize, f)
	}
	if _, f = fitting(t, []Space{stick(1), stick(1)}, 495<<20); f.More != 1 {
		t.Errorf("two folders of one stick: %+v", f)
	}
	if f := (Load{VolumeSize: 1 << 20}).Fit(nil); f.Shares != nil || f.More != 0 {
		t.Errorf("no target: %+v", f)
	}
}

func equal(n int, size int64) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = size
	}
	return all
}

// TestSizesFill: every size is allowed, below the usual one, fills a target with whole
// volumes, and the list has an end.
func TestSizesFill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Load{VolumeSize: bundle.DefaultVolumeSize, Lists: rapid.Int64Range(0, 64<<20).Draw(t, "lists"), Tail: rapid.Int64Range(0, 8<<20).Draw(t, "tail")}
		l.Runs = []Run{{First: 1, Volumes: 1, Count: 1, Raw: rapid.Int64Range(1, 40<<30).Draw(t, "raw")}}
		var on []Space
		for i := range rapid.IntRange(1, 4).Draw(t, "targets") {
			free := rapid.Int64Range(0, 16<<30).Draw(t, "free")
			on = append(on, Space{free, free + rapid.Int64Range(0, 1<<30).Draw(t, "used"), uint64(i)})
		}
		sizes := l.Sizes(on)
		if len(sizes) > 4*finestCut {
			t.Fatalf("%d sizes", len(sizes))
		}
		for i, size := range sizes {
			if size < bundle.MinVolumeSize || size >= l.VolumeSize || i > 0 && size >= sizes[i-1] {
				t.Fatalf("sizes %v", sizes)
			}
			fills := len(sizes) == 1
			for _, s := range on {
				rest := s.Free - max(catalogReserve(size), l.Lists)
				fills = fills || rest > 0 && rest%size <= finestCut*(sizeStep+1)
			}
			if !fills {
				t.Fatalf("%d of %v fills nothing of %+v", size, sizes, on)
			}
		}
	})
}
