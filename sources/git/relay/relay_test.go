package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func newRelay(t *testing.T, up *upstreamtest.Server) *Relay {
	t.Helper()
	client, err := fetch.New(fetch.Options{
		Env: func(string) string { return "" }, Home: t.TempDir(), Retries: 2, Stall: 2 * time.Second,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	client.Name(up.URL(""))
	r, err := New(t.Context(), client, up.URL("/o/r.git/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		client.Close()
	})
	return r
}

// ask asks the relay as git does.
func ask(t *testing.T, r *Relay, method, path, body string, secret bool) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if secret {
		name, value, _ := strings.Cut(r.Config()[1], ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

const refsPath = "/info/refs?service=git-upload-pack"

// Only who has the secret is answered, and only what git asks for is asked.
func TestPaths(t *testing.T) {
	up := upstreamtest.New(t)
	pack := "/objects/pack/pack-" + strings.Repeat("a", 40) + ".pack"
	for _, p := range []string{"/HEAD", "/info/refs", "/objects/info/packs", pack, "/objects/info/alternates", "/objects/info/http-alternates", "/config", "/../secret"} {
		up.Put("/o/r.git"+p, []byte("content of "+p))
	}
	up.Put("/o/secret", []byte("secret"))
	r := newRelay(t, up)
	if status, _ := ask(t, r, http.MethodGet, "/HEAD", "", false); status != http.StatusForbidden || up.AllRequests() != 0 {
		t.Errorf("without the secret: %d, %d requests", status, up.AllRequests())
	}
	for _, p := range []string{"/HEAD", "/info/refs", "/objects/info/packs", pack} {
		if status, body := ask(t, r, http.MethodGet, p, "", true); status != http.StatusOK || body != "content of "+p {
			t.Errorf("%s: %d %q", p, status, body)
		}
	}
	before := up.AllRequests()
	for _, p := range []string{"/objects/info/alternates", "/objects/info/http-alternates", "/config", "/%2e%2e/secret", "/HEAD?x", "/git-receive-pack", "/info/refs?service=git-receive-pack"} {
		if status, _ := ask(t, r, http.MethodGet, p, "", true); status == http.StatusOK {
			t.Errorf("%s: answered", p)
		}
	}
	if status, _ := ask(t, r, http.MethodPost, "/git-receive-pack", "x", true); status != http.StatusNotFound {
		t.Errorf("a push: %d", status)
	}
	if n := up.AllRequests() - before; n != 0 {
		t.Errorf("%d requests reached upstream", n)
	}
	if status, _ := ask(t, r, http.MethodGet, "/objects/aa/"+strings.Repeat("b", 38), "", true); status != http.StatusNotFound {
		t.Errorf("what is not there: %d", status)
	}
	if err := r.Err(); err != nil {
		t.Errorf("what is not there counts as an error: %v", err)
	}
}

// smart plays an upstream that speaks the smart protocol as far as types go.
func smart(up *upstreamtest.Server, answer string) {
	up.PutFile("/o/r.git/info/refs", upstreamtest.File{Content: []byte("refs"), Type: advertisement})
	up.Handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", answer)
		_, _ = w.Write(append([]byte("answer to "), b...))
	}))
}

func TestSmart(t *testing.T) {
	up := upstreamtest.New(t)
	smart(up, result)
	r := newRelay(t, up)
	if _, body := ask(t, r, http.MethodGet, refsPath, "", true); body != "refs" || !r.Smart() {
		t.Errorf("refs: %q, smart %v", body, r.Smart())
	}
	// The attempts of a request with a body are those of every other.
	up.Fail("/o/r.git/git-upload-pack", upstreamtest.Status(503), upstreamtest.Status(429, "Retry-After", "0"))
	if status, body := ask(t, r, http.MethodPost, "/git-upload-pack", "wants", true); status != http.StatusOK || body != "answer to wants" {
		t.Errorf("wants: %d %q", status, body)
	}
	if n := r.Received(); n != int64(len("refs")+len("answer to wants")) {
		t.Errorf("%d bytes received", n)
	}
}

// The cause of a failure is the upstream's, with its class and its URL.
func TestFailures(t *testing.T) {
	for name, test := range map[string]struct {
		fault upstreamtest.Fault
		class error
		text  string
	}{
		"refused":       {upstreamtest.Status(403), fetch.ErrUpstream, "403"},
		"not there":     {upstreamtest.Status(404), fetch.ErrUpstream, "404"},
		"broken":        {upstreamtest.Cut(3), fetch.ErrUpstream, ""},
		"another host":  {upstreamtest.Redirect("http://elsewhere.example/x"), fetch.ErrRefused, "elsewhere.example"},
		"a file":        {upstreamtest.Redirect("file:///etc/passwd"), fetch.ErrRefused, "unusable"},
		"never answers": {upstreamtest.Stall(3), fetch.ErrUpstream, ""},
	} {
		t.Run(name, func(t *testing.T) {
			up := upstreamtest.New(t)
			smart(up, result)
			up.FailAlways("/o/r.git/git-upload-pack", test.fault)
			r := newRelay(t, up)
			ask(t, r, http.MethodPost, "/git-upload-pack", "wants", true)
			if err := r.Err(); !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), up.URL("/o/r.git")) {
				t.Errorf("got %v", err)
			}
			if err := r.Err(); err != nil {
				t.Errorf("it is told twice: %v", err)
			}
		})
	}
	up := upstreamtest.New(t)
	smart(up, "text/html")
	r := newRelay(t, up)
	ask(t, r, http.MethodPost, "/git-upload-pack", "wants", true)
	if err := r.Err(); !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "text/html") {
		t.Errorf("a page: %v", err)
	}
	if status, _ := ask(t, r, http.MethodPost, "/git-upload-pack", string(bytes.Repeat([]byte("x"), MaxRequest+1)), true); status == http.StatusOK {
		t.Error("a request without bound")
	}
}
