package media

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// itemsForScan returns items of every shape that is recorded.
func itemsForScan() []recordItem {
	of := func(n int) (all []recordSegment) {
		for i := range n {
			all = append(all, recordSegment{Volume: i + 1, At: int64(i) << 20, Length: 1 << 20, Offset: 512})
		}
		return all
	}
	return []recordItem{
		{Key: "pool\x00a/b\x0012\x00\x00v", Digest: bundle.DigestOf([]byte("a")), Size: 12, Validator: `W/"65a1"`, Segments: of(1)},
		{Key: "", Segments: of(3)},
		{Key: `"}}\`, Digest: bundle.DigestOf([]byte("b")), Size: bundle.MaxInteger},
		{Key: "name\u2028<&>\u00e9\ufffd", Validator: "\\", Segments: of(2)},
	}
}

// The quick way takes every line that is written, and reads what encoding/json reads.
func TestScanItem(t *testing.T) {
	it := recordItem{Segments: []recordSegment{{Volume: 7}}}
	for _, want := range itemsForScan() {
		line, err := lineOf(&want)
		if err != nil {
			t.Fatal(err)
		}
		if !scanItem(line, &it) {
			t.Errorf("the quick way does not read %s", line)
		}
		if it.Digest != want.Digest || it.Size != want.Size || !slices.Equal(it.Segments, want.Segments) {
			t.Errorf("%sread as %+v", line, it)
		}
		for n := range line { // what a kill leaves
			if scanItem(line[:n], &it) {
				t.Errorf("%d of its bytes are read as all of %s", n, line)
			}
		}
	}
	for _, line := range []string{`{"item":{"key":"","digest":"sha256:` + strings.Repeat("A", 64) + `","size":1}}`, `{"frame":{}}`} {
		if scanItem([]byte(line+"\n"), &it) {
			t.Errorf("%s is read", line)
		}
	}
}

func FuzzScanItem(f *testing.F) {
	for _, it := range itemsForScan() {
		line, err := lineOf(&it)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var quick recordItem
		var slow recordLine
		if !scanItem(line, &quick) || json.Unmarshal(line, &slow) != nil {
			return
		}
		if slow.Item == nil || quick.Digest != slow.Item.Digest || quick.Size != slow.Item.Size || !slices.Equal(quick.Segments, slow.Item.Segments) {
			t.Errorf("%q: %+v and %+v", line, quick, slow.Item)
		}
		if !bytes.HasPrefix(line, itemLine) {
			t.Errorf("%q is no item", line)
		}
	})
}
