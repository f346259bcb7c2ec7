package serve_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gapbundle/gapbundle/internal/serve"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// What every server has to do is tested in internal/test/webtest; here is what
// only ours does.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func handler(t *testing.T, dir string, o serve.Options) *serve.Handler {
	t.Helper()
	h, err := serve.New(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func get(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	h.ServeHTTP(w, r)
	return w
}

func files() map[string]webtest.File {
	return map[string]webtest.File{
		"files/x/a.txt":                  {Content: "content"},
		"apt/demo/InRelease":             {Content: "release"},
		"v2/docker.io/lib/i/blobs/b":     {Content: "blob"},
		"v2/docker.io/lib/i/manifests/1": {Content: "{}", MediaType: "application/vnd.oci.image.manifest.v1+json"},
	}
}

func TestUnpublished(t *testing.T) {
	f := webtest.NewFixture(t)
	h := handler(t, f.Dir, serve.Options{})
	for _, p := range []string{"/", "/files/x/a.txt", "/index.html"} {
		if w := get(h, "GET", p); w.Code != 503 {
			t.Errorf("GET %s: %d, want 503", p, w.Code)
		}
	}
	f.Publish(files())
	if w := get(h, "GET", "/files/x/a.txt"); w.Code != 200 || w.Body.String() != "content" {
		t.Errorf("after the first publish: %d %q", w.Code, w.Body)
	}
	if _, err := serve.New(filepath.Join(f.Dir, "none"), serve.Options{}); !os.IsNotExist(err) {
		t.Errorf("a mirror that is not there: %v", err)
	}
}

// A link that somebody else put into a generation leads nowhere.
func TestNoLinkLeadsOut(t *testing.T) {
	f := webtest.NewFixture(t)
	f.Publish(files())
	generation := filepath.Join(f.Dir, "current")
	for name, target := range map[string]string{
		"files/absolute": "/etc/passwd", "files/up": "../../../state/secret", "files/state": "../../../state", "files/mirror": "../../..",
		"files/root": "/", "files/other": "../../../generations/000001", "files/tree": "../../../trees/101/../../state", "loop": "loop",
		"apt/demo/out": "../../state/secret",
	} {
		if err := os.Symlink(target, filepath.Join(generation, name)); err != nil {
			t.Fatal(err)
		}
	}
	h := handler(t, f.Dir, serve.Options{})
	for _, p := range []string{
		"/files/absolute", "/files/up", "/files/state", "/files/state/", "/files/state/secret", "/files/mirror/state/secret", "/files/root/etc/passwd",
		"/files/other/index.html", "/files/tree/", "/files/tree/secret", "/loop", "/loop/x", "/apt/demo/out", "/apt/demo/../../../state/secret",
	} {
		if w := get(h, "GET", p); w.Code != 404 {
			t.Errorf("GET %s: %d %.60q, want 404", p, w.Code, w.Body)
		}
	}
	if w := get(h, "GET", "/apt/demo/InRelease"); w.Body.String() != "release" {
		t.Errorf("a mount: %d %q", w.Code, w.Body)
	}
	if w := get(h, "GET", "/files/"); w.Code != 200 || strings.Contains(w.Body.String(), "passwd") || strings.Contains(w.Body.String(), "absolute") {
		t.Errorf("listing: %d %s", w.Code, w.Body)
	}
}

func TestCurrentMustNameAGeneration(t *testing.T) {
	for _, target := range []string{"state", "generations/../state", "/etc", "generations/x", "generations/", "generations/1/2"} {
		f := webtest.NewFixture(t)
		if err := os.Symlink(target, filepath.Join(f.Dir, "current")); err != nil {
			t.Fatal(err)
		}
		h := handler(t, f.Dir, serve.Options{})
		if w := get(h, "GET", "/secret"); w.Code != 500 {
			t.Errorf("current -> %s: %d %q, want 500", target, w.Code, w.Body)
		}
	}
}

func TestRegistryErrors(t *testing.T) {
	f := webtest.NewFixture(t)
	h := handler(t, f.Dir, serve.Options{})
	if w := get(h, "GET", "/v2/"); w.Code != 503 || !strings.Contains(w.Body.String(), `"UNAVAILABLE"`) {
		t.Errorf("unpublished: %d %q", w.Code, w.Body)
	}
	f.Publish(files())
	for _, c := range []struct {
		method, path, code string
		status             int
	}{
		{"GET", "/v2/docker.io/lib/i/manifests/none", "MANIFEST_UNKNOWN", 404},
		{"GET", "/v2/docker.io/lib/i/blobs/none", "BLOB_UNKNOWN", 404},
		{"GET", "/v2/none/tags/list", "NAME_UNKNOWN", 404},
		{"PUT", "/v2/docker.io/lib/i/manifests/1", "UNSUPPORTED", 405},
	} {
		w := get(h, c.method, c.path)
		var body struct {
			Errors []struct{ Code, Message string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != c.status || len(body.Errors) != 1 || body.Errors[0].Code != c.code || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %q %v, want %d %s", c.method, c.path, w.Code, w.Body, err, c.status, c.code)
		}
	}
	if w := get(h, "HEAD", "/v2/none/manifests/1"); w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %q, length %s", w.Body, w.Header().Get("Content-Length"))
	}
	if w := get(h, "GET", "/v2/"); w.Code != 200 || w.Body.String() != "{}\n" || w.Header().Get("Docker-Distribution-API-Version") != "registry/2.0" {
		t.Errorf("ping: %d %q", w.Code, w.Body)
	}
	if w := get(h, "POST", "/files/x/a.txt"); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" || strings.HasPrefix(w.Body.String(), "{") {
		t.Errorf("POST: %d %q", w.Code, w.Body)
	}
}

func TestAccessLog(t *testing.T) {
	f := webtest.NewFixture(t)
	f.Publish(files())
	var log bytes.Buffer
	h := handler(t, f.Dir, serve.Options{AccessLog: &log})
	get(h, "GET", "/files/x/a.txt?q=1", "User-Agent", "apt \"x\"\n\x01é\\", "Referer", "http://r/")
	get(h, "HEAD", "/files/x/none")
	want := regexp.MustCompile(`^192\.0\.2\.1 - - \[\d\d/\w\w\w/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /files/x/a\.txt\?q=1 HTTP/1\.1" 200 7 "http://r/" "apt \\x22x\\x22\\x0A\\x01\\xC3\\xA9\\x5C"
192\.0\.2\.1 - - \[[^]]+\] "HEAD /files/x/none HTTP/1\.1" 404 0 "-" "-"
$`)
	if !want.Match(log.Bytes()) {
		t.Errorf("log:\n%s\nwant:\n%s", &log, want)
	}
}

func TestMetrics(t *testing.T) {
	f := webtest.NewFixture(t)
	f.Publish(files())
	var m serve.Metrics
	if w := get(&m, "GET", "/metrics"); !strings.Contains(w.Body.String(), "gapbundle_mirror_generation 0\n") {
		t.Errorf("without a handler:\n%s", w.Body)
	}
	h := handler(t, f.Dir, serve.Options{Metrics: &m})
	get(h, "GET", "/files/x/a.txt")
	get(h, "GET", "/files/x/a.txt", "Range", "bytes=0-1")
	get(h, "GET", "/files/x/none")
	f.Publish(files())
	w := get(&m, "GET", "/metrics")
	for _, line := range []string{
		`gapbundle_http_requests_total{code="200"} 1`, `gapbundle_http_requests_total{code="206"} 1`, `gapbundle_http_requests_total{code="404"} 1`,
		"gapbundle_http_response_bytes_total 23", "gapbundle_http_requests_in_flight 0", "gapbundle_mirror_generation 2", "# TYPE gapbundle_mirror_generation gauge",
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("no line %q in\n%s", line, w.Body)
		}
	}
}

func TestListingIsBounded(t *testing.T) {
	f := webtest.NewFixture(t)
	f.Publish(files())
	dir := filepath.Join(f.Dir, "current", "files", "many")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 10_050 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h := handler(t, f.Dir, serve.Options{})
	body := get(h, "GET", "/files/many/").Body.String()
	if n := strings.Count(body, "<a "); n != 10_001 || !strings.Contains(body, "Only 10000") { // and ../
		t.Errorf("%d links", n)
	}
	body = get(h, "GET", "/files/").Body.String()
	if strings.Contains(body, "Only") || strings.Index(body, "many/") > strings.Index(body, "x/") {
		t.Errorf("listing:\n%s", body)
	}
}

// start runs a server until the returned stop, which gives Run's error.
func start(t *testing.T, s serve.Server) (address string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = l
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return l.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

// slow answers with a first byte, and a second when it is told to.
func slow(goOn <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "1")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-goOn:
			_, _ = io.WriteString(w, "2")
		case <-r.Context().Done():
		}
	})
}

func TestStopLetsRequestsFinish(t *testing.T) {
	goOn := make(chan struct{})
	address, stop := start(t, serve.Server{Handler: slow(goOn)})
	resp, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until nothing more is accepted
		c, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	close(goOn)
	if b, err := io.ReadAll(resp.Body); string(b) != "12" || err != nil {
		t.Errorf("request in flight: %q, %v", b, err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestStopCutsOffAfterGrace(t *testing.T) {
	address, stop := start(t, serve.Server{Handler: slow(nil), Grace: time.Millisecond})
	resp, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := stop(); err == nil || !strings.Contains(err.Error(), "cut off after 1ms") {
		t.Errorf("stop: %v", err)
	}
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("cut-off body %q reads as whole", b)
	}
}

func TestTLS(t *testing.T) {
	cert, key, pool := selfSigned(t)
	f := webtest.NewFixture(t)
	f.Publish(files())
	config, err := serve.LoadTLS([]serve.KeyPair{{Cert: cert, Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	address, stop := start(t, serve.Server{Handler: handler(t, f.Dir, serve.Options{}), TLS: config})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	resp, err := (&http.Client{Transport: transport}).Get("https://" + address + "/files/x/a.txt")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || string(b) != "content" || resp.ProtoMajor != 2 {
		t.Errorf("%s %q, %v", resp.Proto, b, err)
	}
	transport.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := serve.LoadTLS([]serve.KeyPair{{Cert: cert, Key: cert + "none"}}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none") {
		t.Errorf("missing key: %v", err)
	}
}

func selfSigned(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return cert, key, pool
}
