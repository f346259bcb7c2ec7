package gitfile

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // git's own format; content is bound by SHA-256 elsewhere
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/gapbundle/gapbundle/bundle"
)

// MaxObjects bounds the objects of one pack: the Linux kernel has 11 million.
const MaxObjects = 200_000_000

const fanout = 256

// Index is the content of a pack's index, as far as it is used here.
type Index struct {
	// Pack is the trailer of the pack that the index belongs to, and the name
	// in pack-<name>.pack.
	Pack  ID
	Count int64
	// Names is a digest over the sorted object names.
	Names bundle.Digest
}

// ReadIndex reads an index of version 2 as a stream and calls each, if it is
// not nil, for every object name in ascending order. It checks the fan-out
// table, the order, that offsets of 64 bits are there where they are referred
// to, and the checksum of the index. Errors match bundle.ErrCorrupt, or are
// those of r and each.
func ReadIndex(r io.Reader, each func(ID) error) (Index, error) {
	x := &indexReader{sum: sha1.New()} //nolint:gosec // as above
	x.r = io.TeeReader(bufio.NewReaderSize(r, 64<<10), x.sum)
	index, err := x.read(each)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = fmt.Errorf("pack index: ends too early: %w", bundle.ErrCorrupt)
	}
	return index, err
}

type indexReader struct {
	r   io.Reader
	sum hash.Hash
}

func corruptIndex(format string, args ...any) error {
	return fmt.Errorf("pack index: "+format+": %w", append(args, bundle.ErrCorrupt)...)
}

func (x *indexReader) read(each func(ID) error) (index Index, err error) {
	var header [8 + 4*fanout]byte
	if _, err := io.ReadFull(x.r, header[:]); err != nil {
		return index, err
	}
	if !bytes.Equal(header[:8], []byte("\xfftOc\x00\x00\x00\x02")) {
		return index, corruptIndex("begins with %x, want version 2", header[:8])
	}
	var upTo [fanout]int64
	for i := range upTo {
		upTo[i] = int64(binary.BigEndian.Uint32(header[8+4*i:]))
		if i > 0 && upTo[i] < upTo[i-1] {
			return index, corruptIndex("fan-out of %#02x is below the one before", i)
		}
	}
	index.Count = upTo[fanout-1]
	if index.Count > MaxObjects {
		return index, corruptIndex("%s, at most %d", bundle.Count(index.Count, "object"), MaxObjects)
	}
	if index.Names, err = x.names(&upTo, each); err != nil {
		return index, err
	}
	large, err := x.offsets(index.Count)
	if err != nil {
		return index, err
	}
	if _, err := io.CopyN(io.Discard, x.r, 8*large); err != nil {
		return index, err
	}
	return index, x.trailer(&index)
}

// names reads the sorted table of names.
func (x *indexReader) names(upTo *[fanout]int64, each func(ID) error) (bundle.Digest, error) {
	digest := bundle.NewHash()
	var last ID
	for i := range upTo[fanout-1] {
		var id ID
		if _, err := io.ReadFull(x.r, id[:]); err != nil {
			return bundle.Digest{}, err
		}
		if i > 0 && bytes.Compare(id[:], last[:]) <= 0 {
			return bundle.Digest{}, corruptIndex("%s after %s: not in order", id, last)
		}
		if first := id[0]; i >= upTo[first] || first > 0 && i < upTo[first-1] {
			return bundle.Digest{}, corruptIndex("%s: not where the fan-out says", id)
		}
		last = id
		_, _ = digest.Write(id[:]) // a hash takes everything
		if each != nil {
			if err := each(id); err != nil {
				return bundle.Digest{}, err
			}
		}
	}
	return bundle.SumOf(digest), nil
}

// offsets reads the checksums and offsets of all objects, and returns how many
// offsets refer to the table of 64 bits.
func (x *indexReader) offsets(count int64) (large int64, err error) {
	if _, err := io.CopyN(io.Discard, x.r, 4*count); err != nil {
		return 0, err
	}
	var b [4]byte
	for range count {
		if _, err := io.ReadFull(x.r, b[:]); err != nil {
			return 0, err
		}
		if b[0]&0x80 != 0 {
			large++
		}
	}
	return large, nil
}

func (x *indexReader) trailer(index *Index) error {
	if _, err := io.ReadFull(x.r, index.Pack[:]); err != nil {
		return err
	}
	want := ID(x.sum.Sum(nil))
	var have ID
	if _, err := io.ReadFull(x.r, have[:]); err != nil {
		return err
	}
	if have != want {
		return corruptIndex("checksum %s, want %s", have, want)
	}
	if n, _ := x.r.Read(make([]byte, 1)); n > 0 {
		return corruptIndex("bytes after its checksum")
	}
	return nil
}

// ReadPack reads a whole pack as a stream and returns its trailer, which is
// the SHA-1 of all before it, and the number of objects that its header
// announces. Nothing is inflated. Errors match bundle.ErrCorrupt or are r's.
func ReadPack(r io.Reader) (trailer ID, count int64, err error) {
	bad := func(format string, args ...any) (ID, int64, error) {
		return ID{}, 0, fmt.Errorf("pack: "+format+": %w", append(args, bundle.ErrCorrupt)...)
	}
	var header [12]byte
	if n, err := io.ReadFull(r, header[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return bad("%s, want a header", bundle.Count(n, "byte"))
		}
		return ID{}, 0, err
	}
	if !bytes.Equal(header[:8], []byte("PACK\x00\x00\x00\x02")) {
		return bad("begins with %x, want version 2", header[:8])
	}
	sum := sha1.New() //nolint:gosec // as above
	_, _ = sum.Write(header[:])
	tail := make([]byte, 0, 64<<10+IDSize)
	for {
		n, err := r.Read(tail[len(tail):cap(tail)])
		tail = tail[:len(tail)+n]
		if cut := len(tail) - IDSize; cut > 0 {
			_, _ = sum.Write(tail[:cut])
			tail = append(tail[:0], tail[cut:]...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return ID{}, 0, err
		}
	}
	if len(tail) < IDSize {
		return bad("ends before its checksum")
	}
	if have, want := ID(tail), ID(sum.Sum(nil)); have != want {
		return bad("checksum %s, want %s", have, want)
	}
	return ID(tail), int64(binary.BigEndian.Uint32(header[8:])), nil
}
