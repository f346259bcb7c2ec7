package simplestreams

import (
	"bytes"
	"crypto"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources/simplestreams/readers"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// newExporter exports a spec again and again, with one ledger.
func newExporter(t *testing.T, dir string) *sourcetest.Exporter {
	t.Helper()
	return sourcetest.NewExporter(t, dir, Kind(), now)
}

// An unchanged source costs one question about its index and nothing else. A
// full export makes again what was made, and makes the same.
func TestUnchangedCostsOneQuestion(t *testing.T) {
	for name, options := range map[string][]string{"rebuilt": {wanted}, "verbatim": nil, "unsigned": {wanted}} {
		t.Run(name, func(t *testing.T) {
			m := newMirror(t, t.TempDir())
			if name == "unsigned" {
				m.sign = nil
			}
			x := newExporter(t, m.dir)
			first := x.Run(m.spec(options...))
			for range 2 {
				m.server.ResetCounts()
				res := x.Run(m.spec(options...))
				if !res.Nothing || m.server.AllRequests() != 1 {
					t.Fatalf("nothing new: %t, %d requests, want 1", res.Nothing, m.server.AllRequests())
				}
			}
			index := root + "streams/v1/index.sjson"
			if name == "unsigned" {
				index = root + "streams/v1/index.json"
			}
			if seen := m.server.Seen(index); len(seen) != 1 || m.server.Bytes(index) != 0 {
				t.Errorf("%d requests, %d bytes", len(seen), m.server.Bytes(index))
			}
			x.Options.Full = true
			if res := x.Run(m.spec(options...)); res.Nothing || res.State != first.State || res.Files != first.Files {
				t.Errorf("full: state %s with %d files, want %s with %d", res.State, res.Files, first.State, first.Files)
			}
		})
	}
}

// Whatever the plan is a function of leads to another look at upstream.
func TestChangedIsReadAgain(t *testing.T) {
	for name, test := range map[string]struct {
		change func(x *sourcetest.Exporter, m *mirror) string
		want   error
	}{
		"options": {func(_ *sourcetest.Exporter, m *mirror) string { return m.spec(wanted, "newest: 2") }, nil},
		"upstream": {func(_ *sourcetest.Exporter, m *mirror) string {
			m.updated = "Thu, 26 Nov 2026 10:00:00 +0000"
			m.publish()
			return m.spec(wanted)
		}, nil},
		"site key": {func(x *sourcetest.Exporter, m *mirror) string { x.NewSite(); return m.spec(wanted) }, nil},
		"program":  {func(x *sourcetest.Exporter, m *mirror) string { x.Options.Tool = "other"; return m.spec(wanted) }, nil},
		"no validator": {func(_ *sourcetest.Exporter, m *mirror) string {
			m.server.FailAlways(root+"streams/v1/index.sjson", func(right http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("ETag", `"another"`)
					right.ServeHTTP(&noETag{w}, r)
				})
			})
			return m.spec(wanted)
		}, nil},
		"trust": {func(_ *sourcetest.Exporter, m *mirror) string {
			m.trust(newSigner(m.t, "another", 0))
			return m.spec(wanted)
		}, fetch.ErrRefused},
		"expired since": {func(x *sourcetest.Exporter, m *mirror) string {
			x.Options.Now = now.Add(100 * 24 * time.Hour)
			return m.spec(wanted)
		}, fetch.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMirror(t, t.TempDir())
			if name == "expired since" {
				key := newSigner(t, "brief", 80*24*3600)
				m.trust(key)
				m.sign = signBy(t, key, crypto.SHA512)
				m.publish()
			}
			x := newExporter(t, m.dir)
			x.Run(m.spec(wanted))
			spec := test.change(x, m)
			m.server.ResetCounts()
			if _, err := x.Try(spec); !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if m.server.Bytes(root+"streams/v1/index.sjson") == 0 {
				t.Error("the index was not read again")
			}
		})
	}
}

// noETag keeps the ETag that is set already.
type noETag struct{ http.ResponseWriter }

func (w *noETag) WriteHeader(code int) {
	w.Header().Set("ETag", `"another"`)
	w.ResponseWriter.WriteHeader(code)
}

// Upstream that changes between its index and its products is read once more.
func TestMoved(t *testing.T) {
	m := newMirror(t, t.TempDir())
	path := "streams/v1/" + imagesID + ".sjson"
	m.server.Remove(root + path)
	m.server.FailAlways(root+path, func(right http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			right.ServeHTTP(w, r)
			m.publish() // and from now on it is there
		})
	})
	tr := planned(t, m, wanted)
	if len(tr.images("noble/")) == 0 || m.server.Requests(root+"streams/v1/index.sjson") != 2 {
		t.Errorf("%d requests for the index, want 2", m.server.Requests(root+"streams/v1/index.sjson"))
	}
}

// What clients are told.
func TestClients(t *testing.T) {
	m := newMirror(t, t.TempDir())
	tr := planned(t, m, wanted)
	files, err := readers.Clients(t.Context(), tr.Repositories(), tr)
	if err != nil || len(files) != 1 || files[0].Path != "maas/images.sh" {
		t.Fatalf("got %v, %v", files, err)
	}
	for _, want := range []string{
		"url=@BASE@/simplestreams/images/ keyring_filename=/usr/share/keyrings/gapbundle-demo-site.gpg", "curl -f -o /usr/share/keyrings/gapbundle-demo-site.gpg @BASE@/keys/demo-site.gpg",
		"os=ubuntu release=jammy arches=amd64 subarches='*' labels='*'", "os=ubuntu release=noble arches=amd64", "${ID:?", "boot-source delete", "keyring_data@=",
	} {
		if !bytes.Contains(files[0].Content, []byte(want)) {
			t.Errorf("does not say %q:\n%s", want, files[0].Content)
		}
	}
	containers(t, m)
	tr = planned(t, m, "newest: 1")
	files, err = readers.Clients(t.Context(), tr.Repositories(), tr)
	if err != nil || len(files) != 2 {
		t.Fatalf("got %v, %v", files, err)
	}
	for i, program := range []string{"incus", "lxc"} {
		if want := program + " remote add mirror-images @BASE@/simplestreams/images --protocol simplestreams"; files[i].Path != program+"/images.sh" || !strings.Contains(string(files[i].Content), want) {
			t.Errorf("%s: %s", files[i].Path, files[i].Content)
		}
	}
	m.files = map[string]object{"tools": {"tools:1": object{"arch": "amd64", "versions": object{"1": object{"items": object{"t": m.item("tar.gz", "tools/t.tgz")}}}}}}
	m.publish()
	if tr := planned(t, m); len(tr.images("tools/")) != 1 {
		t.Errorf("got %v", tr.images(""))
	} else if files, err := readers.Clients(t.Context(), tr.Repositories(), tr); err != nil || len(files) != 0 {
		t.Errorf("a source of tools: %v, %v", files, err)
	}
}
