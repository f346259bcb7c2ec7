package media

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/gapbundle/gapbundle/bundle"
)

// Compression states how hard a bundle is compressed.
type Compression int

const (
	// CompressionDefault is as C zstd -3, at 100 to 250 MB/s and core. Frames for which
	// that would not pay are compressed as CompressionFast does: see worthIt.
	CompressionDefault Compression = iota
	// CompressionFast is as C zstd -1: 0.6 to 0.8 of the time, 3 to 9 % more bytes.
	CompressionFast
	// CompressionBest is as C zstd -7: two to three times the time, 1 to 8 % fewer bytes.
	CompressionBest
)

// compressor makes frames. One serves any number of goroutines and runs at
// most as many compressions at once as it was made for.
type compressor struct {
	workers chan *worker
	probe   bool // each frame chooses between the two levels
}

// worker has what one compression needs. Encoders allocate when they are first used.
type worker struct {
	fast, thorough *zstd.Encoder // fast is nil where no frame chooses
	coded          []byte        // of samples
}

func newCompressor(jobs int, level Compression) (*compressor, error) {
	c := &compressor{workers: make(chan *worker, jobs), probe: level == CompressionDefault}
	for range jobs {
		w := &worker{}
		var err error
		switch level {
		case CompressionFast:
			w.thorough, err = newEncoder(zstd.SpeedFastest)
		case CompressionBest:
			w.thorough, err = newEncoder(zstd.SpeedBetterCompression)
		case CompressionDefault:
			w.thorough, err = newEncoder(zstd.SpeedDefault)
			if err == nil {
				w.fast, err = newEncoder(zstd.SpeedFastest)
			}
		default:
			err = fmt.Errorf("compression %d: %w", level, bundle.ErrUsage)
		}
		if err != nil {
			return nil, err
		}
		c.workers <- w
	}
	return c, nil
}

// newEncoder makes an encoder whose window is a whole frame. With a smaller one it would
// move what it remembers for each block of 128 KiB: a window of 1 MiB takes 1.4 times the
// processor time for text, and four times that for what does not shrink.
func newEncoder(level zstd.EncoderLevel) (*zstd.Encoder, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(frameRaw), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("compressor: %w: %w", err, bundle.ErrUsage)
	}
	return e, nil
}

// frame compresses raw, which is not empty, into dst from its beginning. The same bytes
// produce the same frame, whoever compresses it.
func (c *compressor) frame(dst, raw []byte) ([]byte, bundle.Frame) {
	w := <-c.workers
	defer func() { c.workers <- w }()
	e := w.thorough
	if c.probe && !w.worthIt(raw) {
		e = w.fast
	}
	out := e.EncodeAll(raw, dst[:0])
	return out, bundle.Frame{Compressed: int64(len(out)), Digest: bundle.DigestOf(out), Raw: int64(len(raw))}
}

const (
	probes     = 4         // samples of a frame
	probeBytes = 16 << 10  // of each
	probeFrom  = 256 << 10 // bytes; of a shorter frame the samples would be a large part
)

// worthIt reports whether the thorough level would make a part of raw noticeably smaller
// than the fast one. Much of what sites carry is compressed already, or is mostly so.
// Samples decide: they are taken evenly over the frame, and one is enough.
func (w *worker) worthIt(raw []byte) bool {
	if len(raw) < probeFrom {
		return true
	}
	for i := range probes {
		at := (len(raw) - probeBytes) / (probes - 1) * i
		sample := raw[at : at+probeBytes]
		w.coded = w.fast.EncodeAll(sample, w.coded[:0])
		fast := len(w.coded)
		if fast >= probeBytes-probeBytes/50 {
			continue // it does not shrink
		}
		w.coded = w.thorough.EncodeAll(sample, w.coded[:0])
		if len(w.coded) < fast-fast/50 {
			return true
		}
	}
	return false
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
