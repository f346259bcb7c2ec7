package bundle

import (
	"bytes"
	"io"
	"sync"
	"testing"
)

// countingReader counts what is read.
type countingReader struct {
	io.ReaderAt
	reads int
}

func (r *countingReader) ReadAt(b []byte, at int64) (int, error) {
	r.reads++
	return r.ReaderAt.ReadAt(b, at)
}

// framesOf returns a catalogue of one file, raw cut into frames, and the bytes of that file.
func framesOf(t *testing.T, raw []byte, frame int) (*Catalog, []byte) {
	t.Helper()
	const name = "catalog-01.tar.zst"
	h := goodHandmade(t)
	h.files[name] = nil
	c := &Catalog{files: []CatalogFile{h.file(t, name, raw, frame)}}
	offsets := []int64{0}
	for _, f := range c.files[0].Frames {
		offsets = append(offsets, offsets[len(offsets)-1]+f.Compressed)
	}
	c.comp = [][]int64{offsets}
	return c, h.files[name]
}

// TestLastFrames: lists of three kinds that are read by turns cost one reading of each frame,
// and of the largest frames two are kept.
func TestLastFrames(t *testing.T) {
	for name, test := range map[string]struct{ size, kept, reads int }{
		"as written": {1 << 20, 3, 3},
		"largest":    {MaxFrameRaw, 2, 12},
	} {
		t.Run(name, func(t *testing.T) {
			c, file := framesOf(t, bytes.Repeat([]byte("0123456789abcdef"), 3*test.size/16), test.size)
			from := &countingReader{ReaderAt: bytes.NewReader(file)}
			for range 4 {
				for number := range c.files[0].Frames {
					out, size, err := c.take(nil, from, 0, number, 16, 16)
					if err != nil || string(out) != "0123456789abcdef" || size != int64(test.size) {
						t.Fatalf("frame %d: %q of %d, %v", number, out, size, err)
					}
				}
			}
			memory := 0
			for _, f := range c.last.frames {
				memory += cap(f.raw)
			}
			if len(c.last.frames) != test.kept || from.reads != test.reads || memory > maxLastFrames {
				t.Errorf("%d frames kept with %d bytes, %d reads; want %d, at most %d, %d", len(c.last.frames), memory, from.reads, test.kept, maxLastFrames, test.reads)
			}
		})
	}
}

// TestLastFramesOfMany: readers of many lists side by side get their own bytes.
func TestLastFramesOfMany(t *testing.T) {
	raw := noise(1, 64<<10)
	c, file := framesOf(t, raw, 4096)
	from := bytes.NewReader(file)
	var all sync.WaitGroup
	for reader := range 4 {
		all.Go(func() {
			for i := range 200 {
				number := (i*7 + reader*5) % len(c.files[0].Frames)
				out, _, err := c.take(nil, from, 0, number, 0, 4096)
				if want := raw[number*4096:][:4096]; err != nil || !bytes.Equal(out, want) {
					t.Errorf("frame %d: other bytes, %v", number, err)
					return
				}
			}
		})
	}
	all.Wait()
}
