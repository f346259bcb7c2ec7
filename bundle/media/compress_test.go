package media

import (
	"bytes"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

func TestCompressorAndDecoderAgree(t *testing.T) {
	c, err := newCompressor(1)
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
