//go:build clients

package imagetest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// conformance runs the OCI distribution specification's own program against a
// registry that has the images already, and gives its report. Asked not to
// push, the program crashes when it writes results.yaml; so it is given no
// place for files, ends with 0, and what it printed has to be read.
func conformance(t *testing.T, server, name string, images []Image, blobs []string, partsOfLists bool) string {
	t.Helper()
	var tags, manifests, subjects []string
	for _, i := range images {
		tags, manifests, subjects = append(tags, i.Tag), append(manifests, i.Digest.String()), append(subjects, i.Digest.String())
		for _, m := range i.ByPlatform {
			manifests = append(manifests, m.Digest.String())
		}
	}
	r := newRunner(t)
	r.env = append(r.env,
		"OCI_REGISTRY="+server, "OCI_TLS=disabled", "OCI_REPO1="+name, "OCI_VERSION=1.1", "OCI_RESULTS_DIR=/dev/null/none", "OCI_LOG=error",
		"OCI_API_PUSH=false", "OCI_API_BLOBS_DELETE=false", "OCI_API_MANIFESTS_DELETE=false", "OCI_API_TAGS_DELETE=false",
		// Left open by the specification, relied on by clients. That of
		// manifests the program looks at after its own pushes only.
		"OCI_API_BLOBS_DIGEST_HEADER=true",
		fmt.Sprint("OCI_API_TAGS_LIST=", partsOfLists),
		"OCI_RO_DATA_TAGS="+strings.Join(tags, " "), "OCI_RO_DATA_MANIFESTS="+strings.Join(manifests, " "),
		"OCI_RO_DATA_BLOBS="+strings.Join(blobs, " "), "OCI_RO_DATA_REFERRERS="+strings.Join(subjects, " "),
	)
	out, err := r.do(t.Context(), "conformance")
	if err != nil {
		t.Errorf("conformance: %v", err)
	}
	return out
}

// TestConformance: a registry for reading, as the specification has it.
func TestConformance(t *testing.T) {
	w := NewWorld(t)
	const name = hub + "/team/conformance"
	all := []Image{w.Index(name, "index"), w.Docker(name, "docker"), w.Zstd(name, "zstd"), w.Nested(name, "nested")}
	w.Attach(all[0], "application/vnd.example.sig", []byte("signature"))
	w.AttachByTag(all[2], "application/vnd.example.sig", []byte("signature 2"))
	var blobs []string
	for p := range w.Files {
		if dir, digest := filepath.Split(p); strings.HasSuffix(dir, "/blobs/") {
			blobs = append(blobs, digest)
		}
	}
	f := webtest.NewFixture(t)
	f.Publish(w.Files)
	webtest.Each(t, f.Dir, func(t *testing.T, s *webtest.Server) {
		for _, n := range []string{name, all[0].Alias} {
			out := conformance(t, strings.TrimPrefix(s.URL, "http://"), n, all, blobs, s.Name == webtest.Serve)
			want := []string{
				"Result: Pass", "Test/ping: Pass", "empty/referrers: Pass", "read-only/head: Pass", "read-only/pull: Pass", "read-only/referrers: Pass",
				"missing-manifest: Pass", "invalid-digest-format: Pass",
			}
			if s.Name == webtest.Serve { // the others always give the whole list
				want = append(want, "empty/tag list: Pass", "read-only/tag-list: Pass")
			}
			for _, passed := range want {
				if !strings.Contains(out, passed) || strings.Contains(out, ": FAIL") {
					t.Errorf("no %q in\n%s", passed, out)
				}
			}
		}
	})
}
