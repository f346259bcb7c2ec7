//go:build clients

package sourcetest

import (
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// TestWorld: curl gets from each server what the upstream had, and the client file
// with the server's address in it.
func TestWorld(t *testing.T) {
	w := NewWorld(t, Manifests(), Parcels())
	w.Put("r/p/1", []byte("a parcel"))
	w.Publish("site", "- {name: main, kind: parcels, base: "+w.URL+"/r/, names: [p/1]}\n")
	if w.Digest("parcels/main/p/1") != bundle.DigestOf([]byte("a parcel")) {
		t.Error("another parcel is published")
	}
	w.Each(t, func(t *testing.T, s *webtest.Server) {
		if got := w.Run("", nil, "curl", "-fsS", s.URL+"/parcels/main/p/1"); string(got) != "a parcel" {
			t.Errorf("got %q", got)
		}
		if got := string(w.Client("parcels", "parcels.conf")); !strings.Contains(got, s.URL+"/parcels/main/") {
			t.Errorf("client file %q", got)
		}
	})
	if r, err := w.TryExport("site", "- {name: main, kind: parcels, base: "+w.URL+"/r/, names: [p/1]}\n"); err != nil || !r.Nothing {
		t.Errorf("the same again: %+v, %v", r, err)
	}
}
