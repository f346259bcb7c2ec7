package site

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// FuzzTypes: no media type that is read back from a generation can become syntax of a
// server's configuration.
func FuzzTypes(f *testing.F) {
	f.Add([]byte(`[{"mediaType":"application/vnd.oci.image.index.v1+json","extension":"t59f14f2788"}]`))
	f.Add([]byte(`[{"mediaType":"text/html; charset=utf-8","extension":"t0"}]`))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		types, err := ReadTypes(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Errorf("%v: of no class", err)
			}
			return
		}
		for _, typ := range types {
			if strings.ContainsAny(typ.MediaType, "\"'`{}<>\\\n\r\x00$#") {
				t.Errorf("media type %q", typ.MediaType)
			}
		}
	})
}

// FuzzTags: a list of tags ends, with an error or without one.
func FuzzTags(f *testing.F) {
	f.Add([]byte(`{"name":"library/alpine","tags":["3","4"]}`))
	f.Add([]byte(`{"name":"a","tags":null}`))
	f.Add([]byte(`{"tags":[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for tag, err := range Tags(bytes.NewReader(b)) {
			if n++; n > len(b)+1 {
				t.Fatal("more tags than bytes")
			}
			if err != nil && tag != "" {
				t.Errorf("%q and %v", tag, err)
			}
		}
	})
}
