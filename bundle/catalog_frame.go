package bundle

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

// smallMember is the size up to which a member of the catalogue is read through a
// frame that was decompressed for another one, instead of one of its own.
const smallMember = 256 << 10 // bytes

// decode reads a frame of a catalogue file into coded and decompresses it into raw, both
// of which are used again if they are large enough.
func (c *Catalog) decode(d *Decoder, from io.ReaderAt, file, number int, raw, coded []byte) (newRaw, newCoded []byte, err error) {
	f := &c.files[file]
	frame := f.Frames[number]
	coded = slices.Grow(coded[:0], int(frame.Compressed))[:frame.Compressed]
	n, err := from.ReadAt(coded, c.comp[file][number])
	switch {
	case n == len(coded):
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return raw, coded, fmt.Errorf("%s, frame %d: file ends early: %w", f.Name, number, ErrCorrupt)
	default:
		return raw, coded, fmt.Errorf("%s, frame %d: %w", f.Name, number, err)
	}
	if raw, err = d.Decode(raw, frame, coded); err != nil {
		return nil, coded, fmt.Errorf("%s, frame %d: %w", f.Name, number, err)
	}
	return raw, coded, nil
}

// lastFrames are the two frames of the catalogue that were used last, for members that do
// not hold one of their own. Two, because the file list and the evidence list of one
// repository after the other are read by turns.
type lastFrames struct {
	mu     sync.Mutex
	frames [2]lastFrame // the one that was used last first
	coded  []byte
}

type lastFrame struct {
	held         bool
	file, number int
	raw          []byte
}

// take appends to dst up to n raw bytes of a frame, from byte skip on, and returns how
// many the frame has.
func (c *Catalog) take(dst []byte, from io.ReaderAt, file, number int, skip, n int64) (out []byte, size int64, err error) {
	c.last.mu.Lock()
	defer c.last.mu.Unlock()
	l := &c.last.frames
	if !l[0].holds(file, number) {
		l[0], l[1] = l[1], l[0]
	}
	if !l[0].holds(file, number) {
		d := NewDecoder()
		defer d.Close()
		l[0].held = false
		if l[0].raw, c.last.coded, err = c.decode(d, from, file, number, l[0].raw, c.last.coded); err != nil {
			return dst, 0, err
		}
		l[0].held, l[0].file, l[0].number = true, file, number
	}
	size = int64(len(l[0].raw))
	return append(dst, l[0].raw[skip:min(skip+n, size)]...), size, nil
}

func (f *lastFrame) holds(file, number int) bool {
	return f.held && f.file == file && f.number == number
}

// sharingReader reads a member through the frame that was decompressed last. It holds
// the bytes that it returns next and nothing else, so that thousands of lists can be read
// side by side; it decompresses a frame again if another reader was at work meanwhile.
type sharingReader struct {
	memberReader
	hold   int64
	buffer []byte
}

// Read returns bytes whose frame is authenticated.
func (r *sharingReader) Read(b []byte) (int, error) { return r.read(b, r.fill) }

func (r *sharingReader) fill() error {
	if r.left == 0 {
		return r.end()
	}
	data, size, err := r.catalog.take(r.buffer[:0], r.file, r.place.file, r.next, r.skip, min(r.hold, r.left))
	if err != nil {
		return err
	}
	r.buffer, r.data = data, data
	r.skip, r.left = r.skip+int64(len(data)), r.left-int64(len(data))
	if r.skip == size {
		r.next, r.skip = r.next+1, 0
	}
	_, _ = r.hash.Write(data)
	return nil
}

// Close releases the reader's memory.
func (r *sharingReader) Close() error {
	r.buffer = nil
	return r.memberReader.Close()
}
