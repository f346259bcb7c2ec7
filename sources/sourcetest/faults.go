package sourcetest

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// forgeries checks that forgeries are refused, and that nothing is left that looks like a bundle.
func forgeries(t *testing.T, s Suite) {
	names := newRig(t, s).up.Forgeries
	for i, forgery := range names {
		t.Run(forgery.Name, func(t *testing.T) {
			r := newRig(t, s)
			f := r.up.Forgeries[i]
			f.Do()
			r.refused(f.Class, f.Names...)
		})
	}
}

// payloadFaults: content that is not what the metadata promised is refused,
// naming its URL, whichever way it differs.
func payloadFaults(t *testing.T, s Suite) {
	for name, spoil := range map[string]func([]byte) []byte{
		"flipped": func(b []byte) []byte {
			b = bytes.Clone(b)
			b[len(b)/2] ^= 1
			return b
		},
		"cut":      func(b []byte) []byte { return b[:len(b)-1] },
		"extended": func(b []byte) []byte { return append(bytes.Clone(b), 0) },
		"emptied":  func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, s)
			p, content := r.up.victim()
			r.up.Server.Put(p, spoil(content))
			_, err := r.export(t.Context())
			if !errors.Is(err, fetch.ErrRefused) && !errors.Is(err, fetch.ErrUpstream) {
				t.Errorf("got %v, want fetch.ErrRefused or fetch.ErrUpstream", err)
			}
			if err != nil && !strings.Contains(err.Error(), r.up.Server.URL(p)) {
				t.Errorf("%v: does not name %s", err, r.up.Server.URL(p))
			}
			if left := signed(t, r.medium); len(left) > 0 {
				t.Errorf("refused, and there is %v", left)
			}
			// The upstream mends: the same command completes.
			r.up.Server.Put(p, content)
			newInside(r).receive(r.must())
		})
	}
}

// transport: what a network does to honest content does no harm, and content
// that wants to come from elsewhere does not come.
func transport(t *testing.T, s Suite) {
	t.Run("mends", func(t *testing.T) {
		r := newRig(t, s)
		p, _ := r.up.victim()
		r.up.Server.Fail(p,
			upstreamtest.Status(429, "Retry-After", "0"), upstreamtest.Status(503, "Retry-After", "0"),
			upstreamtest.Reset(1), upstreamtest.Cut(1))
		in := newInside(r)
		in.receive(r.must())
		in.complete(s)
	})
	t.Run("packed", func(t *testing.T) { packed(t, s) })
	t.Run("redirect", func(t *testing.T) {
		r := newRig(t, s)
		elsewhere := upstreamtest.New(t)
		p, _ := r.up.victim()
		r.up.Server.FailAlways(p, upstreamtest.Redirect(elsewhere.URL("/x")))
		r.refused(fetch.ErrRefused, r.up.Server.URL(p), elsewhere.Host())
		if n := elsewhere.AllRequests(); n != 0 {
			t.Errorf("%d requests reached the other host", n)
		}
	})
}

// packed: an upstream that packs what it sends, asked for or not, leads to the mirror of one that
// does not. The digest decides for what has one, whatever it is called. Without one, a file
// that is called packed is sent as it is.
func packed(t *testing.T, s Suite) {
	r := newRig(t, s)
	victim, _ := r.up.victim()
	r.up.Server.FailAlways(upstreamtest.Any, func(right http.Handler) http.Handler {
		packing := upstreamtest.Packed("gzip", upstreamtest.Gzip)(right)
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if strings.HasSuffix(req.URL.Path, "gz") && req.URL.Path != victim {
				right.ServeHTTP(w, req)
			} else {
				packing.ServeHTTP(w, req)
			}
		})
	})
	in := newInside(r)
	in.receive(r.must())
	have := in.complete(s)
	r.up.Server.Heal()
	in.receive(r.must(full))
	if want := in.complete(s); !maps.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
}
