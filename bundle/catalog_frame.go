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

// Bounds of lastFrames. Our own catalogues have frames of 1 MiB, so three of them are kept;
// of the largest that the format allows there is room for two.
const (
	mostLastFrames = 3
	maxLastFrames  = 2 * MaxFrameRaw // bytes
)

// lastFrames are the frames of the catalogue that were used last, for members that do not
// hold one of their own. There is one for each kind of list: readers take files, evidence
// and names of each repository in turn, and lists of one kind follow each other in the
// catalogue.
type lastFrames struct {
	mu     sync.Mutex
	frames []lastFrame // the one that was used last first
	coded  []byte
}

type lastFrame struct {
	file, number int
	raw          []byte
}

// makeRoom drops the frames that were used longest ago, until another one of n bytes may be
// kept, and returns the memory of one to be used again.
func (l *lastFrames) makeRoom(n int64) (memory []byte) {
	for {
		kept := n
		for i := range l.frames {
			kept += int64(cap(l.frames[i].raw))
		}
		last := len(l.frames) - 1
		if last < 0 || last+1 < mostLastFrames && kept <= maxLastFrames {
			return memory
		}
		memory, l.frames[last].raw = l.frames[last].raw, nil
		l.frames = l.frames[:last]
	}
}

// take appends to dst up to n raw bytes of a frame, from byte skip on, and returns how
// many the frame has.
func (c *Catalog) take(dst []byte, from io.ReaderAt, file, number int, skip, n int64) (out []byte, size int64, err error) {
	l := &c.last
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.IndexFunc(l.frames, func(f lastFrame) bool { return f.file == file && f.number == number })
	var used lastFrame
	if at >= 0 {
		used = l.frames[at]
		l.frames = slices.Delete(l.frames, at, at+1)
	} else {
		d := NewDecoder()
		defer d.Close()
		used = lastFrame{file: file, number: number, raw: l.makeRoom(c.files[file].Frames[number].Raw)}
		if used.raw, l.coded, err = c.decode(d, from, file, number, used.raw, l.coded); err != nil {
			return dst, 0, err
		}
	}
	l.frames = slices.Insert(l.frames, 0, used)
	size = int64(len(used.raw))
	return append(dst, used.raw[skip:min(skip+n, size)]...), size, nil
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
