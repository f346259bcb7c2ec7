package promises

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// Each byte of upstream is downloaded once, and what has not changed not at
// all; also where an export is cut off in the middle.
func TestDownloadedOnce(t *testing.T) {
	s, up := newSite(t, nil), upstreamtest.New(t)
	var urls strings.Builder
	sizes := map[string]int{}
	for i, size := range []int{0, 5, 100_000, 3 << 20, 9 << 20} {
		path := fmt.Sprintf("/pool/%d", i)
		sizes[path] = size
		up.Put(path, []byte(noise(uint64(i), size)))
		fmt.Fprintf(&urls, "      - %s\n", up.URL(path))
	}
	up.FailAlways("/pool/4", upstreamtest.Chunked) // of unknown size
	s.write("gapbundle.yaml", "version: 1\nname: site\nsigning: {exporter: keys/exporter.key}\nsources:\n  - name: data\n    kind: files\n    urls:\n"+urls.String())
	up.Fail("/pool/3", nil, upstreamtest.Cut(2<<20)) // HEAD, then a body that ends early and goes on
	first := s.export("usb")
	for path, size := range sizes {
		if got := up.Bytes(path); got != int64(size) {
			t.Errorf("%s: %d bytes sent of %d", path, got, size)
		}
	}
	if n := up.Requests("/pool/3"); n < 3 {
		t.Errorf("%d requests for what was cut off, want one to go on", n)
	}
	up.ResetCounts()
	sizes["/pool/1"] = 7
	up.Put("/pool/1", []byte("changed"))
	second := s.export("usb", "--update-lock")
	for path := range sizes {
		if got := up.Bytes(path); path != "/pool/1" && got != 0 {
			t.Errorf("%s: %d bytes sent of what has not changed", path, got)
		}
	}
	if got := up.Bytes("/pool/1"); got != 7 {
		t.Errorf("/pool/1: %d bytes sent of 7", got)
	}
	s.mirror("mirror")
	s.ok("import", first, second, "--to", "mirror")
	host := strings.ReplaceAll(up.Host(), ":", "_")
	if got := s.read("mirror/current/files/" + host + "/pool/1"); got != "changed" {
		t.Errorf("served is %q", got)
	}
}
