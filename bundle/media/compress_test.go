package media

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

func TestCompressorAndDecoderAgree(t *testing.T) {
	c, err := newCompressor(1, CompressionDefault)
	if err != nil {
		t.Fatal(err)
	}
	d := bundle.NewDecoder()
	defer d.Close()
	for _, size := range []int64{1, 255, 256, 511, 512, 65536, 1 << 20, frameRaw} {
		for _, raw := range [][]byte{content(size, size), make([]byte, size)} {
			coded, f := c.frame(nil, raw)
			if got, err := d.Decode(nil, f, coded); err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%d bytes: %v", size, err)
			}
			if limit := size + size/1024 + 64; int64(len(coded)) > limit {
				t.Errorf("%d bytes become %d, more than %d", size, len(coded), limit)
			}
		}
	}
}

// noise returns content that was compressed already.
func noise(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// prose returns content that shrinks well, and better at a thorough level: phrases that come
// again with another word in them.
func prose(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		var w []byte
		for range 2 + r.IntN(8) {
			w = append(w, "etaoinshrdlu"[r.IntN(12)])
		}
		return string(w)
	}
	phrases := make([]string, 300)
	for i := range phrases {
		for range 4 + r.IntN(8) {
			phrases[i] += word() + " "
		}
	}
	var b bytes.Buffer
	for b.Len() < size {
		phrase := phrases[int(r.ExpFloat64()*60)%len(phrases)]
		at := r.IntN(len(phrase))
		b.WriteString(phrase[:at] + word() + phrase[at:])
	}
	return b.Bytes()[:size]
}

// program returns machine code: that of the test itself. It is what the thorough level is for.
func program(t testing.TB) []byte {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, frameRaw/2)
	if _, err := io.ReadFull(f, b); err != nil {
		t.Fatal(err)
	}
	return b
}

// The level of a frame depends on what is in it and on nothing else: not on the frames
// before it, nor on which worker takes it.
func TestLevelByContent(t *testing.T) {
	c, err := newCompressor(2, CompressionDefault)
	if err != nil {
		t.Fatal(err)
	}
	fast, err := newCompressor(1, CompressionFast)
	if err != nil {
		t.Fatal(err)
	}
	best, err := newCompressor(1, CompressionBest)
	if err != nil {
		t.Fatal(err)
	}
	w := <-c.workers
	half := append(noise(frameRaw/2), program(t)...) // one sample that shrinks is enough
	frames := map[string][]byte{"packed": noise(frameRaw), "program": program(t), "half": half, "short": prose(4096)}
	for what, worth := range map[string]bool{"packed": false, "program": true, "half": true, "short": true} {
		if got := w.worthIt(frames[what]); got != worth {
			t.Errorf("%s: worth the time: want %v, got %v", what, worth, got)
		}
	}
	c.workers <- w
	packed, _ := c.frame(nil, frames["packed"])
	code, _ := c.frame(nil, frames["program"])
	for range 3 { // each of the two workers, after other frames
		for what, want := range map[string][]byte{"packed": packed, "program": code} {
			if got, _ := c.frame(nil, frames[what]); !bytes.Equal(got, want) {
				t.Errorf("%s: another frame than before", what)
			}
		}
	}
	quick, _ := fast.frame(nil, frames["program"])
	small, _ := best.frame(nil, frames["program"])
	if len(small) >= len(code) || len(code) >= len(quick) {
		t.Errorf("machine code: best %d bytes, default %d, fast %d: want them to grow", len(small), len(code), len(quick))
	}
}

// BenchmarkFrame compresses frames of each kind of content at each level; the ratio is
// reported next to the time.
func BenchmarkFrame(b *testing.B) {
	for what, raw := range map[string][]byte{"text": prose(frameRaw), "packed": noise(frameRaw), "program": program(b)} {
		for name, level := range map[string]Compression{"fast": CompressionFast, "default": CompressionDefault, "best": CompressionBest} {
			b.Run(what+"/"+name, func(b *testing.B) {
				c, err := newCompressor(1, level)
				if err != nil {
					b.Fatal(err)
				}
				var coded []byte
				b.SetBytes(int64(len(raw)))
				for b.Loop() {
					coded, _ = c.frame(coded, raw)
				}
				b.ReportMetric(float64(len(coded))/float64(len(raw)), "ratio")
			})
		}
	}
}
