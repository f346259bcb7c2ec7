package registry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
)

// odd is a registry with one manifest and habits of its own.
type odd struct {
	head, referrers int // statuses; 0: as the specification has it
	noLength        bool
	requests        []string
}

const oddManifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}`

func (o *odd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.requests = append(o.requests, r.Method+" "+r.URL.Path)
	d := digest.FromString(oddManifest)
	switch {
	case r.Method == http.MethodHead && o.head != 0:
		w.WriteHeader(o.head)
	case strings.Contains(r.URL.Path, "/referrers/") && o.referrers != 0:
		w.WriteHeader(o.referrers)
	case strings.HasSuffix(r.URL.Path, "/manifests/v1"), strings.HasSuffix(r.URL.Path, "/manifests/"+d.String()):
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Docker-Content-Digest", d.String())
		if o.noLength && r.Method == http.MethodHead {
			w.(http.Flusher).Flush() // before its length is known
			return
		}
		_, _ = io.WriteString(w, oddManifest)
	default:
		http.NotFound(w, r)
	}
}

func (o *odd) open(t *testing.T) *registry.Repository {
	t.Helper()
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	f, err := fetch.New(fetch.Options{Retries: -1, Env: func(string) string { return "" }, Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	f.Name(server.URL)
	c, err := registry.New(f, registry.Options{PlainHTTP: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Repository(host + "/app")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWithoutHEAD: what HEAD refuses and GET has is resolved, and HEAD is not tried again.
func TestWithoutHEAD(t *testing.T) {
	for _, status := range []int{0, 400, 401, 403, 404, 405, 500, 501} {
		o := &odd{head: status}
		r := o.open(t)
		for range 2 {
			d, err := r.Resolve(t.Context(), "v1")
			if err != nil || d.Digest != digest.FromString(oddManifest) || d.Size != int64(len(oddManifest)) {
				t.Errorf("HEAD answers %d: %v, %v", status, d, err)
			}
		}
		if _, err := r.Resolve(t.Context(), "absent"); !registry.NotFound(err) {
			t.Errorf("HEAD answers %d, absent: %v", status, err)
		}
		want := "HEAD GET GET GET"
		if status == 0 {
			want = "HEAD HEAD HEAD"
		}
		var got []string
		for _, request := range o.requests {
			got = append(got, strings.Fields(request)[0])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("HEAD answers %d: %v, want %s", status, got, want)
		}
	}
	if _, err := (&odd{head: 405}).open(t).Resolve(t.Context(), "absent"); !registry.NotFound(err) {
		t.Errorf("HEAD answers 405, absent from the first: %v", err)
	}
}

// TestHEADWithoutLength: what HEAD does not say, GET does.
func TestHEADWithoutLength(t *testing.T) {
	o := &odd{noLength: true}
	d, err := o.open(t).Resolve(t.Context(), "v1")
	if err != nil || d.Digest != digest.FromString(oddManifest) || d.Size != int64(len(oddManifest)) || len(o.requests) != 2 {
		t.Errorf("%v, %v after %v", d, err, o.requests)
	}
}

// TestWithoutReferrers: the question for referrers is optional, and its refusal is told.
func TestWithoutReferrers(t *testing.T) {
	for status, optional := range map[int]bool{400: true, 403: true, 404: true, 405: true, 406: true, 501: true, 401: false, 500: false} {
		r := (&odd{referrers: status}).open(t)
		for range 2 {
			all, err := r.Referrers(t.Context(), digest.FromString(oddManifest), "")
			if (err == nil) != optional || len(all) != 0 {
				t.Errorf("%d: %v, %v", status, all, err)
			}
		}
		want := status
		if !optional || status == 404 {
			want = 0
		}
		if got := r.NoReferrers(); got != want {
			t.Errorf("%d: told as %d", status, got)
		}
	}
}
