package simple

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// METADATA is found at the end and at the beginning of a large wheel, without
// reading all of it.
func TestTail(t *testing.T) {
	small := piptest.Wheel{Name: "foo", Version: "1"}.Build(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
	for name, content := range map[string][]byte{
		"small": small.Content, "at the end": zipOf(t, "big", string(noise(1<<21)), "foo-1.dist-info/METADATA", string(small.Metadata)),
		"at the beginning": zipOf(t, "foo-1.dist-info/METADATA", string(small.Metadata), "big", string(noise(1<<21)), "text", string(big)),
	} {
		var read int64
		tail, err := NewTail(int64(len(content)), func(at int64) (io.ReadCloser, error) {
			return io.NopCloser(&counting{bytes.NewReader(content[at:]), &read}), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := WheelMetadata(tail, int64(len(content)))
		if err != nil || !bytes.Equal(got, small.Metadata) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if read > 3*tailSize {
			t.Errorf("%s: %d bytes read of %d", name, read, len(content))
		}
	}
	broken := errors.New("gone")
	if _, err := NewTail(10, func(int64) (io.ReadCloser, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := NewTail(10, func(int64) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(nil)), nil }); err == nil {
		t.Error("a file that is shorter than it was")
	}
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

type counting struct {
	io.Reader
	n *int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}
