package bundle

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	ocidigest "github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Line is what a list or table has on each of its lines.
type Line interface {
	File | Evidence | Entry | Blob | Volume | Frame
}

// ListWriter writes a list, one canonical JSON object per line, and digests
// it on the way. It checks nothing about order: that is the reader's, and
// every list that is written is read back by the same rules.
type ListWriter[T Line] struct {
	w     io.Writer
	hash  interface{ Write([]byte) (int, error) }
	sum   func() Digest
	buf   []byte
	size  int64
	count int64
}

// NewListWriter writes to w, which it does not close or flush.
func NewListWriter[T Line](w io.Writer) *ListWriter[T] {
	h := NewHash()
	return &ListWriter[T]{w: w, hash: h, sum: func() Digest { return SumOf(h) }}
}

// Write appends one line.
func (l *ListWriter[T]) Write(v T) error {
	var err error
	if l.buf, err = AppendLine(l.buf[:0], v); err != nil {
		return err
	}
	l.buf = append(l.buf, '\n')
	if len(l.buf) > MaxLineSize {
		return fmt.Errorf("list line of %s, at most %d: %w", Count(len(l.buf), "byte"), MaxLineSize, ErrMalformed)
	}
	_, _ = l.hash.Write(l.buf)
	l.size += int64(len(l.buf))
	l.count++
	_, err = l.w.Write(l.buf)
	return err
}

// Count returns the number of lines written.
func (l *ListWriter[T]) Count() int64 { return l.count }

// Descriptor describes what was written so far.
func (l *ListWriter[T]) Descriptor(mediaType string) v1.Descriptor {
	return Descriptor(mediaType, l.sum(), l.size)
}

// lineBuffer is what is held of each list that is read: lists of thousands of
// repositories may be read side by side. A longer line has memory of its own.
const lineBuffer = 2 << 10 // bytes

// ReadList reads a list line by line; memory does not grow with its length.
// The sequence ends after the first error, which names what and the line.
// Errors match ErrMalformed, or are r's own.
func ReadList[T Line](r io.Reader, what string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		l := NewListReader[T](r, what)
		for {
			v, err, more := l.Next()
			if !more || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// ListReader is ReadList for a caller that has very many lists open: between two lines
// nothing is held of one but a small buffer.
type ListReader[T Line] struct {
	r     *bufio.Reader
	what  string
	lines int64
}

// NewListReader reads from r, which it does not close.
func NewListReader[T Line](r io.Reader, what string) *ListReader[T] {
	return &ListReader[T]{r: bufio.NewReaderSize(r, lineBuffer), what: what}
}

// Next returns the next line; more is false after the last one. After an error it must
// not be called again.
func (l *ListReader[T]) Next() (v T, err error, more bool) { //nolint:revive // the order is that of iter.Pull2
	line, err := readLine(l.r)
	if err == io.EOF && len(line) == 0 {
		return v, nil, false
	}
	l.lines++
	if err == nil {
		v, err = ParseLine[T](bytes.TrimSuffix(line, []byte{'\n'}))
	} else if err == io.EOF {
		err = fmt.Errorf("no newline at the end: %w", ErrMalformed)
	}
	if err != nil {
		var zero T
		return zero, fmt.Errorf("%s, line %d: %w", l.what, l.lines, err), true
	}
	return v, nil, true
}

// readLine returns the next line, of at most MaxLineSize bytes, with its line feed. It is
// good until the next call.
func readLine(br *bufio.Reader) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) && len(long) <= MaxLineSize {
		line, err = br.ReadSlice('\n')
		long = append(long, line...)
	}
	if len(long) > MaxLineSize {
		return nil, fmt.Errorf("longer than %d bytes: %w", MaxLineSize, ErrMalformed)
	}
	return long, err
}

// Descriptor returns an OCI descriptor (image-spec, descriptor.md) with nothing
// but the three fields that this format uses.
func Descriptor(mediaType string, d Digest, size int64) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: ocidigest.Digest(d.String()), Size: size}
}

// CheckDescriptor requires that d has the media type, a SHA-256, a size within
// 0..MaxInteger and nothing else, and returns the digest. Errors match ErrMalformed.
func CheckDescriptor(d v1.Descriptor, mediaType string) (Digest, error) {
	if d.MediaType != mediaType {
		return Digest{}, fmt.Errorf("descriptor: media type %.80q, want %s: %w", d.MediaType, mediaType, ErrMalformed)
	}
	if d.Size < 0 || d.Size > MaxInteger {
		return Digest{}, fmt.Errorf("descriptor: size %d: %w", d.Size, ErrMalformed)
	}
	if d.URLs != nil || d.Annotations != nil || d.Data != nil || d.Platform != nil || d.ArtifactType != "" {
		return Digest{}, fmt.Errorf("descriptor: fields beyond mediaType, digest and size: %w", ErrMalformed)
	}
	return ParseDigest(string(d.Digest))
}
