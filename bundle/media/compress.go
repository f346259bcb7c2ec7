package media

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/gapbundle/gapbundle/bundle"
)

// compressor makes frames. One serves any number of goroutines and runs at
// most as many compressions at once as it was made for.
type compressor struct{ zstd *zstd.Encoder }

// newCompressor compresses at the level that keeps up with the media without
// giving away ratio: as C zstd -3, at 170 MB/s and core.
func newCompressor(jobs int) (*compressor, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(jobs), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(frameRaw), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("compressor: %w: %w", err, bundle.ErrUsage)
	}
	return &compressor{e}, nil
}

// frame compresses raw, which is not empty, into dst from its beginning.
func (c *compressor) frame(dst, raw []byte) ([]byte, bundle.Frame) {
	out := c.zstd.EncodeAll(raw, dst[:0])
	return out, bundle.Frame{Compressed: int64(len(out)), Digest: bundle.DigestOf(out), Raw: int64(len(raw))}
}

// frameRaw is the length of raw bytes that the writer puts into one frame of
// a volume: half of what is allowed, for half the memory in flight.
const frameRaw = 4 << 20 // bytes

// tarHeader appends the 512 bytes of a ustar header (POSIX.1-1988) for a
// read-only regular file that nobody owns, made at the beginning of time:
// the same bytes wherever and whenever a bundle is written. name has at most
// 100 bytes, size is below 8 GiB.
func tarHeader(dst []byte, name string, size int64) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, bundle.TarBlock)...)
	h := dst[at:]
	copy(h, name)
	copy(h[100:], "0000444\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	copy(h[148:], "        0") // the checksum counts as spaces; type '0'
	copy(h[257:], "ustar\x0000")
	copy(h[329:], "0000000\x000000000\x00") // device numbers
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return dst
}

// tarPadding fills the member of the given size up to a whole block.
func tarPadding(dst []byte, size int64) []byte {
	return append(dst, make([]byte, bundle.Padded(size)-size)...)
}
