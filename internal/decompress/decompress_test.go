package decompress

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/gapbundle/gapbundle/internal/fetch"
)

func read(t *testing.T, name string, packed []byte, limit int64) ([]byte, error) {
	t.Helper()
	r, err := Reader(bytes.NewReader(packed), name, "the index", limit)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// What xz makes is read: several streams, several blocks, each kind of check.
func TestXZ(t *testing.T) {
	for name, want := range map[string]string{
		"two-streams.xz": "one\ntwo\n", "crc32.xz": "hello\n", "blocks.xz": strings.Repeat("\x00", 300_000),
	} {
		packed, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(t, name, packed, int64(len(want))); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		flipped := bytes.Clone(packed)
		flipped[len(flipped)/2] ^= 1
		if _, err := read(t, name, flipped, 1<<20); !errors.Is(err, fetch.ErrUpstream) {
			t.Errorf("%s, flipped: %v", name, err)
		}
	}
}

// What a header asks for is bounded: 100 kB with a dictionary of a GiB.
func TestDictionary(t *testing.T) {
	packed, err := os.ReadFile("testdata/large-dictionary.xz")
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = read(t, "large-dictionary.xz", packed, 1<<20)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, fetch.ErrUpstream) {
		t.Errorf("xz: got %v, want ErrUpstream", err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 2*maxWindow {
		t.Errorf("%d bytes were allocated for it", grown)
	}
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(256<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, strings.NewReader(strings.Repeat("x", 300<<20)), 300<<20); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, "x.zst", b.Bytes(), 1<<30); !errors.Is(err, fetch.ErrUpstream) {
		t.Errorf("zstd: got %v, want ErrUpstream", err)
	}
}

// Content ends where its index says, and forms that nobody reads are refused.
func TestBounds(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(bytes.Repeat([]byte("x"), 1000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, "a.gz", b.Bytes(), 1000); err != nil || len(got) != 1000 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := read(t, "a.gz", b.Bytes(), 999); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "999") {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"a.lz4", "a.lzma", "a.zck"} {
		if _, err := read(t, name, b.Bytes(), 1000); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "does not read") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
