package media

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
)

// Space is the room on the file system of a target.
type Space struct {
	// Free is what can be written now, Capacity what could be if the file system were
	// empty, both in bytes.
	Free, Capacity int64
	device         uint64
}

// Spaces returns the room on each target. A directory that does not exist yet is looked
// at by the one that it will be made in. nil: one of them is not there, or its room is
// not known here.
func Spaces(dirs []string) ([]Space, error) {
	all := make([]Space, 0, len(dirs))
	for _, dir := range dirs {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			dir = filepath.Dir(filepath.Clean(dir))
		}
		s, err := spaceOf(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // named when it is written to
		}
		if err != nil || s.Capacity == 0 {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Load is what a bundle puts on media, as far as a plan knows it.
type Load struct {
	// VolumeSize is what no volume reaches, in bytes.
	VolumeSize int64
	Runs       []Run
	// Tail is what the volumes after the runs need at least, in bytes; 0: there are none.
	Tail int64
	// Lists is what catalogue, root and sums take at most on each medium, in bytes.
	Lists int64
}

// Share is what one medium gets.
type Share struct {
	// Free is what the medium has free before, in bytes.
	Free int64 `json:"free"`
	// First and Last are the numbers of its volumes, which may not be all from one to the
	// other; 0: it gets none. Volumes is how many there are, Bytes what they take at most.
	First   int   `json:"first,omitempty"`
	Last    int   `json:"last,omitempty"`
	Volumes int   `json:"volumes"`
	Bytes   int64 `json:"bytes"`
	device  uint64
}

// Fit reports what fits where if nothing shrinks when it is compressed.
type Fit struct {
	// Shares are those of the targets, in order.
	Shares []Share
	// Left is what fits on none of them, in bytes, and More how many further media of
	// the capacity of the last target take it.
	Left int64
	More int
}

// Fit puts the volumes on the targets as a Writer does, in order, each on the first that
// has room for it. It returns the zero value where there are no targets.
func (l Load) Fit(on []Space) Fit {
	var f Fit
	if len(on) == 0 {
		return f
	}
	free := map[uint64]int64{}
	for _, s := range on {
		f.Shares = append(f.Shares, Share{Free: s.Free, device: s.device})
		free[s.device] = s.Free - l.reserve()
	}
	empty := on[len(on)-1].Capacity - l.reserve()
	var further int64 // free on the further medium that is being filled
	place := func(number int, need int64) {
		for i := range f.Shares {
			if s := &f.Shares[i]; free[s.device] >= need {
				free[s.device] -= need
				s.add(number, need)
				return
			}
		}
		if f.Left += need; further < need {
			f.More, further = f.More+1, max(empty, need)
		}
		further -= need
	}
	last := 0
	for _, r := range l.Runs {
		for left := r.Raw; last < r.First+r.Volumes-1; left -= usableRaw(l.VolumeSize) {
			last = max(last+1, r.First)
			place(last, needOf(l.VolumeSize, left))
		}
	}
	if l.Tail > 0 {
		place(last+1, min(l.Tail, l.VolumeSize))
	}
	return f
}

func (s *Share) add(number int, bytes int64) {
	if s.First == 0 {
		s.First = number
	}
	s.Last, s.Volumes, s.Bytes = number, s.Volumes+1, s.Bytes+bytes
}

// Roomy reports whether the targets hold everything while several volumes are written at
// once, each with room of its own.
func (l Load) Roomy(on []Space, volumes int) bool {
	tight := slices.Clone(on)
	for i := range tight {
		tight[i].Free -= int64(volumes) * l.VolumeSize
	}
	return l.Fit(tight).Left == 0
}

func (l Load) reserve() int64 { return max(catalogReserve(l.VolumeSize), l.Lists) }

// Raw returns what the planned blobs take in tar streams.
func (l Load) Raw() (raw int64) {
	for _, r := range l.Runs {
		raw += r.Raw
	}
	return raw
}

// needOf returns the most that a volume takes of which left bytes of tar stream can come into it.
func needOf(volumeSize, left int64) int64 {
	left = max(0, left) + bundle.TarTrailer
	return min(volumeSize, left+left/1024+bundle.TarTrailer)
}

const (
	// sizeStep is what volume sizes are multiples of: the clusters of large file systems.
	sizeStep = 64 << 10 // bytes
	// finestCut is the most volumes into which the free space of a medium is cut.
	finestCut = 64
	// usualCut is into how many it is cut where the rest comes onto media that are not
	// known yet: at most one part of so many is left empty.
	usualCut = 16
)

// Sizes returns the volume sizes below that of l with which its content can fit on the
// targets, largest first: each fills one of them with a whole number of volumes. Where it
// is too much for them, the one size fills the last of them, and media like it.
func (l Load) Sizes(on []Space) []int64 {
	var all []int64
	if len(on) == 0 {
		return nil
	}
	for size := l.VolumeSize - 1; ; {
		next := int64(0)
		for _, s := range on {
			next = max(next, l.cut(s.Free, size))
		}
		if next < max(bundle.MinVolumeSize, l.least()) {
			break
		}
		if size = next - 1; l.holds(next, on) {
			all = append(all, next)
		}
	}
	if len(all) > 0 {
		return all
	}
	last := on[len(on)-1]
	size := max(bundle.MinVolumeSize, l.least(), l.part(max(last.Free, last.Capacity), usualCut))
	if size >= l.VolumeSize {
		return nil
	}
	return []int64{size}
}

// least returns a volume size with which the number of volumes stays well below what a bundle
// may have.
func (l Load) least() int64 { return l.Raw() / (bundle.MaxVolumes / 4) }

// part returns the volume size of which n fill a medium of free bytes.
func (l Load) part(free int64, n int64) int64 {
	size := min((free-l.Lists)/n, (free*32)/(32*n+1)) // with whichever reserve is the larger
	return size / sizeStep * sizeStep
}

// cut returns the largest part of free that is at most limit; 0: none is.
func (l Load) cut(free, limit int64) int64 {
	for n := max(1, free/(limit+sizeStep)); n <= finestCut; n++ {
		if size := l.part(free, n); size <= limit {
			return size
		}
	}
	return 0
}

// holds reports whether volumes of this size take everything, if they can be filled.
func (l Load) holds(size int64, on []Space) bool {
	free := map[uint64]int64{}
	for _, s := range on {
		free[s.device] = s.Free - max(catalogReserve(size), l.Lists)
	}
	left := l.Raw()
	var rest int64
	for _, f := range free {
		if f > 0 {
			left -= f / size * usableRaw(size)
			rest = max(rest, f%size)
		}
	}
	if l.Tail > rest {
		left += min(l.Tail, size)
	}
	return left <= 0
}
