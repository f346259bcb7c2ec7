package decompress

import (
	"compress/gzip"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// codingWindow is what a content coding may ask for (RFC 9659 for zstd; that of brotli
// is at most twice as large by its format, RFC 7932 section 9.1).
const codingWindow = 8 << 20 // bytes

// Coding undoes a content coding of HTTP; it is a fetch.Decoder. How much comes out is
// bounded by its reader.
func Coding(coding string, r io.Reader) (io.ReadCloser, error) {
	switch coding {
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		return z, nil
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(codingWindow), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case "br":
		return io.NopCloser(brotli.NewReader(r)), nil
	}
	return nil, fmt.Errorf("content coding %.20q: not known", coding)
}
