package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	fake "github.com/gapbundle/gapbundle/internal/test/registrytest"
	up "github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// TestTags reads all pages.
func TestTags(t *testing.T) {
	r := newRig(t, setup{})
	var want []string
	for i := range 2500 {
		want = append(want, fmt.Sprintf("v%04d", i))
	}
	r.PutManifest("a", ocispec.MediaTypeImageIndex, index, want...)
	r.Fail("/v2/a/tags/list", nil, up.Cut(100))
	tags, err := r.repository(t, "a").Tags(t.Context())
	if err != nil || !slices.Equal(tags, want) {
		t.Errorf("%d tags, %v", len(tags), err)
	}
	if _, err := r.repository(t, "none").Tags(t.Context()); !registry.NotFound(err) || !strings.Contains(err.Error(), "NAME_UNKNOWN") {
		t.Errorf("error: %v", err)
	}
	r.Put("/v2/bad/tags/list", []byte(`{"tags":["../x"]}`))
	if _, err := r.repository(t, "bad").Tags(t.Context()); !errors.Is(err, fetch.ErrUpstream) {
		t.Errorf("error: %v", err)
	}
}

// TestReferrers by the API, and by the tag where there is none.
func TestReferrers(t *testing.T) {
	for _, old := range []bool{false, true} {
		r := newRig(t, setup{registry: fake.Options{NoReferrers: old}})
		subject := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":"x/y","subject":{"mediaType":%q,"digest":%q,"size":%d},"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[]}`,
			ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, fake.Digest(index), len(index), fake.Digest([]byte("{}"))))
		repo := r.repository(t, "a")
		if found, err := repo.Referrers(t.Context(), digest.FromBytes(index), ""); err != nil || len(found) > 0 {
			t.Errorf("%v, %v", found, err)
		}
		if err := repo.PushManifest(t.Context(), descriptor(ocispec.MediaTypeImageManifest, subject), subject, ""); err != nil {
			t.Fatal(err)
		}
		found, err := repo.Referrers(t.Context(), digest.FromBytes(index), "")
		if err != nil || len(found) != 1 || found[0].Digest != digest.FromBytes(subject) || found[0].ArtifactType != "x/y" {
			t.Errorf("%v, %v", found, err)
		}
		if tag := "sha256-" + digest.FromBytes(index).Encoded(); old != slices.Contains(r.Tags("a"), tag) {
			t.Errorf("tags: %v", r.Tags("a"))
		}
	}
}

// TestPlainHTTP is spoken only where it is said.
func TestPlainHTTP(t *testing.T) {
	r := newRig(t, setup{registry: fake.Options{Plain: true, User: user, Password: canary}, config: loginFor(user, canary)})
	r.PutManifest("a", ocispec.MediaTypeImageIndex, index, "v1")
	if _, err := r.repository(t, "a").Manifest(t.Context(), "v1"); err != nil {
		t.Error(err)
	}
	r.ResetCounts()
	other := unnamed(t, r)
	repo, err := other.Repository(r.Host() + "/a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Manifest(t.Context(), "v1"); !errors.Is(err, fetch.ErrUpstream) || r.AllRequests() > 0 {
		t.Errorf("%d requests by http, error: %v", r.AllRequests(), err)
	}
}

// unnamed returns a client that was told nothing of plain http.
func unnamed(t *testing.T, r *rig) *registry.Client {
	t.Helper()
	c, err := fetch.New(fetch.Options{Home: t.TempDir(), Env: func(string) string { return "" }, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Name(r.Host() + "/a")
	client, err := registry.New(c, registry.Options{PlainHTTP: []string{"else.test"}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestPushBlob: sent once, mounted where it can be, checked on its way.
func TestPushBlob(t *testing.T) {
	r := newRig(t, setup{registry: fake.Options{User: user, Password: canary, Realm: "own"}, config: loginFor(user, canary)})
	content := noise(300_000)
	d := descriptor("application/octet-stream", content)
	opened := 0
	open := func() (io.ReadCloser, error) { opened++; return io.NopCloser(bytes.NewReader(content)), nil }
	repo := r.repository(t, "a")
	if has, err := repo.HasBlob(t.Context(), d.Digest); has || err != nil {
		t.Error(has, err)
	}
	// A registry that is overloaded, then one that breaks off.
	r.Fail("/v2/a/blobs/uploads/", up.Status(503), nil)
	r.Fail("/v2/a/blobs/uploads/1", up.Reset(-1))
	r.Fail("/v2/a/blobs/uploads/2", up.Status(500))
	if sent, err := repo.PushBlob(t.Context(), d, "", open); err != nil || !sent {
		t.Fatal(sent, err)
	}
	if has, err := repo.HasBlob(t.Context(), d.Digest); !has || err != nil || !bytes.Equal(r.Blob("a", d.Digest.String()), content) {
		t.Error(has, err)
	}
	if opened != 3 {
		t.Errorf("opened %d times", opened)
	}
	other := r.repository(t, "b")
	if sent, err := other.PushBlob(t.Context(), d, "a", open); err != nil || sent || r.Blob("b", d.Digest.String()) == nil {
		t.Error(sent, err)
	}
	if sent, err := other.PushBlob(t.Context(), descriptor("", content[:1000]), "a", func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content[:1000])), nil
	}); err != nil || !sent {
		t.Error(sent, err)
	}
	// A token that ends between the begin of an upload and its bytes.
	r.Fail("/v2/a/blobs/uploads/", up.Both(up.Do(0, func() {}), func(right http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { right.ServeHTTP(w, req); r.ExpireTokens() })
	}))
	if _, err := repo.PushBlob(t.Context(), descriptor("", content[:2000]), "", func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content[:2000])), nil
	}); err != nil {
		t.Error(err)
	}
	for name, wrong := range map[string][]byte{"flipped": append([]byte{content[0] ^ 1}, content[1:]...), "cut": content[:299_999]} {
		opened := 0
		_, err := repo.PushBlob(t.Context(), d, "", func() (io.ReadCloser, error) { opened++; return io.NopCloser(bytes.NewReader(wrong)), nil })
		if err == nil || errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), d.Digest.String()) || opened != 1 {
			t.Errorf("%s: opened %d times, error: %v", name, opened, err)
		}
	}
	r.quiet(t, "")
}

func TestNames(t *testing.T) {
	r := newRig(t, setup{})
	for _, name := range []string{"", "a", "a/", "host/../x", "host/A", "user:x@host/a", "ho st/a", "host/a?b", "host:x/a", "host/" + strings.Repeat("a", 300)} {
		if _, err := r.client.Repository(name); !errors.Is(err, fetch.ErrConfig) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, reference := range []string{"", ".x", "a/b", "sha256:x", "a b", strings.Repeat("a", 129)} {
		if _, err := r.repository(t, "a").Manifest(t.Context(), reference); !errors.Is(err, fetch.ErrConfig) {
			t.Errorf("%q: %v", reference, err)
		}
	}
	if r.AllRequests() > 0 {
		t.Error("asked")
	}
}

// TestStorageThatAsks: a host that a registry sends on to gets no login, not
// even its own: whoever redirects does not decide where we log in.
func TestStorageThatAsks(t *testing.T) {
	other := fake.New(t, fake.Options{User: user, Password: canary, Realm: "own"})
	content := noise(1000)
	other.PutBlob("a", content)
	r := &rig{Registry: fake.New(t, fake.Options{})}
	r.client = r.connect(t, setup{config: strings.ReplaceAll(loginFor(user, canary), "HOST", other.Host()),
		hosts: map[string]fetch.HostOptions{other.Host(): {CA: other.CA()}, r.Host(): {RedirectTo: []string{other.Host()}}}})
	path := "/v2/a/blobs/" + fake.Digest(content)
	r.FailAlways(path, up.Redirect(other.URL(path)))
	_, err := r.repository(t, "a").Blob(t.Context(), digest.FromBytes(content), -1, 0, "")
	if err == nil || !strings.Contains(err.Error(), "a redirect has left the origin") {
		t.Errorf("error: %v", err)
	}
	if other.Issued() > 0 || other.AllRequests() != 1 {
		t.Errorf("%d requests, %d tokens", other.AllRequests(), other.Issued())
	}
	r.quiet(t, fmt.Sprint(err))
}

// TestShyRegistry: one that shows nothing to whoever says nothing, instead of
// asking: with a login it is asked first what it wants.
func TestShyRegistry(t *testing.T) {
	r := newRig(t, setup{registry: fake.Options{User: user, Password: canary, Realm: "own"}, config: loginFor(user, canary)})
	r.PutManifest("a", ocispec.MediaTypeImageIndex, index, "v1")
	r.FailAlways("/v2/a/manifests/v1", func(right http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Authorization") == "" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			right.ServeHTTP(w, req)
		})
	})
	if _, err := r.repository(t, "a").Manifest(t.Context(), "v1"); err != nil {
		t.Error(err)
	}
}
