package bundle

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Decoder turns the compressed bytes of frames into raw ones. It is for one
// goroutine; NewDecoder makes it, Close releases its memory.
type Decoder struct{ zstd *zstd.Decoder }

// NewDecoder makes a Decoder.
func NewDecoder() *Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxFrameRaw), zstd.WithDecoderMaxWindow(MaxWindow), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return &Decoder{d}
}

// Close releases the memory of the decoder.
func (d *Decoder) Close() { d.zstd.Close() }

// Decode authenticates compressed against f, which has to come from a signed
// list, and only then decompresses it into dst, which is used from its
// beginning if its capacity is at least f.Raw. The result has exactly f.Raw
// bytes. Errors match ErrCorrupt if the bytes are not those of f, and
// ErrMalformed if they are and still no frame of this format.
func (d *Decoder) Decode(dst []byte, f Frame, compressed []byte) ([]byte, error) {
	if f.Raw < 1 || f.Raw > MaxFrameRaw {
		return nil, fmt.Errorf("frame: raw length %d: want 1 to %d: %w", f.Raw, MaxFrameRaw, ErrMalformed)
	}
	if f.Compressed > MaxFrameCompressed {
		return nil, fmt.Errorf("frame: %s, at most %d: %w", Count(f.Compressed, "byte"), MaxFrameCompressed, ErrMalformed)
	}
	if int64(len(compressed)) != f.Compressed {
		return nil, fmt.Errorf("frame: %s, want %d: %w", Count(len(compressed), "byte"), f.Compressed, ErrCorrupt)
	}
	if got := DigestOf(compressed); got != f.Digest {
		return nil, fmt.Errorf("frame: digest mismatch: want %s, got %s: %w", f.Digest, got, ErrCorrupt)
	}
	if err := checkFrame(f.Raw, compressed); err != nil {
		return nil, err
	}
	if int64(cap(dst)) < f.Raw {
		dst = make([]byte, 0, f.Raw)
	}
	out, err := d.zstd.DecodeAll(compressed, dst[:0:f.Raw])
	if err != nil {
		return nil, fmt.Errorf("frame: %w: %w", err, ErrMalformed)
	}
	if int64(len(out)) != f.Raw {
		return nil, fmt.Errorf("frame: decompresses to %s, want %d: %w", Count(len(out), "byte"), f.Raw, ErrMalformed)
	}
	return out, nil
}

// checkFrame requires one zstd frame (RFC 8878 section 3.1.1) and nothing
// after it, with its content size in the header, no dictionary and no
// checksum. It walks over the block headers, because a decompressor would
// accept a second or a skippable frame after the first.
func checkFrame(raw int64, b []byte) error {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return fmt.Errorf("frame: header: %w: %w", err, ErrMalformed)
	}
	switch {
	case h.Skippable:
		return fmt.Errorf("frame: skippable: %w", ErrMalformed)
	case h.DictionaryID != 0:
		return fmt.Errorf("frame: needs a dictionary: %w", ErrMalformed)
	case h.HasCheckSum:
		return fmt.Errorf("frame: has a checksum: %w", ErrMalformed)
	case !h.HasFCS || h.FrameContentSize != uint64(raw):
		return fmt.Errorf("frame: header says %s, want %d: %w", Count(h.FrameContentSize, "raw byte"), raw, ErrMalformed)
	case h.WindowSize > MaxWindow:
		return fmt.Errorf("frame: window of %s, at most %d: %w", Count(h.WindowSize, "byte"), MaxWindow, ErrMalformed)
	}
	const blockHeader, blockRLE = 3, 1 // bytes; block type, section 3.1.1.2.2
	for at := h.HeaderSize; at+blockHeader <= len(b); {
		head := int(b[at]) | int(b[at+1])<<8 | int(b[at+2])<<16
		size := head >> 3
		if head>>1&3 == blockRLE {
			size = 1
		}
		at += blockHeader + size
		if head&1 == 1 { // the last block
			if at != len(b) {
				return fmt.Errorf("frame: %s after its end: %w", Count(len(b)-at, "byte"), ErrMalformed)
			}
			return nil
		}
	}
	return fmt.Errorf("frame: no last block: %w", ErrMalformed)
}
