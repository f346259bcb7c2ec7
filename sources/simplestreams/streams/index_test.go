package streams

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

const sampleIndex = `{"index": {
 "b": {"datatype": "image-ids", "format": "products:1.0", "path": "streams/v1/b.sjson", "products": ["x"], "updated": "Wed, 25 Nov 2026 10:00:00 +0000", "more": [1]},
 "a": {"path": "streams/v1/a.sjson"}}, "format": "index:1.0", "updated": "Wed, 25 Nov 2026 10:00:00 +0000"}`

func TestReadIndex(t *testing.T) {
	x, err := ReadIndex(strings.NewReader(sampleIndex))
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Entries) != 2 || x.Entries[0].ID != "a" || x.Entries[1].Path != "streams/v1/b.sjson" || x.Entries[1].Datatype != "image-ids" {
		t.Errorf("got %+v", x)
	}
	if want := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC); !Updated(x.Fields).Equal(want) {
		t.Errorf("updated %s, want %s", Updated(x.Fields), want)
	}
	b, err := x.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ReadIndex(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b2, err := again.Marshal(); err != nil || !bytes.Equal(b, b2) || !bytes.Contains(b, []byte("\n      \"more\": [\n")) {
		t.Errorf("%v\n%s\n%s", err, b, b2)
	}
}

func TestRefusesIndex(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"format":       {strings.Replace(sampleIndex, "index:1.0", "index:2.0", 1), "want index:1.0"},
		"no format":    {`{"index": {}}`, "want index:1.0"},
		"nested index": {strings.Replace(sampleIndex, "products:1.0", "index:1.0", 1), "entry b: format index:1.0"},
		"twice":        {strings.Replace(sampleIndex, `"a":`, `"b":`, 1), "path occurs twice"},
		"same path":    {strings.Replace(sampleIndex, `a.sjson`, `b.sjson`, 1), "two entries"},
		"no path":      {strings.Replace(sampleIndex, `"path": "streams/v1/a.sjson"`, `"x": 1`, 1), "entry a: path: empty"},
		"elsewhere":    {strings.Replace(sampleIndex, "streams/v1/a.sjson", "images/a.sjson", 1), "want streams/"},
		"up":           {strings.Replace(sampleIndex, "streams/v1/a.sjson", "streams/../a.sjson", 1), ".."},
		"ending":       {strings.Replace(sampleIndex, "a.sjson", "a.xml", 1), "want streams/"},
		"a list":       {strings.Replace(sampleIndex, `{"path": "streams/v1/a.sjson"}`, "[]", 1), "entry a: want an object"},
		"deep":         {strings.Replace(sampleIndex, "[1]", strings.Repeat("[", 10_000), 1), "more than 8 levels"},
		"two values":   {sampleIndex + sampleIndex, "after the end"},
	} {
		if _, err := ReadIndex(strings.NewReader(test.text)); !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), strings.TrimPrefix(test.want, "path ")) {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
	}
}

func TestUpdated(t *testing.T) {
	want := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	for _, s := range []string{"Wed, 25 Nov 2026 10:00:00 +0000", "Wed, 25 Nov 2026 10:00:00 GMT", "2026-11-25T10:00:00Z", "2026-11-25T11:00:00+01:00"} {
		if got := Updated(Object{"updated": s}); !got.Equal(want) {
			t.Errorf("%s: %s", s, got)
		}
	}
	if got := FormatUpdated(want); got != "Wed, 25 Nov 2026 10:00:00 +0000" {
		t.Error(got)
	}
	if got := Updated(Object{"updated": 5}); !got.IsZero() {
		t.Error(got)
	}
}

func TestForms(t *testing.T) {
	for p, want := range map[string][2]string{
		"streams/v1/a.json":  {"streams/v1/a.sjson", "streams/v1/a.json"},
		"streams/v1/a.sjson": {"streams/v1/a.sjson", "streams/v1/a.json"},
	} {
		if got := [2]string{Signed(p), Unsigned(p)}; got != want {
			t.Errorf("%s: %v, want %v", p, got, want)
		}
	}
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(sampleIndex))
	f.Add([]byte(`{"index":{"a":{"path":"streams/a.json","format":"products:1.0"}},"format":"index:1.0"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, err := ReadIndex(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Fatalf("%v: not of the class", err)
			}
			return
		}
		_ = x.Fits()
		b, err := x.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadIndex(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, b)
		}
		if b2, err := again.Marshal(); err != nil || !bytes.Equal(b, b2) {
			t.Fatalf("%v\n%s\n%s", err, b, b2)
		}
	})
}
