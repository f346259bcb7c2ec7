package webtest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	imageType = "application/vnd.oci.image.manifest.v1+json"
	noneYet   = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}\n"
	digestOf  = "Docker-Content-Digest"
)

func digest(content string) string { return bundle.DigestOf([]byte(content)).String() }

// withImage adds an image with tags; the manifest by its digest is there too.
func withImage(files map[string]File, name, manifest string, tags ...string) {
	dir := "v2/" + name + "/manifests/"
	files[dir+digest(manifest)] = File{Content: manifest, MediaType: imageType}
	for _, tag := range tags {
		files[dir+tag] = File{Content: manifest, MediaType: imageType}
	}
}

// testImages: what registries add to files.
func testImages(t *testing.T, f mirror, start startFunc) {
	const name, alias = "docker.io/team/sub/tool", "team/sub/tool"
	const old, now, signature = `{"old":1}`, `{"now":1}`, `{"sig":1}`
	subject := "sha256-" + bundle.DigestOf([]byte(now)).Hex()
	files := first()
	withImage(files, name, old, "1.0", "latest", "gone")
	blob := "v2/" + name + "/blobs/" + digest("blob")
	files[blob] = File{Content: "blob"}
	long := "sha512:" + strings.Repeat("0123456789abcdef", 8)
	_, byHand := f.(*Fixture)
	if byHand { // import takes digests of SHA-256 alone
		files["v2/"+name+"/manifests/"+long] = File{Content: old, MediaType: imageType}
	}
	f.Publish(files)
	s := start(t, f.Path())
	checkDigest := func(path, digest string) {
		t.Helper()
		for _, n := range []string{name, alias} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				resp, body := do(t, s, method, "/v2/"+n+"/"+path)
				if got := resp.Header.Values(digestOf); resp.StatusCode != http.StatusOK || len(got) != 1 || got[0] != digest {
					t.Errorf("%s /v2/%s/%s: status %d, digest %q, want %s: %.100q", method, n, path, resp.StatusCode, got, digest, body)
				}
			}
		}
	}
	checkDigest("manifests/1.0", digest(old))
	checkDigest("manifests/latest", digest(old))
	checkDigest("manifests/"+digest(old), digest(old))
	if byHand {
		checkDigest("manifests/"+long, long)
	}
	checkDigest("blobs/"+digest("blob"), digest("blob"))

	files = second()
	withImage(files, name, now, "2.0", "latest")
	dir := "v2/" + name + "/"
	files[dir+"manifests/"+subject] = File{Content: `{"index":1}`, MediaType: indexType}
	files[dir+"manifests/"+subject+".sig"] = File{Content: signature, MediaType: imageType}
	files[dir+"referrers/"+digest(signature)] = File{Content: `{"index":2}`, MediaType: indexType}
	f.Publish(files)
	checkDigest("manifests/2.0", digest(now))
	checkDigest("manifests/latest", digest(now))
	checkDigest("manifests/"+digest(now), digest(now))
	checkDigest("manifests/gone", digest(old)) // from the generation before
	checkDigest("manifests/"+digest(old), digest(old))
	checkDigest("manifests/"+subject+".sig", digest(signature))
	checkDigest("blobs/"+digest("blob"), digest("blob"))
	testAnswers(t, s, []answer{
		{"/v2/" + name + "/referrers/" + digest(signature), 200, `{"index":2}`, indexType},
		{"/v2/" + name + "/referrers/" + digest(now), 200, `{"index":1}`, indexType}, // of the tag
		{"/v2/" + alias + "/referrers/" + digest(signature), 200, `{"index":2}`, indexType},
		{"/v2/" + alias + "/referrers/" + digest(now), 200, `{"index":1}`, indexType},
		{"/v2/" + name + "/referrers/" + digest(old), 200, noneYet, indexType},
		{"/v2/" + alias + "/referrers/" + digest("nothing"), 200, noneYet, indexType},
		{"/v2/", 200, "{}\n", "application/json"},
		{"/v2/" + name + "/manifests/1.1", 404, "", ""},
		{"/v2/" + name + "/manifests/" + digest("none"), 404, "", ""},
		{"/v2/" + name + "/blobs/" + digest("none"), 404, "", ""},
		{"/v2/" + name + "/manifests/", 200, "", ""},
	})
	testImageHeaders(t, s, "/v2/"+name, "/v2/"+name+"/blobs/"+digest("blob"))
	f.Publish(first())
	checkDigest("manifests/latest", digest(now))
	f.Publish(first())
	if resp, _ := do(t, s, http.MethodGet, "/v2/"+name+"/manifests/latest"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a tag that two generations do not have: %d", resp.StatusCode)
	}
}

// testImageHeaders: where a digest must not stand, whatever is asked for.
func testImageHeaders(t *testing.T, s *Server, image, blob string) {
	if resp, _ := do(t, s, http.MethodGet, "/v2/"); resp.Header.Get("Docker-Distribution-API-Version") != "registry/2.0" {
		t.Errorf("/v2/: %v", resp.Header)
	}
	for _, path := range []string{
		image + "/manifests/*", image + "/manifests/%2a", image + "/manifests/?", image + "/manifests/%3f.0", image + "/manifests/[0-9].0", image + "/manifests/2.0/",
		image + "/manifests/%5c*", image + "/manifests/1.1", image + "/manifests/%7bpath%7d", image + "/manifests/2.0%0a",
		image + "/manifests/..%2f..%2f..%2fstate%2fsecret", image + "/manifests/%2e%2e/%2e%2e/2.0", image + "/*/2.0", image[:len(image)-1] + "*/manifests/2.0",
		image + "/manifests/" + digest("none"), image + "/blobs/" + digest("none"), image + "/tags/list", "/v2/", "/", "/files/example.org/README",
		image + "/manifests/%24gapbundle_link", image + "/manifests/%25%7bREQUEST_URI%7d", image + "/manifests/2.0:x", "/v2/manifests/" + digest("none"),
	} {
		resp, body := do(t, s, http.MethodGet, path)
		if resp.Header.Get(digestOf) != "" || resp.StatusCode >= 500 || strings.Contains(body, "secret") {
			t.Errorf("GET %s: status %d, digest %q, %.100q", path, resp.StatusCode, resp.Header.Get(digestOf), body)
		}
	}
	resp, body := do(t, s, http.MethodGet, blob, "Range", "bytes=1-2")
	if resp.StatusCode != http.StatusPartialContent || body != "lo" || resp.ContentLength != 2 {
		t.Errorf("range of a blob: status %d, %q", resp.StatusCode, body)
	}
	if resp, _ := do(t, s, http.MethodHead, blob); resp.ContentLength != 4 || resp.Header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("HEAD of a blob: %v", resp.Header)
	}
	resp, _ = do(t, s, http.MethodGet, image+"/manifests/2.0")
	held := resp.Header.Get("ETag")
	if resp, _ := do(t, s, http.MethodGet, image+"/manifests/2.0", "If-None-Match", held); resp.StatusCode != http.StatusNotModified {
		t.Errorf("a manifest that the client has, %s: status %d", held, resp.StatusCode)
	}
	for _, path := range []string{image + "/manifests/2.0", image + "/manifests/1.1", blob, "/v2/"} {
		if resp, _ := do(t, s, http.MethodPut, path); resp.StatusCode != http.StatusMethodNotAllowed && (s.Name == Serve || resp.StatusCode != http.StatusNotFound) {
			t.Errorf("PUT %s: status %d", path, resp.StatusCode)
		}
	}
}

// testMoving: while a tag is moved, the digest is that of the body, where a
// request is answered from one generation.
func testMoving(t *testing.T, f mirror, start startFunc) {
	const name = "docker.io/lib/moving"
	generations := []map[string]File{first(), first()}
	for i, files := range generations {
		withImage(files, name, fmt.Sprintf(`{"n":%d}`, i), "latest")
	}
	f.Publish(generations[0])
	s := start(t, f.Path())
	bad := make(chan string, 4)
	var asked, without atomic.Int64
	deadline := time.Now().Add(time.Second)
	for range cap(bad) {
		go func() {
			for time.Now().Before(deadline) {
				resp, err := open(s, http.MethodGet, "/v2/lib/moving/manifests/latest")
				if err != nil {
					bad <- err.Error()
					return
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				got, want := resp.Header.Get(digestOf), digest(string(b))
				asked.Add(1)
				if got == "" && s.Name == Caddy { // its pattern found the name of one generation, and its stat the other
					without.Add(1)
					got = want
				}
				if err != nil || resp.StatusCode != http.StatusOK || got == "" || got != want && (s.Name == Serve || s.Name == Nginx) {
					bad <- fmt.Sprintf("status %d, digest %q, body %q, %v", resp.StatusCode, got, b, err)
					return
				}
			}
			bad <- ""
		}()
	}
	for i := 1; time.Now().Before(deadline); i++ {
		f.Publish(generations[i%2])
	}
	for range cap(bad) {
		if s := <-bad; s != "" {
			t.Error(s)
		}
	}
	if n := without.Load(); n*20 > asked.Load() {
		t.Errorf("%d of %d answers had no digest", n, asked.Load())
	}
}
