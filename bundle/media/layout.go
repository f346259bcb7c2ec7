package media

import (
	"fmt"
	"iter"

	"github.com/gapbundle/gapbundle/bundle"
)

// Run is a part of the payload that is written by one goroutine: the volumes
// that are tied together by blobs which span them, usually one.
type Run struct {
	// First is the number of its first volume, from 1. Volumes is how many
	// there are; 0: open-ended, for blobs that are placed only when they are
	// at hand (the tail, after all planned runs).
	First, Volumes int
	// Count is how many items the run takes, in order. In an open-ended one
	// it is not known and 0.
	Count int64
	// Raw is what they take in tar streams, headers and padding included.
	Raw int64
}

// minSegment is the least of a blob that is worth a segment of its own at the
// end of a volume.
const minSegment = 64 << 10 // bytes

// checkVolumeSize returns the default for 0. Errors match ErrUsage.
func checkVolumeSize(size int64) (int64, error) {
	switch {
	case size == 0:
		return bundle.DefaultVolumeSize, nil
	case size < bundle.MinVolumeSize || size > bundle.MaxFileSize:
		return 0, fmt.Errorf("volume size %d bytes: want 1 MiB to 4 GiB (%d to %d bytes): %w", size, bundle.MinVolumeSize, bundle.MaxFileSize, bundle.ErrUsage)
	}
	return size, nil
}

// usableRaw returns how much of a tar stream goes into a volume so that its file
// stays below volumeSize whatever the content: zstd adds at most one part in
// a thousand to what does not shrink, and the archive's end has to fit too.
func usableRaw(volumeSize int64) int64 {
	return (volumeSize - volumeSize/1024 - bundle.TarTrailer) / bundle.TarBlock * bundle.TarBlock
}

// segment is the place of a blob, or of a part of one.
type segment struct {
	volume int
	at     int64 // in the blob
	length int64
	offset int64 // in the planned tar stream of the volume, of the member's header
}

// cutter is the one rule of what goes into which volume. The plan and the
// writer both ask it, so they cannot differ. It is a value: a copy is a way back.
type cutter struct {
	usable int64
	volume int   // the current one
	used   int64 // planned bytes of its tar stream
}

func newCutter(volumeSize int64, first int) cutter {
	return cutter{usable: usableRaw(volumeSize), volume: first}
}

// place returns the segments of the next blob, appended to dst. A blob is split
// only if it is larger than a volume, or larger than SplitBlob and not fitting
// the rest of the current one.
func (c *cutter) place(dst []segment, size int64) []segment {
	need := bundle.TarBlock + bundle.Padded(size)
	split := need > c.usable || size > bundle.SplitBlob
	if need > c.usable-c.used && !split {
		c.next()
	}
	for at := int64(0); ; {
		rest := c.usable - c.used - bundle.TarBlock
		left := size - at
		if bundle.Padded(left) > rest && rest < minSegment {
			c.next()
			continue
		}
		length := min(left, rest)
		dst = append(dst, segment{volume: c.volume, at: at, length: length, offset: c.used})
		c.used += bundle.TarBlock + bundle.Padded(length)
		if at += length; at == size {
			return dst
		}
		c.next()
	}
}

func (c *cutter) next() { c.volume, c.used = c.volume+1, 0 }

// PlanRuns returns the runs for blobs whose sizes are known, in the order in
// which they will be appended. A run ends where no blob spans two volumes.
// It is pure: the same sizes produce the same runs. Errors match ErrUsage, or
// are those of sizes.
func PlanRuns(volumeSize int64, sizes iter.Seq2[int64, error]) ([]Run, error) {
	volumeSize, err := checkVolumeSize(volumeSize)
	if err != nil {
		return nil, err
	}
	var (
		runs []Run
		segs []segment
		cut  = newCutter(volumeSize, 1)
	)
	for size, err := range sizes {
		if err != nil {
			return nil, err
		}
		if size < 0 || size > bundle.MaxInteger {
			return nil, fmt.Errorf("blob of %s: %w", bundle.Count(size, "byte"), bundle.ErrUsage)
		}
		// Before it is cut: the segments of what no volumes hold would fill the memory.
		if size/cut.usable > bundle.MaxVolumes {
			cut.volume = bundle.MaxVolumes + 1
		} else {
			segs = cut.place(segs[:0], size)
		}
		if cut.volume > bundle.MaxVolumes {
			return nil, fmt.Errorf("more than %d volumes of %s; a larger volume size is needed: %w", bundle.MaxVolumes, bundle.Count(volumeSize, "byte"), bundle.ErrUsage)
		}
		if n := len(runs); n == 0 || segs[0].volume >= runs[n-1].First+runs[n-1].Volumes {
			runs = append(runs, Run{First: segs[0].volume})
		}
		run := &runs[len(runs)-1]
		run.Volumes = segs[len(segs)-1].volume - run.First + 1
		run.Count++
		for _, s := range segs {
			run.Raw += bundle.TarBlock + bundle.Padded(s.length)
		}
	}
	return runs, nil
}
