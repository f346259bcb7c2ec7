// Package decompress reads what upstreams pack: indexes whose compression
// their name shows. Everything about them is hostile until its digest was
// checked, and what they unpack to after that as well: both are bounded.
package decompress

import (
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/spelling"
)

// maxWindow bounds what a header of zstd or xz may ask for.
const maxWindow = 64 << 20 // bytes

// Reader unpacks packed, whose compression the end of name states, at most limit bytes
// of it. Beyond those the error matches fetch.ErrUpstream, as does every other error
// about the content; all name what. An error of reading packed itself keeps its
// class: the own disk is not upstream's fault. Close does not close packed.
func Reader(packed io.Reader, name, what string, limit int64) (io.ReadCloser, error) {
	from := &source{r: packed}
	in := bufio.NewReaderSize(from, 1<<16)
	var r io.Reader
	var err error
	closing := func() error { return nil }
	switch path.Ext(name) {
	case ".gz":
		r, err = gzip.NewReader(in)
	case ".bz2":
		r = bzip2.NewReader(in)
	case ".xz":
		// This is the library for Go that bounds what a block's header asks for.
		r, err = xz.NewReader(in, maxWindow)
	case ".zst":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(in, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1)); err == nil {
			closing = func() error { d.Close(); return nil }
		}
		r = d
	case ".lz4", ".lzma", ".zck":
		err = errors.New("a compression that gapbundle does not read")
	default:
		r = in
	}
	if err != nil {
		return nil, from.blame(what, err)
	}
	return &bounded{r: r, from: from, what: what, left: limit, limit: limit, close: closing}, nil
}

// source remembers what went wrong with reading the packed content: a decoder may
// return an error of its own for it.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// blame returns a decoder's error with its class.
func (s *source) blame(what string, err error) error {
	if s.err != nil {
		return fmt.Errorf("%s: %w", what, s.err)
	}
	return fmt.Errorf("%s: %w: %w", what, err, fetch.ErrUpstream)
}

// bounded is unpacked content that ends where upstream's index states.
type bounded struct {
	r           io.Reader
	from        *source
	what        string
	left, limit int64
	close       func() error
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%s: unpacks to more than %s, as its index says: %w", b.what, spelling.Count(b.limit, "byte"), fetch.ErrUpstream)
	}
	if err != nil && err != io.EOF {
		err = b.from.blame(b.what, err)
	}
	return n, err
}

func (b *bounded) Close() error { return b.close() }
